//! Builds everything from a configuration, runs it, and ends it in the right order.

pub mod accounts;
mod adopt;
mod departures;
mod line;
pub mod logging;
mod notify;
mod operators;
pub mod pages;
pub mod reload;
pub mod run;
mod save;
pub mod secure;
pub mod setup;
mod takeover;

pub use run::{StartError, run};
