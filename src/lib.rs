//! splitrail: a MySQL wire-protocol read/write-splitting proxy.

pub mod accounts;
pub mod util;
pub mod wire;
