//! Who may log in, how a client proves it, and what the proxy then shows to a server.
//!
//! Accounts are listed in the configuration or read from the primary ([`Directory`]) anew for every login.
//! [`ClientAuth`] and [`ServerAuth`] are the two sides of a login as pure state machines: packets in, packets out.
//!
//! # What the monitor account needs
//! Reading the servers' accounts takes `SELECT` on `mysql.user` (MySQL) or on `mysql.global_priv` (MariaDB).
//! Without it, logins fail with 1158 and the log has the server's own error 1142, which names the table.

pub mod account;
pub mod address;
pub mod client_auth;
pub mod credential;
pub mod directory;
#[cfg(test)]
mod exchange_tests;
pub mod host;
pub mod lockouts;
mod password_cache;
pub mod refusal;
mod rows;
pub mod server_auth;
pub mod shared;
pub mod source;
pub mod static_user;

pub use account::{Account, BackendLogin, Method, Transport};
pub use address::ClientAddress;
pub use client_auth::{ClientAuth, ClientChannel, ClientLogin, ClientStep, Then};
pub use credential::Credential;
pub use directory::{Directory, Whereabouts};
pub use refusal::{Flavour, Refusal};
pub use server_auth::{FirstReply, ServerAuth, ServerAuthError, ServerChannel, ServerStep};
pub use shared::{Accounts, Setup};
pub use source::Source;
pub use static_user::{StaticPassword, StaticUser};
