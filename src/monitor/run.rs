//! Starts the tasks that watch, and ends them with itself. What a reload of the configuration does not change goes on
//! as it was: a probe's connection, and the heartbeats that lag is told from.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tracing::error;

use super::functions::Functions;
use super::heartbeat::{Heartbeat, Heartbeats};
use super::probe::Probe;
use crate::accounts::Source;
use crate::backend::Servers;
use crate::config::{Config, Monitor, Server, ServerState};
use crate::topology::Topology;

/// Watches all servers until it is dropped.
pub async fn run(config: Config, servers: Servers, topology: Arc<Topology>) {
    let (_kept, configs) = watch::channel(Arc::new(config));
    follow(configs, servers, topology).await;
}

/// The same, with the configuration as it comes to be.
pub async fn follow(mut configs: watch::Receiver<Arc<Config>>, servers: Servers, topology: Arc<Topology>) {
    let mut tasks = Tasks {
        servers,
        topology,
        running: JoinSet::new(),
        config: None,
        probes: HashMap::new(),
        heartbeats: None,
        readers: Vec::new(),
    };
    loop {
        let config = configs.borrow_and_update().clone();
        tasks.take_up(&config);
        tasks.until_changed(&mut configs).await;
    }
}

struct Tasks {
    servers: Servers,
    topology: Arc<Topology>,
    running: JoinSet<()>,
    /// What the tasks were started with.
    config: Option<Arc<Config>>,
    /// By the servers' places.
    probes: HashMap<usize, AbortHandle>,
    /// With the interval at which they are written.
    heartbeats: Option<(Duration, Arc<Heartbeats>)>,
    /// Those who write and read on the primary, whichever server that is.
    readers: Vec<AbortHandle>,
}

/// What of a server matters to who watches it.
fn place(server: &Server) -> impl PartialEq + '_ {
    (&server.name, &server.address, &server.tls, is_watched(server))
}

fn is_watched(server: &Server) -> bool {
    server.state != ServerState::Removed
}

/// What of the settings matters to the tasks.
fn manner(monitor: &Monitor) -> impl PartialEq + '_ {
    (
        &monitor.login,
        monitor.interval,
        monitor.timeout,
        monitor.heartbeat,
    )
}

// === impl Tasks ===

impl Tasks {
    /// Without anybody who could change it: for ever.
    async fn until_changed(&mut self, configs: &mut watch::Receiver<Arc<Config>>) {
        let mut may_change = true;
        loop {
            tokio::select! {
                changed = configs.changed(), if may_change => match changed {
                    Ok(()) => return,
                    Err(_) => may_change = false,
                },
                Some(ended) = self.running.join_next() => match ended {
                    Err(error) if error.is_panic() => {
                        error!(%error, "a task of the monitor has failed: what it watched is not watched any more");
                    }
                    _ => {}
                },
                else => return std::future::pending().await,
            }
        }
    }

    fn take_up(&mut self, config: &Arc<Config>) {
        let before = self.config.replace(config.clone());
        let before = before.filter(|before| manner(&before.monitor) == manner(&config.monitor));
        let heartbeat = config
            .monitor
            .heartbeat
            .filter(|_| config.monitor.login.is_some());
        if heartbeat != self.heartbeats.as_ref().map(|(interval, _)| *interval) {
            self.heartbeats = heartbeat.map(|interval| (interval, Heartbeats::new(interval)));
        }
        let mut is_same = before.is_some();
        for (index, server) in config.servers.iter().enumerate() {
            let old = before.as_ref().and_then(|before| before.servers.get(index));
            if old.is_some_and(|old| place(old) == place(server)) {
                continue;
            }
            is_same = false;
            if let Some(probe) = self.probes.remove(&index) {
                probe.abort();
            }
            if is_watched(server) {
                self.watch(index, config);
            }
        }
        if !is_same {
            self.read(config);
        }
    }

    fn watch(&mut self, index: usize, config: &Config) {
        let Some(server) = self.servers.get(index).map(|server| Arc::clone(&server)) else {
            return;
        };
        let beats = self.heartbeats.as_ref().map(|(_, beats)| beats.clone());
        let probe = Probe::new(config, server, self.topology.clone(), beats);
        self.probes.insert(index, self.running.spawn(probe.run()));
    }

    /// The tasks that use the primary.
    fn read(&mut self, config: &Config) {
        self.readers.drain(..).for_each(|reader| reader.abort());
        if config.monitor.login.is_none() {
            return;
        }
        let servers = config.servers.iter();
        let sources: Vec<_> = servers.map(|server| Source::of(config, server)).collect();
        let timeout = config.monitor.timeout;
        if let Some((interval, beats)) = &self.heartbeats {
            let (sources, topology) = (sources.clone(), self.topology.clone());
            let heartbeat = Heartbeat::new(beats.clone(), sources, *interval, timeout, topology);
            self.readers.push(self.running.spawn(heartbeat.run()));
        }
        let functions = Functions::new(sources, timeout, self.topology.clone());
        self.readers.push(self.running.spawn(functions.run()));
    }
}
