//! The account and the rhythm of the probes.

use std::time::Duration;

use super::Login;

/// How servers are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitor {
    /// `None`: no account was given, so the proxy knows of a server only what a connection attempt tells.
    pub login: Option<Login>,
    /// From one probe's start to the next one's.
    pub interval: Duration,
    /// A probe that takes longer has failed.
    pub timeout: Duration,
}
