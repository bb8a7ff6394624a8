//! splitrail: a MySQL wire-protocol read/write-splitting proxy.

pub mod net;
pub mod util;
pub mod wire;
