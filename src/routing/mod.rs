//! Where statements go: pure decisions, made from what is known of a statement, its session and the servers.

pub mod balance;
pub mod decide;
#[cfg(test)]
mod decide_tests;
pub mod dependence;
pub mod policy;
pub mod reason;
pub mod refusals;
pub mod results;
pub mod rules;

pub use decide::{Asker, Decision, Explanation, Place, Router, Servers};
pub use policy::{Policy, Target};
pub use reason::{Obstacle, Why};
