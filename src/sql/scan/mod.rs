//! One pass over a text that gathers [`Features`](super::Features): a state of fixed size and no recursion,
//! so that a text of any depth and length costs its length and nothing more.

mod calls;
mod keywords;
mod notes;
mod scanner;
mod variables;

pub(super) use notes::Notes;
pub use scanner::scan;
pub(super) use scanner::scan_noting;
