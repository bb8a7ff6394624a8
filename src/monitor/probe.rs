//! The task that watches one server: a probe at every interval, or as soon as a session has lost the server.

use std::sync::Arc;
use std::time::Duration;

use mysql_async::Error;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use super::advice::Lack;
use super::connection::Connection;
use super::failure;
use super::heartbeat::Heartbeats;
use super::opening::Opening;
use crate::accounts::Source;
use crate::backend::{Server, connect};
use crate::config::Config;
use crate::topology::{Health, Observation, Outcome, Role, Status, Topology};

/// Between two probes however suspect the server is.
const SHORTEST: Duration = Duration::from_millis(50);
/// Between two logins that are refused: each may be a line in the server's log.
const AFTER_REFUSAL: Duration = Duration::from_secs(5);

/// A login may take so many times as long as a probe.
const LOGIN: u32 = 4;

pub(super) struct Probe {
    server: Arc<Server>,
    topology: Arc<Topology>,
    interval: Duration,
    /// For a whole probe, whatever it takes.
    timeout: Duration,
    /// `None`: there is no account.
    source: Option<Source>,
    /// Those that this process writes on the primary; `None`: it writes none.
    heartbeats: Option<Arc<Heartbeats>>,
    /// Kept from one probe to the next, and dropped when anything goes wrong with it.
    connection: Option<Connection>,
    opening: Opening,
    told: Told,
}

/// What the log has said, so that it says it once.
#[derive(Debug, Default)]
struct Told {
    refusal: Option<Arc<str>>,
    lacks: Vec<Lack>,
    writable: Option<bool>,
    malformed: bool,
}

// === impl Probe ===

impl Probe {
    pub(super) fn new(
        config: &Config,
        server: Arc<Server>,
        topology: Arc<Topology>,
        heartbeats: Option<Arc<Heartbeats>>,
    ) -> Self {
        let has_account = config.monitor.login.is_some();
        Self {
            source: has_account.then(|| Source::of(config, &config.servers[server.index])),
            server,
            topology,
            interval: config.monitor.interval,
            timeout: config.monitor.timeout,
            heartbeats,
            connection: None,
            opening: Opening::new(config.monitor.timeout * LOGIN),
            told: Told::default(),
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let (began, probe) = (Instant::now(), self.topology.begin_probe(self.server.index));
            let outcome = match timeout(self.timeout, self.probe()).await {
                Ok(outcome) => outcome,
                Err(_) => Outcome::Failed(failure::late(self.timeout)),
            };
            self.tell(&outcome);
            let is_refused = matches!(outcome, Outcome::Greeted { refusal: Some(_) });
            let took = began.elapsed();
            let observation = Observation {
                began,
                probe,
                took,
                outcome,
            };
            self.topology.observe(self.server.index, observation);
            self.pause(began, is_refused).await;
        }
    }

    /// From one start to the next; a probe that took longer is followed by the next one.
    async fn pause(&self, began: Instant, is_refused: bool) {
        let index = self.server.index;
        let suspected = self.topology.suspected(index);
        // Servers count greetings that no login follows, and refuse a host with a hundred of them. Without an
        // account it is the sessions that watch a server that is up.
        if self.source.is_none() && self.topology.snapshot().servers[index].health == Health::Up {
            suspected.await;
            sleep_until(began + self.interval).await;
            return;
        }
        let interval = if is_refused {
            self.interval.max(AFTER_REFUSAL)
        } else {
            self.interval
        };
        tokio::select! {
            () = sleep_until(began + interval) => {}
            () = suspected => sleep_until(began + interval.min(SHORTEST)).await,
        }
    }

    async fn probe(&mut self) -> Outcome {
        let Some(source) = &self.source else {
            return match connect::greet(&self.server).await {
                Ok(_) => Outcome::Greeted { refusal: None },
                Err(error) => Outcome::Failed(failure::of_greeting(&error)),
            };
        };
        // The connection may have died without the server: then a new one is tried.
        if let Some(mut connection) = self.connection.take() {
            match connection.ask(self.heartbeats.as_deref()).await {
                Ok(status) => return self.answered(connection, status),
                Err(Error::Server(error)) if !is_farewell(error.code) => {
                    return Outcome::Failed(failure::of_error(&Error::Server(error)));
                }
                Err(_) => {}
            }
        }
        let (mut connection, news) = match self.opening.login(source, self.heartbeats.as_ref()).await {
            Ok(opened) => opened,
            Err(error) if failure::is_refusal(&error) => {
                let refusal = Some(failure::of_error(&error));
                return Outcome::Greeted { refusal };
            }
            Err(error) => return Outcome::Failed(failure::of_error(&error)),
        };
        self.server.set_keeps_results(connection.keeps_results());
        if let Some(status) = news {
            return self.answered(connection, status);
        }
        match connection.ask(self.heartbeats.as_deref()).await {
            Ok(status) => self.answered(connection, status),
            Err(error) => Outcome::Failed(failure::of_error(&error)),
        }
    }

    fn answered(&mut self, connection: Connection, status: Status) -> Outcome {
        self.connection = Some(connection);
        Outcome::Answered(Box::new(status))
    }

    /// What an operator should know, and the topology does not say.
    fn tell(&mut self, outcome: &Outcome) {
        let server = self.server.name();
        match outcome {
            Outcome::Greeted {
                refusal: Some(refusal),
            } if self.told.refusal.as_ref() != Some(&refusal.message) => {
                self.told.refusal = Some(refusal.message.clone());
                warn!(server, reason = %refusal, "the monitor cannot log in: nothing is known of its replication");
            }
            Outcome::Answered(status) => {
                if self.told.refusal.take().is_some() {
                    info!(server, "the monitor has logged in");
                }
                self.tell_of_lacks();
                self.tell_of_writes(status);
            }
            _ => {}
        }
    }

    fn tell_of_lacks(&mut self) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let malformed = connection.malformed.is_some();
        if let (Some(error), false) = (&connection.malformed, self.told.malformed) {
            warn!(server = self.server.name(), %error, "what the server has cannot be told");
        }
        self.told.malformed = malformed;
        for lack in connection.lacks.drain(..) {
            if !self.told.lacks.contains(&lack) {
                self.told.lacks.push(lack);
                let identity = &connection.identity;
                let run = lack.grant(identity.mariadb, &identity.user);
                warn!(server = self.server.name(), run, "{}", lack.what());
            }
        }
    }

    fn tell_of_writes(&mut self, status: &Status) {
        let writable = !status.read_only;
        if self.told.writable.replace(writable) == Some(writable) {
            return;
        }
        let server = self.server.name();
        match (self.topology.snapshot().servers[self.server.index].role, writable) {
            (Role::Primary, false) => warn!(server, "the primary is read-only"),
            (Role::Replica, true) => warn!(server, "this replica is not read-only: others may write there"),
            _ => {}
        }
    }
}

/// With these a server ends a connection, whatever was asked: shutdown, and KILL.
fn is_farewell(code: u16) -> bool {
    matches!(code, 1053 | 1079 | 1317 | 1927 | 4031)
}
