//! Tests against real servers, in one binary so that they share them.

// The whole crate is tests: an unwrap is how they fail.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accounts;
mod commands;
mod fixture;
mod garbage;
mod limits;
mod listeners;
mod pool;
mod sandbox;
mod sandbox_command;
mod sessions;
mod shutdown;
