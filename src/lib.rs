//! splitrail: a MySQL wire-protocol read/write-splitting proxy.

pub mod config;
pub mod util;
pub mod wire;
