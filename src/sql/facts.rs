//! What is known about a statement before anyone asks where to send it: its class, the reason for it, what it
//! names, and what its author wished for. The part that does not depend on literals can be kept in a cache.

use std::fmt;
use std::sync::Arc;

use super::features::Features;
use super::flags::Flags;
use super::hint::Hint;
use super::own::Own;
use super::reason::Reason;
use super::verb::Verb;

/// The facts about one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub features: Features,
    pub class: Class,
    /// Why the class is what it is.
    pub reason: Reason,
    /// Every table that the text names, perhaps more; `None` when that is not known. What views, triggers and
    /// stored programs use in turn is not in it.
    pub tables: Option<Box<[Table]>>,
    /// The functions that are not built in, without repetition, when the class is [`Class::ReadIf`].
    pub calls: Box<[Name]>,
    pub hint: Hint,
    /// A statement that the proxy answers itself.
    pub own: Option<Own>,
    /// The same for statements that differ in literals, blanks and comments alone, in every process and release
    /// that writes [`digest_text`](super::digest_text) in the same way.
    pub digest: u64,
    /// The [`digest_text`](super::digest_text) itself; empty: this is no statement.
    pub shape: Arc<[u8]>,
}

/// What a statement is to a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Changes nothing, locks nothing, and means the same on a replica.
    Read,
    /// A read if all functions in [`Facts::calls`] are known to only read data.
    ReadIf,
    /// Asks for what the statement before it left: it belongs to the connection that ran that one.
    Last,
    /// Starts a transaction, with the access mode when one is written.
    Begin { read_only: Option<bool> },
    /// Concerns the session alone: the held connection, else the primary.
    Session,
    /// Everything else, and everything not understood.
    Write,
}

/// A table as the text names it, without quotes, in the client's character set and case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Table {
    pub schema: Option<Box<[u8]>>,
    pub name: Box<[u8]>,
}

/// The name of a function, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    pub schema: Option<Box<str>>,
    pub name: Box<str>,
}

/// What a session knows of the statements before, or shows alike on each of its connections.
const CARRIED: Flags = Flags::LAST_INSERT_ID
    .union(Flags::ROW_COUNT)
    .union(Flags::FOUND_ROWS)
    .union(Flags::CONNECTION_ID)
    .union(Flags::READS_SYSTEM_VARIABLE)
    .union(Flags::READS_USER_VARIABLE)
    .union(Flags::SLEEP);

// === impl Facts ===

impl Facts {
    /// Whether it changes nothing, and another connection of the session answers it as well.
    pub fn may_move(&self) -> bool {
        let features = &self.features;
        let asks = matches!(self.class, Class::Last | Class::Session) && features.verb == Verb::Select;
        self.class.is_read() || asks && features.flags.without(CARRIED).is_empty()
    }

    /// Whether it needs the primary and changes nothing all the same.
    pub fn only_asks(&self) -> bool {
        self.class == Class::Write && self.reason == Reason::ServerState
    }

    /// Whether it runs where the statement before ran. One that `stays` where the session is for another reason is
    /// given the counts there, as long as it asks for no more than counts.
    pub fn is_for_last(&self, stays: bool) -> bool {
        self.class == Class::Last && (!stays || self.features.has(Flags::DIAGNOSTICS))
    }

    /// Whether it may be about a table of the current schema.
    pub fn names_table_of_current_schema(&self) -> bool {
        let tables = self.tables.as_deref();
        tables.is_none_or(|tables| tables.iter().any(|table| table.schema.is_none()))
    }
}

// === impl Class ===

impl Class {
    /// As it is shown to people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadIf => "read, if its functions only read",
            Self::Last => "about the statement before",
            Self::Begin {
                read_only: Some(true),
            } => "start of a read-only transaction",
            Self::Begin { .. } => "start of a transaction",
            Self::Session => "session",
            Self::Write => "write",
        }
    }

    pub fn is_read(self) -> bool {
        matches!(self, Self::Read | Self::ReadIf)
    }
}

// === impl Table ===

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(formatter, "{}.", String::from_utf8_lossy(schema))?;
        }
        formatter.write_str(&String::from_utf8_lossy(&self.name))
    }
}

// === impl Name ===

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(formatter, "{schema}.{}", self.name),
            None => formatter.write_str(&self.name),
        }
    }
}
