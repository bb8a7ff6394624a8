//! SQL text in, facts about it out: no I/O, and no opinion about where to send it.
//!
//! [`scan()`] reads a text once, without allocating, and answers with [`Features`]. It follows the lexers of MySQL
//! and MariaDB byte for byte, because a proxy that sees a comment where the server sees code can be talked past.
//! What it does not understand it reports as such ([`Flags::BROKEN`], [`Flags::UNKNOWN_CALL`]), never as harmless.
//! [`analyse()`] goes on to [`Facts`]: what the statement is to a router, and why. It is the slow path behind a
//! [`FactsCache`], where texts that differ in literals alone share their facts.

mod analyse;
mod assignments;
mod builtin;
mod cache;
mod dialect;
mod digest;
mod effects;
mod facts;
mod features;
mod flags;
mod globals;
mod hint;
mod inserted;
mod key;
mod killed;
mod labels;
mod lexer;
mod local;
mod lock_call;
mod own;
mod program;
mod quote;
mod reason;
mod scan;
mod temporary;
mod tokens;
mod verb;
mod word;

pub use analyse::analyse;
pub use assignments::{Literal, UserAssignment, user_assignments, user_variables};
pub use cache::FactsCache;
pub use dialect::{Charset, Dialect, Flavour};
pub use digest::digest_text;
pub use facts::{Class, Facts, Name, Table};
pub use features::{Features, Function, Kill, KillTarget, Span};
pub use flags::Flags;
pub use globals::global_variables;
pub use hint::{BadHint, Hint, HintLevel, HintTarget};
pub use inserted::{InsertedIds, inserted_ids};
pub use killed::killed_variable;
pub use labels::unnamed_items;
pub use lexer::{Lexer, Token, TokenKind};
pub use local::is_server_local;
pub use lock_call::{LockCall, lock_call};
pub use own::{Own, Setting};
pub use program::{called_procedure, leaves_nothing};
pub use quote::{quote_identifier, quote_string};
pub use reason::Reason;
pub use scan::scan;
pub use temporary::{TableChange, table_change};
pub use verb::{Verb, Verbs};

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod tests;
