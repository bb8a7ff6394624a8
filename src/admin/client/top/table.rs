//! From the proxy's tables to the lines of the panels.

use std::cmp::Ordering;

use super::measure::{count, rate, time};
use super::panel::Panel;
use super::sample::{Counters, Rates, Sample};
use super::screen::Tone;
use crate::admin::client::connection::Rows;

/// One row of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The same thing has the same one in the next sample.
    pub key: String,
    /// One for each column.
    pub fields: Vec<Field>,
    pub tone: Tone,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Field {
    pub text: String,
    /// By which it is sorted, where it is a number that is known.
    pub number: Option<f64>,
}

/// All panels' lines, and what is said above them.
#[derive(Debug, Default)]
pub struct Tables {
    pub lines: [Vec<Line>; 3],
    /// Of all servers together.
    pub statements_per_second: Option<f64>,
}

// === impl Tables ===

impl Tables {
    /// `before` becomes what the next sample is compared with.
    pub fn of(sample: &Sample, before: &mut Counters) -> Self {
        let mut next = Counters::at(sample.at);
        let digests = digests(&sample.digests, before, &mut next);
        let (servers, statements_per_second) = servers(sample, before, &mut next);
        *before = next;
        Self {
            lines: [servers, sessions(&sample.sessions), digests],
            statements_per_second,
        }
    }

    pub fn of_panel(&self, panel: Panel) -> &[Line] {
        &self.lines[panel.place()]
    }
}

// === impl Field ===

impl Field {
    fn text(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            number: None,
        }
    }

    fn number(number: Option<f64>, show: impl Fn(f64) -> String) -> Self {
        Self {
            text: number.map_or_else(|| "-".to_owned(), show),
            number,
        }
    }

    /// What is not known comes last, whatever the direction.
    pub fn compare(&self, other: &Self, descending: bool) -> Ordering {
        let turned = |order: Ordering| if descending { order.reverse() } else { order };
        match (self.number, other.number) {
            (Some(left), Some(right)) => turned(left.total_cmp(&right)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => match (self.text.is_empty(), other.text.is_empty()) {
                (false, false) => turned(self.text.to_lowercase().cmp(&other.text.to_lowercase())),
                (left, right) => left.cmp(&right),
            },
        }
    }
}

/// A field that is a number, if it is one.
fn parsed(rows: &Rows, row: usize, column: &str) -> Option<f64> {
    rows.get(row, column)
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}

fn grown(rates: Rates, place: usize) -> Option<f64> {
    rates.map(|rates| rates[place])
}

fn servers(sample: &Sample, before: &Counters, next: &mut Counters) -> (Vec<Line>, Option<f64>) {
    let rows = &sample.servers;
    let mut all = None;
    let mut lines = Vec::new();
    for row in 0..rows.rows.len() {
        let field = |column| rows.get(row, column);
        let number = |column| parsed(rows, row, column);
        let name = field("server");
        let counted = ["statements", "reads", "errors"].map(|column| number(column).unwrap_or(0.0));
        let rates = before.grow(next, format!("server {name}"), counted);
        if let Some([statements, ..]) = rates {
            *all.get_or_insert(0.0) += statements;
        }
        let reads = rates
            .filter(|[statements, ..]| *statements > 0.0)
            .map(|[statements, reads, _]| reads * 100.0 / statements);
        let lag = number("lag_ms").filter(|_| field("role") != "primary");
        let connections = format!("{}/{}", field("connections"), field("max_connections"));
        let latency = number("latency_ms").or_else(|| mean_of(sample, name, before));
        lines.push(Line {
            key: name.to_owned(),
            tone: tone_of_server(field("health"), field("state"), field("problem")),
            fields: vec![
                Field::text(name),
                Field::text(field("role")),
                Field::text(field("health")),
                Field::text(field("state")),
                Field::number(lag, time),
                Field::number(grown(rates, 0), rate),
                Field::number(reads, |share| format!("{share:.0}%")),
                Field::number(grown(rates, 2), rate),
                Field::number(number("connections"), |_| connections.clone()),
                Field::number(number("in_flight"), count),
                Field::number(latency, time),
                Field::number(number("weight"), count),
                Field::text(field("problem")),
            ],
        });
    }
    (lines, all)
}

/// How long statements took at a server since the sample before, where the proxy measures no latency of its own.
fn mean_of(sample: &Sample, server: &str, before: &Counters) -> Option<f64> {
    let rows = &sample.digests;
    let mut scrap = Counters::at(sample.at);
    let (mut calls, mut taken) = (0.0, 0.0);
    for row in (0..rows.rows.len()).filter(|row| rows.get(*row, "server") == server) {
        if let Some([more, time, _]) =
            before.grow(&mut scrap, digest_key(rows, row), digest_counters(rows, row))
        {
            calls += more;
            taken += time;
        }
    }
    (calls > 0.0).then(|| taken / calls)
}

fn tone_of_server(health: &str, state: &str, problem: &str) -> Tone {
    match (health, state) {
        ("up", "online") if problem.is_empty() => Tone::Plain,
        ("up", _) => Tone::Warning,
        _ => Tone::Bad,
    }
}

/// Those that do something come first, then those that hold something, each with the longest first.
fn sessions(rows: &Rows) -> Vec<Line> {
    let mut places: Vec<usize> = (0..rows.rows.len()).collect();
    let rank = |row: usize| match (rows.get(row, "state"), rows.get(row, "holds")) {
        ("idle", "") => 2,
        ("idle", _) => 1,
        _ => 0,
    };
    let age = |row: usize| parsed(rows, row, "state_ms").unwrap_or(0.0);
    places.sort_by(|left, right| {
        rank(*left)
            .cmp(&rank(*right))
            .then(age(*right).total_cmp(&age(*left)))
    });
    let line = |row: usize| {
        let field = |column| Field::text(rows.get(row, column));
        let number = |column, show: fn(f64) -> String| Field::number(parsed(rows, row, column), show);
        Line {
            key: rows.get(row, "id").to_owned(),
            tone: match rank(row) {
                0 => Tone::Plain,
                1 => Tone::Warning,
                _ => Tone::Quiet,
            },
            fields: vec![
                number("id", |id| format!("{id:.0}")),
                field("user"),
                field("address"),
                field("db"),
                field("state"),
                number("state_ms", time),
                field("server"),
                field("holds"),
                number("statements", count),
                field("statement"),
            ],
        }
    };
    places.into_iter().map(line).collect()
}

fn digests(rows: &Rows, before: &Counters, next: &mut Counters) -> Vec<Line> {
    let mut lines = Vec::new();
    for row in 0..rows.rows.len() {
        let field = |column| Field::text(rows.get(row, column));
        let number = |column| parsed(rows, row, column);
        let key = digest_key(rows, row);
        let rates = before.grow(next, key.clone(), digest_counters(rows, row));
        let fails = grown(rates, 2).is_some_and(|errors| errors > 0.0);
        let rests = grown(rates, 0) == Some(0.0);
        lines.push(Line {
            key,
            tone: match (fails, rests) {
                (true, _) => Tone::Bad,
                (_, true) => Tone::Quiet,
                _ => Tone::Plain,
            },
            fields: vec![
                Field::number(grown(rates, 0), rate),
                // Milliseconds a second are tenths of a percent of somebody's time.
                Field::number(grown(rates, 1), |load| format!("{:.1}%", load / 10.0)),
                Field::number(number("mean_ms"), time),
                Field::number(number("p95_ms"), time),
                Field::number(number("calls"), count),
                Field::number(number("errors"), count),
                field("server"),
                field("user"),
                field("schema"),
                field("statement"),
            ],
        });
    }
    lines
}

fn digest_key(rows: &Rows, row: usize) -> String {
    let parts = ["digest", "user", "schema", "server"].map(|column| rows.get(row, column));
    format!("digest {}", parts.join("\0"))
}

fn digest_counters(rows: &Rows, row: usize) -> [f64; 3] {
    ["calls", "total_ms", "errors"].map(|column| parsed(rows, row, column).unwrap_or(0.0))
}
