//! One statement as a span: what is known when it begins, and what at its end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::parent::Parent;

/// A statement that is traced and has not ended.
#[derive(Debug)]
pub struct Beginning {
    pub trace: u128,
    pub span: u64,
    pub parent: Option<Parent>,
    pub at: SystemTime,
    pub began: Instant,
    /// When it was last sent to a server.
    pub sent: Option<Instant>,
}

/// Ready to be sent to the collector. No literal of the statement is in it.
#[derive(Debug)]
pub struct Span {
    pub beginning: Beginning,
    pub took: Duration,
    pub digest: u64,
    pub shape: Arc<[u8]>,
    pub client: u32,
    pub user: Box<[u8]>,
    pub schema: Box<[u8]>,
    pub listener: Box<str>,
    pub server: Option<Place>,
    /// Why it ran there.
    pub reason: Box<str>,
    pub rows: u64,
    pub bytes: u64,
    /// The code that the client was told.
    pub error: Option<u16>,
    /// There was no answer, or half of one.
    pub broke_off: bool,
}

/// Where it ran.
#[derive(Debug)]
pub struct Place {
    pub name: Box<str>,
    pub host: Box<str>,
    /// `None`: the host is the path of a Unix socket.
    pub port: Option<u16>,
    pub is_primary: bool,
    pub is_mariadb: bool,
}

// === impl Span ===

impl Span {
    /// From its beginning to when it was sent: waiting for its turn, a primary, a connection; and from there on.
    /// What was never sent did nothing but wait.
    pub fn times(&self) -> (Duration, Duration) {
        let sent = self.beginning.sent;
        let waited = sent.map_or(self.took, |sent| {
            sent.saturating_duration_since(self.beginning.began)
                .min(self.took)
        });
        (waited, self.took - waited)
    }
}
