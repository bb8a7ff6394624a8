//! A new process takes over from the one that runs: it is given the listening sockets through a Unix socket, gets
//! everything ready, and only then the old one stops deciding about the primary and lets the new one begin. No client
//! is refused meanwhile. Until the new one has said that it serves, the old one can go on as if nothing had been.

mod claim;
mod legacy;
mod message;
mod offer;
pub mod successor;

pub use claim::Claim;
pub use message::Trouble;
pub use offer::Offer;
