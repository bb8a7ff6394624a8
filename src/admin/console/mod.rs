//! One command of an operator, from its text to its answer. Whoever speaks to operators, in whatever protocol,
//! comes here.

mod change;
mod explain;
mod kill;
mod operate;
mod reply;
mod run;
mod show;
mod visitors;

pub use change::{MOST_CONNECTIONS, MOST_WEIGHT, allow};
pub use reply::{Reply, Who, Wrong};
pub use run::{execute, look, run};
