//! Replication positions: which transactions a server, or a session, has. Text in, facts out: no I/O.
//!
//! [`Position`] is what the rest of the proxy holds; [`Set`] is MySQL's kind of it and [`Domains`] MariaDB's.

mod cursor;
pub mod domains;
pub mod position;
pub mod set;

pub use cursor::Malformed;
pub use domains::Domains;
pub use position::Position;
pub use set::Set;
