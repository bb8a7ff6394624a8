//! splitrail: a MySQL wire-protocol read/write-splitting proxy.

pub mod sql;
pub mod util;
pub mod wire;
