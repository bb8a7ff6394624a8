//! Statements that the proxy answers itself. They are taken for its own only when the words are exactly so:
//! what a server could mean by the same text stays the server's.

use std::ops::Range;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Own {
    /// EXPLAIN ROUTE statement, with the place of the statement in the text, comments before it included.
    ExplainRoute {
        statement: Range<usize>,
    },
    ShowSession,
    ShowGtid,
    ShowHolds,
    ShowVariables,
    ShowStatus,
    ShowCounters,
    /// SET splitrail.name = value, one or more.
    SetSplitrail(Box<[Setting]>),
    /// Meant for the proxy, but wrong: what to tell the client.
    Malformed(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Without `splitrail.`, in lower case.
    pub name: Box<str>,
    /// Without quotes; `None` for DEFAULT.
    pub value: Option<Box<str>>,
}
