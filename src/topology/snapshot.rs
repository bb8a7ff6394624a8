//! The servers as everybody sees them at one moment. It never changes: a new one takes its place.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::readers::Readers;

/// All servers, each at its place. One that the configuration has no more keeps its place until nothing refers to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Grows with every change.
    pub serial: u64,
    /// Grows with every change of the primary.
    pub epoch: u64,
    /// Who takes writes.
    pub primary: Option<usize>,
    pub servers: Box<[ServerView]>,
    pub readers: Arc<Readers>,
    /// Procedures that leave nothing on their connection which the server does not report.
    pub tidy: Arc<Readers>,
    /// How often routines have been made anew, so that what was known of them was forgotten.
    pub made_anew: u64,
    /// The same by the time when `readers` and `tidy` were read.
    pub known_as_of: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ServerView {
    pub name: Arc<str>,
    pub role: Role,
    pub health: Health,
    pub admin: Admin,
    pub weight: u32,
    /// Where the configuration lists it.
    pub rank: usize,
    pub backup: bool,
    pub replication: Replication,
    /// As of the latest probe. A probe that failed leaves the last figure, grown by the time since then.
    pub lag: Lag,
    /// What counts where a limit is set: it follows the figure up at once, and down only when that has fallen by a
    /// quarter. A lag that wavers about the limit does not make the server come and go.
    pub steady_lag: Lag,
    /// Why it is kept from all use: it has what the primary lacks.
    pub quarantine: Option<Arc<str>>,
    /// When it last became usable; `None` while it is not, and for a server that has been since the start.
    pub usable_since: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Primary,
    Replica,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Not probed yet; taken for usable.
    Unknown,
    Up,
    Down {
        why: Arc<str>,
    },
}

/// What the operator wants of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admin {
    Online,
    /// Nothing new; what runs there may end there.
    Drain,
    Maintenance,
    /// The configuration has it no more: nothing new, and what runs there may end there.
    Removed,
    /// Nothing refers to it any more: its place is free.
    Gone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replication {
    /// It follows nobody, or that cannot be seen.
    None,
    Running,
    Stopped {
        why: Arc<str>,
    },
}

/// How old a replica's data are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lag {
    /// Nobody could tell: no account to ask with, or not asked yet.
    #[default]
    Unknown,
    Known(Duration),
    /// It does not follow at all.
    Infinite,
}

// === impl ServerView ===

impl ServerView {
    /// Whether new statements may go there, as far as its health and its operator are concerned.
    pub fn is_usable(&self) -> bool {
        !matches!(self.health, Health::Down { .. })
            && self.admin == Admin::Online
            && self.quarantine.is_none()
    }

    /// Whether the configuration has it.
    pub fn is_configured(&self) -> bool {
        !matches!(self.admin, Admin::Removed | Admin::Gone)
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// The servers that there are, with their places: those of the configuration, and what was removed as long as
    /// anything refers to it.
    pub fn present(&self) -> impl Iterator<Item = (usize, &ServerView)> {
        let all = self.servers.iter().enumerate();
        all.filter(|(_, server)| server.admin != Admin::Gone)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        })
    }
}

// === impl Lag ===

impl Lag {
    /// The figure that counts after this one counted and `now` was seen.
    pub(super) fn steadied(self, now: Self) -> Self {
        match (self, now) {
            (Self::Known(before), Self::Known(lag)) if lag < before && lag > before * 3 / 4 => self,
            _ => now,
        }
    }
}

impl Health {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down { .. } => "down",
        }
    }
}

impl Admin {
    pub fn word(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Drain => "drain",
            Self::Maintenance => "maintenance",
            Self::Removed => "removed",
            Self::Gone => "gone",
        }
    }
}

impl Replication {
    pub fn word(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Running => "running",
            Self::Stopped { .. } => "stopped",
        }
    }
}

impl fmt::Display for Lag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => formatter.write_str("unknown"),
            Self::Known(lag) => write!(formatter, "{} ms", lag.as_millis()),
            Self::Infinite => formatter.write_str("infinite"),
        }
    }
}
