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
    waiting(families, state)?;
    changes(families, state)
}

/// What a lost primary meant for clients.
fn waiting(families: &mut Families<'_>, state: &State) -> fmt::Result {
    let counts = &state.shared.recovery;
    families.gauge(
        Name::new(
            "splitrail_statements_parked",
            "Statements that wait for a primary now",
        ),
        [Sample::new(number(state.shared.lot.parked()))],
    )?;
    families.counter(
        Name::new(
            "splitrail_statements_waited",
            "Times that a statement began to wait for a primary",
        ),
        [Sample::new(counts.parked.get())],
    )?;
    let refused = [
        ("timeout", &counts.timed_out),
        ("crowded", &counts.crowded),
        ("client_left", &counts.left),
    ];
    families.counter(
        Name::new(
            "splitrail_statements_given_up",
            "Statements that waited for a primary in vain, by reason",
        ),
        refused.map(|(reason, count)| Sample::new(count.get()).with("reason", reason)),
    )?;
    recovered(families, state)
}

/// What became of what had begun on a server that was lost.
fn recovered(families: &mut Families<'_>, state: &State) -> fmt::Result {
    let counts = &state.shared.recovery;
    let replays = [
        ("replayed", &counts.replayed),
        ("different", &counts.different),
        ("unreplayable", &counts.unreplayable),
    ];
    families.counter(
        Name::new(
            "splitrail_transactions_recovered",
            "Open transactions that lost their server, by what became of them",
        ),
        replays.map(|(outcome, count)| Sample::new(count.get()).with("outcome", outcome)),
    )?;
    families.counter(
        Name::new(
            "splitrail_reads_repeated",
            "Reads sent again, because nothing of their result had come",
        ),
        [Sample::new(counts.repeated.get())],
    )?;
    families.counter(
        Name::new(
            "splitrail_outcomes_unknown",
            "Writes and commits that were sent and never answered",
        ),
        [Sample::new(counts.ambiguous.get())],
    )?;
    let settled = [
        ("committed", &counts.committed),
        ("not_committed", &counts.not_committed),
        ("unknown", &counts.unsettled),
    ];
    families.counter(
        Name::new(
            "splitrail_commits_settled",
            "Commits that were never answered and had left evidence, by what it told",
        ),
        settled.map(|(outcome, count)| Sample::new(count.get()).with("outcome", outcome)),
    )?;
    families.counter(
        Name::new(
            "splitrail_commits_without_evidence",
            "Commits that left no evidence because the server refused it",
        ),
        [Sample::new(counts.unproven.get())],
    )?;
    families.counter(
        Name::new(
            "splitrail_connections_evicted",
            "Server connections given up in changes of the primary",
        ),
        [Sample::new(counts.evicted.get())],
    )
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
    let all = [
        (
            "splitrail_failovers",
            "New primaries because the old one was lost",
            &counters.promotions,
        ),
        (
            "splitrail_switchovers",
            "New primaries because an operator wanted another one",
            &counters.switchovers,
        ),
        (
            "splitrail_rejoins",
            "Servers that were made to follow the primary",
            &counters.rejoins,
        ),
        (
            "splitrail_failover_reclones",
            "Servers that were made anew by the program of failover.reclone",
            &counters.reclones,
        ),
        (
            "splitrail_failovers_undone",
            "Changes that did not work, after which all is as it was",
            &counters.undone,
        ),
        (
            "splitrail_failovers_failed",
            "Changes that did not work, and somebody has to look",
            &counters.failed,
        ),
        (
            "splitrail_failover_lost_transactions",
            "Transactions that promotions are known to have lost",
            &counters.lost,
        ),
    ];
    for (name, help, counter) in all {
        families.counter(Name::new(name, help), one(counter))?;
    }
    Ok(())
}
