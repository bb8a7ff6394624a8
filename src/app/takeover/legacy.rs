//! What the old process leaves to the new one beside its sockets: above all what operators have set at run time. A
//! takeover is an upgrade, and no reason to forget what somebody wanted.

use std::ffi::OsStr;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use crate::admin::console::{MOST_CONNECTIONS, MOST_WEIGHT};
use crate::app::notify;
use crate::app::save::wanted_state;
use crate::config::{Server, ServerState};
use crate::failover;
use crate::frontend::shared::Shared;
use crate::topology::Admin;

/// An older version leaves less.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Legacy {
    /// Clients' connection ids go on from here.
    pub next_id: u32,
    failover_paused: bool,
    /// Processes so far, each of which was replaced by the next.
    takeovers: u64,
    /// Whom the old process tells what it does: the service manager's socket.
    manager: Option<String>,
    servers: Vec<Wishes>,
    /// Addresses of listeners.
    paused: Vec<String>,
}

/// What is set of a server and not in the file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Wishes {
    name: String,
    weight: Option<Wish<u32>>,
    state: Option<Wish<String>>,
    max_connections: Option<Wish<u32>>,
}

/// It counts for as long as the file says what it said when somebody set it: what is written there later is newer.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Wish<T> {
    file: T,
    set: T,
}

// === impl Legacy ===

impl Legacy {
    pub fn of(shared: &Shared, failover: &failover::Handle) -> Self {
        let (settings, snapshot) = (shared.settings(), shared.topology.snapshot());
        let servers = settings.config.servers.iter().enumerate();
        let servers = servers.filter(|(_, server)| server.state != ServerState::Removed);
        let wishes = servers.filter_map(|(index, server)| {
            let view = snapshot.servers.get(index)?;
            let most = shared.servers.get(index)?.slots.maximum();
            let state = wanted_state(server);
            let wishes = Wishes {
                name: server.name.clone(),
                weight: Wish::of(server.weight, view.weight),
                state: Wish::of(state.word(), view.admin.word())
                    .filter(|_| view.is_configured())
                    .map(|wish| wish.map(str::to_owned)),
                max_connections: Wish::of(server.max_connections, u32::try_from(most).unwrap_or(u32::MAX)),
            };
            wishes.are_any().then_some(wishes)
        });
        let listeners = settings.config.listeners.iter();
        let paused = listeners.filter(|listener| shared.pauses.is_paused(&listener.address));
        Self {
            next_id: shared.registry.reserve_ids(),
            failover_paused: failover.is_paused(),
            takeovers: shared.takeovers.load(Ordering::Relaxed) + 1,
            manager: notify::manager().and_then(|path| path.into_string().ok()),
            servers: wishes.collect(),
            paused: paused.map(|listener| listener.address.to_string()).collect(),
        }
    }

    /// Before anybody is let in.
    pub fn take_up(&self, shared: &Shared, failover: &failover::Handle) {
        shared.registry.begin_at(self.next_id);
        shared.takeovers.store(self.takeovers, Ordering::Relaxed);
        if let Some(manager) = &self.manager {
            notify::inherit(OsStr::new(manager));
        }
        if self.failover_paused {
            failover.pause();
            tracing::info!("failover stays paused");
        }
        let settings = shared.settings();
        for listener in &settings.config.listeners {
            if self.paused.contains(&listener.address.to_string()) {
                shared.pauses.set(&listener.address, true);
                tracing::info!(listener = listener.name, "stays paused");
            }
        }
        for wishes in &self.servers {
            let mut servers = settings.config.servers.iter().enumerate();
            match servers.find(|(_, server)| server.name == wishes.name) {
                Some((index, server)) => wishes.take_up(shared, index, server),
                None => tracing::warn!(
                    server = wishes.name,
                    "what was set of it is lost: the file has it no more"
                ),
            }
        }
    }
}

// === impl Wishes ===

impl Wishes {
    fn are_any(&self) -> bool {
        self.weight.is_some() || self.state.is_some() || self.max_connections.is_some()
    }

    fn take_up(&self, shared: &Shared, index: usize, server: &Server) {
        let name = &self.name;
        if let Some(weight) = still(&self.weight, &server.weight, (name, "weight")) {
            shared.topology.set_weight(index, weight.min(MOST_WEIGHT));
        }
        let state = still(
            &self.state,
            &wanted_state(server).word().to_owned(),
            (name, "state"),
        );
        let states = [Admin::Online, Admin::Drain, Admin::Maintenance];
        let state = state.and_then(|word| states.into_iter().find(|state| state.word() == word));
        if let Some(state) = state {
            shared.topology.set_admin(index, state);
        }
        let most = still(
            &self.max_connections,
            &server.max_connections,
            (name, "max_connections"),
        );
        if let (Some(most), Some(server)) = (most, shared.servers.get(index)) {
            server.slots.set_maximum(most.clamp(1, MOST_CONNECTIONS) as usize);
        }
    }
}

/// What was set, unless the file says something else by now.
fn still<T: Clone + PartialEq + std::fmt::Display>(
    wish: &Option<Wish<T>>,
    file: &T,
    (server, key): (&str, &str),
) -> Option<T> {
    let wish = wish.as_ref()?;
    if wish.file != *file {
        tracing::warn!(server, key, lost = %wish.set, now = %file, "the file says something else than before: it counts");
        return None;
    }
    tracing::info!(server, key, value = %wish.set, "stays as it was set at run time");
    Some(wish.set.clone())
}

// === impl Wish ===

impl<T: PartialEq> Wish<T> {
    fn of(file: T, set: T) -> Option<Self> {
        (file != set).then_some(Self { file, set })
    }

    fn map<U>(self, change: impl Fn(T) -> U) -> Wish<U> {
        Wish {
            file: change(self.file),
            set: change(self.set),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_version_leaves_less() {
        let legacy: Legacy = serde_json::from_str(r#"{"next_id": 7, "failover_paused": true}"#).unwrap();
        assert_eq!(
            (legacy.next_id, legacy.failover_paused, legacy.takeovers),
            (7, true, 0)
        );
        assert!(legacy.servers.is_empty() && legacy.manager.is_none());
        let newer: Legacy = serde_json::from_str(r#"{"next_id": 1, "colour": "red"}"#).unwrap();
        assert_eq!(newer.next_id, 1);
    }

    #[test]
    fn what_the_file_says_anew_counts() {
        let wish = Wish::of(1, 5);
        assert_eq!(still(&wish, &1, ("db1", "weight")), Some(5));
        assert_eq!(still(&wish, &2, ("db1", "weight")), None);
        assert_eq!(Wish::of(1, 1), None);
    }
}
