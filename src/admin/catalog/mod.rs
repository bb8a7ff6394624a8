//! The tables that operators read: plain data, which the MySQL port, the HTTP listener and the command line show
//! each in their own way.

mod answer;
mod clients;
mod digests;
pub mod failover;
pub mod process;
pub mod routes;
mod servers;
mod settings;
mod table;
mod topology;
mod value;

pub use answer::{Answer, NoColumn};
pub use table::{Column, Kind, Table};
pub use value::{Row, Value};

/// All tables, in the order in which HELP lists them.
pub const TABLES: &[Table] = &[
    servers::TABLE,
    topology::TOPOLOGY,
    topology::REPLICATION,
    topology::POOLS,
    clients::SESSIONS,
    clients::SESSION,
    clients::TRANSACTIONS,
    clients::HOLDS,
    routes::TABLE,
    digests::TABLE,
    settings::RULES,
    settings::USERS,
    settings::LISTENERS,
    failover::FAILOVERS,
    failover::ANALYSIS,
    failover::EVENTS,
    settings::CONFIG,
    process::VARIABLES,
    process::STATUS,
    process::MEMORY,
    process::VERSION,
];

/// The table of this name, in letters of either case.
pub fn find(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name.eq_ignore_ascii_case(name))
}
