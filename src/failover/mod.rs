//! When the primary is dead or is to change: what is the case, what to do about it, and the steps of doing it.
//!
//! Everything here that decides is pure: a [`Scene`] goes in, an [`Analysis`] or a plan comes out. A plan has two
//! halves, because what servers have is final only once they are frozen: [`prepare`] says how to stop the old
//! primary and its replicas, and on the scene after that [`choose`] says who is promoted and [`finish`] how.

pub mod plan;
pub mod scene;
pub mod step;
#[cfg(test)]
mod tests;
pub mod verdict;
pub mod watch;
mod witness;

pub use plan::{
    By, Choice, Kind, Preparation, Refusal, SemiSyncAfter, Wish, choose, finish, prepare, rejoin,
};
pub use scene::{Hearing, Member, Scene};
pub use step::{Dialect, Follow, Sql, Step, StepKind};
pub use verdict::{Action, Analysis, Verdict, judge};
pub use watch::Watch;
