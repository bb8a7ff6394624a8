//! A table: its name, its columns, and how its rows are made.

use super::value::Row;
use super::{clients, digests};
use crate::admin::State;

#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// In small letters, words joined by `_`: the `servers` of SHOW SERVERS and of /api/v1/servers.
    pub name: &'static str,
    /// One line for HELP and the documentation.
    pub about: &'static str,
    pub columns: &'static [Column],
    /// Quick, and without waiting: everything is in memory. Each row has a value for every column. To be asked by
    /// [`read`](Table::read), which also knows the tables that threads have to be asked for.
    pub rows: fn(&State) -> Vec<Row>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// With its unit: `lag_ms`.
    pub name: &'static str,
    pub kind: Kind,
}

/// What the values of a column are, unless they are NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Integer,
    Decimal,
    Boolean,
}

// === impl Table ===

impl Table {
    pub async fn read(&self, state: &State) -> Vec<Row> {
        match self.name {
            digests::NAME => digests::rows(state).await,
            clients::NAME => clients::rows_with_statements(state).await,
            _ => (self.rows)(state),
        }
    }

    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns
            .iter()
            .position(|column| column.name.eq_ignore_ascii_case(name))
    }
}

// === impl Kind ===

impl Kind {
    /// As DESCRIBE shows it.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Text => "varchar(1024)",
            Self::Integer => "bigint unsigned",
            Self::Decimal => "double",
            Self::Boolean => "varchar(3)",
        }
    }
}

// === impl Column ===

impl Column {
    pub const fn text(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Text,
        }
    }

    pub const fn integer(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Integer,
        }
    }

    pub const fn decimal(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Decimal,
        }
    }

    pub const fn boolean(name: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Boolean,
        }
    }
}
