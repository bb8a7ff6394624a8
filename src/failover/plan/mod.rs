//! How the primary changes, in two halves: stop what is, then choose and promote.

mod choose;
mod finish;
mod prepare;
mod standing;
mod wish;

pub use choose::{Choice, SemiSyncAfter, choose};
pub use finish::{finish, rejoin};
pub use prepare::{Preparation, prepare};
pub use wish::{By, Kind, Refusal, Wish};
