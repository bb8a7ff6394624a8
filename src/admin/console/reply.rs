//! Who asks, and what is answered.

use std::fmt;

use thiserror::Error;

use crate::admin::catalog::{self, Answer, NoColumn};
use crate::admin::language::Bad;
use crate::config::AdminRole;

/// An operator, or a program that watches, after its login.
#[derive(Debug, Clone)]
pub struct Who {
    pub user: String,
    pub role: AdminRole,
    /// Where it comes from, for the log.
    pub from: String,
    /// Its connection's number.
    pub id: u32,
    /// The schema that EXPLAIN ROUTE takes for the session's.
    pub schema: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Rows(Answer),
    /// It was done; a sentence, or nothing.
    Done(String),
}

/// Why a command is not done. Each kind is one error of MySQL.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Wrong {
    #[error("You have an error in your command: {0}")]
    Syntax(String),
    #[error("{0}")]
    NoTable(String),
    #[error("{0}")]
    NoColumn(String),
    #[error("Unknown system variable '{0}'")]
    NoVariable(String),
    #[error("Unknown session id: {0}")]
    NoSession(u32),
    #[error("Access denied; you need the role operate for this operation")]
    Denied,
    /// It is understood and allowed, and cannot be done now.
    #[error("{0}")]
    Refused(String),
}

// === impl Wrong ===

impl Wrong {
    /// The error's number in MySQL.
    pub fn code(&self) -> u16 {
        match self {
            Self::Syntax(_) => 1064,
            Self::NoTable(_) => 1146,
            Self::NoColumn(_) => 1054,
            Self::NoVariable(_) => 1193,
            Self::NoSession(_) => 1094,
            Self::Denied => 1227,
            Self::Refused(_) => 1105,
        }
    }

    pub fn refused(why: impl fmt::Display) -> Self {
        Self::Refused(why.to_string())
    }
}

impl From<Bad> for Wrong {
    fn from(bad: Bad) -> Self {
        // A table's name alone is meant for SHOW.
        if let Bad::Unknown { what, .. } = &bad
            && let Some(table) = catalog::find(what)
        {
            let table = table.name.to_uppercase();
            return Self::Syntax(format!("`{what}` is no command; did you mean SHOW {table}?"));
        }
        Self::Syntax(bad.to_string())
    }
}

impl From<NoColumn> for Wrong {
    fn from(none: NoColumn) -> Self {
        Self::NoColumn(none.to_string())
    }
}
