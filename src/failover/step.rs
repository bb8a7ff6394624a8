//! One thing done to one server, as SQL that can be read before it is run.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Address, Login};
use crate::gtid::Position;
use crate::topology::{ChannelTls, Status};

/// One thing to do. Doing it twice does no harm.
#[derive(Debug, Clone)]
pub struct Step {
    pub kind: StepKind,
    /// Where.
    pub server: usize,
    pub name: Arc<str>,
    /// Whether the rest has to wait for it, and fails with it. What is not needed is repaired afterwards.
    pub needed: bool,
    /// What it does and why.
    pub sentence: String,
}

#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// The primary takes no more writes.
    ReadOnly,
    /// The connections of all others are ended there: whoever executes it asks for the list with the SQL given,
    /// and kills each of them.
    KillSessions,
    /// A replica fetches nothing more.
    StopFetching,
    /// A replica connects to its source anew.
    Reconnect,
    /// A replica applies what it has fetched.
    StartApplying,
    /// A delayed replica applies at once what it has fetched.
    Undelay,
    /// A replica follows another server from now on.
    Follow(Follow),
    /// Waits until a server has applied this much.
    Drain { position: Position, timeout: Duration },
    /// It follows nobody. Deletes what was fetched and not applied.
    Detach,
    /// Whether commits there wait for a replica.
    SemiSync { on: bool },
    /// It takes writes.
    Writable,
    /// A row is written there and seen on another server: done by whoever executes it.
    Verify { on: Option<usize> },
}

/// How a server is to follow another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Follow {
    pub source: Address,
    pub source_name: Arc<str>,
    /// The channel to change; empty for the usual one.
    pub channel: String,
    /// `None`: what the server has is kept.
    pub login: Option<Login>,
    /// `None`: what the server has is kept.
    pub tls: Option<ChannelTls>,
    /// Said again with every change: a new source brings the default back otherwise.
    pub heartbeat: Option<Duration>,
    /// It was the primary until now.
    pub demoted: bool,
}

/// What a server understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    pub mariadb: bool,
    pub version: (u16, u16, u16),
}

/// A statement. `Display` shows no secret; [`Sql::expose`] is what to run.
#[derive(Clone, PartialEq, Eq)]
pub struct Sql {
    text: String,
    shown: Option<String>,
}

// === impl Step ===

impl Step {
    /// The statements, in order.
    pub fn sql(&self, dialect: Dialect) -> Vec<Sql> {
        let plain = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| Sql {
                    text: (*text).to_owned(),
                    shown: None,
                })
                .collect()
        };
        let m = dialect.mariadb;
        match &self.kind {
            StepKind::ReadOnly if m => plain(&["SET GLOBAL read_only = 1"]),
            StepKind::ReadOnly => plain(&["SET GLOBAL super_read_only = 1"]),
            StepKind::KillSessions => plain(&[
                "SELECT CAST(ID AS CHAR) FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND USER NOT IN ('system user', 'event_scheduler') AND COMMAND NOT LIKE 'Binlog Dump%' AND COMMAND <> 'Daemon'",
            ]),
            StepKind::StopFetching if m => plain(&["STOP SLAVE IO_THREAD"]),
            StepKind::StopFetching => plain(&["STOP REPLICA IO_THREAD"]),
            StepKind::Reconnect if m => plain(&["STOP SLAVE IO_THREAD", "START SLAVE"]),
            StepKind::Reconnect => plain(&["STOP REPLICA IO_THREAD", "START REPLICA"]),
            StepKind::StartApplying if m => plain(&["START SLAVE SQL_THREAD"]),
            StepKind::StartApplying => plain(&["START REPLICA SQL_THREAD"]),
            StepKind::Undelay => plain(&[]),
            StepKind::Follow(follow) => {
                let Address::Tcp { host, port } = &follow.source else {
                    return Vec::new();
                };
                let login = |word: &str| {
                    follow
                        .login
                        .as_ref()
                        .map(|login| {
                            format!(
                                ", {word}_USER='{}', {word}_PASSWORD='{}'",
                                login.user,
                                login.password.expose_text().unwrap_or_default()
                            )
                        })
                        .unwrap_or_default()
                };
                if m {
                    let demote = if follow.demoted {
                        ", MASTER_DEMOTE_TO_SLAVE=1"
                    } else {
                        ""
                    };
                    let change = format!(
                        "CHANGE MASTER TO MASTER_HOST='{host}', MASTER_PORT={port}, MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1, MASTER_HEARTBEAT_PERIOD=1{}{demote}",
                        login("MASTER")
                    );
                    plain(&["STOP SLAVE", &change, "START SLAVE"])
                } else {
                    let change = format!(
                        "CHANGE REPLICATION SOURCE TO SOURCE_HOST='{host}', SOURCE_PORT={port}, SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_CONNECT_RETRY=1, SOURCE_HEARTBEAT_PERIOD=1{}",
                        login("SOURCE")
                    );
                    plain(&["STOP REPLICA", &change, "START REPLICA"])
                }
            }
            StepKind::Drain { position, timeout } => {
                let seconds = timeout.as_secs_f64();
                let function = if m {
                    "MASTER_GTID_WAIT"
                } else {
                    "WAIT_FOR_EXECUTED_GTID_SET"
                };
                plain(&[&format!(
                    "SELECT CAST({function}('{position}', {seconds:.3}) AS CHAR)"
                )])
            }
            StepKind::Detach if m => plain(&["STOP SLAVE", "RESET SLAVE ALL"]),
            StepKind::Detach => plain(&["STOP REPLICA", "RESET REPLICA ALL"]),
            StepKind::SemiSync { on } if m => plain(&[&format!(
                "SET GLOBAL rpl_semi_sync_master_enabled = {}",
                u8::from(*on)
            )]),
            StepKind::SemiSync { on } => plain(&[&format!(
                "SET GLOBAL rpl_semi_sync_source_enabled = {}",
                u8::from(*on)
            )]),
            StepKind::Writable => plain(&["SET GLOBAL read_only = 0"]),
            StepKind::Verify { .. } => Vec::new(),
        }
    }
}

// === impl Dialect ===

impl Dialect {
    pub fn of(status: &Status) -> Self {
        let mut numbers = status
            .version
            .split(|character: char| !character.is_ascii_digit())
            .map(|number| number.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Self {
            mariadb: status.mariadb,
            version: (next(), next(), next()),
        }
    }
}

// === impl Sql ===

impl Sql {
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Sql {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.shown.as_deref().unwrap_or(&self.text))
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
