//! The clients' side: listeners, logins, and the command loop with one file for each kind of command.

pub mod authentication;
pub mod binding;
pub mod client;
pub mod command;
pub mod deadline;
pub mod elsewhere;
pub mod kill;
pub mod listener;
pub mod login;
pub mod numbers;
pub mod outcome;
pub mod query;
pub mod registry;
pub mod relay;
pub mod reply;
pub mod request;
pub mod reset;
pub mod rules;
pub mod rows;
pub mod shared;
pub mod shown;
pub mod statement;
pub mod templates;
pub mod tunnel;
pub mod worker;
