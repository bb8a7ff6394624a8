//! The servers at one moment, as far as a decision needs them: what the last probes saw, and for how long.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::{Address, Failover, FailoverMode, Promote, Switchover};
use crate::gtid::Position;
use crate::topology::{Admin, Channel, Observation, Outcome, Status, ThreadState};

/// Everything that is known when something has to be decided.
#[derive(Debug, Clone)]
pub struct Scene {
    pub now: Instant,
    pub epoch: u64,
    pub primary: Option<usize>,
    /// In the order of the configuration.
    pub members: Vec<Member>,
    /// The newest position known of the primary.
    pub last_seen: Position,
    /// The part of it that clients of this proxy were told of, as far as the primary wrote it.
    pub acknowledged: Position,
    /// When servers were promoted by the proxy itself, oldest first.
    pub promotions: Vec<Instant>,
    pub paused: bool,
    /// When replicas were last told to connect to the primary anew ([`super::Action::Reconnect`]).
    pub reconnected: Option<Instant>,
    /// The primary took writes, was started anew, and takes none, as its own file says. Of one that was not seen to take
    /// any: `starts_cold`.
    pub came_back: bool,
    pub settings: Failover,
    pub switchover: Switchover,
}

/// One server.
#[derive(Debug, Clone)]
pub struct Member {
    pub name: Arc<str>,
    pub address: Address,
    pub promote: Promote,
    pub data_center: Option<Arc<str>>,
    pub admin: Admin,
    /// Why it is kept from all use.
    pub quarantined: Option<Arc<str>>,
    /// The latest probe.
    pub observation: Option<Arc<Observation>>,
    /// Of the last probe that was answered.
    pub status: Option<Arc<Status>>,
    /// When that probe began.
    pub answered: Option<Instant>,
    /// Probes that failed in a row.
    pub failures: u32,
    /// When the first of them began.
    pub failing_since: Option<Instant>,
    /// When the probe began with whose failure there were `failover.failures` of them.
    pub condemned: Option<Instant>,
    pub hearing: Option<Hearing>,
}

/// When a replica last received anything from the source that it has now.
#[derive(Debug, Clone, PartialEq)]
pub struct Hearing {
    /// The end of the first probe that saw what the latest one still sees: whatever arrived came before.
    pub at: Instant,
    /// When the latest probe began that saw nothing new.
    pub until: Instant,
}

// === impl Scene ===

impl Scene {
    pub fn member(&self, index: usize) -> Option<&Member> {
        self.members.get(index)
    }

    pub fn name(&self, index: usize) -> &str {
        self.member(index).map_or("?", |member| &*member.name)
    }

    /// All but the primary.
    pub fn others(&self) -> impl Iterator<Item = (usize, &Member)> {
        let primary = self.primary;
        let all = self.members.iter().enumerate();
        all.filter(move |(index, member)| Some(*index) != primary && !member.is_gone())
    }

    /// Whether all servers were started read-only and left so, as after a power cut that took this proxy along: the
    /// primary follows nobody, and everybody follows it.
    pub(super) fn starts_cold(&self) -> bool {
        self.awaited().is_some_and(|awaited| awaited.is_empty())
    }

    /// Where the primary is as it was started: the servers that do not answer, read-only and as its replicas, before
    /// which it takes no writes. Who is silent may know of a later primary. `None`: somebody wants it read-only.
    pub(super) fn awaited(&self) -> Option<Vec<&str>> {
        let primary = self.primary?;
        let member = self
            .member(primary)
            .filter(|_| self.settings.mode == FailoverMode::Automatic)?;
        let status = member.status.as_deref().filter(|_| member.is_answering())?;
        let follows_nobody = status.channels.as_ref().is_some_and(Vec::is_empty);
        if !status.read_only_from_start || !follows_nobody || self.others().count() == 0 {
            return None;
        }
        let is_awaited = |(server, member): &(usize, &Member)| {
            let status = member.status.as_deref().filter(|_| member.is_answering());
            status.is_none_or(|status| !status.read_only) || self.channel(*server, primary).is_none()
        };
        let awaited = self.others().filter(is_awaited);
        Some(awaited.map(|(_, member)| &*member.name).collect())
    }

    /// The server of that name.
    pub fn named(&self, name: &str) -> Option<usize> {
        let mut members = self.members.iter();
        members.position(|member| &*member.name == name && !member.is_gone())
    }

    /// The channel by which one server follows another, whatever its threads do.
    pub fn channel(&self, replica: usize, source: usize) -> Option<&Channel> {
        let (replica, source) = (self.member(replica)?, self.member(source)?);
        let channels = replica.status.as_ref()?.channels.as_deref()?;
        channels.iter().find(|channel| source.is_source_of(channel))
    }

    /// Who follows a server, directly.
    pub fn replicas_of(&self, source: usize) -> Vec<usize> {
        let all = 0..self.members.len();
        all.filter(|index| *index != source && self.channel(*index, source).is_some())
            .collect()
    }
}

// === impl Member ===

impl Member {
    /// A server of which nothing is known.
    pub fn new(name: &str, address: Address) -> Self {
        Self {
            name: name.into(),
            address,
            promote: Promote::Normal,
            data_center: None,
            admin: Admin::Online,
            quarantined: None,
            observation: None,
            status: None,
            answered: None,
            failures: 0,
            failing_since: None,
            condemned: None,
            hearing: None,
        }
    }

    /// Whether the configuration has it no more. Nothing is known of such a server, and nothing is done there.
    pub fn is_gone(&self) -> bool {
        matches!(self.admin, Admin::Removed | Admin::Gone)
    }

    /// Whether the latest probe was answered in full.
    pub fn is_answering(&self) -> bool {
        let latest = self
            .observation
            .as_deref()
            .map(|observation| &observation.outcome);
        self.status.is_some() && matches!(latest, Some(Outcome::Answered(_)))
    }

    /// All that it has or can have without asking anybody: executed, applied, and fetched by GTID.
    pub fn position(&self) -> Position {
        let Some(status) = &self.status else {
            return Position::Empty;
        };
        let mut position = self.executed();
        let channels = status.channels.as_deref().unwrap_or_default();
        for channel in channels.iter().filter(|channel| channel.by_gtid) {
            position.merge(&channel.retrieved);
        }
        position
    }

    /// All that can be read there now, or soon: nothing of it waits in a relay log.
    pub fn executed(&self) -> Position {
        let Some(status) = &self.status else {
            return Position::Empty;
        };
        let mut position = status.executed.clone();
        if let Some(applied) = &status.applied {
            position.merge(applied);
        }
        position
    }

    /// The same with what is being committed there: it is in the binary log already, and waits for replicas perhaps.
    pub fn begun(&self) -> Position {
        let mut position = self.position();
        let shown = self.status.as_ref().and_then(|status| status.shown.as_ref());
        if let Some(shown) = shown {
            position.merge(shown);
        }
        position
    }

    /// Whether a channel leads to this server. By identity where both tell it, else by the address.
    pub fn is_source_of(&self, channel: &Channel) -> bool {
        if let Some(status) = &self.status {
            if !status.uuid.is_empty() && !channel.source_uuid.is_empty() {
                return status.uuid.eq_ignore_ascii_case(&channel.source_uuid);
            }
            if status.server_id != 0 && channel.source_id != 0 && status.server_id != channel.source_id {
                return false;
            }
        }
        match &self.address {
            Address::Tcp { host, port } => {
                let same_id =
                    |status: &Arc<Status>| channel.source_id != 0 && status.server_id == channel.source_id;
                let same_host = host.eq_ignore_ascii_case(&channel.source_host);
                channel.source_port == *port && (same_host || self.status.as_ref().is_some_and(same_id))
            }
            Address::Unix(_) => self
                .status
                .as_ref()
                .is_some_and(|status| channel.source_id != 0 && status.server_id == channel.source_id),
        }
    }
}

// === impl Hearing ===

impl Hearing {
    /// For at least this long nothing has arrived.
    pub fn silence(&self) -> Duration {
        self.until.saturating_duration_since(self.at)
    }
}

/// Whether a channel's IO thread has a connection, as it says.
pub fn is_connected(channel: &Channel) -> bool {
    channel.io.state == ThreadState::Running
}
