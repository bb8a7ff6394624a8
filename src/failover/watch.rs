//! From one probe to the next: what a [`Scene`] needs to know of the probes before the latest.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::scene::{Hearing, Member, Scene};
use crate::config::{Config, Failover, Switchover};
use crate::gtid::Position;
use crate::topology::{Observation, Outcome, Topology};

/// Follows the probes of all servers. Whoever has it calls [`Watch::look`] often enough to see each of them.
#[derive(Debug)]
pub struct Watch {
    settings: Failover,
    switchover: Switchover,
    members: Vec<Member>,
    /// Of the hearing: the source and what the replica had received.
    marks: Vec<Option<Mark>>,
    primary: Option<usize>,
    last_seen: Position,
    acknowledged: Position,
    /// When the primary was last seen to take writes.
    wrote: Option<Wrote>,
}

#[derive(Debug, Clone, Copy)]
struct Wrote {
    at: Instant,
    uptime: Duration,
}

#[derive(Debug, Clone, PartialEq)]
struct Mark {
    source: (String, u16, String, u32),
    heard: Option<u64>,
    retrieved: Position,
}

// === impl Watch ===

impl Watch {
    pub fn new(config: &Config) -> Self {
        let members: Vec<_> = config.servers.iter().map(Member::of).collect();
        Self {
            settings: settings(config),
            switchover: config.switchover.clone(),
            marks: members.iter().map(|_| None).collect(),
            members,
            primary: None,
            last_seen: Position::Empty,
            acknowledged: Position::Empty,
            wrote: None,
        }
    }

    /// Takes up what is configured now. Answers the places at which another server is, or one at another address.
    pub fn configure(&mut self, config: &Config) -> Vec<usize> {
        self.settings = settings(config);
        self.switchover = config.switchover.clone();
        let mut changed = Vec::new();
        for (index, server) in config.servers.iter().enumerate() {
            let new = Member::of(server);
            match self.members.get_mut(index) {
                Some(member) if member.name == new.name && member.address == new.address => {
                    (member.promote, member.data_center) = (new.promote, new.data_center);
                }
                Some(member) => {
                    (*member, self.marks[index]) = (new, None);
                    changed.push(index);
                }
                None => {
                    self.members.push(new);
                    self.marks.push(None);
                }
            }
        }
        changed
    }

    /// The servers as they are now. `promotions`, `paused` and `reconnected` are left for the caller to fill in.
    pub fn look(&mut self, topology: &Topology) -> Scene {
        let snapshot = topology.snapshot();
        if self.primary != snapshot.primary {
            self.primary = snapshot.primary;
            let primary = self.primary.and_then(|index| self.members.get(index));
            self.last_seen = primary.map_or(Position::Empty, Member::executed);
            self.wrote = None;
        }
        for (index, view) in snapshot.servers.iter().enumerate().take(self.members.len()) {
            if !view.is_configured() {
                self.members[index] = Member {
                    admin: view.admin,
                    ..self.members[index].unknown()
                };
                self.marks[index] = None;
                continue;
            }
            self.members[index].admin = view.admin;
            self.members[index].quarantined = view.quarantine.clone();
            if let Some(observation) = topology.observation(index) {
                self.observe(index, observation);
            }
        }
        let told = topology.acknowledged().position();
        let primary = self.primary.and_then(|primary| self.members.get(primary));
        self.acknowledged = primary.map_or(Position::Empty, |primary| primary.own_writes(&told));
        self.last_seen.extend(&self.acknowledged);
        self.scene(snapshot.epoch)
    }

    pub(super) fn scene(&self, epoch: u64) -> Scene {
        let mut scene = Scene {
            now: Instant::now(),
            epoch,
            primary: self.primary,
            members: self.members.clone(),
            last_seen: self.last_seen.clone(),
            acknowledged: self.acknowledged.clone(),
            promotions: Vec::new(),
            paused: false,
            reconnected: None,
            came_back: self.came_back(),
            settings: self.settings.clone(),
            switchover: self.switchover.clone(),
        };
        scene.came_back |= self.wrote.is_none() && scene.starts_cold();
        scene
    }

    /// Whether the primary took writes when it was last seen, has been started anew since, and takes none now.
    fn came_back(&self) -> bool {
        let primary = self.primary.and_then(|primary| self.members.get(primary));
        let answer = primary.and_then(|primary| Some((primary.answered?, primary.status.as_deref()?)));
        match (answer, self.wrote) {
            (Some((began, status)), Some(wrote)) if status.read_only => status
                .uptime
                .is_some_and(|uptime| wrote.was_before(began, uptime)),
            _ => false,
        }
    }

    /// Takes in a probe; one that it has seen already changes nothing.
    fn observe(&mut self, index: usize, observation: Arc<Observation>) {
        let primary = self.primary.filter(|primary| *primary != index);
        let source = primary.and_then(|primary| channel_to(&self.members[primary], &observation));
        let (member, mark) = (&mut self.members[index], &mut self.marks[index]);
        let latest = member.observation.as_ref().map(|latest| latest.probe);
        if latest.is_some_and(|latest| latest >= observation.probe) {
            return;
        }
        match &observation.outcome {
            Outcome::Failed(_) => {
                member.failures = member.failures.saturating_add(1);
                member.failing_since.get_or_insert(observation.began);
                if member.failures >= self.settings.failures {
                    member.condemned.get_or_insert(observation.began);
                }
            }
            Outcome::Greeted { .. } => member.recover(),
            Outcome::Answered(status) => {
                member.recover();
                member.hear(mark, &observation, source.unwrap_or(0));
                member.status = Some(Arc::new((**status).clone()));
                member.answered = Some(observation.began);
                if self.primary == Some(index) {
                    self.last_seen.merge(&member.executed());
                    if let (false, Some(uptime)) = (status.read_only, status.uptime) {
                        let at = observation.began;
                        self.wrote = Some(Wrote { at, uptime });
                    }
                }
            }
        }
        member.observation = Some(observation);
    }
}

fn settings(config: &Config) -> Failover {
    let mut settings = config.failover.clone();
    // As the reference says: the account that changes servers, or the monitor's.
    let login = settings.login.clone().or_else(|| config.monitor.login.clone());
    settings.replication = settings.replication.or(login);
    settings
}

// === impl Wrote ===

impl Wrote {
    /// Whether a server that has been up for so long now was started after that. It counts in whole seconds.
    fn was_before(self, now: Instant, uptime: Duration) -> bool {
        let since = now.saturating_duration_since(self.at);
        uptime < self.uptime || since > uptime + Duration::from_secs(1)
    }
}

// === impl Member ===

impl Member {
    /// The same server before anything was seen of it.
    fn unknown(&self) -> Self {
        Self {
            promote: self.promote,
            data_center: self.data_center.clone(),
            admin: self.admin,
            ..Self::new(&self.name, self.address.clone())
        }
    }

    fn of(server: &crate::config::Server) -> Self {
        Self {
            promote: server.promote,
            data_center: server.data_center.as_deref().map(Arc::from),
            ..Self::new(&server.name, server.address.clone())
        }
    }

    /// Those of some transactions that it wrote itself: only these tell what came before them.
    fn own_writes(&self, position: &Position) -> Position {
        let status = self.status.as_deref();
        status.map_or(Position::Empty, |status| {
            position.written_by(&status.uuid, status.server_id)
        })
    }

    fn recover(&mut self) {
        self.failures = 0;
        self.failing_since = None;
        self.condemned = None;
    }

    /// Whether anything has arrived since the last probe.
    fn hear(&mut self, mark: &mut Option<Mark>, observation: &Observation, channel: usize) {
        let Outcome::Answered(status) = &observation.outcome else {
            return;
        };
        let Some(channel) = status
            .channels
            .as_deref()
            .and_then(|channels| channels.get(channel))
        else {
            (*mark, self.hearing) = (None, None);
            return;
        };
        let new = Mark {
            source: (
                channel.source_host.clone(),
                channel.source_port,
                channel.source_uuid.clone(),
                channel.source_id,
            ),
            heard: channel.heard,
            retrieved: channel.retrieved.clone(),
        };
        match &mut self.hearing {
            Some(hearing) if mark.as_ref() == Some(&new) => hearing.until = observation.began,
            hearing => {
                let at = observation.began + observation.took;
                *hearing = Some(Hearing { at, until: at });
            }
        }
        *mark = Some(new);
    }
}

/// The place of the channel that leads to the primary.
fn channel_to(primary: &Member, observation: &Observation) -> Option<usize> {
    let Outcome::Answered(status) = &observation.outcome else {
        return None;
    };
    let channels = status.channels.as_deref()?;
    channels.iter().position(|channel| primary.is_source_of(channel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_was_started_since_when_it_has_not_been_up_for_so_long() {
        let (now, seconds) = (Instant::now(), Duration::from_secs);
        let wrote = |uptime| Wrote {
            at: now,
            uptime: seconds(uptime),
        };
        assert!(!wrote(100).was_before(now + seconds(5), seconds(105)));
        assert!(
            !wrote(0).was_before(now + seconds(5), seconds(4)),
            "whole seconds"
        );
        assert!(wrote(100).was_before(now + seconds(5), seconds(3)));
        assert!(wrote(2).was_before(now + seconds(9), seconds(7)));
    }
}
