//! The MySQL client/server protocol as bytes in and bytes out.
//!
//! Nothing here opens a socket, spawns a task or knows what a session is. Every parser takes bytes that may
//! come from an attacker and answers with a value or with [`Malformed`]; none of them panics.

pub mod attributes;
pub mod auth;
pub mod bytes;
pub mod capability;
pub mod change_user;
pub mod command;
pub mod compress;
pub mod eof;
pub mod err;
pub mod execute;
pub mod framing;
pub mod greeting;
pub mod login;
pub mod ok;
pub mod packet;
pub mod proxy_protocol;
pub mod query;
pub mod result;
pub mod status;
pub mod track;

pub use bytes::{Malformed, Reader};
pub use capability::Capabilities;
pub use status::Status;
