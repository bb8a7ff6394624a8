//! The commands, as they are understood.

use std::time::Duration;

use super::query::Query;
use super::small_talk::Item;
use crate::topology::Admin;

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// SHOW table .., SELECT .. FROM table ..
    Query(Query),
    /// SHOW SESSION n.
    Session(u32),
    /// What has the word, or everything.
    Help(Option<String>),
    ExplainRoute(String),
    Switchover {
        to: Option<String>,
        timeout: Option<Duration>,
        force: bool,
    },
    Failover {
        to: Option<String>,
        force: bool,
    },
    Rejoin {
        server: String,
        discard: bool,
    },
    PromoteCheck(Option<String>),
    /// PAUSE FAILOVER, RESUME FAILOVER.
    FailoverPaused(bool),
    SetServer {
        server: String,
        setting: ServerSetting,
    },
    Kill {
        id: u32,
        query: bool,
    },
    /// PAUSE LISTENER, RESUME LISTENER.
    ListenerPaused {
        listener: String,
        paused: bool,
    },
    ResetStats,
    Reload(Reload),
    /// Into the files that were read, or another one.
    SaveConfig(Option<String>),
    /// What clients say by themselves, and nothing comes of: SET NAMES, USE, COMMIT.
    Nothing,
    /// SELECT without a table: what clients ask about the connection.
    SmallTalk(Vec<Item>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerSetting {
    Weight(u32),
    State(Admin),
    MaxConnections(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    Tls,
    Accounts,
    Config,
}

// === impl Command ===

impl Command {
    /// Whether it changes anything, so that it takes the role that may.
    pub fn operates(&self) -> bool {
        !matches!(
            self,
            Self::Query(_)
                | Self::Session(_)
                | Self::Help(_)
                | Self::ExplainRoute(_)
                | Self::PromoteCheck(_)
                | Self::Nothing
                | Self::SmallTalk(_)
        )
    }
}

// === impl Reload ===

impl Reload {
    pub fn word(self) -> &'static str {
        match self {
            Self::Tls => "TLS",
            Self::Accounts => "ACCOUNTS",
            Self::Config => "CONFIG",
        }
    }
}
