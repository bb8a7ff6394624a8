//! Who is connected, and what keeps them from sharing server connections.

use std::fmt;

use super::family::{Families, Name, Sample, number, truth};
use crate::admin::State;
use crate::session::Hold;

#[derive(Default)]
struct Seen {
    transactions: u64,
    working: u64,
    holds: Vec<(&'static str, u64)>,
    listeners: Vec<u64>,
}

pub fn write(families: &mut Families<'_>, state: &State) -> fmt::Result {
    let shared = &state.shared;
    let seen = look(state);
    families.gauge(
        Name::new(
            "splitrail_clients",
            "Connections of clients, those that log in included",
        ),
        [Sample::new(number(shared.registry.connections()))],
    )?;
    families.gauge(
        Name::new(
            "splitrail_clients_limit",
            "Connections of clients that there may be",
        ),
        [Sample::new(number(
            shared.settings().config.limits.client_connections,
        ))],
    )?;
    families.gauge(
        Name::new("splitrail_sessions_working", "Sessions with a command under way"),
        [Sample::new(number(seen.working))],
    )?;
    families.gauge(
        Name::new("splitrail_transactions_open", "Sessions in a transaction"),
        [Sample::new(number(seen.transactions))],
    )?;
    families.gauge(
        Name::new(
            "splitrail_holds",
            "Sessions that keep a server connection for themselves, by reason",
        ),
        seen.holds
            .iter()
            .map(|(hold, count)| Sample::new(number(*count)).with("reason", hold)),
    )?;
    let settings = shared.settings();
    let listeners = settings.config.listeners.iter().zip(&seen.listeners);
    families.gauge(
        Name::new(
            "splitrail_listener_clients",
            "Sessions by the listener that they came in by",
        ),
        listeners.map(|(listener, count)| Sample::new(number(*count)).with("listener", &listener.name)),
    )?;
    let settings = shared.settings();
    let listeners = settings.config.listeners.iter();
    families.gauge(
        Name::new(
            "splitrail_listener_paused",
            "Listeners that refuse new connections",
        ),
        listeners.map(|listener| {
            Sample::new(truth(shared.pauses.is_paused(&listener.address))).with("listener", &listener.name)
        }),
    )
}

fn look(state: &State) -> Seen {
    let settings = state.shared.settings();
    let listeners = &settings.config.listeners;
    let mut seen = Seen {
        // All of them, so that none appears only once it has happened.
        holds: Hold::all().map(|hold| (hold.name(), 0)).collect(),
        listeners: vec![0; listeners.len()],
        ..Seen::default()
    };
    state.shared.registry.each(|_, entry| {
        seen.transactions += u64::from(entry.in_transaction().is_some());
        seen.working += u64::from(!entry.is_idle());
        for hold in entry.holds().iter() {
            if let Some((_, count)) = seen.holds.iter_mut().find(|(name, _)| *name == hold.name()) {
                *count += 1;
            }
        }
        let place = listeners
            .iter()
            .position(|listener| *listener.name == *entry.listener);
        if let Some(count) = place.and_then(|place| seen.listeners.get_mut(place)) {
            *count += 1;
        }
    });
    seen
}
