//! Statistics by kind of statement: each thread counts its own, and whoever looks asks all threads and adds up.

mod ask;
mod numbers;
mod table;

pub use ask::{ask, forget, statements};
pub use numbers::Numbers;
pub use table::{Digests, Row, Seen, Who};
