//! All that the tables and commands of this folder look at.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::failover;
use crate::frontend::shared::Shared;

/// One for the process.
pub struct State {
    pub shared: Arc<Shared>,
    /// `None` where failover is off.
    pub failover: Option<failover::Handle>,
    /// What only the one who built the proxy can do again.
    pub reload: Reloads,
    /// What the HTTP listener shows; none: plain HTTP. Replaced when certificates are loaded again.
    pub http_tls: ArcSwapOption<rustls::ServerConfig>,
    /// When the proxy began.
    pub started: SystemTime,
    /// What the counters of routes were when they were last reset: their own threads alone write them.
    forgotten: ArcSwap<Vec<u64>>,
}

/// Answers what was done, or why nothing was.
pub type Reload = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<String, String>> + Send>> + Send + Sync>;

/// The same for a file to save to, if it is not the one that was read.
pub type Save = Box<
    dyn Fn(Option<PathBuf>) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send>> + Send + Sync,
>;

/// Settings that are not as the file has them, with their present values.
pub type Unsaved = Box<dyn Fn() -> Vec<(String, String)> + Send + Sync>;

#[derive(Default)]
pub struct Reloads {
    pub tls: Option<Reload>,
    pub config: Option<Reload>,
    pub save: Option<Save>,
    pub unsaved: Option<Unsaved>,
}

// === impl State ===

impl State {
    pub fn new(shared: Arc<Shared>, failover: Option<failover::Handle>, reload: Reloads) -> Arc<Self> {
        Arc::new(Self {
            shared,
            failover,
            reload,
            http_tls: ArcSwapOption::empty(),
            started: SystemTime::now(),
            forgotten: ArcSwap::default(),
        })
    }

    pub fn forgotten_routes(&self) -> Arc<Vec<u64>> {
        self.forgotten.load_full()
    }

    pub fn forget_routes(&self, counts: Vec<u64>) {
        self.forgotten.store(Arc::new(counts));
    }

    /// A server by its name.
    pub fn server(&self, name: &str) -> Option<usize> {
        let snapshot = self.shared.topology.snapshot();
        let mut servers = snapshot.present().filter(|(_, server)| server.is_configured());
        let found = servers.find(|(_, server)| server.name.eq_ignore_ascii_case(name));
        found.map(|(index, _)| index)
    }
}
