//! The pool of server connections: how many, how old, and how long anyone waits.

use std::time::Duration;

/// Limits of the connections to each server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Open connections per server, busy and idle together.
    pub max_connections: u32,
    /// Idle connections kept open per server for the account that last used them; at most `max_connections`.
    pub min_idle: u32,
    /// A connection older than this is closed when it is next idle; `None`: never.
    pub max_age: Option<Duration>,
    /// An idle connection above `min_idle` is closed after this; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// How long a statement waits for a connection when the pool is full.
    pub acquire_timeout: Duration,
    /// From the first SYN to the end of the server's login.
    pub connect_timeout: Duration,
    /// Prepared statements open per connection; the least recently used is closed.
    pub max_prepared_per_connection: u32,
    /// Statements waiting for a connection of one server; one more is refused at once.
    pub max_waiting: u32,
}
