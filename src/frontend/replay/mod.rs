//! What becomes of a session whose server is lost: its transaction is run again elsewhere, or its client is told
//! what is known.

pub mod counts;
pub mod prepared;
pub mod rebuild;
pub mod record;
pub mod recover;

pub use counts::Counts;
pub use record::Replay;
