//! Builds everything from a configuration, runs it, and ends it in the right order.

pub mod accounts;
mod line;
pub mod logging;
mod notify;
pub mod pages;
pub mod reload;
pub mod run;
pub mod secure;
pub mod setup;

pub use run::run;
