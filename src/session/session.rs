//! One client's session.

use std::sync::atomic::{AtomicU64, Ordering};

use std::time::Duration;

use super::announced::Announced;
use super::doubts::{Calling, Doubts};
use super::hold::{Hold, Holds};
use super::locks::Locks;
use super::preferences::Preferences;
use super::seen::Seen;
use super::state::State;
use super::statements::Statements;
use super::temporary::TemporaryTables;
use crate::gtid::Position;
use crate::sql::{Charset, Dialect, InsertedIds};
use crate::wire::Status;

#[derive(Debug, Default)]
pub struct Session {
    pub state: State,
    pub holds: Holds,
    pub status: Status,
    pub statements: Statements,
    /// How the server reads this session's text.
    pub dialect: Dialect,
    /// `SET wait_timeout`: the session ends when its client says nothing for longer.
    pub idle_limit: Option<Duration>,
    /// What the last write was, until it is noted in `seen`.
    pub gtid: Option<Position>,
    pub seen: Seen,
    /// Its `splitrail.*` settings. They end with the session, and with RESET_CONNECTION.
    pub preferences: Preferences,
    login_dialect: Dialect,
    /// Never the same for two sessions of the process; never zero.
    pub serial: u64,
    /// What `LAST_INSERT_ID()`, `ROW_COUNT()` and `FOUND_ROWS()` are, for connections that do not know it.
    pub insert_id: u64,
    /// `LAST_INSERT_ID()` as the response to the last statement told it beyond doubt.
    pub told_id: Option<u64>,
    pub row_count: i64,
    pub found_rows: u64,
    /// The last statement counted rows that it did not send: only its connection knows how many.
    pub counts_unsent: bool,
    /// It has asked for counts before: from then on it keeps its connection for the statement that may.
    pub asks_counts: bool,
    /// Something changed that the server did not report: it is asked before the connection goes.
    pub is_unsure: bool,
    /// User variables into which the server has put something that is not known here yet.
    pub reported: Vec<Box<[u8]>>,
    pub temporary: TemporaryTables,
    pub(super) locks: Locks,
    pub(super) counts: Counts,
    /// What the statement under way says in its text, for when it is done.
    pub(super) announced: Option<Announced>,
    /// What is known of the routines that it calls.
    pub calling: Calling,
    pub(super) doubts: Doubts,
    /// What it may write into an AUTO_INCREMENT column itself.
    pub inserting: InsertedIds,
}

/// How many there are of what holds a connection and has no name.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub texts: u32,
    pub handlers: u32,
}

static SERIAL: AtomicU64 = AtomicU64::new(1);

// === impl Session ===

impl Session {
    pub fn new(dialect: Dialect) -> Self {
        Self {
            status: Status::AUTOCOMMIT,
            dialect,
            login_dialect: dialect,
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            row_count: 0,
            ..Self::default()
        }
    }

    pub fn set_variable(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"sql_mode" => self.dialect.set_sql_mode(value),
            b"wait_timeout" => {
                let seconds = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                self.idle_limit = seconds.map(Duration::from_secs);
            }
            b"character_set_client" => self.dialect.charset = Charset::from_name(value),
            // What `id IS NULL` finds depends on the insert before.
            b"sql_auto_is_null" if matches!(value, b"ON" | b"1") => self.holds.insert(Hold::OneShot),
            _ => {}
        }
        self.state.variables.set(name, value);
    }

    /// The server has told of the session's own commit.
    pub fn remember_gtid(&mut self, mariadb: bool, gtid: &[u8]) {
        if let Ok(gtid) = Position::parse(mariadb, gtid)
            && !gtid.is_empty()
        {
            self.gtid = Some(gtid);
        }
    }

    /// RESET_CONNECTION: everything goes but the schema, and time does not run backward.
    pub fn reset(&mut self) {
        let schema = self.state.schema.take();
        let seen = std::mem::take(&mut self.seen);
        *self = Self::new(self.login_dialect);
        self.state.schema = schema;
        self.seen = seen;
    }

    pub fn in_transaction(&self) -> bool {
        self.status.has(Status::IN_TRANSACTION)
    }
}
