//! Connections to servers: opened, authenticated, brought into the state a session needs, pooled.

pub mod connect;
pub mod connection;
pub mod error;
pub mod identity;
pub mod pool;
pub mod prepared;
pub mod profile;
pub mod server;
pub mod slots;

pub use connection::Connection;
pub use error::BackendError;
pub use identity::Identity;
pub use pool::{Key, Pools};
pub use profile::Profile;
pub use server::{Endpoint, Server, Servers};
