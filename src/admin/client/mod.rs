//! The command line's side of the admin port: `splitrail ctl` for scripts, `splitrail status` for a look,
//! `splitrail top` for a longer one.

mod connection;
mod ctl;
mod format;
mod status;
pub mod top;

pub use connection::Target;
pub use ctl::{Ctl, ctl};
pub use status::{Status, status};
pub use top::{Top, top};

/// It was refused.
pub const REFUSED: u8 = 1;
/// There is nobody to ask, or the question makes no sense.
pub const UNREACHABLE: u8 = 2;
