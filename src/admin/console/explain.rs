//! EXPLAIN ROUTE: where a statement would go from a session that has just begun.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::reply::Who;
use crate::admin::State;
use crate::admin::catalog::{Answer, Row, Value};
use crate::config::ListenerMode;
use crate::frontend::own::explain::Explained;
use crate::frontend::own::rules::Told;
use crate::frontend::own::servers::Busy;
use crate::routing::balance::Balancer;
use crate::routing::rules::{Client, Subject};
use crate::routing::{Asker, Policy, Router, Servers};
use crate::session::Seen;
use crate::sql::{self, Dialect, Flavour};
use crate::wire::result::ResultSet;

pub fn route(state: &State, who: &Who, statement: &str) -> Answer {
    let shared = &state.shared;
    let settings = shared.settings().clone();
    let (text, dialect) = (statement.as_bytes(), dialect(state));
    let facts = sql::analyse(text, dialect);
    let listener = settings.config.listeners.first();
    let schema = who.schema.as_deref().map(str::as_bytes);
    let actions = settings.rules.matching(&Subject {
        client: Client {
            user: b"",
            listener: listener.map_or("", |listener| listener.name.as_str()),
            address: None,
        },
        schema,
        facts: &facts,
        text,
    });
    let policy = Policy::new(&settings.config);
    let policy = match actions.is_empty() {
        true => policy,
        false => policy.steered(&settings.rules, &actions),
    };
    let asker = Asker {
        mode: listener.map_or(ListenerMode::Split, |listener| listener.mode),
        policy: &policy,
        stays: None,
        autocommit: true,
        seen: &Seen::default(),
        schema,
        source: 0,
        tried: Servers::default(),
    };
    let explanation = router(state).explain(&facts, asker, Instant::now());
    let snapshot = shared.topology.snapshot();
    let refused = settings.rules.block(&actions).is_some();
    let why = match refused {
        true => "a rule forbids it",
        false => explanation.decision.why.text(),
    };
    let explained = Explained {
        facts: &facts,
        explanation: &explanation,
        rules: Told::of(&settings.rules, &actions, &snapshot),
        why: why.to_owned(),
        refused,
        snapshot: &snapshot,
        busy: &busy(state, snapshot.servers.len()),
        home: snapshot.primary.unwrap_or(0),
        last: None,
        level: policy.level(&facts),
        digest: sql::digest_text(text, dialect),
    };
    answer(&explained.show())
}

/// One of its own: what it learns is nobody's.
fn router(state: &State) -> Router {
    let shared = &state.shared;
    let settings = shared.settings();
    let routing = &settings.config.routing;
    let servers = &settings.config.servers;
    let balancer = Balancer::new(routing.balance, routing.slow_start, 1)
        .with_names(servers.iter().map(|server| server.name.as_str()))
        .with_ranks(servers.iter().map(|server| server.rank));
    Router::new(shared.topology.clone(), balancer)
}

fn busy(state: &State, servers: usize) -> Vec<Busy> {
    let (primary, parked) = (state.shared.topology.primary(), state.shared.lot.parked());
    let busy = |index| {
        let load = state.shared.topology.load(index);
        Busy {
            in_flight: load.in_flight(),
            latency: load.latency.load(Ordering::Relaxed),
            parked: if primary == Some(index) { parked } else { 0 },
        }
    };
    (0..servers).map(busy).collect()
}

fn answer(shown: &ResultSet) -> Answer {
    let value = |field: &Option<Vec<u8>>| match field {
        Some(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        None => Value::Null,
    };
    let row = |row: &Vec<Option<Vec<u8>>>| -> Row { row.iter().map(value).collect() };
    Answer::of_texts(shown.columns(), shown.rows().iter().map(row).collect())
}

/// As the servers read it.
fn dialect(state: &State) -> Dialect {
    match state.shared.profile() {
        Some(profile) if profile.is_mariadb() => Dialect::new(Flavour::MariaDb, profile.number()),
        Some(profile) => Dialect::new(Flavour::MySql, profile.number()),
        None => Dialect::default(),
    }
}
