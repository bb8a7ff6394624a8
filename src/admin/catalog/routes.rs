//! SHOW ROUTES: how many statements went where they went, by reason.

use super::table::{Column, Table};
use super::value::{Row, Value};
use crate::admin::State;

pub const TABLE: Table = Table {
    name: "routes",
    about: "why statements ran where they did: how many for each reason",
    columns: &[
        Column::text("reason"),
        Column::integer("statements"),
        Column::decimal("share_percent"),
    ],
    rows,
};

/// Each reason with its statements since the start, over all threads.
pub fn counts(state: &State) -> Vec<(&'static str, u64)> {
    let mut counts: Vec<(&'static str, u64)> = Vec::new();
    for traffic in &state.shared.traffic {
        for (place, (reason, count)) in traffic.reasons().enumerate() {
            match counts.get_mut(place) {
                Some((_, sum)) => *sum += count,
                None => counts.push((reason, count)),
            }
        }
    }
    counts
}

#[allow(clippy::cast_precision_loss)]
fn rows(state: &State) -> Vec<Row> {
    let forgotten = state.forgotten_routes();
    let mut counts = counts(state);
    for (place, (_, count)) in counts.iter_mut().enumerate() {
        *count = count.saturating_sub(forgotten.get(place).copied().unwrap_or(0));
    }
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    counts.retain(|(_, count)| *count > 0);
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let row = |(reason, count): (&str, u64)| {
        let share = count as f64 * 100.0 / all as f64;
        vec![
            reason.into(),
            count.into(),
            Value::Decimal((share * 10.0).round() / 10.0),
        ]
    };
    counts.into_iter().map(row).collect()
}
