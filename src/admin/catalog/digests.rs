//! SHOW DIGESTS: what was counted of each kind of statement, by user, schema and server.

use std::collections::HashMap;
use std::time::SystemTime;

use tokio::time::Instant;

use super::table::{Column, Table};
use super::value::{Row, Value};
use crate::admin::State;
use crate::frontend::digests;

pub const NAME: &str = "digests";

pub const TABLE: Table = Table {
    name: NAME,
    about: "statements by what they are without literals: calls, times, rows and errors; ORDER BY .. LIMIT ..",
    columns: &[
        Column::text("digest"),
        Column::text("user"),
        Column::text("schema"),
        Column::text("server"),
        Column::integer("calls"),
        Column::integer("errors"),
        Column::integer("rows"),
        Column::integer("bytes"),
        Column::decimal("total_ms"),
        Column::decimal("mean_ms"),
        Column::decimal("p50_ms"),
        Column::decimal("p95_ms"),
        Column::decimal("p99_ms"),
        Column::decimal("max_ms"),
        Column::integer("on_primary"),
        Column::integer("on_replica"),
        Column::decimal("share_percent"),
        Column::text("first_seen"),
        Column::text("last_seen"),
        Column::text("statement"),
    ],
    // The threads have to be asked: `rows` does it.
    rows: |_| Vec::new(),
};

/// What took most of the time comes first.
pub async fn rows(state: &State) -> Vec<Row> {
    let mut rows = digests::ask(&state.shared).await;
    rows.sort_by_key(|row| std::cmp::Reverse(row.numbers.time));
    let mut calls: HashMap<_, u64> = HashMap::new();
    for row in &rows {
        *calls.entry(wherever(row)).or_default() += row.numbers.calls;
    }
    let shown = |row: &digests::Row| {
        let all = calls.get(&wherever(row)).copied().unwrap_or(row.numbers.calls);
        show(state, row, all)
    };
    rows.iter().map(shown).collect()
}

/// The same statement of the same user, on whatever server.
fn wherever(row: &digests::Row) -> (bool, u64, &[u8], Option<&[u8]>) {
    (row.is_other, row.digest, &row.user, row.schema.as_deref())
}

#[allow(clippy::cast_precision_loss)]
fn show(state: &State, row: &digests::Row, all: u64) -> Row {
    let numbers = &row.numbers;
    let text = |bytes: &[u8]| Value::Text(String::from_utf8_lossy(bytes).into_owned());
    let of_row = |value: Value| if row.is_other { Value::Null } else { value };
    let server = row.server.and_then(|server| state.shared.servers.get(server));
    let share = numbers.calls as f64 * 100.0 / all.max(1) as f64;
    vec![
        of_row(format!("{:016x}", row.digest).into()),
        of_row(text(&row.user)),
        row.schema.as_deref().map_or(Value::Null, text),
        Value::text_or_null(server.as_ref().map(|server| server.name())),
        numbers.calls.into(),
        numbers.errors.into(),
        numbers.rows.into(),
        numbers.bytes.into(),
        Value::millis(numbers.time),
        Value::millis(numbers.mean()),
        Value::millis(numbers.percentile(50)),
        Value::millis(numbers.percentile(95)),
        Value::millis(numbers.percentile(99)),
        Value::millis(numbers.longest),
        numbers.primary.into(),
        numbers.replica.into(),
        Value::Decimal((share * 10.0).round() / 10.0),
        moment(numbers.first),
        moment(numbers.last),
        text(&row.shape),
    ]
}

/// The time of day that it was.
fn moment(then: Instant) -> Value {
    let now = SystemTime::now();
    Value::time(now.checked_sub(then.elapsed()).unwrap_or(now))
}
