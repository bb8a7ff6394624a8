//! Which of several servers that would all do: the balancing algorithms, and the weights that they share.
//!
//! A [`Balancer`] belongs to one worker: it takes no lock and allocates nothing once it has met every server.

mod balancer;
mod latency;
mod source;
mod turns;
mod weight;

pub use balancer::Balancer;
pub use source::source_of;
pub use weight::Candidate;

#[cfg(test)]
mod tests;
