//! Who the servers are, before the first client is greeted as one of them would greet it.

use std::sync::Arc;
use std::time::Duration;

use super::shared::Shared;
use crate::backend::{Profile, connect};

/// A server gets this long to say who it is, however little time clients have.
const SHORTEST_MEETING: Duration = Duration::from_secs(1);

/// What clients are shown. The first of them may come before any server has answered: then one is asked now, for as
/// long as statements wait for a primary.
pub(super) async fn meet(shared: &Shared) -> Option<Arc<Profile>> {
    if let Some(profile) = shared.profile() {
        return Some(profile);
    }
    let limit = shared
        .settings()
        .config
        .failover
        .park_timeout
        .max(SHORTEST_MEETING);
    let _ = tokio::time::timeout(limit, ask_servers(shared)).await;
    shared.profile()
}

async fn ask_servers(shared: &Shared) {
    let primary = shared.primary();
    let others = shared
        .servers
        .iter()
        .filter(|server| server.index != primary.index && shared.is_usable(server.index))
        .map(|server| Arc::clone(&server));
    let servers: Vec<_> = std::iter::once(primary.clone()).chain(others).collect();
    for server in servers {
        if connect::greet(&server).await.is_ok() {
            break;
        }
    }
}

/// Asks the servers who they are, so that clients can be greeted. Done when the proxy starts, and again until
/// one has answered; why not is told the first time, as the monitor tells of it from then on.
pub async fn learn(worker: &Shared, is_first: bool) -> bool {
    let mut known = false;
    let servers: Vec<_> = worker.servers.iter().map(|server| Arc::clone(&server)).collect();
    for server in servers {
        match connect::greet(&server).await {
            Ok(_) => known = true,
            Err(error) if is_first => tracing::warn!(%error, "server does not answer"),
            Err(error) => tracing::debug!(%error, "server does not answer"),
        }
    }
    known
}
