//! The configuration read again while clients are served, on SIGHUP or when the admin port asks: checked as a
//! whole first, then taken up in one piece. What cannot change in a running proxy is named, and stays as it was.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use tokio::sync::{Mutex, MutexGuard, watch};

use super::adopt::{Adopted, adopt};
use super::notify::notify;
use super::operators::{Opened, Operators};
use super::{accounts, secure};
use crate::backend::{Endpoint, Server};
use crate::config::{Config, Listener, ServerState, Written, differences};
use crate::failover;
use crate::frontend::door::{Door, Inherited};
use crate::frontend::settings::Settings;
use crate::frontend::shared::Shared;
use crate::net::buffer;
use crate::topology::{Admin, Event, EventKind};

/// What a reload works on.
pub struct Reloader {
    file: PathBuf,
    /// As it was read last, to tell what is different. Held for a whole reload: there is one at a time.
    written: Mutex<Written>,
    shared: Arc<Shared>,
    failover: failover::Handle,
    /// For those who follow the configuration by themselves.
    configs: watch::Sender<Arc<Config>>,
    /// Known once it can be told whom to ask for a reload.
    operators: OnceLock<Operators>,
}

/// Everything that may fail, done before the first change.
struct Ready {
    config: Config,
    listed: Vec<crate::accounts::StaticUser>,
    tls: Option<Arc<rustls::ServerConfig>>,
    endpoints: Vec<(usize, Endpoint)>,
    doors: Vec<(Door, Listener)>,
    opened: Opened,
}

// === impl Reloader ===

impl Reloader {
    pub fn new(
        (file, written): (PathBuf, Written),
        shared: Arc<Shared>,
        failover: failover::Handle,
        configs: watch::Sender<Arc<Config>>,
    ) -> Self {
        Self {
            file,
            written: Mutex::new(written),
            shared,
            failover,
            configs,
            operators: OnceLock::new(),
        }
    }

    /// To be called once, before the first reload.
    pub fn serve(&self, operators: Operators) -> &Operators {
        self.operators.get_or_init(|| operators)
    }

    /// What was read last, for who replaces it. Nobody reloads meanwhile.
    pub(super) async fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().await
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn failover(&self) -> &failover::Handle {
        &self.failover
    }

    /// Answers what has changed, or why nothing has; either is logged and an event.
    pub async fn reload(&self) -> Result<Vec<String>, String> {
        // It would open listeners that nobody closes any more.
        if self.shared.draining.load(Ordering::Relaxed) {
            return Err("the proxy is about to end".to_owned());
        }
        notify("RELOADING=1");
        let reloaded = self.try_reload().await;
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
        let settings = self.shared.settings().clone();
        let loaded = secure::for_clients(&settings.config)
            .and_then(|tls| Ok((tls, secure::for_http(&settings.config)?)));
        match loaded {
            Ok((tls, http)) => {
                self.shared.tls.store(tls);
                if let Some(operators) = self.operators.get() {
                    operators.show(http);
                }
                tracing::info!("certificates loaded again");
                Ok("certificates loaded again".to_owned())
            }
            Err(error) => {
                tracing::error!(%error, "certificates not loaded: the old ones stay");
                Err(format!("the old certificates stay: {error}"))
            }
        }
    }

    async fn try_reload(&self) -> Result<Vec<String>, String> {
        let mut before = self.written.lock().await;
        let written = Written::read(&self.file).map_err(|problems| problems.to_string())?;
        let new = Config::of(&written).map_err(|problems| problems.to_string())?;
        let old = self.shared.settings().clone();
        let is_free = |place| self.is_free(place);
        let Adopted { config, kept } = adopt(&old.config, new, self.shared.topology.primary(), is_free)?;
        let mut changes = differences(&before, &written);
        if changes.is_empty() && old.config != config {
            changes.push("values from the environment or from files have changed".to_owned());
        }
        if !kept.is_empty() {
            changes.push(format!("needs a restart: {}", kept.join(", ")));
        }
        let ready = ready(&old.config, config).await?;
        self.take_up(&old, ready)?;
        *before = written;
        Ok(changes)
    }

    fn is_free(&self, place: usize) -> bool {
        let snapshot = self.shared.topology.snapshot();
        let server = snapshot.servers.get(place);
        server.is_some_and(|server| server.admin == Admin::Gone)
    }

    /// Nothing here fails half way: what reads files did so before.
    fn take_up(&self, old: &Settings, ready: Ready) -> Result<(), String> {
        let (shared, config) = (&self.shared, ready.config);
        if let Some(operators) = self.operators.get() {
            operators
                .take_up(ready.opened, &config)
                .map_err(|error| format!("TLS: {error}"))?;
        }
        buffer::set_budget(usize::try_from(config.limits.buffer_memory).unwrap_or(usize::MAX));
        shared.accounts.set_listed(ready.listed);
        if ready.tls.is_some() {
            tracing::info!("certificates loaded again");
        }
        shared.tls.store(ready.tls);
        for (index, endpoint) in ready.endpoints {
            self.reach(index, endpoint, (&old.config, &config));
        }
        // From here on statements go there.
        shared.topology.configure(&old.config, &config);
        shared.lot.configure(&config.failover);
        self.failover.configure(&config);
        let gone = old.config.listeners.iter().map(|listener| &listener.address);
        let gone = gone.filter(|gone| config.listeners.iter().all(|listener| listener.address != **gone));
        let gone: Vec<_> = gone.cloned().collect();
        let configured = Arc::new(config.clone());
        shared.set_settings(Settings::new(config, Some(old), &shared.topology));
        for (turn, (door, listener)) in ready.doors.into_iter().enumerate() {
            tracing::info!(listener = listener.name, address = %listener.address, "listening");
            shared.open(turn, door, Arc::new(listener));
        }
        gone.iter().for_each(|address| shared.pauses.close(address));
        self.configs.send_replace(configured);
        Ok(())
    }

    /// A server that is new, or is reached in another way, or has another share of connections.
    fn reach(&self, index: usize, endpoint: Endpoint, (old, new): (&Config, &Config)) {
        let servers = &self.shared.servers;
        let known = servers
            .get(index)
            .filter(|known| known.name() == new.servers[index].name);
        let (Some(server), false) = (known, self.is_free(index)) else {
            servers.put(Server::new(index, new, endpoint.tls));
            return;
        };
        let before = old.servers.get(index);
        let is_same = before.is_some_and(|before| {
            (&before.address, &before.tls) == (&new.servers[index].address, &new.servers[index].tls)
                && old.compression == new.compression
        });
        if !is_same {
            server.move_to(endpoint);
        }
        server.configure(old, new);
    }
}

async fn ready(old: &Config, config: Config) -> Result<Ready, String> {
    let tls = |error| format!("TLS: {error}");
    let listed = accounts::all_listed(&config)?;
    let mut endpoints = Vec::new();
    for (index, server) in config.servers.iter().enumerate() {
        if server.state != ServerState::Removed {
            let secured = secure::for_server(&server.tls).map_err(tls)?;
            endpoints.push((index, Endpoint::of(index, &config, secured)));
        }
    }
    let mut doors = Vec::new();
    for listener in &config.listeners {
        if old.listeners.iter().all(|old| old.address != listener.address) {
            let opened = super::run::door(listener, &mut Inherited::default()).await;
            doors.push((opened.map_err(|error| error.to_string())?, listener.clone()));
        }
    }
    secure::for_http(&config).map_err(tls)?;
    let opened = Opened::beside(Some(old), &config, &mut Inherited::default()).await;
    Ok(Ready {
        listed,
        tls: secure::for_clients(&config).map_err(tls)?,
        endpoints,
        doors,
        opened: opened.map_err(|error| error.to_string())?,
        config,
    })
}
