//! SQL text in, facts about it out: no I/O, no allocation on the way, no opinion about where to send it.
//!
//! [`scan()`] reads a text once and answers with [`Features`]. It follows the lexers of MySQL and MariaDB byte
//! for byte, because a proxy that sees a comment where the server sees code can be talked past. What it does
//! not understand it reports as such ([`Flags::BROKEN`], [`Flags::UNKNOWN_CALL`]), never as harmless.

mod assignments;
mod builtin;
mod dialect;
mod features;
mod flags;
mod lexer;
mod quote;
mod scan;
mod verb;
mod word;

pub use assignments::{Literal, UserAssignment, user_assignments};
pub use dialect::{Charset, Dialect, Flavour};
pub use features::{Features, Function, Kill, KillTarget, Span};
pub use flags::Flags;
pub use lexer::{Lexer, Token, TokenKind};
pub use quote::{quote_identifier, quote_string};
pub use scan::scan;
pub use verb::{Verb, Verbs};

#[cfg(test)]
mod tests;
