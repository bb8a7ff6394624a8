//! All that the tables and commands of this folder look at.

use std::sync::Arc;
use std::time::SystemTime;

use crate::frontend::shared::Shared;

/// One for the process.
pub struct State {
    pub shared: Arc<Shared>,
    /// When the proxy began.
    pub started: SystemTime,
}

// === impl State ===

impl State {
    pub fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            shared,
            started: SystemTime::now(),
        })
    }
}
