//! What an operator changes of this proxy at run time: servers, listeners, counters, what is loaded.

use std::sync::atomic::Ordering;

use super::reply::{Reply, Wrong};
use crate::admin::State;
use crate::admin::catalog::routes;
use crate::admin::language::{Reload, ServerSetting};
use crate::frontend::digests;
use crate::topology::Admin;
use crate::util::suggest::nearest;

/// As the configuration's `servers[].weight` and `servers[].max_connections` may be.
pub const MOST_WEIGHT: u32 = 1_000_000;
pub const MOST_CONNECTIONS: u32 = 100_000;

pub fn server_index(state: &State, name: &str) -> Result<usize, Wrong> {
    state.server(name).ok_or_else(|| {
        let snapshot = state.shared.topology.snapshot();
        let servers = snapshot.servers.iter().filter(|server| server.is_configured());
        let names: Vec<_> = servers.map(|server| &*server.name).collect();
        let hint = match nearest(name, names.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("there are {}", names.join(", ")),
        };
        Wrong::Refused(format!("there is no server `{name}`; {hint}"))
    })
}

/// Whether a server's setting may be so now. Nothing is changed.
pub fn allow(state: &State, name: &str, setting: &ServerSetting) -> Result<(), Wrong> {
    let index = server_index(state, name)?;
    let why = match setting {
        ServerSetting::Weight(weight) if *weight > MOST_WEIGHT => {
            format!("a weight is at most {MOST_WEIGHT}")
        }
        ServerSetting::State(admin)
            if *admin != Admin::Online && state.shared.topology.snapshot().primary == Some(index) =>
        {
            format!("{name} is the primary: make another server the primary first (SWITCHOVER)")
        }
        ServerSetting::MaxConnections(most) if !(1..=MOST_CONNECTIONS).contains(most) => {
            format!("a server may have 1 to {MOST_CONNECTIONS} connections")
        }
        _ => return Ok(()),
    };
    Err(Wrong::Refused(why))
}

pub fn server(state: &State, name: &str, setting: ServerSetting) -> Result<Reply, Wrong> {
    allow(state, name, &setting)?;
    let index = server_index(state, name)?;
    let topology = &state.shared.topology;
    let done = match setting {
        ServerSetting::Weight(weight) => {
            topology.set_weight(index, weight);
            format!("the weight of {name} is {weight}")
        }
        ServerSetting::State(admin) => {
            topology.set_admin(index, admin);
            format!("{name} is set to {}", admin.word())
        }
        ServerSetting::MaxConnections(most) => {
            if let Some(server) = state.shared.servers.get(index) {
                server.slots.set_maximum(most as usize);
            }
            format!("{name} may have {most} connections")
        }
    };
    Ok(Reply::Done(done))
}

pub fn listener(state: &State, name: &str, paused: bool) -> Result<Reply, Wrong> {
    let settings = state.shared.settings();
    let listeners = &settings.config.listeners;
    let Some(listener) = listeners.iter().find(|listener| listener.name == name) else {
        let names: Vec<_> = listeners.iter().map(|listener| listener.name.as_str()).collect();
        let why = format!("there is no listener `{name}`; there are {}", names.join(", "));
        return Err(Wrong::Refused(why));
    };
    state.shared.pauses.set(&listener.address, paused);
    let what = if paused {
        "refuses new connections"
    } else {
        "takes new connections"
    };
    Ok(Reply::Done(format!("listener {name} {what}")))
}

/// Averages and counters that are of this proxy alone, and that nobody else adds up.
pub fn reset_stats(state: &State) -> Reply {
    let topology = &state.shared.topology;
    for index in 0..topology.snapshot().servers.len() {
        topology.load(index).latency.store(0, Ordering::Relaxed);
    }
    let counts = routes::counts(state).into_iter().map(|(_, count)| count);
    state.forget_routes(counts.collect());
    digests::forget(&state.shared);
    Reply::Done("digests, routes and latencies are counted anew".to_owned())
}

pub async fn reload(state: &State, what: Reload) -> Result<Reply, Wrong> {
    let reload = match what {
        Reload::Accounts => {
            state.shared.accounts.forget_passwords();
            return Ok(Reply::Done(
                "every account is asked for its password again".to_owned(),
            ));
        }
        Reload::Tls => &state.reload.tls,
        Reload::Config => &state.reload.config,
    };
    match reload {
        Some(reload) => reload().await.map(Reply::Done).map_err(Wrong::Refused),
        None => Err(Wrong::Refused(format!(
            "{} cannot be loaded again yet",
            what.word()
        ))),
    }
}

/// What was set at run time goes back into the file.
pub async fn save(state: &State, to: Option<String>) -> Result<Reply, Wrong> {
    match &state.reload.save {
        Some(save) => save(to.map(Into::into))
            .await
            .map(Reply::Done)
            .map_err(Wrong::Refused),
        None => Err(Wrong::Refused("there is no file to save to".to_owned())),
    }
}
