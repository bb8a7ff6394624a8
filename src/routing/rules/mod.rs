//! Rules applied: which of them a statement matches, and what becomes of it then.

mod actions;
mod buckets;
mod rewrite;
mod rule_set;

pub use actions::{Actions, Said};
pub use buckets::{Buckets, Verdict};
pub use rewrite::{TooLong, rewrite};
pub use rule_set::{Client, RuleSet, Selection, Subject};

#[cfg(test)]
mod tests;
