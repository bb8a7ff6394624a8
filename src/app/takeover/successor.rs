//! What remains of a process that was replaced: it starts its successor if it is asked to, and serves the clients
//! that it has until they leave or its time is over.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::sleep;

use crate::config::FailoverMode;
use crate::frontend::shared::Shared;
use crate::topology::Outcome;
use crate::util::clock;

const TAKEOVER: &str = "--takeover";

/// The same program once more, which may have been replaced on disk, with the same arguments.
pub fn start() {
    let mut arguments = std::env::args_os();
    let Some(program) = arguments.next() else { return };
    let arguments: Vec<_> = arguments.collect();
    let mut command = Command::new(program);
    command.args(&arguments);
    if !arguments.iter().any(|argument| argument == OsStr::new(TAKEOVER)) {
        command.arg(TAKEOVER);
    }
    match command.spawn() {
        Ok(mut child) => {
            tracing::info!(
                pid = child.id(),
                "a process that is to take over has been started"
            );
            tokio::spawn(async move {
                if let Ok(status) = child.wait().await {
                    tracing::warn!(%status, "the process that was to take over has ended");
                }
            });
        }
        Err(error) => tracing::error!(%error, "no process can be started that takes over"),
    }
}

/// Nobody new is let in. Returns when the clients have left, when the time is over, or when the primary is about to
/// change: what the other process does about that is not told here.
pub async fn linger(shared: &Arc<Shared>, limit: Duration) {
    shared.close_doors();
    tracing::info!(
        clients = shared.registry.connections(),
        ?limit,
        "another process lets new clients in; those that are here stay"
    );
    let over = sleep(limit);
    tokio::pin!(over);
    while shared.registry.connections() > 0 {
        tokio::select! {
            () = &mut over => return,
            () = sleep(clock::TICK) => {}
        }
        if primary_changes(shared) {
            tracing::info!("the primary is about to change: clients do not stay any longer");
            return;
        }
    }
}

/// As far as it can be seen from here.
fn primary_changes(shared: &Shared) -> bool {
    if shared.settings().config.failover.mode == FailoverMode::Off {
        return false;
    }
    let observation = shared
        .topology
        .primary()
        .and_then(|index| shared.topology.observation(index));
    observation.is_some_and(|observation| match &observation.outcome {
        Outcome::Answered(status) => status.read_only,
        Outcome::Greeted { .. } => false,
        Outcome::Failed(_) => true,
    })
}
