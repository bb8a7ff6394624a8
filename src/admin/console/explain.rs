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

pub fn route(state: &State, who: &Who, statement: &str) -> Answer {
    let shared = &state.shared;
    let text = statement.as_bytes();
    let dialect = dialect(state);
    let facts = sql::analyse(text, dialect);
    let listener = shared.config.listeners.first();
    let schema = who.schema.as_deref().map(str::as_bytes);
    let actions = shared.rules.matching(&Subject {
        client: Client {
            user: b"",
            listener: listener.map_or("", |listener| listener.name.as_str()),
            address: None,
        },
        schema,
        facts: &facts,
        text,
    });
    let mut policy = Policy::new(&shared.config);
    if !actions.is_empty() {
        policy = policy.steered(&shared.rules, &actions);
    }
    let balancer = Balancer::new(shared.config.routing.balance, shared.config.routing.slow_start, 1)
        .with_names(shared.servers.iter().map(|server| server.name()));
    let mut router = Router::new(shared.topology.clone(), balancer);
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
    let explanation = router.explain(&facts, asker, Instant::now());
    let snapshot = shared.topology.snapshot();
    let refused = shared.rules.block(&actions).is_some();
    let why = if refused {
        "a rule forbids it".to_owned()
    } else {
        explanation.decision.why.text().to_owned()
    };
    let busy = |index| {
        let load = shared.topology.load(index);
        Busy {
            in_flight: load.in_flight.load(Ordering::Relaxed),
            latency: load.latency.load(Ordering::Relaxed),
        }
    };
    let shown = Explained {
        facts: &facts,
        explanation: &explanation,
        rules: Told::of(&shared.rules, &actions, &snapshot),
        why,
        refused,
        snapshot: &snapshot,
        busy: &(0..snapshot.servers.len()).map(busy).collect::<Vec<_>>(),
        home: snapshot.primary.unwrap_or(0),
        last: None,
        level: policy.level(&facts),
        digest: sql::digest_text(text, dialect),
    }
    .show();
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
