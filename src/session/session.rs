//! One client's session.

use super::hold::Holds;
use super::state::State;
use super::statements::Statements;
use crate::sql::{Charset, Dialect};
use crate::wire::Status;

#[derive(Debug, Default)]
pub struct Session {
    pub state: State,
    pub holds: Holds,
    pub status: Status,
    pub statements: Statements,
    /// How the server reads this session's text.
    pub dialect: Dialect,
    /// What the last write was, for reads elsewhere that must see it.
    pub gtid: Option<Box<[u8]>>,
    login_dialect: Dialect,
}

// === impl Session ===

impl Session {
    pub fn new(dialect: Dialect) -> Self {
        Self {
            status: Status::AUTOCOMMIT,
            dialect,
            login_dialect: dialect,
            ..Self::default()
        }
    }

    pub fn set_variable(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"sql_mode" => self.dialect.set_sql_mode(value),
            b"character_set_client" => self.dialect.charset = Charset::from_name(value),
            _ => {}
        }
        self.state.variables.set(name, value);
    }

    pub fn remember_gtid(&mut self, gtid: &[u8]) {
        if !gtid.is_empty() {
            self.gtid = Some(gtid.into());
        }
    }

    /// RESET_CONNECTION: everything goes but the schema.
    pub fn reset(&mut self) {
        let schema = self.state.schema.take();
        *self = Self::new(self.login_dialect);
        self.state.schema = schema;
    }

    pub fn in_transaction(&self) -> bool {
        self.status.has(Status::IN_TRANSACTION)
    }
}
