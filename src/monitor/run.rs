//! Starts the tasks that watch, and ends them with itself.

use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::error;

use super::functions::Functions;
use super::heartbeat::{Heartbeat, Heartbeats};
use super::probe::Probe;
use crate::accounts::Source;
use crate::backend::Servers;
use crate::config::Config;
use crate::topology::Topology;

/// Watches all servers until it is dropped.
pub async fn run(config: Config, servers: Servers, topology: Arc<Topology>) {
    let mut tasks = JoinSet::new();
    let has_account = config.monitor.login.is_some();
    let heartbeats = config.monitor.heartbeat.filter(|_| has_account);
    let heartbeats = heartbeats.map(|interval| (interval, Heartbeats::new(interval)));
    for server in servers.iter() {
        let beats = heartbeats.as_ref().map(|(_, beats)| beats.clone());
        let probe = Probe::new(&config, server.clone(), topology.clone(), beats);
        tasks.spawn(probe.run());
    }
    let sources: Vec<_> = config
        .servers
        .iter()
        .map(|server| Source::of(&config, server))
        .collect();
    if let Some((interval, beats)) = heartbeats {
        let (sources, topology) = (sources.clone(), topology.clone());
        let heartbeat = Heartbeat::new(beats, sources, interval, config.monitor.timeout, topology);
        tasks.spawn(heartbeat.run());
    }
    if has_account {
        let functions = Functions::new(sources, config.monitor.timeout, topology);
        tasks.spawn(functions.run());
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            error!(%error, "a task of the monitor has failed: what it watched is not watched any more");
        }
    }
}
