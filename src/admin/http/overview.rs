//! What the dashboard draws, in one answer, so that all of it is of one moment. Totals only grow: whoever wants a
//! rate asks twice.

use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value as Json, json};

use super::answer::rows;
use super::call::Call;
use crate::admin::State;
use crate::admin::catalog::{self, Answer};
use crate::admin::metrics::{process, totals};
use crate::config::{AdminRole, FailoverMode};
use crate::frontend::traffic::{BUCKETS, Times};

pub fn show(state: &State, call: &Call) -> Json {
    let shared = &state.shared;
    let snapshot = shared.topology.snapshot();
    let primary = snapshot.primary.and_then(|index| snapshot.servers.get(index));
    json!({
        "now": millis(SystemTime::now()),
        "started": millis(state.started),
        "version": env!("CARGO_PKG_VERSION"),
        "may": match call.visitor.role {
            Some(AdminRole::Operate) => "operate",
            _ => "read",
        },
        "visitor": call.visitor.name,
        "epoch": snapshot.epoch,
        "primary": primary.map(|primary| primary.name.to_string()),
        "gate": gate(state),
        "failover": failover(state),
        "workers": shared.settings().config.workers,
        "clients": shared.registry.connections(),
        "max_clients": shared.settings().config.limits.client_connections,
        "servers": servers(state),
        "listeners": table(state, "listeners"),
        "traffic": traffic(state),
        "cache": cache(state),
        "mirror": mirror(state),
        "events": totals::events(state),
        "process": {
            "resident_bytes": process::resident(),
            "open_files": process::open_files(),
            "buffer_bytes": crate::net::buffer::lent(),
            "buffer_limit_bytes": shared.settings().config.limits.buffer_memory,
        },
    })
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn gate(state: &State) -> Json {
    let parked = state.shared.lot.parked();
    match state.shared.topology.gate().shut_because() {
        None => json!({ "open": true, "parked": parked }),
        Some(shut) => json!({
            "open": false,
            "parked": parked,
            "why": &*shut.why,
            "shut_ms": u64::try_from(shut.since.elapsed().as_millis()).unwrap_or(u64::MAX),
        }),
    }
}

fn failover(state: &State) -> Json {
    let mode = match state.shared.settings().config.failover.mode {
        FailoverMode::Automatic => "automatic",
        FailoverMode::Manual => "manual",
        FailoverMode::Follow => "follow",
        FailoverMode::Off => "off",
    };
    let Some(handle) = &state.failover else {
        return json!({ "mode": mode });
    };
    let analysis = handle.analysis();
    json!({
        "mode": mode,
        "paused": handle.is_paused(),
        "verdict": analysis.verdict.word(),
        "findings": analysis.findings,
    })
}

fn table(state: &State, name: &str) -> Json {
    let table = catalog::find(name);
    table.map_or(Json::Null, |table| {
        rows(&Answer::new(table.columns, (table.rows)(state)))
    })
}

/// As SHOW SERVERS has them, with whom they follow and what was sent to them.
fn servers(state: &State) -> Json {
    let topology = table(state, "topology");
    let about = |name: &Json| topology.as_array()?.iter().find(|row| row["server"] == *name);
    let mut servers = table(state, "servers");
    let snapshot = state.shared.topology.snapshot();
    let listed = servers.as_array_mut().into_iter().flatten();
    for (server, (index, _)) in listed.zip(snapshot.present()) {
        let Some(fields) = server.as_object_mut() else {
            continue;
        };
        if let Some(row) = fields.get("server").and_then(about) {
            for name in ["source", "read_only", "gtid"] {
                fields.insert(name.to_owned(), row[name].clone());
            }
        }
        let known = state.shared.servers.get(index);
        let waiting = known.is_some_and(|server| server.slots.has_waiters());
        fields.insert("waiting".to_owned(), waiting.into());
        fields.extend(sent(state, index));
    }
    servers
}

fn sent(state: &State, server: usize) -> Map<String, Json> {
    let sum = totals::server(state, server);
    let fields = [
        ("statements", sum.statements),
        ("reads", sum.reads),
        ("errors", sum.errors),
        ("response_bytes", sum.bytes),
    ];
    fields
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count.into()))
        .collect()
}

fn traffic(state: &State) -> Json {
    let sum = totals::traffic(state);
    let reasons: Map<_, _> = sum
        .reasons
        .iter()
        .map(|(name, count)| ((*name).to_owned(), (*count).into()))
        .collect();
    let ends: Vec<_> = (0..BUCKETS).map(Times::end).collect();
    json!({
        "commands": sum.commands,
        "errors": sum.errors,
        "own_errors": sum.own_errors,
        "response_bytes": sum.bytes,
        "routed": reasons,
        "times": { "ends": ends, "counts": sum.times.counts, "sum": sum.times.sum.as_secs_f64() },
        "delays": { "ends": ends, "counts": sum.delays.counts, "sum": sum.delays.sum.as_secs_f64() },
    })
}

fn cache(state: &State) -> Json {
    state
        .shared
        .settings()
        .results
        .as_ref()
        .map_or(Json::Null, |results| {
            let held = results.held();
            json!({
                "hits": held.hits,
                "misses": held.misses,
            })
        })
}

fn mirror(state: &State) -> Json {
    let counts = &state.shared.mirrored;
    json!({
        "alike": counts.alike.load(Ordering::Relaxed),
        "different": counts.different.load(Ordering::Relaxed),
        "failed": counts.failed.load(Ordering::Relaxed),
        "dropped": counts.dropped.load(Ordering::Relaxed),
    })
}
