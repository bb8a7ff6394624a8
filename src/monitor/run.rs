//! Starts the tasks that watch, and ends them with itself.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::functions::Functions;
use super::probe::Probe;
use crate::accounts::Source;
use crate::backend::Servers;
use crate::config::Config;
use crate::topology::Topology;

/// Watches all servers until it is dropped.
pub async fn run(config: Config, servers: Servers, topology: Arc<Topology>) {
    let mut tasks = JoinSet::new();
    for server in servers.iter() {
        let probe = Probe::new(&config, server.clone(), topology.clone());
        tasks.spawn(probe.run());
    }
    if config.monitor.login.is_some() {
        let sources = config.servers.iter().map(|server| Source::of(&config, server));
        let functions = Functions::new(sources.collect(), config.monitor.timeout, topology);
        tasks.spawn(functions.run());
    }
    while tasks.join_next().await.is_some() {}
}
