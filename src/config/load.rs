//! [`Config`] itself: a whole file read, checked and ready to use.

use std::time::Duration;

use super::{Accounts, Compression, Limits, Listener, Log, Monitor, Pool, Server, Tls};

/// A validated configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// At least one; addresses and names are unique.
    pub listeners: Vec<Listener>,
    /// At least one; addresses and names are unique; exactly one is the primary.
    pub servers: Vec<Server>,
    pub accounts: Accounts,
    pub monitor: Monitor,
    pub pool: Pool,
    pub tls: Tls,
    pub compression: Compression,
    pub limits: Limits,
    pub shutdown: Shutdown,
    pub log: Log,
    /// Threads that serve clients.
    pub workers: usize,
    pub server_version: ServerVersion,
}

/// How the proxy ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// How long open transactions may take to end.
    pub grace: Duration,
}

/// The version that clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerVersion {
    /// The primary's.
    Mirror,
    Fixed(String),
}
