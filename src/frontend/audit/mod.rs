//! The audit log: a line of JSON for every login, refused login, operator's action and blocked statement.
//!
//! Whoever has something to tell puts it into a bounded queue and goes on; one thread writes. What finds the queue
//! full, or the disk, is counted as dropped or lost: no client ever waits for the file.

mod file;
mod log;
mod record;

pub use log::{Audit, AuditCounts};
pub use record::{Event, Record};
