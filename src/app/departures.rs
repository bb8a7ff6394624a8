//! Servers that a reload has removed: their idle connections are closed, and their places become free once nothing
//! refers to them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::frontend::shared::{Message, Shared};
use crate::topology::Admin;

/// From one look to the next.
const PAUSE: Duration = Duration::from_secs(1);
/// A statement that was routed to a server just before it was removed has long arrived there.
const GRACE: Duration = Duration::from_secs(60);

/// Follows them for as long as the proxy runs.
pub async fn run(shared: Arc<Shared>) {
    let mut since = HashMap::new();
    loop {
        tokio::time::sleep(PAUSE).await;
        look(&shared, &mut since, Instant::now());
    }
}

fn look(shared: &Shared, since: &mut HashMap<usize, Instant>, now: Instant) {
    let snapshot = shared.topology.snapshot().clone();
    for (index, server) in snapshot.servers.iter().enumerate() {
        if server.admin != Admin::Removed {
            since.remove(&index);
            continue;
        }
        for worker in &shared.workers {
            // A thread that has ended has no connections left.
            let _ = worker.send(Message::Retire(index));
        }
        let removed = *since.entry(index).or_insert(now);
        let is_idle = shared.servers.is_forgotten(index) && shared.topology.gate().busy(index) == 0;
        if is_idle && now.duration_since(removed) >= GRACE {
            tracing::info!(
                server = &*server.name,
                "a server that was removed is no longer in use"
            );
            shared.topology.forget(index);
        }
    }
}
