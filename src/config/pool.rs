//! The pool of server connections: how many, how old, and how long anyone waits.

use std::time::Duration;

use super::reader::Section;

/// Limits of the connections to each server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Open connections per server, busy and idle together.
    pub max_connections: u32,
    /// Connections kept open per server, however long they have been idle; at most `max_connections`.
    pub min_idle: u32,
    /// A connection older than this is closed when it is next idle; `None`: never.
    pub max_age: Option<Duration>,
    /// A connection that was idle for this long is closed while more than `min_idle` are open; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// How long a statement waits for a connection when the pool is full, and for the server to answer what puts
    /// the session in place on it.
    pub acquire_timeout: Duration,
    /// From the first SYN to the end of the server's login.
    pub connect_timeout: Duration,
    /// Prepared statements open per connection; the least recently used is closed.
    pub max_prepared_per_connection: u32,
    /// Statements waiting for a connection of one server; one more is refused at once.
    pub max_waiting: u32,
}

/// All of a server's connections together keep well below what servers allow unless they are told otherwise, a
/// `max_prepared_stmt_count` of 16382.
fn prepared_per_connection(connections: u32) -> u32 {
    (12_000 / connections).clamp(16, 256)
}

// === impl Pool ===

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

impl Pool {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let timeout = Duration::from_millis(10)..=SECOND * 600;
        let max_connections = section.field("max_connections").count(1..=100_000, 100);
        let pool = Self {
            max_connections,
            min_idle: section.field("min_idle").count(0..=100_000, 0),
            max_age: section
                .field("max_age")
                .optional_duration(SECOND..=DAY * 30, Some(SECOND * 3600)),
            idle_timeout: section
                .field("idle_timeout")
                .optional_duration(SECOND..=DAY * 30, Some(SECOND * 300)),
            acquire_timeout: section
                .field("acquire_timeout")
                .duration(timeout.clone(), SECOND * 10),
            connect_timeout: section.field("connect_timeout").duration(timeout, SECOND * 3),
            max_prepared_per_connection: section
                .field("max_prepared_per_connection")
                .count(1..=1_000_000, prepared_per_connection(max_connections)),
            max_waiting: section.field("max_waiting").count(0..=1_000_000, 10_000),
        };
        if pool.min_idle > pool.max_connections {
            let help = format!(
                "lower it, or raise `pool.max_connections` ({})",
                pool.max_connections
            );
            section
                .field("min_idle")
                .report("more idle connections than connections", help);
        }
        pool
    }
}
