//! SHOW FAILOVERS, SHOW FAILOVER ANALYSIS, SHOW EVENTS: what happened to the primary and may happen next.

use super::table::{Column, Table};
use super::value::{Row, Value};
use crate::admin::State;
use crate::failover::Report;
use crate::topology::events::Event;

pub const FAILOVERS: Table = Table {
    name: "failovers",
    about: "changes of the primary and returns of servers, the newest first",
    columns: &[
        Column::text("began"),
        Column::text("kind"),
        Column::text("from_server"),
        Column::text("to_server"),
        Column::integer("epoch"),
        Column::text("outcome"),
        Column::text("why"),
        Column::decimal("took_ms"),
        Column::decimal("pause_ms"),
        Column::integer("lost_transactions"),
        Column::text("lost"),
        Column::text("steps"),
    ],
    rows: failovers,
};

pub const ANALYSIS: Table = Table {
    name: "failover_analysis",
    about: "what the proxy thinks of the primary now: the verdict, why, and what would change it",
    columns: &[Column::text("item"), Column::text("value")],
    rows: analysis,
};

pub const EVENTS: Table = Table {
    name: "events",
    about: "what happened to the servers, the newest first",
    columns: &[
        Column::text("at"),
        Column::text("kind"),
        Column::text("server"),
        Column::text("text"),
        Column::text("details"),
    ],
    rows: events,
};

fn failovers(state: &State) -> Vec<Row> {
    let Some(failover) = &state.failover else {
        return Vec::new();
    };
    // Clients write again before the last of its steps is done.
    let all = failover.under_way().into_iter().chain(failover.history());
    all.map(|report| row(&report)).collect()
}

pub fn row(report: &Report) -> Row {
    vec![
        Value::time(report.began),
        report.kind.word().into(),
        report.from.as_ref().into(),
        report.to.as_ref().into(),
        report.epoch.into(),
        report.outcome.word().into(),
        report.outcome.why().into(),
        Value::millis(report.took),
        report.pause.map(Value::millis).into(),
        report.gap.as_ref().map(|gap| gap.transactions).into(),
        report.gap.as_ref().map(|gap| gap.text.as_str()).into(),
        steps(report).into(),
    ]
}

fn steps(report: &Report) -> String {
    let step = |step: &crate::failover::StepReport| {
        let server = step
            .server
            .as_ref()
            .map(|server| format!("{server}: "))
            .unwrap_or_default();
        let error = step
            .error
            .as_ref()
            .map(|error| format!(" ({error})"))
            .unwrap_or_default();
        format!("{server}{} [{} ms]{error}", step.text, step.took.as_millis())
    };
    report.steps.iter().map(step).collect::<Vec<_>>().join("; ")
}

fn analysis(state: &State) -> Vec<Row> {
    let Some(failover) = &state.failover else {
        return vec![vec![
            "verdict".into(),
            "failover is off: `failover.mode: off`".into(),
        ]];
    };
    let analysis = failover.analysis();
    let mut rows = vec![
        vec!["verdict".into(), analysis.verdict.word().into()],
        vec!["rule".into(), analysis.rule.into()],
        vec![
            "paused".into(),
            Value::Boolean(failover.is_paused()).to_string().into(),
        ],
        vec!["gate".into(), gate(state).into()],
    ];
    rows.extend(
        analysis
            .findings
            .into_iter()
            .map(|line| vec!["finding".into(), line.into()]),
    );
    rows.extend(
        analysis
            .change
            .into_iter()
            .map(|line| vec!["would change it".into(), line.into()]),
    );
    rows
}

/// Whether writes may be sent.
pub fn gate(state: &State) -> String {
    match state.shared.topology.gate().shut_because() {
        None => "open".to_owned(),
        Some(shut) => format!("shut for {} ms: {}", shut.since.elapsed().as_millis(), shut.why),
    }
}

fn events(state: &State) -> Vec<Row> {
    let most = state.shared.settings().config.monitor.events as usize;
    let events = state.shared.topology.events().latest(most);
    events.iter().rev().map(|event| event_row(event)).collect()
}

fn event_row(event: &Event) -> Row {
    let details = event
        .details
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let details = details.collect::<Vec<_>>().join(" ");
    vec![
        Value::time(event.at),
        event.kind.word().into(),
        event.server.as_ref().into(),
        event.text.as_str().into(),
        details.into(),
    ]
}
