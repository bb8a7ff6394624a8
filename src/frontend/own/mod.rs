//! Statements that the proxy answers itself: EXPLAIN ROUTE, SHOW SPLITRAIL, SET splitrail.
//!
//! What they show is put into rows by functions that know no client; `answer.rs` gathers it and sends them.

mod answer;
pub mod counters;
pub mod explain;
pub mod holds;
pub mod rules;
pub mod servers;
pub mod session;
mod story;
