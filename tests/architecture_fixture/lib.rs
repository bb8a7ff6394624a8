//! Read by tests/architecture.rs, never compiled. A line that must be rejected ends in a comment that says so.

pub use crate::app::App;
