//! Why a statement runs where it does, and what keeps a server from being chosen: for logs, metrics and people.

use crate::config::ListenerMode;
use crate::session::Hold;
use crate::sql::Reason;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    Mode(ListenerMode),
    Held(Hold),
    Hint,
    Rule,
    Class(Reason),
    ReadOnlyTransaction,
    AutocommitOff,
    /// Only its beginning can be looked at.
    TooLong,
    /// Its parameters or its rows come one by one, on one connection.
    Piecemeal,
    Strong,
    RefusedBefore,
    /// There is no replica, or none that is up and in service.
    NoReplica,
    AllLag,
    /// No replica is known to have what the session has seen.
    NotSeenYet,
    /// All that could be asked have failed.
    AllFailed,
}

/// Why a server is not a candidate for a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    Primary,
    OtherServer,
    Drain,
    Maintenance,
    Removed,
    Down,
    Failed,
    Lag,
    /// It has not got what the session has seen, and will soon.
    Behind,
    TooFarBehind,
    /// The session read on another server, and whether this one has all that it saw there is not known yet.
    SeenElsewhere,
    Backup,
}

// === impl Why ===

impl Why {
    /// A short name for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mode(_) => "listener",
            Self::Held(hold) => hold.name(),
            Self::Hint => "hint",
            Self::Rule => "rule",
            Self::Class(_) => "class",
            Self::ReadOnlyTransaction => "read_only_transaction",
            Self::AutocommitOff => "autocommit_off",
            Self::TooLong => "too_long",
            Self::Piecemeal => "piecemeal",
            Self::Strong => "strong_consistency",
            Self::RefusedBefore => "refused_before",
            Self::NoReplica => "no_replica",
            Self::AllLag => "all_lag",
            Self::NotSeenYet => "not_seen_yet",
            Self::AllFailed => "all_failed",
        }
    }

    /// All groups, for counters.
    pub const GROUPS: [&str; 20] = [
        "listener",
        "held_transaction",
        "held_other",
        "hint",
        "rule",
        "read",
        "write",
        "definition",
        "transaction",
        "session",
        "primary_only",
        "read_only_transaction",
        "autocommit_off",
        "too_long",
        "piecemeal",
        "strong_consistency",
        "refused_before",
        "no_replica",
        "all_lag",
        "not_seen_yet",
    ];

    /// Which of the [groups](Self::GROUPS) it belongs to: few enough to be counted each.
    pub fn group(self) -> usize {
        match self {
            Self::Mode(_) => 0,
            Self::Held(Hold::Transaction) => 1,
            Self::Held(_) => 2,
            Self::Hint => 3,
            Self::Rule => 4,
            Self::Class(reason) => match reason {
                Reason::OnlyReads => 5,
                Reason::Data | Reason::LockingRead | Reason::StoredProgram => 6,
                Reason::Definition => 7,
                Reason::Transaction => 8,
                Reason::Session | Reason::Diagnostics | Reason::FoundRows | Reason::RowCount => 9,
                _ => 10,
            },
            Self::ReadOnlyTransaction => 11,
            Self::AutocommitOff => 12,
            Self::TooLong => 13,
            Self::Piecemeal => 14,
            Self::Strong => 15,
            Self::RefusedBefore => 16,
            Self::NoReplica | Self::AllFailed => 17,
            Self::AllLag => 18,
            Self::NotSeenYet => 19,
        }
    }

    /// What a person reads.
    pub fn text(self) -> &'static str {
        match self {
            Self::Mode(ListenerMode::Primary) => "the listener sends everything to the primary",
            Self::Mode(ListenerMode::Replica) => "the listener sends everything to a replica",
            Self::Mode(ListenerMode::Split) => "the listener splits",
            Self::Held(hold) => hold.text(),
            Self::Hint => "a hint says so",
            Self::Rule => "a rule says so",
            Self::Class(reason) => reason.text(),
            Self::ReadOnlyTransaction => "it begins a transaction that only reads",
            Self::AutocommitOff => "autocommit is off: a read begins a transaction",
            Self::TooLong => "it is too long to be looked at whole",
            Self::Piecemeal => "it has a cursor, long data or several sets of parameters",
            Self::Strong => "strong consistency: only the primary has every commit",
            Self::RefusedBefore => "a replica refused it as a write before",
            Self::NoReplica => "no replica is in service",
            Self::AllLag => "every replica is further behind than max_lag",
            Self::NotSeenYet => "no replica is known to have what the session has seen",
            Self::AllFailed => "every replica that could answer has failed",
        }
    }

    /// Of two reasons why nobody was found, the one that says more.
    pub(super) fn worse(self, obstacle: Option<Obstacle>) -> Self {
        match (self, obstacle) {
            (_, Some(Obstacle::SeenElsewhere | Obstacle::TooFarBehind | Obstacle::Behind)) => {
                Self::NotSeenYet
            }
            (Self::NoReplica | Self::AllFailed, Some(Obstacle::Lag)) => Self::AllLag,
            (Self::NoReplica, Some(Obstacle::Failed)) => Self::AllFailed,
            (why, _) => why,
        }
    }
}

// === impl Obstacle ===

impl Obstacle {
    pub fn text(self) -> &'static str {
        match self {
            Self::Primary => "it is the primary, which takes reads only when no replica can",
            Self::OtherServer => "a hint or a rule names another server",
            Self::Drain => "it is being drained",
            Self::Maintenance => "it is in maintenance",
            Self::Removed => "it was removed",
            Self::Down => "it is down",
            Self::Failed => "it failed for this statement",
            Self::Lag => "it is further behind than max_lag, or its replication has stopped",
            Self::Behind => "it has not got what the session has seen; a read would wait for it",
            Self::TooFarBehind => "it will not have what the session has seen within consistency.wait",
            Self::SeenElsewhere => {
                "the session read on another server, and this one may lack what it saw there"
            }
            Self::Backup => "it is a backup, for when no other replica can",
        }
    }
}
