//! One thing done to one server, as SQL that can be read before it is run.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Address, Login};
use crate::gtid::Position;
use crate::topology::{ChannelTls, Status};

/// One thing to do. Doing it twice does no harm.
#[derive(Debug, Clone)]
pub struct Step {
    pub kind: StepKind,
    /// Where.
    pub server: usize,
    pub name: Arc<str>,
    /// Whether the rest has to wait for it, and fails with it. What is not needed is repaired afterwards.
    pub needed: bool,
    /// What it does and why.
    pub sentence: String,
}

#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// The primary takes no more writes.
    ReadOnly,
    /// The connections of all others are ended there: whoever executes it asks for the list with the SQL given,
    /// and kills each of them.
    KillSessions,
    /// A replica fetches nothing more.
    StopFetching,
    /// A replica connects to its source anew.
    Reconnect,
    /// A replica applies what it has fetched.
    StartApplying,
    /// A delayed replica applies at once what it has fetched.
    Undelay,
    /// A replica follows another server from now on.
    Follow(Follow),
    /// Waits until a server has applied this much.
    Drain {
        position: Position,
        timeout: Duration,
    },
    /// It follows nobody. Deletes what was fetched and not applied.
    Detach,
    /// Whether commits there wait for a replica.
    SemiSync {
        on: bool,
    },
    /// It takes writes.
    Writable,
    /// A row is written there and seen on another server: done by whoever executes it.
    Verify {
        on: Option<usize>,
    },
}

/// How a server is to follow another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Follow {
    pub source: Address,
    pub source_name: Arc<str>,
    /// The channel to change; empty for the usual one.
    pub channel: String,
    /// `None`: what the server has is kept.
    pub login: Option<Login>,
    /// `None`: what the server has is kept.
    pub tls: Option<ChannelTls>,
    /// Said again with every change: a new source brings the default back otherwise.
    pub heartbeat: Option<Duration>,
    /// It was the primary until now.
    pub demoted: bool,
}

/// What a server understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    pub mariadb: bool,
    pub version: (u16, u16, u16),
}

/// A statement. `Display` shows no secret; [`Sql::expose`] is what to run.
#[derive(Clone, PartialEq, Eq)]
pub struct Sql {
    text: String,
    shown: Option<String>,
}

// === impl Step ===

impl Step {
    /// The statements, in order.
    pub fn sql(&self, dialect: Dialect) -> Vec<Sql> {
        let _ = dialect;
        Vec::new()
    }
}

// === impl Dialect ===

impl Dialect {
    pub fn of(status: &Status) -> Self {
        let mut numbers = status
            .version
            .split(|character: char| !character.is_ascii_digit())
            .map(|number| number.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Self {
            mariadb: status.mariadb,
            version: (next(), next(), next()),
        }
    }
}

// === impl Sql ===

impl Sql {
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Sql {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.shown.as_deref().unwrap_or(&self.text))
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
