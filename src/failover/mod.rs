//! Changes the primary: because it is dead, or because an operator wants another one.
//!
//! What is to be done is [judged and planned](verdict) from what the topology knows, without any I/O; the rest
//! does it. Sessions learn of it through the topology alone: the gate is shut, another server becomes the
//! primary, the gate opens.

mod coordinator;
mod handle;
pub mod report;
mod shared;
pub mod verdict;

pub use coordinator::start;
pub use handle::{Check, CheckStep, Handle};
pub use report::{Kind, Outcome, Refusal, Report, StepReport};
pub use shared::Counters;
pub use verdict::Analysis;
