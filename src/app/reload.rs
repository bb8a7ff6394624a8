//! The configuration read again while clients are served, on SIGHUP or when the admin port asks: checked as a
//! whole first, then taken up in one piece. What cannot change in a running proxy is named, and stays as it was.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use zeroize::Zeroizing;

use super::notify::notify;
use super::{accounts, secure};
use crate::config::{Address, Config, Listener, differences};
use crate::frontend::settings::Settings;
use crate::frontend::shared::Shared;
use crate::net::buffer;
use crate::topology::events::{Event, EventKind};

/// Held for a reload, of which there is one at a time, and never across an await.
#[allow(clippy::disallowed_types)]
type Mutex<T> = std::sync::Mutex<T>;

/// What a reload works on.
pub struct Reloader {
    file: PathBuf,
    /// As it was read last, to tell what is different.
    text: Mutex<Zeroizing<String>>,
    shared: Arc<Shared>,
}

// === impl Reloader ===

impl Reloader {
    pub fn new(file: PathBuf, shared: Arc<Shared>) -> Self {
        let text: Zeroizing<String> = std::fs::read_to_string(&file).unwrap_or_default().into();
        Self {
            file,
            text: Mutex::new(text),
            shared,
        }
    }

    /// Answers what has changed, or why nothing has; either is logged and an event.
    pub fn reload(&self) -> Result<Vec<String>, String> {
        notify("RELOADING=1");
        let reloaded = self.try_reload();
        notify("READY=1");
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

    /// The certificates alone, of the configuration at work.
    pub fn reload_certificates(&self) -> Result<String, String> {
        match secure::for_clients(&self.shared.settings().config) {
            Ok(tls) => {
                self.shared.tls.store(tls);
                tracing::info!("certificates loaded again");
                Ok("certificates loaded again".to_owned())
            }
            Err(error) => {
                tracing::error!(%error, "certificates not loaded: the old ones stay");
                Err(format!("the old certificates stay: {error}"))
            }
        }
    }

    fn try_reload(&self) -> Result<Vec<String>, String> {
        let mut before = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        let text = std::fs::read_to_string(&self.file)
            .map_err(|error| format!("{} cannot be read: {error}", self.file.display()))?;
        let text = Zeroizing::new(text);
        let new = Config::parse(&text, &self.file).map_err(|problems| problems.to_string())?;
        let old = self.shared.settings().clone();
        let (new, kept) = running(&old.config, new)?;
        // Everything that may fail comes before the first change.
        let listed = accounts::all_listed(&new)?;
        let tls = secure::for_clients(&new).map_err(|error| format!("TLS: {error}"))?;
        let mut changes = differences(&before, &text);
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
            server.configure(&old.config, &new);
        }
        self.shared.topology.configure(&old.config, &new);
        let settings = Settings::new(new, Some(&old), &self.shared.topology);
        self.shared.set_settings(settings);
        *before = text;
        Ok(changes)
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
    if places(&running.listeners) != places(&old.listeners) {
        running.listeners.clone_from(&old.listeners);
        kept.push("listeners (added, removed, or with another name or address)");
    }
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
        "log.format": log.format;
        "log.level": log.level;
        "log.targets": log.targets;
        "statistics": statistics;
        "audit": audit;
        "traces": traces;
        "takeover.socket": takeover.socket;
        "admin": admin;
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

/// What a listener is known by.
fn places(listeners: &[Listener]) -> Vec<(String, Address)> {
    let places = listeners
        .iter()
        .map(|each| (each.name.clone(), each.address.clone()));
    places.collect()
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
