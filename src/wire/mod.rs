//! The MySQL client/server protocol as bytes in and bytes out.
//!
//! Nothing here opens a socket, spawns a task or knows what a session is. Every parser takes bytes that may
//! come from an attacker and answers with a value or with [`Malformed`]; none of them panics.

pub mod auth;
pub mod bytes;
pub mod capability;
pub mod command;
pub mod packet;
pub mod status;

pub use bytes::{Malformed, Reader};
pub use capability::Capabilities;
pub use status::Status;
