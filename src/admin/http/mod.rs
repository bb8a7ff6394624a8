//! The HTTP listener: health and metrics for machines, an API of the same tables and commands that the MySQL port
//! has, and a dashboard that uses nothing but this API.

mod access;
mod actions;
mod answer;
mod call;
mod endpoint;
mod health;
mod listen;
mod openapi;
mod overview;
mod page;
mod router;
mod stream;
mod tables;

pub use listen::{Site, SiteError};
