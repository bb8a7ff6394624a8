//! splitrail: a MySQL wire-protocol read/write-splitting proxy.

pub mod sandbox;
pub mod util;
pub mod wire;
