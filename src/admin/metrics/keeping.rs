//! What rules did, what is kept so that it need not be done again, and what was written about statements.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::family::{Families, Name, Sample, number};
use crate::admin::State;
use crate::frontend::traffic::{Tally, Traffic};

/// Rules with a number of their own; those behind them share one.
const RULES: usize = 500;

pub fn write(families: &mut Families<'_>, state: &State) -> fmt::Result {
    rules(families, state)?;
    results(families, state)?;
    statements(families, state)?;
    mirrored(families, state)?;
    spans(families, state)?;
    logs(families, state)
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn rules(families: &mut Families<'_>, state: &State) -> fmt::Result {
    let settings = state.shared.settings();
    let rest: u64 = settings.rules.hits().skip(RULES).map(|(_, hits)| hits).sum();
    let named = settings.rules.hits().take(RULES);
    let rest = (settings.rules.hits().count() > RULES).then_some(("other rules", rest));
    families.counter(
        Name::new("splitrail_rule_hits", "Statements that a rule was applied to"),
        named
            .chain(rest)
            .map(|(rule, hits)| Sample::new(hits).with("rule", rule)),
    )?;
    let ruled = &state.shared.ruled;
    let outcomes = [
        ("blocked", &ruled.blocked),
        ("delayed", &ruled.delayed),
        ("throttled", &ruled.throttled),
        ("timed_out", &ruled.timed_out),
    ];
    families.counter(
        Name::new(
            "splitrail_statements_ruled",
            "Statements that rules refused, held back or stopped",
        ),
        outcomes.map(|(outcome, counter)| Sample::new(count(counter)).with("outcome", outcome)),
    )
}

fn results(families: &mut Families<'_>, state: &State) -> fmt::Result {
    let settings = state.shared.settings();
    let Some(held) = settings.results.as_ref().map(|results| results.held()) else {
        return Ok(());
    };
    families.counter(
        Name::new(
            "splitrail_result_cache_lookups",
            "Statements for which a rule keeps results",
        ),
        [
            Sample::new(held.hits).with("result", "hit"),
            Sample::new(held.misses).with("result", "miss"),
        ],
    )?;
    families.gauge(
        Name::new("splitrail_result_cache_entries", "Results that are kept"),
        [Sample::new(number(held.entries))],
    )?;
    families.counter(
        Name::new(
            "splitrail_result_cache_removals",
            "Results that made room for others, and those of tables that were written to",
        ),
        [
            Sample::new(held.evictions).with("why", "room"),
            Sample::new(held.invalidations).with("why", "write"),
        ],
    )
}

/// What threads know of statements' texts.
fn statements(families: &mut Families<'_>, state: &State) -> fmt::Result {
    let sum = |of: fn(&Traffic) -> &Tally| -> u64 {
        let threads = state.shared.traffic.iter();
        threads.map(|thread| of(thread).get()).sum()
    };
    families.counter(
        Name::new(
            "splitrail_statement_cache_lookups",
            "Texts that were known already, literals aside, and those that had to be looked at",
        ),
        [
            Sample::new(sum(|thread| &thread.facts_hits)).with("result", "hit"),
            Sample::new(sum(|thread| &thread.facts_misses)).with("result", "miss"),
        ],
    )?;
    families.gauge(
        Name::new(
            "splitrail_statement_cache_entries",
            "Texts that are known, of all threads",
        ),
        [Sample::new(number(sum(|thread| &thread.facts_kept)))],
    )?;
    families.gauge(
        Name::new("splitrail_digests", "Rows of digests, of all threads"),
        [Sample::new(number(sum(|thread| &thread.digests_kept)))],
    )
}

fn spans(families: &mut Families<'_>, state: &State) -> fmt::Result {
    let Some(tracer) = &state.shared.tracer else {
        return Ok(());
    };
    let counts = &tracer.counts;
    families.counter(
        Name::new(
            "splitrail_trace_spans",
            "Spans of statements, by what became of them",
        ),
        [
            Sample::new(count(&counts.sent)).with("result", "sent"),
            Sample::new(count(&counts.dropped)).with("result", "dropped"),
            Sample::new(count(&counts.failed)).with("result", "failed"),
        ],
    )
}

fn mirrored(families: &mut Families<'_>, state: &State) -> fmt::Result {
    let mirrored = &state.shared.mirrored;
    let outcomes = [
        ("alike", &mirrored.alike),
        ("different", &mirrored.different),
        ("failed", &mirrored.failed),
        ("dropped", &mirrored.dropped),
    ];
    families.counter(
        Name::new(
            "splitrail_mirrored_statements",
            "Statements that ran on a second server too, by what came of it",
        ),
        outcomes.map(|(outcome, counter)| Sample::new(count(counter)).with("outcome", outcome)),
    )
}

fn logs(families: &mut Families<'_>, state: &State) -> fmt::Result {
    let (logged, audit) = (&state.shared.logged, &state.shared.audit.counts);
    families.counter(
        Name::new("splitrail_slow_statements", "Slower than log.slow.threshold"),
        [Sample::new(count(&logged.slow))],
    )?;
    families.counter(
        Name::new("splitrail_sampled_statements", "Drawn by log.sample"),
        [Sample::new(count(&logged.sampled))],
    )?;
    families.counter(
        Name::new(
            "splitrail_log_lines_dropped",
            "Lines about slow and drawn statements that were not written: there were too many",
        ),
        [Sample::new(count(&logged.left_out))],
    )?;
    let outcomes = [
        ("written", &audit.written),
        ("dropped", &audit.dropped),
        ("lost", &audit.lost),
    ];
    families.counter(
        Name::new(
            "splitrail_audit_records",
            "Records in the file, without room in the queue, and that could not be written",
        ),
        outcomes.map(|(outcome, counter)| Sample::new(count(counter)).with("outcome", outcome)),
    )
}
