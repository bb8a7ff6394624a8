//! SHOW SERVERS: each server as the proxy sees it now.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::table::{Column, Table};
use super::value::{Row, Value};
use crate::admin::State;
use crate::topology::{Health, Lag, Outcome, Replication, ServerView};

pub const TABLE: Table = Table {
    name: "servers",
    about: "each server: its role, health, lag, weight and connections",
    columns: &[
        Column::text("server"),
        Column::text("address"),
        Column::text("role"),
        Column::text("health"),
        Column::text("state"),
        Column::text("replication"),
        Column::decimal("lag_ms"),
        Column::integer("weight"),
        Column::boolean("backup"),
        Column::integer("connections"),
        Column::integer("max_connections"),
        Column::integer("in_flight"),
        Column::decimal("latency_ms"),
        Column::integer("statements"),
        Column::integer("reads"),
        Column::integer("errors"),
        Column::text("version"),
        Column::text("problem"),
    ],
    rows,
};

fn rows(state: &State) -> Vec<Row> {
    let snapshot = state.shared.topology.snapshot();
    let servers = snapshot.present();
    servers.map(|(index, view)| row(state, index, view)).collect()
}

fn row(state: &State, index: usize, view: &ServerView) -> Row {
    let load = state.shared.topology.load(index);
    let server = state.shared.servers.get(index);
    let traffic = || {
        state
            .shared
            .traffic
            .iter()
            .filter_map(|traffic| traffic.server(index))
    };
    let latency = load.latency.load(Ordering::Relaxed);
    vec![
        (&view.name).into(),
        server
            .as_ref()
            .map(|server| server.endpoint().address.to_string())
            .into(),
        view.role.to_string().into(),
        view.health.word().into(),
        state_word(view).into(),
        view.replication.word().into(),
        lag(view.lag),
        view.weight.into(),
        view.backup.into(),
        server.as_ref().map(|server| server.slots.open()).into(),
        server.as_ref().map(|server| server.slots.maximum()).into(),
        load.in_flight().into(),
        (latency > 0)
            .then(|| Value::millis(Duration::from_micros(latency)))
            .into(),
        traffic()
            .map(|server| server.statements.get())
            .sum::<u64>()
            .into(),
        traffic().map(|server| server.reads.get()).sum::<u64>().into(),
        traffic().map(|server| server.errors.get()).sum::<u64>().into(),
        version(state, index).into(),
        problem(view).into(),
    ]
}

/// What its operator, or the proxy, lets it do.
fn state_word(view: &ServerView) -> &'static str {
    match &view.quarantine {
        Some(_) => "quarantine",
        None => view.admin.word(),
    }
}

/// NULL when nobody knows, and when it does not follow at all: `replication` says which.
pub fn lag(lag: Lag) -> Value {
    match lag {
        Lag::Known(lag) => Value::millis(lag),
        Lag::Unknown | Lag::Infinite => Value::Null,
    }
}

fn version(state: &State, index: usize) -> Option<String> {
    match &state.shared.topology.observation(index)?.outcome {
        Outcome::Answered(status) => Some(status.version.clone()),
        _ => None,
    }
}

/// Why it is not used, or does not replicate.
pub fn problem(view: &ServerView) -> Option<String> {
    match (&view.health, &view.quarantine, &view.replication) {
        (Health::Down { why }, ..) | (_, Some(why), _) | (_, _, Replication::Stopped { why }) => {
            Some(why.to_string())
        }
        _ => None,
    }
}
