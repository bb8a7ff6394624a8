//! Each server: how it is, what it gets, and with how many connections.

use std::fmt;
use std::sync::atomic::Ordering;

use super::family::{Families, Name, Sample, number, truth};
use super::totals::{self, ServerTotal};
use crate::admin::State;
use crate::topology::{Admin, Health, Lag, Replication, Role, ServerView, Snapshot};

/// What a number of a server is made of.
struct Looked<'a> {
    state: &'a State,
    snapshot: &'a Snapshot,
}

pub fn write(families: &mut Families<'_>, state: &State) -> fmt::Result {
    let snapshot = state.shared.topology.snapshot();
    let looked = Looked {
        state,
        snapshot: &snapshot,
    };
    health(families, &looked)?;
    load(families, &looked)?;
    traffic(families, &looked)
}

fn health(families: &mut Families<'_>, looked: &Looked<'_>) -> fmt::Result {
    families.gauge(
        Name::new(
            "splitrail_server_up",
            "Whether the server answers; also before the first answer is due",
        ),
        looked.each(|view, _| Some(truth(!matches!(view.health, Health::Down { .. })))),
    )?;
    families.gauge(
        Name::new(
            "splitrail_server_usable",
            "Whether new statements may go there: up, and taken out by nobody",
        ),
        looked.each(|view, _| Some(truth(view.is_usable()))),
    )?;
    words(families, looked)?;
    replication(families, looked)
}

/// Roles and states: each word that there is, and whether it is the one.
fn words(families: &mut Families<'_>, looked: &Looked<'_>) -> fmt::Result {
    let roles = looked.snapshot.present().flat_map(|(_, view)| {
        let role = move |(role, name)| {
            Sample::new(truth(view.role == role))
                .with("server", &view.name)
                .with("role", name)
        };
        [(Role::Primary, "primary"), (Role::Replica, "replica")].map(role)
    });
    families.gauge(
        Name::new("splitrail_server_role", "The server's role; one of them is 1"),
        roles,
    )?;
    let states = looked.snapshot.present().flat_map(|(_, view)| {
        let state = move |state: Admin| {
            Sample::new(truth(view.admin == state))
                .with("server", &view.name)
                .with("state", state.word())
        };
        [Admin::Online, Admin::Drain, Admin::Maintenance, Admin::Removed].map(state)
    });
    families.gauge(
        Name::new(
            "splitrail_server_state",
            "What the operator wants of it; one of them is 1",
        ),
        states,
    )
}

fn replication(families: &mut Families<'_>, looked: &Looked<'_>) -> fmt::Result {
    families.gauge(
        Name::new(
            "splitrail_server_quarantined",
            "Kept from all use: it has what the primary lacks",
        ),
        looked.each(|view, _| Some(truth(view.quarantine.is_some()))),
    )?;
    families.gauge(
        Name::seconds(
            "splitrail_server_lag",
            "How old a replica's data are; absent where nobody knows",
        ),
        looked.each(|view, _| match (view.role, view.lag) {
            (Role::Replica, Lag::Known(lag)) => Some(lag.as_secs_f64()),
            _ => None,
        }),
    )?;
    families.gauge(
        Name::new(
            "splitrail_server_replicating",
            "Whether a replica's replication runs; absent for the primary",
        ),
        looked.each(|view, _| {
            let runs = matches!(view.replication, Replication::Running);
            (view.role == Role::Replica).then(|| truth(runs))
        }),
    )?;
    families.gauge(
        Name::seconds(
            "splitrail_server_probe_duration",
            "How long the latest probe took",
        ),
        looked.each(|_, index| {
            let observation = looked.state.shared.topology.observation(index)?;
            Some(observation.took.as_secs_f64())
        }),
    )
}

fn load(families: &mut Families<'_>, looked: &Looked<'_>) -> fmt::Result {
    let shared = &looked.state.shared;
    families.gauge(
        Name::new("splitrail_server_weight", "Its share of the reads"),
        looked.each(|view, _| Some(view.weight.into())),
    )?;
    families.gauge(
        Name::new("splitrail_server_connections", "Open connections to the server"),
        looked.each(|_, index| Some(number(shared.servers.get(index)?.slots.open()))),
    )?;
    families.gauge(
        Name::new(
            "splitrail_server_connections_limit",
            "Connections to the server that there may be",
        ),
        looked.each(|_, index| Some(number(shared.servers.get(index)?.slots.maximum()))),
    )?;
    families.gauge(
        Name::new(
            "splitrail_server_connections_waited_for",
            "Whether sessions wait for a connection to the server",
        ),
        looked.each(|_, index| Some(truth(shared.servers.get(index)?.slots.has_waiters()))),
    )?;
    families.gauge(
        Name::new(
            "splitrail_server_statements_in_flight",
            "Statements under way there",
        ),
        looked.each(|_, index| Some(shared.topology.load(index).in_flight().into())),
    )?;
    families.gauge(
        Name::seconds(
            "splitrail_server_latency",
            "How soon reads were answered lately; measured with balance: least_latency only",
        ),
        looked.each(|_, index| {
            let micros = shared.topology.load(index).latency.load(Ordering::Relaxed);
            (micros > 0).then(|| number(micros) / 1e6)
        }),
    )
}

fn traffic(families: &mut Families<'_>, looked: &Looked<'_>) -> fmt::Result {
    let each = |pick: fn(ServerTotal) -> u64| {
        let servers = looked.snapshot.present();
        servers
            .map(|(index, view)| {
                Sample::new(pick(totals::server(looked.state, index))).with("server", &view.name)
            })
            .collect::<Vec<_>>()
    };
    families.counter(
        Name::new(
            "splitrail_server_statements",
            "Statements that the server answered",
        ),
        each(|total| total.statements),
    )?;
    families.counter(
        Name::new("splitrail_server_reads", "Of those, what only reads"),
        each(|total| total.reads),
    )?;
    families.counter(
        Name::new(
            "splitrail_server_errors",
            "Of those, what was answered with an error",
        ),
        each(|total| total.errors),
    )?;
    families.counter(
        Name::bytes("splitrail_server_response", "Of the server's answers"),
        each(|total| total.bytes),
    )
}

// === impl Looked ===

impl Looked<'_> {
    /// A number for each server that has one.
    fn each<'b>(
        &'b self,
        number: impl Fn(&ServerView, usize) -> Option<f64> + 'b,
    ) -> impl Iterator<Item = Sample<f64>> + 'b {
        let servers = self.snapshot.present();
        servers.filter_map(move |(index, view)| {
            Some(Sample::new(number(view, index)?).with("server", &view.name))
        })
    }
}
