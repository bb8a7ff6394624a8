//! What is wanted, and why it may be refused.

use std::fmt;

use tokio::time::Instant;

/// What is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// Who is to be promoted; `None`: the best.
    pub to: Option<usize>,
    /// Over every objection that can be overcome.
    pub force: bool,
    pub kind: Kind,
    pub by: By,
    pub now: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The primary is dead, or taken for it.
    Failover,
    /// The primary lives and gives up its role.
    Switchover,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The proxy itself: `mode`, PAUSE, `cooldown`, `max_per_hour` and `max_gap` count.
    Proxy,
    Operator,
}

/// Why it is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// Never empty.
    pub reasons: Vec<String>,
}

// === impl Refusal ===

impl Refusal {
    pub fn of(reason: impl Into<String>) -> Self {
        Self {
            reasons: vec![reason.into()],
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reasons.join("; "))
    }
}
