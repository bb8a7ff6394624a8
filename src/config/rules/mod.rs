//! Rules: which statements they are for, what they do with them, and which of them can never have their turn.

mod action;
mod matcher;
mod pattern;
mod reach;
mod rule;
mod shown;
mod verb;

pub(super) use action::share;
pub use action::{CacheRule, Mirror, Rewrite, RuleActions, RuleTarget, Throttle, ThrottlePer};
pub(super) use matcher::Surroundings;
pub use matcher::{RuleMatch, TablePattern};
pub use pattern::Pattern;
pub(super) use reach::unreachable;
pub use rule::Rule;

#[cfg(test)]
mod tests;
