//! Drafts of a configuration, for people who have none yet: written from what running servers say of their
//! replication (`splitrail init`), or from another proxy's file (`splitrail convert`). What is drafted is a file
//! that the user reads, changes and checks; nothing here runs while the proxy does.

pub mod convert;
mod document;
pub mod init;
mod libconfig;
mod look;
mod maxscale;
mod output;
mod plan;
mod proxysql;
mod survey;
