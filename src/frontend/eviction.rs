//! Gives up all connections to a server that another one takes the place of: those that sessions hold, whatever
//! runs there, and those that lie in pools.

use std::sync::Arc;

use super::client::Client;
use super::shared::{Message, Shared};
use crate::backend::Connection;

/// Follows the gate for as long as the proxy runs.
pub async fn run(shared: Arc<Shared>) {
    let topology = shared.topology.clone();
    let mut known = topology.gate().evictions();
    loop {
        topology.gate().evicted().await;
        let now = topology.gate().evictions();
        for (server, (count, known)) in now.iter().zip(&mut known).enumerate() {
            if std::mem::replace(known, *count) != *count {
                evict(&shared, server);
            }
        }
    }
}

fn evict(shared: &Shared, server: usize) {
    let Some(server) = shared.servers.get(server) else {
        return;
    };
    let connections = server.evict();
    shared.recovery.evicted.add(connections as u64);
    tracing::info!(server = server.name(), connections, "connections given up");
    for worker in &shared.workers {
        // A thread that has ended has no connections left.
        let _ = worker.send(Message::Evict(server.index));
    }
}

// === impl Client ===

impl Client {
    /// Closes what was given up. What a transaction had there is run again when its client goes on.
    pub fn drop_evicted(&mut self) {
        let is_cut = |held: &Option<Box<Connection>>| held.as_ref().is_some_and(|held| held.link.is_cut());
        if is_cut(&self.aside) {
            self.aside = None;
            self.connection = None;
            self.sever();
        } else if is_cut(&self.connection) {
            let was_visiting = self.is_visiting();
            self.connection = None;
            if !was_visiting {
                self.sever();
            }
        } else {
            return;
        }
        self.show_thread();
    }
}
