//! Tests against real servers, in one binary so that they share them.

// The whole crate is tests: an unwrap is how they fail.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accounts;
mod admin;
mod balance;
mod binlog;
mod caching;
mod chaos;
mod commands;
mod compression;
mod consistency;
mod drafts;
mod evidence;
mod evidence_alone;
mod failover_exec;
mod fixture;
mod garbage;
mod http;
mod infile;
mod large;
mod limits;
mod listeners;
mod model;
mod monitor;
mod packaging;
mod parking;
mod pool;
mod reload;
mod replay;
mod routing;
mod routing_corpus;
mod rules;
mod sandbox;
mod sandbox_command;
mod sessions;
mod shutdown;
mod statements;
mod statistics;
mod steady;
mod takeover;
mod threads;
mod tls;
mod top;
mod tour;
mod traces;
