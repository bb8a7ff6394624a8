//! What operators type, from text to a command: no I/O, and nothing is looked up.

pub mod command;
mod list;
mod objects;
mod parameters;
mod parser;
mod query;
mod small_talk;
mod tokens;

pub use command::{Command, Reload, ServerSetting};
pub use list::{COMMANDS, DATABASE, DESCRIBED, Form};
pub use objects::{STATUS, VARIABLES};
pub use parameters::{bind, parameters};
pub use parser::{Bad, TABLE_NAMES, parse};
pub use query::{Condition, Operator, Order, Query, Source};
pub use small_talk::{Expression, Item};
pub use tokens::LONGEST;
