//! Why a session keeps its server connection between statements. Every reason has a name.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Hold {
    Transaction = 1,
    /// SET TRANSACTION: the characteristics are for the next transaction, on this connection.
    NextTransaction = 1 << 1,
    /// LOCK TABLES, FLUSH TABLES WITH READ LOCK.
    LockedTables = 1 << 2,
    /// GET_LOCK.
    NamedLock = 1 << 3,
    /// Roles, what procedures did, and whatever else the server calls a change of state without saying which.
    State = 1 << 4,
    Handler = 1 << 5,
    Cursor = 1 << 6,
    LongData = 1 << 7,
    /// What the next statement may ask for: warnings, errors, and counts in a session that does ask for them.
    Diagnostics = 1 << 8,
    /// A variable that the next statement consumes, such as insert_id.
    OneShot = 1 << 9,
    /// The client follows the session's changes in a way of its own.
    Tracking = 1 << 10,
    DistributedTransaction = 1 << 11,
    /// LOCK INSTANCE, BACKUP STAGE, BACKUP LOCK.
    BackupLock = 1 << 12,
    TemporaryTables = 1 << 13,
    /// PREPARE name FROM text.
    TextPrepare = 1 << 14,
    /// An error does not say what the statement had done before it: the next response does.
    Unsettled = 1 << 15,
    /// The server takes nothing but a new password, and does not say what becomes of the session.
    PasswordExpired = 1 << 16,
    /// User variables whose values only the server knows.
    UserVariables = 1 << 17,
}

const ALL: [Hold; 18] = [
    Hold::Transaction,
    Hold::NextTransaction,
    Hold::LockedTables,
    Hold::NamedLock,
    Hold::State,
    Hold::Handler,
    Hold::Cursor,
    Hold::LongData,
    Hold::Diagnostics,
    Hold::OneShot,
    Hold::Tracking,
    Hold::DistributedTransaction,
    Hold::BackupLock,
    Hold::TemporaryTables,
    Hold::TextPrepare,
    Hold::Unsettled,
    Hold::PasswordExpired,
    Hold::UserVariables,
];

// === impl Hold ===

impl Hold {
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.into_iter()
    }

    /// As it is shown to people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::NextTransaction => "next transaction",
            Self::LockedTables => "locked tables",
            Self::NamedLock => "named lock",
            Self::State => "state",
            Self::Handler => "handler",
            Self::Cursor => "cursor",
            Self::LongData => "long data",
            Self::Diagnostics => "diagnostics",
            Self::OneShot => "one-shot variable",
            Self::Tracking => "tracking",
            Self::DistributedTransaction => "distributed transaction",
            Self::BackupLock => "backup lock",
            Self::TemporaryTables => "temporary tables",
            Self::TextPrepare => "prepared text",
            Self::Unsettled => "unsettled",
            Self::PasswordExpired => "expired password",
            Self::UserVariables => "user variables",
        }
    }

    /// Why it holds, and what ends it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Transaction => "a transaction is open, until COMMIT or ROLLBACK",
            Self::NextTransaction => "SET TRANSACTION is for the next transaction, until that is over",
            Self::LockedTables => "tables are locked, until UNLOCK TABLES",
            Self::NamedLock => "GET_LOCK() took a lock, until it is released",
            Self::State => {
                "a procedure, a role or something else changed what only this connection knows, until the session \
                 is reset"
            }
            Self::Handler => "a HANDLER is open, until HANDLER .. CLOSE",
            Self::Cursor => {
                "a cursor is open, until its last row is read or its statement is reset or closed"
            }
            Self::LongData => "part of a parameter has been sent, until its statement is executed",
            Self::Diagnostics => {
                "the last statement left warnings or counts, until the next one or until others need the connection"
            }
            Self::OneShot => {
                "a variable was set that counts on this connection alone, such as timestamp, until the session is reset"
            }
            Self::Tracking => "the client set session_track variables itself, until the session is reset",
            Self::DistributedTransaction => "an XA transaction is under way, until it is over",
            Self::BackupLock => "a backup lock is held, until it is released",
            Self::TemporaryTables => "there are temporary tables, until they are dropped",
            Self::TextPrepare => "PREPARE made statements, until DEALLOCATE PREPARE",
            Self::Unsettled => "an error left open what its statement did, until the next one has succeeded",
            Self::PasswordExpired => "the password has expired, until the client logs in anew",
            Self::UserVariables => {
                "user variables have values that only this connection knows, until the session is reset"
            }
        }
    }
}

/// A set of reasons.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Holds(u32);

// === impl Holds ===

impl Holds {
    pub fn insert(&mut self, hold: Hold) {
        self.0 |= hold as u32;
    }

    pub fn remove(&mut self, hold: Hold) {
        self.0 &= !(hold as u32);
    }

    pub fn set(&mut self, hold: Hold, on: bool) {
        if on { self.insert(hold) } else { self.remove(hold) }
    }

    pub fn has(self, hold: Hold) -> bool {
        self.0 & hold as u32 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a connection left with these must not be used by another session.
    /// Diagnostics alone leave nothing behind.
    pub fn leave_traces(self) -> bool {
        self.0 & !(Hold::Diagnostics as u32) != 0
    }

    /// Whether the only reason is what the client may ask for next, and mostly does not.
    pub fn are_soft(self) -> bool {
        self.0 == Hold::Diagnostics as u32
    }

    /// As one number, for whoever keeps it elsewhere.
    pub fn bits(self) -> u32 {
        self.0
    }

    pub fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub fn iter(self) -> impl Iterator<Item = Hold> {
        ALL.into_iter().filter(move |hold| self.has(*hold))
    }
}

impl fmt::Debug for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
