//! How a session passes the gate before the primary, or waits before it.

use std::sync::Arc;

use tokio::time::Instant;

use super::client::Client;
use super::parking::{Crowded, Turn};
use crate::backend::BackendError;
use crate::config::ListenerMode;
use crate::session::{Hold, Holds};
use crate::sql::{Class, Facts};
use crate::topology::Topology;
use crate::wire::Status;

/// What one session has of the gate.
#[derive(Debug, Default)]
pub struct Gateway {
    /// While it is in a statement that may write, or in a transaction, or keeps others from something.
    pub pass: Option<Pass>,
    /// While a statement runs that has waited.
    pub turn: Option<Turn>,
    /// Until when the statement under way may wait.
    until: Option<Instant>,
}

/// A session that is in the middle of something on a server; it has left when this is dropped.
#[derive(Debug)]
pub struct Pass {
    topology: Arc<Topology>,
    server: usize,
}

/// What ties a session to a primary so that a change of it has to wait: it would lose more than a statement.
const BUSY: [Hold; 5] = [
    Hold::Transaction,
    Hold::LockedTables,
    Hold::DistributedTransaction,
    Hold::BackupLock,
    Hold::NamedLock,
];

/// Whether a session with these holds is in the middle of something.
fn is_busy(holds: Holds) -> bool {
    BUSY.into_iter().any(|hold| holds.has(hold))
}

// === impl Pass ===

impl Pass {
    fn new(topology: &Arc<Topology>, server: usize) -> Self {
        topology.gate().enter(server);
        Self {
            topology: topology.clone(),
            server,
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.topology.gate().leave(self.server);
    }
}

// === impl Gateway ===

impl Gateway {
    /// A new statement begins.
    pub fn begin(&mut self) {
        self.turn = None;
        self.until = None;
    }
}

// === impl Client ===

impl Client {
    /// Whether this needs somebody who takes writes.
    pub fn may_write(&self, facts: &Facts) -> bool {
        self.mode != ListenerMode::Replica
            && match facts.class {
                Class::Write | Class::Begin { .. } => true,
                Class::Session | Class::Last => false,
                // With autocommit off it begins a transaction.
                Class::Read | Class::ReadIf => !self.session.status.has(Status::AUTOCOMMIT),
            }
    }

    /// Passes the gate, or waits until it is open.
    pub async fn enter_gate(&mut self) -> Result<(), BackendError> {
        while !self.passes_gate()? {
            self.park().await?;
        }
        Ok(())
    }

    /// Passes the gate if it is open.
    pub fn passes_gate(&mut self) -> Result<bool, BackendError> {
        if self.gateway.pass.is_some() || self.mode == ListenerMode::Replica {
            return Ok(true);
        }
        self.follow_primary();
        let (home, shared) = (self.server.index, &self.worker.shared);
        if self.gateway.turn.is_none() && shared.lot.is_stalled(home) {
            return Ok(false);
        }
        let pass = Pass::new(&shared.topology, home);
        match shared.topology.gate().writable() {
            Some(index) if index == home => {
                self.gateway.pass = Some(pass);
                Ok(true)
            }
            // What it has there is no longer of use, and the server is about to be given up.
            Some(_) if self.session.holds.leave_traces() => {
                Err(self.server_lost("another server is the primary now"))
            }
            _ => Ok(false),
        }
    }

    /// The statement is over: the session stays in the gate only for what it has left on the server.
    pub fn leave_gate(&mut self) {
        if self.gateway.pass.is_some() && !is_busy(self.session.holds) {
            self.gateway.pass = None;
        }
    }

    /// Whether a statement that failed so before any of it was sent may wait for a primary.
    pub fn may_wait(&self, error: &BackendError) -> bool {
        let shared = &self.worker.shared;
        let gone = shared.topology.gate().writable() != Some(self.server.index);
        let waits = gone || shared.settings().config.failover.mode.replaces_by_itself();
        let waits = waits && !self.entry.is_dying();
        waits && error.is_lost() && self.mode != ListenerMode::Replica && !shared.lot.patience().is_zero()
    }

    /// What this error says of the server's health.
    pub fn blame(&self, index: usize, error: &BackendError) {
        let topology = &self.worker.shared.topology;
        match error {
            // The server did as it was told.
            _ if self.entry.is_dying() => {}
            error if error.is_hang_up() => topology.hung_up(index),
            error if error.is_lost() => topology.failed(index),
            _ => {}
        }
    }

    /// The primary cannot be reached: waits until it can, or another one is there.
    pub async fn wait_for_primary(&mut self, error: &BackendError) -> Result<(), BackendError> {
        let shared = self.worker.shared.clone();
        tracing::debug!(client = self.id, %error, "a statement waits for the primary");
        self.blame(self.server.index, error);
        shared.lot.stall(self.server.index);
        self.gateway.pass = None;
        self.park().await?;
        self.follow_primary();
        Ok(())
    }

    /// Waits for its turn; the statement has not been sent.
    async fn park(&mut self) -> Result<(), BackendError> {
        let shared = self.worker.shared.clone();
        let counts = &shared.recovery;
        self.gateway.turn = None;
        let until = *self
            .gateway
            .until
            .get_or_insert_with(|| Instant::now() + shared.lot.patience());
        let mut waiting = shared.lot.wait(self.link.inbox.bytes().len() as u64);
        counts.parked.add(1);
        let turn = tokio::select! {
            biased;
            turn = waiting.turn() => turn,
            () = self.signal.called_off() => return Err(self.called_off()),
            () = tokio::time::sleep_until(until) => {
                counts.timed_out.add(1);
                return Err(self.no_primary(format!("not within {:?}", shared.lot.patience())));
            }
            () = self.link.socket().read_closed() => {
                counts.left.add(1);
                let server = self.server.name().to_owned();
                return Err(BackendError::ClientLeft { server });
            }
        };
        match turn {
            Ok(turn) => {
                self.gateway.turn = Some(turn);
                Ok(())
            }
            Err(Crowded) => {
                counts.crowded.add(1);
                Err(self.no_primary("too many statements wait for one".to_owned()))
            }
        }
    }

    fn no_primary(&self, how: String) -> BackendError {
        let shut = self.worker.shared.topology.gate().shut_because();
        let why = shut.map_or_else(
            || format!("server '{}' cannot be reached", self.server.name()),
            |shut| shut.why.to_string(),
        );
        let error = BackendError::NoPrimary { why, how };
        tracing::warn!(client = self.id, %error, "statement refused");
        error
    }

    /// As if the connection had been found broken.
    pub fn server_lost(&self, why: &str) -> BackendError {
        BackendError::Lost {
            server: self.server.name().to_owned(),
            source: std::io::Error::new(std::io::ErrorKind::ConnectionAborted, why.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    #[test]
    fn a_pass_is_given_back_however_it_ends() {
        let config = Config::parse("servers: [db1]\nfailover: {mode: off}\n", Path::new("t"));
        let topology = Topology::new(&config.unwrap());
        let pass = Pass::new(&topology, 0);
        assert_eq!(topology.gate().busy(0), 1);
        drop(pass);
        assert_eq!(topology.gate().busy(0), 0);
    }

    #[test]
    fn only_what_would_be_lost_keeps_a_session_in_the_gate() {
        let mut holds = Holds::default();
        for hold in [Hold::Diagnostics, Hold::UserVariables, Hold::TemporaryTables] {
            holds.insert(hold);
        }
        assert!(!is_busy(holds));
        holds.insert(Hold::Transaction);
        assert!(is_busy(holds));
    }
}
