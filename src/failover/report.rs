//! What came of a command: each step that was taken and how long it took, for the log, the history and whoever
//! asked for it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// One change of the primary, or of a server's place behind it, as far as it went.
#[derive(Debug, Clone)]
pub struct Report {
    pub kind: ReportKind,
    /// The old primary; for a rejoin, the server.
    pub from: Option<Arc<str>>,
    /// The new primary.
    pub to: Option<Arc<str>>,
    /// As of its end.
    pub epoch: u64,
    pub began: SystemTime,
    pub took: Duration,
    /// How long the gate was shut.
    pub pause: Option<Duration>,
    /// What the old primary is known to have had and the new one lacks.
    pub gap: Option<Gap>,
    pub steps: Vec<StepReport>,
    pub outcome: Outcome,
}

/// Transactions that are lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    pub transactions: u64,
    /// In the servers' notation.
    pub text: String,
}

/// Something that was done.
#[derive(Debug, Clone)]
pub struct StepReport {
    pub text: String,
    pub server: Option<Arc<str>>,
    /// From the beginning of the whole.
    pub at: Duration,
    pub took: Duration,
    /// Why it did not work.
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportKind {
    Failover,
    Switchover,
    Rejoin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has no end yet.
    UnderWay,
    Done,
    /// It did not work, and all is as it was.
    Undone(String),
    /// It did not work, and somebody has to look.
    Failed(String),
}

// === impl ReportKind ===

impl ReportKind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Switchover => "switchover",
            Self::Rejoin => "rejoin",
        }
    }
}

// === impl Outcome ===

impl Outcome {
    pub fn word(&self) -> &'static str {
        match self {
            Self::UnderWay => "under way",
            Self::Done => "done",
            Self::Undone(_) => "undone",
            Self::Failed(_) => "failed",
        }
    }

    /// Why it is not done.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::UnderWay | Self::Done => None,
            Self::Undone(why) | Self::Failed(why) => Some(why),
        }
    }
}
