//! Changes of the primary, what led to them and what they cost.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::family::{Families, Name, Sample, number, truth};
use crate::admin::State;
use crate::topology::events::EventKind;

pub fn write(families: &mut Families<'_>, state: &State) -> fmt::Result {
    let topology = &state.shared.topology;
    let snapshot = topology.snapshot();
    families.gauge(
        Name::new(
            "splitrail_primary_known",
            "Whether there is a server that takes writes, up or not",
        ),
        [Sample::new(truth(snapshot.primary.is_some()))],
    )?;
    families.gauge(
        Name::new("splitrail_epoch", "Grows with every change of the primary"),
        [Sample::new(number(snapshot.epoch))],
    )?;
    let shut = topology.gate().shut_because();
    families.gauge(
        Name::new("splitrail_gate_open", "Whether writes may be sent"),
        [Sample::new(truth(shut.is_none()))],
    )?;
    families.gauge(
        Name::seconds(
            "splitrail_gate_shut",
            "For how long writes have been waiting; 0 while the gate is open",
        ),
        [Sample::new(
            shut.map_or(0.0, |shut| shut.since.elapsed().as_secs_f64()),
        )],
    )?;
    families.counter(
        Name::new("splitrail_events", "What happened to the servers"),
        EventKind::ALL.map(|kind| Sample::new(topology.events().count(kind)).with("kind", kind.word())),
    )?;
    changes(families, state)
}

fn changes(families: &mut Families<'_>, state: &State) -> fmt::Result {
    let Some(failover) = &state.failover else {
        return Ok(());
    };
    let counters = failover.counters();
    let one = |counter: &AtomicU64| [Sample::new(counter.load(Ordering::Relaxed))];
    families.gauge(
        Name::new(
            "splitrail_failover_paused",
            "Whether an operator has stopped automatic promotions",
        ),
        [Sample::new(truth(failover.is_paused()))],
    )?;
    families.counter(
        Name::new(
            "splitrail_failovers",
            "New primaries because the old one was lost",
        ),
        one(&counters.promotions),
    )?;
    families.counter(
        Name::new(
            "splitrail_switchovers",
            "New primaries because an operator wanted another one",
        ),
        one(&counters.switchovers),
    )?;
    families.counter(
        Name::new(
            "splitrail_rejoins",
            "Servers that were made to follow the primary",
        ),
        one(&counters.rejoins),
    )?;
    families.counter(
        Name::new(
            "splitrail_failovers_undone",
            "Changes that did not work, after which all is as it was",
        ),
        one(&counters.undone),
    )?;
    families.counter(
        Name::new(
            "splitrail_failovers_failed",
            "Changes that did not work, and somebody has to look",
        ),
        one(&counters.failed),
    )?;
    families.counter(
        Name::new(
            "splitrail_failover_lost_transactions",
            "Transactions that promotions are known to have lost",
        ),
        one(&counters.lost),
    )
}
