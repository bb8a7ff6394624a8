//! splitrail: a MySQL wire-protocol read/write-splitting proxy.

pub mod accounts;
pub mod app;
pub mod backend;
pub mod config;
pub mod frontend;
pub mod net;
pub mod sandbox;
pub mod session;
pub mod sql;
pub mod util;
pub mod wire;
