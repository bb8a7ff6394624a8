//! Gathers what the proxy's own statements show or set, and answers the client.

use super::explain::{Explained, show_level};
use super::rules::Told;
use super::servers::{self, Busy};
use super::session::Shown;
use super::{counters, holds, session};
use crate::frontend::client::{Client, FIRST};
use crate::frontend::outcome::End;
use crate::frontend::wishes;
use crate::routing::Servers;
use crate::session::Wishes;
use crate::sql::{self, Facts, Own, Setting};
use crate::util::clock;
use crate::wire::result::ResultSet;
use std::rc::Rc;
use std::sync::atomic::Ordering;

// === impl Client ===

impl Client {
    /// Answers a statement that is the proxy's own; its packet has been taken from the inbox.
    pub async fn answer_own(&mut self, own: &Own, text: &[u8], wishes: Option<Wishes>) -> Result<(), End> {
        let rows = match own {
            Own::SetSplitrail(settings) => return self.set_preferences(settings).await,
            Own::Malformed(problem) => return self.error(1064, b"42000", problem).await,
            Own::ExplainRoute { statement } => {
                let statement = text.get(statement.clone()).unwrap_or_default();
                self.explain_route(statement, wishes)
            }
            Own::ShowSession => self.show_session(),
            Own::ShowGtid => session::gtid(&self.session),
            Own::ShowHolds => holds::show(self.session.holds),
            Own::ShowVariables => session::variables(&self.session.preferences),
            Own::ShowCounters => {
                let shared = &self.worker.shared;
                let held = shared.settings().results.as_ref().map(|cache| cache.held());
                counters::show(shared, held)
            }
            Own::ShowStatus => servers::show(&self.worker.shared.topology.snapshot(), &self.busy()),
        };
        self.send_rows(&rows).await
    }

    async fn send_rows(&mut self, rows: &ResultSet) -> Result<(), End> {
        let mut out = Vec::new();
        rows.encode(&mut out, FIRST, self.capabilities, self.session.status, 0);
        self.link.send(&out).await.map_err(|_| End::Broken)
    }

    /// All of them, or none when one is refused.
    async fn set_preferences(&mut self, settings: &[Setting]) -> Result<(), End> {
        let mut preferences = self.session.preferences.clone();
        let mariadb = self.server.is_mariadb();
        for setting in settings {
            if let Err(bad) = preferences.set(&setting.name, setting.value.as_deref(), mariadb) {
                let (code, sqlstate) = bad.code();
                return self.error(code, sqlstate, &bad.to_string()).await;
            }
        }
        if let Some(after) = &preferences.after {
            self.session.seen.follow(after);
        }
        self.session.preferences = preferences;
        if !self.session.preferences.trace {
            self.trace = Default::default();
        }
        self.policy = self.configured_policy.preferring(&self.session.preferences);
        self.ok().await
    }

    fn explain_route(&mut self, statement: &[u8], wishes: Option<Wishes>) -> ResultSet {
        let facts = Rc::new(sql::analyse(statement, self.session.dialect));
        let facts = wishes::obeyed(&mut self.session, facts, wishes);
        let facts: &Facts = &facts;
        let worker = self.worker.clone();
        let actions = self.wishes(facts, statement);
        self.steer(actions);
        let blocked = self.blocked();
        let explanation = {
            let mut router = worker.router.borrow_mut();
            self.look(router.topology(), facts);
            router.explain(facts, self.asker(facts, Servers::default()), clock::now())
        };
        let at_hand = self.connection.as_ref().map(|connection| connection.server.index);
        let held = self.aside.as_ref().map(|connection| connection.server.index);
        let keeps = held.or(at_hand).filter(|_| self.session.holds.leave_traces());
        let why = match &blocked {
            Some(_) => "a rule forbids it".to_owned(),
            None => self.told(explanation.decision.why).into_owned(),
        };
        let snapshot = worker.shared.topology.snapshot();
        Explained {
            facts,
            explanation: &explanation,
            rules: Told::of(&self.settings.rules, &actions, &snapshot),
            why,
            refused: blocked.is_some(),
            snapshot: &snapshot,
            busy: &self.busy(),
            home: keeps.unwrap_or(self.server.index),
            last: at_hand,
            level: self.policy().level(facts),
            digest: sql::digest_text(statement, self.session.dialect),
        }
        .show()
    }

    fn show_session(&self) -> ResultSet {
        let held = self.connection.as_ref().or(self.aside.as_ref());
        Shown {
            session: &self.session,
            id: self.id,
            user: &self.login.user,
            address: self.address,
            listener: &self.listener,
            home: self.server.name(),
            held: held.map(|connection| connection.server.name()),
            level: show_level(self.policy.level),
            rules: self.selected_rules(),
            replayable: self.replayable(),
            parked: self.worker.shared.lot.parked(),
        }
        .show()
    }

    /// Whether the session's open transaction could be run again on another server.
    fn replayable(&self) -> Option<Result<(), String>> {
        let transcript = self.replay.transcript.as_ref();
        let obstacle = match transcript {
            _ if !self.session.in_transaction() => return None,
            Some(transcript) => transcript.obstacle(self.session.holds).map(Into::into),
            None => Some(self.why_no_transcript().to_owned()),
        };
        Some(obstacle.map_or(Ok(()), Err))
    }

    fn busy(&self) -> Vec<Busy> {
        let topology = &self.worker.shared.topology;
        let (primary, parked) = (topology.primary(), self.worker.shared.lot.parked());
        let busy = |index| {
            let load = topology.load(index);
            Busy {
                in_flight: load.in_flight(),
                latency: load.latency.load(Ordering::Relaxed),
                parked: if primary == Some(index) { parked } else { 0 },
            }
        };
        (0..topology.snapshot().servers.len()).map(busy).collect()
    }
}
