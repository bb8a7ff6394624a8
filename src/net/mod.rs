//! Sockets: plain or TLS, compressed or not, with buffers that are only lent while there is something in them.
//!
//! A [`Link`] is one side of a proxied connection. It moves bytes and knows nothing of what they say.

pub mod buffer;
pub mod cutoff;
pub mod descriptors;
pub mod link;
pub mod signal;
pub mod socket;
pub mod tls;
pub mod zip;

pub use cutoff::Cutoff;
pub use link::Link;
pub use signal::{Interrupt, Signal};
pub use socket::{DetachedSocket, Socket};
