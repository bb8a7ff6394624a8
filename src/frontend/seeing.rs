//! What a session has seen, as statements go by: noted after each, bounded when its server can tell, and waited for
//! where the primary might show less.

use std::sync::Arc;
use std::time::Duration;

use super::client::Client;
use super::outcome::Outcome;
use crate::backend::BackendError;
use crate::config::{AtLogin, ConsistencyLevel, ListenerMode};
use crate::gtid::Position;
use crate::sql::{Facts, Verb};
use crate::topology::Topology;
use crate::wire::command::Command;

// === impl Client: to know ===

impl Client {
    /// A session that begins is not to see less than clients were told before it. Programs that connect for every
    /// request read their own writes by it.
    pub fn begin_seeing(&mut self) {
        if self.settings.config.consistency.at_login == AtLogin::Acknowledged {
            self.see_acknowledged();
        }
    }

    fn see_acknowledged(&mut self) {
        if self.mode == ListenerMode::Split {
            let position = self.worker.shared.topology.acknowledged().position();
            self.session.seen.follow_shared(&position);
        }
    }

    /// What the session has seen or is to see, before a statement is sent anywhere.
    pub fn look(&mut self, topology: &Topology, facts: &Facts) {
        self.learn_position(topology);
        if self.policy().level(facts) == ConsistencyLevel::Proxy {
            self.see_acknowledged();
        }
    }

    /// Since the session's last read, a probe may have told what that read can have shown at most.
    fn learn_position(&mut self, topology: &Topology) {
        let Some((server, begun)) = self.session.seen.pending() else {
            return;
        };
        if topology.probes_begun(server) <= begun {
            return;
        }
        let known = topology.position(server);
        if let Some(bound) = known.bound(begun) {
            self.session.seen.learn(bound, &known.position);
        }
    }

    /// Whether what this shows is not to be taken back by the session's next read.
    fn follows_itself(&self, facts: &Facts) -> bool {
        let policy = self.policy();
        match policy.level(facts) {
            ConsistencyLevel::Session | ConsistencyLevel::Proxy => true,
            ConsistencyLevel::Strong => {
                matches!(policy.level, ConsistencyLevel::Session | ConsistencyLevel::Proxy)
            }
            ConsistencyLevel::Eventual | ConsistencyLevel::Bounded => false,
        }
    }

    /// Notes what the statement wrote or may have seen, on the server at hand.
    pub fn note_seen(&mut self, facts: &Facts, outcome: &Outcome) {
        let Some(server) = self.connection.as_ref().map(|connection| connection.server.index) else {
            return;
        };
        let topology = &self.worker.shared.topology;
        if let Some(gtid) = self.session.gtid.take() {
            let before = topology.position(server);
            self.session.seen.wrote(server, &gtid, &before.position);
            return;
        }
        // Whoever hears that it was not understood has seen nothing.
        let saw = facts.may_read_tables() && !outcome.observed.saw_nothing(&facts.features);
        if saw && self.follows_itself(facts) {
            let is_primary = topology.primary() == Some(server);
            let begun = topology.probes_begun(server);
            self.session.seen.read(server, begun, is_primary);
        }
    }
}

// === impl Client: to move on ===

/// What a server can show at most. A transaction is visible a moment before it counts as executed: until then MySQL
/// says that somebody owns its number, and MariaDB has it in the binary log already.
fn bound_statement(mariadb: bool) -> &'static [u8] {
    if mariadb {
        // What is replicated and not logged again is shown before any position says so.
        b"SELECT 'bound',IF(@@GLOBAL.log_bin AND @@GLOBAL.log_slave_updates OR @@GLOBAL.gtid_slave_pos='',\
          CONCAT_WS(';',@@GLOBAL.gtid_binlog_pos,@@GLOBAL.gtid_slave_pos),'?')"
    } else {
        b"SELECT 'bound',CONCAT_WS(';',REGEXP_REPLACE(@@GLOBAL.gtid_owned,_utf8mb4'#[0-9]+',_utf8mb4''),\
          @@GLOBAL.gtid_executed)"
    }
}

impl Client {
    /// Whether it is time to ask the server at hand.
    pub fn lingers(&self) -> bool {
        let may_ask = self.session.holds.is_empty() && self.mode == ListenerMode::Split;
        self.connection
            .as_ref()
            .filter(|_| may_ask)
            .is_some_and(|connection| {
                let server = connection.server.index;
                let begun = self.worker.shared.topology.probes_begun(server);
                self.session.seen.lingers(server, begun)
            })
    }

    /// A session that reads without a pause asks its server now and then what it has seen at most, so that it may
    /// read elsewhere.
    pub async fn move_on(&mut self) {
        let Some(connection) = self.connection.as_mut() else {
            return;
        };
        let (server, topology) = (connection.server.index, &self.worker.shared.topology);
        let mariadb = connection.server.is_mariadb();
        let body = connection.as_query(bound_statement(mariadb));
        // It asks for counts as another session would.
        connection.sessions.last = u64::MAX;
        let bound = match connection.send(Command::QUERY, &body).await {
            Ok(()) => connection.hear(b"bound").await,
            Err(error) => Err(error),
        };
        let Ok(bound) = bound else {
            self.connection = None;
            self.show_thread();
            return;
        };
        let mut position = Position::Empty;
        for part in bound.unwrap_or_default().split(|byte| *byte == b';') {
            match Position::parse(mariadb, part) {
                Ok(part) => position.merge(&part),
                // It stays where it is.
                Err(_) => return,
            }
        }
        let known = topology.position(server);
        self.session.seen.learn(&Arc::new(position), &known.position);
        self.session.seen.asked();
    }
}

// === impl Client: to catch up ===

/// Statements that read the newest there is, and wait for whoever is committing it.
const LOCKING: [Verb; 5] = [
    Verb::Insert,
    Verb::Update,
    Verb::Delete,
    Verb::Replace,
    Verb::Load,
];

/// Until all that is being committed can be seen. What a replica has shown is among it, or was committed before.
fn wait_statement(limit: Duration) -> String {
    let seconds = limit.as_secs_f64();
    format!(
        "SELECT 'shown',WAIT_FOR_EXECUTED_GTID_SET(\
         REGEXP_REPLACE(@@GLOBAL.gtid_owned,_utf8mb4'#[0-9]+',_utf8mb4''),{seconds:.3})"
    )
}

impl Client {
    /// A commit reaches replicas before the primary shows it, long before where it waits for one of them to have it.
    /// A session that has read on a replica waits here for what it may have seen there. MariaDB has nothing to wait
    /// for.
    pub async fn catch_up_at_home(&mut self, facts: &Facts) -> Result<(), BackendError> {
        let limit = self.policy().wait;
        let concerns = self.session.seen.is_ahead_of_primary()
            && self.mode == ListenerMode::Split
            && !self.server.is_mariadb()
            && !limit.is_zero();
        let reads = || facts.may_read_tables() && !LOCKING.contains(&facts.features.verb);
        if !concerns || !reads() || !self.follows_itself(facts) {
            return Ok(());
        }
        let (home, topology) = (self.server.index, &self.worker.shared.topology);
        let seen = &mut self.session.seen;
        if seen.pending().is_none() && seen.is_in(&topology.position(home).position) {
            seen.caught_up();
            return Ok(());
        }
        let primary = topology.primary();
        let at_home = |server: usize| server == home && primary == Some(home);
        let Some(connection) = self
            .connection
            .as_mut()
            .filter(|at_hand| at_home(at_hand.server.index))
        else {
            return Ok(());
        };
        let body = connection.as_query(wait_statement(limit).as_bytes());
        let heard = match connection.send(Command::QUERY, &body).await {
            Ok(()) => connection.hear(b"shown").await,
            Err(error) => Err(error),
        };
        match heard {
            Ok(shown) => {
                let waits = &self.worker.traffic().waits;
                if shown.as_deref() == Some(b"0") {
                    waits.on_primary.add(1);
                } else {
                    waits.on_primary_in_vain.add(1);
                    tracing::debug!(client = self.id, "the primary may show less than a replica did");
                }
                // Once is enough: what takes longer may take for ever.
                self.session.seen.caught_up();
                Ok(())
            }
            // Whoever uses the connection next finds out, and knows what to do.
            Err(error) if error.is_lost() => Ok(()),
            Err(error) => {
                self.connection = None;
                self.show_thread();
                Err(error)
            }
        }
    }
}
