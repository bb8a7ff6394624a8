//! The configuration read again while clients are served, on SIGHUP or when the admin port asks: checked as a
//! whole first, then taken up in one piece. What cannot change in a running proxy is named, and stays as it was.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::task::{AbortHandle, JoinSet};
use zeroize::Zeroizing;

use super::{accounts, secure};
use crate::config::{Address, Config, Listener, differences};
use crate::frontend::listener::{self, Door};
use crate::frontend::settings::Settings;
use crate::frontend::shared::Shared;
use crate::net::buffer;
use crate::topology::events::{Event, EventKind};

/// What a reload works on.
pub struct Reloader {
    file: PathBuf,
    /// As it was read last, to tell what is different.
    text: Zeroizing<String>,
    shared: Arc<Shared>,
    /// The listeners at work.
    listening: Vec<Listening>,
}

/// One listener and the task that accepts for it.
pub struct Listening {
    address: Address,
    settings: Arc<ArcSwap<Listener>>,
    task: AbortHandle,
}

/// A listener that is open and does not accept yet.
pub type Opened = (Door, Listener);

// === impl Reloader ===

impl Reloader {
    pub fn new(file: PathBuf, shared: Arc<Shared>) -> Self {
        let text = std::fs::read_to_string(&file).unwrap_or_default().into();
        Self {
            file,
            text,
            shared,
            listening: Vec::new(),
        }
    }

    /// Answers what has changed, or why nothing has; either is logged and an event.
    pub async fn reload(&mut self, tasks: &mut JoinSet<()>) -> Result<Vec<String>, String> {
        let reloaded = self.try_reload(tasks).await;
        let events = self.shared.topology.events();
        match reloaded {
            Ok(changes) => {
                let text = match changes.as_slice() {
                    [] => "configuration read again: nothing is different".to_owned(),
                    changes => format!("configuration reloaded: {}", changes.join("; ")),
                };
                tracing::info!("{text}");
                events.record(Event::new(EventKind::Configuration, None, text));
                Ok(changes)
            }
            Err(why) => {
                tracing::error!(reason = why, "configuration not reloaded: the old one stays");
                let text = format!("configuration not reloaded: {why}");
                events.record(Event::new(EventKind::Configuration, None, text));
                Err(why)
            }
        }
    }

    async fn try_reload(&mut self, tasks: &mut JoinSet<()>) -> Result<Vec<String>, String> {
        let text = std::fs::read_to_string(&self.file)
            .map_err(|error| format!("{} cannot be read: {error}", self.file.display()))?;
        let text = Zeroizing::new(text);
        let new = Config::parse(&text, &self.file).map_err(|problems| problems.to_string())?;
        let old = self.shared.settings().clone();
        let (new, kept) = running(&old.config, new)?;
        // Everything that may fail comes before the first change.
        let listed = accounts::all_listed(&new)?;
        let tls = secure::for_clients(&new).map_err(|error| format!("TLS: {error}"))?;
        let opened = self.open_new(&new).await?;
        let mut changes = differences(&self.text, &text);
        if changes.is_empty() && old.config != new {
            changes.push("values from the environment or from files have changed".to_owned());
        }
        if !kept.is_empty() {
            changes.push(format!("needs a restart: {}", kept.join(", ")));
        }
        buffer::set_budget(usize::try_from(new.limits.buffer_memory).unwrap_or(usize::MAX));
        self.shared.accounts.set_listed(listed);
        if tls.is_some() {
            tracing::info!("certificates loaded again");
        }
        self.shared.tls.store(tls);
        for server in self.shared.servers.iter() {
            server.configure(&new);
        }
        self.shared.topology.configure(&old.config, &new);
        let listeners = new.listeners.clone();
        self.shared
            .set_settings(Settings::new(new, Some(&old), &self.shared.topology));
        self.listen(opened, &listeners, tasks);
        self.text = text;
        Ok(changes)
    }

    /// Opens the addresses that are new.
    async fn open_new(&self, new: &Config) -> Result<Vec<Opened>, String> {
        let mut opened = Vec::new();
        let is_new =
            |listener: &&Listener| self.listening.iter().all(|each| each.address != listener.address);
        for listener in new.listeners.iter().filter(is_new) {
            let door = Door::open(&listener.address).await;
            let door = door.map_err(|error| {
                format!(
                    "listener '{}' cannot use {}: {error}",
                    listener.name, listener.address
                )
            })?;
            opened.push((door, listener.clone()));
        }
        Ok(opened)
    }

    /// Accepts at what was opened, and no more at what is not in the list; who is connected there stays.
    pub fn listen(&mut self, opened: Vec<Opened>, listeners: &[Listener], tasks: &mut JoinSet<()>) {
        self.listening.retain(|listening| {
            let settings = listeners.iter().find(|each| each.address == listening.address);
            match settings {
                Some(settings) => listening.settings.store(Arc::new(settings.clone())),
                None => {
                    tracing::info!(address = %listening.address, "listening no more");
                    listening.task.abort();
                    forget(&listening.address);
                }
            }
            settings.is_some()
        });
        for (door, listener) in opened {
            tracing::info!(listener = listener.name, address = %listener.address, "listening");
            let address = listener.address.clone();
            let settings = Arc::new(ArcSwap::from_pointee(listener));
            let task = tasks.spawn(listener::accept(door, settings.clone(), self.shared.clone()));
            self.listening.push(Listening {
                address,
                settings,
                task,
            });
        }
    }

    /// The listeners' sockets are nobody's any more.
    pub fn forget_sockets(&self) {
        for listening in &self.listening {
            forget(&listening.address);
        }
    }
}

fn forget(address: &Address) {
    if let Address::Unix(path) = address {
        let _ = std::fs::remove_file(path);
    }
}

/// The new configuration with what only a restart changes as it was, and the names of that.
fn running(old: &Config, new: Config) -> Result<(Config, Vec<&'static str>), String> {
    // Rules, routes and counts know servers by their places in the list.
    let fixed = |config: &Config| {
        let servers = config.servers.iter();
        let fixed = servers.map(|server| {
            (
                server.name.clone(),
                server.address.clone(),
                server.role,
                server.tls.clone(),
            )
        });
        fixed.collect::<Vec<_>>()
    };
    if fixed(old) != fixed(&new) {
        return Err(
            "needs a restart: servers (added, removed, moved, or with another name, address, role or TLS)"
                .to_owned(),
        );
    }
    let mut kept = Vec::new();
    let mut running = new;
    macro_rules! keep {
        ($($name:literal: $($field:ident).+;)*) => {
            $(if running.$($field).+ != old.$($field).+ {
                running.$($field).+.clone_from(&old.$($field).+);
                kept.push($name);
            })*
        };
    }
    keep! {
        "workers": workers;
        "accounts.backend": accounts.backend;
        "monitor": monitor;
        "failover": failover;
        "switchover": switchover;
        "tls.server": tls.server;
        "compression.server": compression.server;
        "log": log;
    }
    for (server, old) in running.servers.iter_mut().zip(&old.servers) {
        if (server.promote, &server.data_center) != (old.promote, &old.data_center) {
            (server.promote, server.data_center) = (old.promote, old.data_center.clone());
            kept.push("servers[].promote and data_center");
        }
    }
    kept.dedup();
    Ok((running, kept))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text, Path::new("test.yaml")).unwrap()
    }

    #[test]
    fn what_needs_a_restart_is_named_and_stays() {
        let old = config("servers: [a, b]\nworkers: 2");
        let new = config(
            "servers: [a, {address: b, weight: 9, promote: never}]\nworkers: 3\nlimits: {per_user: 4}",
        );
        let (running, kept) = running(&old, new).unwrap();
        assert_eq!(kept, ["workers", "servers[].promote and data_center"]);
        assert_eq!((running.workers, running.servers[1].weight), (2, 9));
        assert_eq!(running.limits.per_user, Some(4));
        let more = config("servers: [a, b, c]\nworkers: 2");
        assert!(
            super::running(&old, more)
                .unwrap_err()
                .contains("needs a restart: servers")
        );
    }
}
