//! `splitrail top`: servers, sessions and statements as they are now, on a terminal. What is shown is worked out from
//! answers and keys alone; only the command, the feed and the terminal touch anything outside.

mod command;
mod draw;
mod feed;
mod key;
mod measure;
mod panel;
mod sample;
mod screen;
mod table;
mod terminal;
#[cfg(test)]
mod testing;
mod view;

pub use command::{Top, top};
pub use terminal::Terminal;
