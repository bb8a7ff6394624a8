//! When the primary is dead or is to change: what is the case, what to do about it, and doing it.
//!
//! Everything here that decides is pure: a [`Scene`] goes in, an [`Analysis`] or a plan comes out. A plan has two
//! halves, because what servers have is final only once they are frozen: [`prepare`] says how to stop the old
//! primary and its replicas, and on the scene after that [`choose`] says who is promoted and [`finish`] how.
//!
//! The [coordinator](start) does it, one change at a time. Sessions learn of it through the topology alone: the
//! gate is shut, another server becomes the primary, the gate opens.

mod control;
mod coordinator;
mod course;
mod discard;
mod epoch;
mod fleet;
mod follow;
mod handle;
mod hooks;
mod journal;
mod marker;
pub mod plan;
mod promotion;
mod reclone;
mod rejoin;
pub mod report;
mod salvage;
pub mod scene;
mod settle;
mod shared;
pub mod step;
mod surplus;
mod switchover;
mod tend;
#[cfg(test)]
mod tests;
pub mod verdict;
pub mod watch;
mod witness;

pub use coordinator::start;
pub use handle::{Check, CheckStep, Handle, Resting};
pub use plan::{
    By, Choice, Kind, Preparation, Refusal, SemiSyncAfter, Wish, choose, finish, prepare, rejoin,
};
pub use report::{Gap, Outcome, Report, ReportKind, StepReport};
pub use scene::{Hearing, Member, Scene};
pub use shared::Counters;
pub use step::{Dialect, Follow, Sql, Step, StepKind};
pub use verdict::{Action, Analysis, Verdict, judge};
pub use watch::Watch;
