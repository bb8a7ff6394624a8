//! Watches the servers: one task for each, which asks it at every interval how it is and tells the
//! [`topology`](crate::topology) what it saw.
//!
//! # What the monitor's account needs
//! MySQL: `REPLICATION CLIENT`, `SHOW_ROUTINE` and `SELECT` on `performance_schema.*`. MariaDB: `SLAVE MONITOR`, and
//! `SELECT` on `mysql.proc`. What an account may not see is left out, with a warning that names the GRANT.

mod advice;
mod beats;
mod connection;
mod failure;
mod fields;
mod functions;
mod heartbeat;
mod lag;
mod opening;
mod probe;
mod procedures;
mod run;
mod status;

pub use run::{follow, run};
