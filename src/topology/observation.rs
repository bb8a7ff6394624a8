//! Everything that one probe saw of a server: for routing now, and for whoever has to judge a failure.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::snapshot::Lag;
use crate::gtid::Position;

/// One probe.
#[derive(Debug, Clone)]
pub struct Observation {
    /// What it read is at least as new as this.
    pub began: Instant,
    /// Its number among the probes of this server.
    pub probe: u64,
    /// From then to the answer, or to giving up.
    pub took: Duration,
    pub outcome: Outcome,
}

#[derive(Debug, Clone)]
pub enum Outcome {
    Answered(Box<Status>),
    /// The server is there, but will not tell the monitor more, for this reason or for lack of an account.
    Greeted {
        refusal: Option<Failure>,
    },
    Failed(Failure),
}

/// Why a probe failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub class: Class,
    /// The server's error code, when it was the server that said no.
    pub code: Option<u16>,
    pub message: Arc<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// No connection, or it was lost.
    Unreachable,
    /// No answer in time: the server may hang, or the network lose everything.
    Timeout,
    TooManyConnections,
    /// The monitor's account may not log in.
    Denied,
    /// It is being started or stopped.
    Stopping,
    DiskFull,
    /// TLS, the protocol, or an error of a kind that no other class has.
    Other,
}

/// What a server told about itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Status {
    pub version: String,
    pub mariadb: bool,
    /// MySQL's `server_uuid`, MariaDB's `server_uid`; empty where there is none.
    pub uuid: String,
    pub server_id: u32,
    pub uptime: Option<Duration>,
    pub read_only: bool,
    /// It was started so: nobody has made it read-only since. False, too, where that cannot be known.
    pub read_only_from_start: bool,
    /// Always false on MariaDB, which has none.
    pub super_read_only: bool,
    /// All that the server has, its own writes included.
    pub executed: Position,
    /// All that a read there can have shown before the probe, and perhaps more: a server shows what a transaction
    /// wrote a moment before it counts the transaction among those that it has. `None`: the server cannot tell.
    pub shown: Option<Position>,
    /// What reads see of the primary's writes when this server is a replica; `None`: the same as `executed`.
    /// (MariaDB: `gtid_slave_pos`, which is also what MASTER_GTID_WAIT waits for.)
    pub applied: Option<Position>,
    /// One for each source that it follows; `None`: the monitor's account may not see them.
    pub channels: Option<Vec<Channel>>,
    pub semi_sync: SemiSync,
    pub lag: Lag,
    pub lag_source: LagSource,
}

/// A replica's connection to one source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Channel {
    pub name: String,
    pub source_host: String,
    pub source_port: u16,
    pub source_id: u32,
    /// Empty on MariaDB.
    pub source_uuid: String,
    /// Fetches from the source.
    pub io: Thread,
    /// Applies what was fetched.
    pub sql: Thread,
    /// What was fetched by position rather than by GTID is not in it.
    pub retrieved: Position,
    /// Whether replication goes by GTID, so that positions say what was fetched.
    pub by_gtid: bool,
    /// The server's own figure, in whole seconds.
    pub behind: Option<Duration>,
    /// What the operator wants it to be behind.
    pub delay: Duration,
    /// Different whenever anything has arrived from the source, a heartbeat too; `None`: that cannot be seen.
    pub heard: Option<u64>,
    /// How often a source that has nothing to send says so; `None`: never, or that cannot be seen.
    pub heartbeat: Option<Duration>,
    /// It leaves out some of what its source sends.
    pub filtered: bool,
    /// Who it is at its source.
    pub user: String,
    pub tls: ChannelTls,
}

/// TLS between a replica and its source. The paths are the replica's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChannelTls {
    pub on: bool,
    pub verify: bool,
    pub ca: String,
    pub certificate: String,
    pub key: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Thread {
    pub state: ThreadState,
    /// The last error; code 0: none.
    pub code: u32,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ThreadState {
    Running,
    /// The IO thread has no connection at the moment and tries to get one.
    Connecting,
    #[default]
    Stopped,
}

/// What semi-synchronous replication does; nothing where it is not installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SemiSync {
    /// Commits wait for a replica.
    pub source: Option<bool>,
    /// Replicas that acknowledge.
    pub clients: u32,
    /// Sessions whose commit waits for one now.
    pub waiting: u32,
    /// This replica acknowledges.
    pub replica: Option<bool>,
    /// Its settings say "source" and "replica".
    pub new_words: bool,
}

/// Where a figure of lag comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LagSource {
    /// There is no figure.
    #[default]
    None,
    /// All that was fetched is applied.
    Positions,
    /// When the transaction that is being applied was committed on the primary, by the clocks of both.
    Applier,
    /// The newest heartbeat that it shows, by the proxy's clock.
    Heartbeat,
    /// The server's own figure, in whole seconds.
    SecondsBehind,
    /// A thread is stopped.
    Threads,
    /// The source cannot be reached: the last figure grows by the time since then.
    Disconnected,
}

// === impl Channel ===

impl Channel {
    /// Why it does not follow its source; `None` when it does.
    pub fn trouble(&self) -> Option<String> {
        let stopped = |thread: &Thread, name: &str| {
            let word = match thread.state {
                ThreadState::Running => return None,
                ThreadState::Connecting => "has no connection",
                ThreadState::Stopped => "is stopped",
            };
            Some(match (thread.code, thread.message.as_str()) {
                (0, _) => format!("the {name} thread {word}"),
                (code, message) => format!("the {name} thread {word}: {code} {message}"),
            })
        };
        let troubles = [stopped(&self.io, "IO"), stopped(&self.sql, "SQL")];
        let troubles: Vec<_> = troubles.into_iter().flatten().collect();
        let prefix = match self.name.as_str() {
            "" => String::new(),
            name => format!("channel '{name}': "),
        };
        (!troubles.is_empty()).then(|| prefix + &troubles.join(", "))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(formatter, "{code} {}", self.message),
            None => formatter.write_str(&self.message),
        }
    }
}
