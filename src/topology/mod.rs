//! What is known of the servers: roles, health, replication, lag, positions. No I/O: the monitor and the sessions
//! tell it what they saw, and everybody reads it, from any thread and without a lock.
//!
//! A server's role is what the topology says, never what the server says of itself: a replica that somebody left
//! writable is still a replica.

mod acknowledged;
pub mod events;
pub mod gate;
mod known;
pub mod load;
pub mod observation;
pub mod readers;
mod record;
mod shared;
pub mod snapshot;
mod tell;
#[cfg(test)]
mod tests;
mod trail;

pub use acknowledged::Acknowledged;
pub use events::{Event, EventKind, Events};
pub use gate::{Gate, Shut};
pub use known::Known;
pub use load::Load;
pub use observation::{
    Channel, ChannelTls, Class, Failure, LagSource, Observation, Outcome, SemiSync, Status, Thread,
    ThreadState,
};
pub use readers::{Function, Readers};
pub use shared::Topology;
pub use snapshot::{Admin, Health, Lag, Replication, Role, ServerView, Snapshot};
