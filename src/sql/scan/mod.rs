//! One pass over a text that gathers [`Features`](super::Features): a state of fixed size and no recursion,
//! so that a text of any depth and length costs its length and nothing more.

mod calls;
mod keywords;
mod scanner;
mod variables;

pub use scanner::scan;
