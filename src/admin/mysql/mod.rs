//! The admin port: any MySQL client can look and steer.
//!
//! Logins are this program's own code, the one that clients of the data plane meet, too. What follows is
//! opensrv-mysql's, which never sees a byte of anybody who has not proved who he is, gets its input
//! one packet at a time, and hands each command to the [console](crate::admin::console).

mod feed;
mod login;
mod mouth;
mod port;
mod shim;

pub use port::{Port, PortError};
