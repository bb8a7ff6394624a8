//! Real servers for the demo and the tests: found or unpacked on this machine, initialised, replicating,
//! and gone when their owner is, however it ended.
//!
//! Everything that a sandbox makes lives in one temporary folder; every process that it starts is known to a
//! watchdog that outlives the owner by the moment it needs to clean up.

mod arguments;
mod certificates;
mod cluster;
mod command;
mod error;
mod installation;
mod patrol;
mod process;
mod proxy;
mod reclone;
mod replication;
mod report;
mod server;
mod template;
mod tools;
mod watchdog;
mod workspace;

pub use certificates::Certificates;
pub use cluster::{Builder, Cluster};
pub use command::{Options, run};
pub use error::Error;
pub use installation::{Flavour, Installation, Version};
pub use server::{Role, Server};
