//! What operators see and steer: tables of what is going on, and commands. The MySQL port, the HTTP listener and
//! the command line show the same ones.

pub mod catalog;
pub mod client;
pub mod console;
pub mod http;
pub mod language;
mod metrics;
pub mod mysql;
pub mod state;

pub use state::{Reloads, State};
