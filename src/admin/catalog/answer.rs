//! What a question to a table is answered with, and how the rows are chosen.

use std::cmp::Ordering;
use std::collections::HashSet;

use thiserror::Error;

use super::table::{Column, Kind, Table};
use super::value::{Row, Value};
use crate::admin::language::{Condition, DESCRIBED, Operator, Query};
use crate::util::like::like;
use crate::util::suggest::nearest;

/// Rows under columns.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    pub columns: Vec<(String, Kind)>,
    pub rows: Vec<Row>,
}

/// There is no such column.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no column `{column}`{}", hint(.suggestion, .columns))]
pub struct NoColumn {
    pub column: String,
    pub suggestion: Option<String>,
    pub columns: String,
}

fn hint(suggestion: &Option<String>, columns: &str) -> String {
    match suggestion {
        Some(column) => format!("; did you mean `{column}`?"),
        None => format!("; there are {columns}"),
    }
}

// === impl Answer ===

impl Answer {
    pub fn new(columns: &[Column], rows: Vec<Row>) -> Self {
        let columns = columns.iter().map(|column| (column.name.to_owned(), column.kind));
        Self {
            columns: columns.collect(),
            rows,
        }
    }

    /// Columns of texts.
    pub fn of_texts(columns: &[&str], rows: Vec<Row>) -> Self {
        let columns = columns.iter().map(|name| ((*name).to_owned(), Kind::Text));
        Self {
            columns: columns.collect(),
            rows,
        }
    }

    /// The columns of a table, as SHOW FULL COLUMNS shows them; DESCRIBE leaves the last three out.
    pub fn describing(table: &Table) -> Self {
        let row = |column: &Column| {
            vec![
                column.name.into(),
                column.kind.sql().into(),
                "YES".into(),
                "".into(),
                Value::Null,
                "".into(),
                Value::Null,
                "select".into(),
                "".into(),
            ]
        };
        Self::of_texts(&DESCRIBED, table.columns.iter().map(row).collect())
    }

    /// The rows, columns and order that are asked for.
    pub fn select(mut self, query: &Query) -> Result<Self, NoColumn> {
        if let Some(pattern) = &query.like {
            self.rows.retain(|row| {
                row.first()
                    .is_some_and(|value| is_like(&value.to_string(), pattern))
            });
        }
        for condition in &query.conditions {
            let column = self.place(&condition.column)?;
            self.rows
                .retain(|row| row.get(column).is_some_and(|value| holds(value, condition)));
        }
        if query.count {
            let name = query.names.first().map_or("COUNT(*)", |(_, name)| name);
            return Ok(Self {
                columns: vec![(name.to_owned(), Kind::Integer)],
                rows: vec![vec![self.rows.len().into()]],
            });
        }
        self.sort(query)?;
        let mut chosen = self.choose(query)?;
        if query.distinct {
            let mut seen = HashSet::new();
            chosen.rows.retain(|row| seen.insert(format!("{row:?}")));
        }
        if let Some((skipped, most)) = query.limit {
            chosen.rows = chosen.rows.into_iter().skip(skipped).take(most).collect();
        }
        Ok(chosen)
    }

    /// A column more, with the same value in each row.
    pub fn with(mut self, name: &str, kind: Kind, value: &Value) -> Self {
        self.columns.push((name.to_owned(), kind));
        for row in &mut self.rows {
            row.push(value.clone());
        }
        self
    }

    /// The columns that are asked for, under the names that are asked for.
    fn choose(self, query: &Query) -> Result<Self, NoColumn> {
        if query.columns.is_empty() {
            return Ok(self);
        }
        let places = query.columns.iter().map(|column| self.place(column));
        let places: Vec<_> = places.collect::<Result<_, _>>()?;
        let chosen = |row: &Row| {
            places
                .iter()
                .filter_map(|place| row.get(*place).cloned())
                .collect()
        };
        let columns = places
            .iter()
            .filter_map(|place| self.columns.get(*place).cloned());
        let mut columns: Vec<_> = columns.collect();
        for (place, name) in &query.names {
            if let Some((column, _)) = columns.get_mut(*place) {
                column.clone_from(name);
            }
        }
        Ok(Self {
            rows: self.rows.iter().map(chosen).collect(),
            columns,
        })
    }

    fn sort(&mut self, query: &Query) -> Result<(), NoColumn> {
        // By the table's name for it, or by that of the question.
        let named = |wanted: &str| {
            let name = query
                .names
                .iter()
                .find(|(_, name)| name.eq_ignore_ascii_case(wanted));
            name.and_then(|(place, _)| query.columns.get(*place))
        };
        let keys = query.order.iter().map(|order| {
            let place = self.place(&order.column);
            let place =
                place.or_else(|none| named(&order.column).map_or(Err(none), |column| self.place(column)));
            Ok((place?, order.descending))
        });
        let keys: Vec<_> = keys.collect::<Result<_, NoColumn>>()?;
        self.rows.sort_by(|left, right| {
            keys.iter().fold(Ordering::Equal, |known, (column, descending)| {
                known.then_with(|| {
                    let (left, right) = (left.get(*column), right.get(*column));
                    let order = left
                        .zip(right)
                        .map_or(Ordering::Equal, |(left, right)| compare(left, right));
                    if *descending { order.reverse() } else { order }
                })
            })
        });
        Ok(())
    }

    fn place(&self, column: &str) -> Result<usize, NoColumn> {
        let mut names = self.columns.iter().map(|(name, _)| name.as_str());
        if let Some(place) = names.position(|name| name.eq_ignore_ascii_case(column)) {
            return Ok(place);
        }
        let names: Vec<_> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        Err(NoColumn {
            column: column.to_owned(),
            suggestion: nearest(column, names.iter().copied()).map(str::to_owned),
            columns: names.join(", "),
        })
    }
}

/// NULL comes first; numbers by their size, texts by their letters without regard to case.
fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        _ => match (number(left), number(right)) {
            (Some(left), Some(right)) => left.total_cmp(&right),
            _ => left
                .to_string()
                .to_lowercase()
                .cmp(&right.to_string().to_lowercase()),
        },
    }
}

#[allow(clippy::cast_precision_loss)]
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Decimal(number) => Some(*number),
        Value::Boolean(truth) => Some(f64::from(u8::from(*truth))),
        Value::Null | Value::Text(_) => None,
    }
}

fn holds(value: &Value, condition: &Condition) -> bool {
    let operator = condition.operator;
    let Some(wanted) = &condition.value else {
        return match operator {
            Operator::Is | Operator::Equal => *value == Value::Null,
            Operator::IsNot | Operator::Unequal => *value != Value::Null,
            _ => false,
        };
    };
    if *value == Value::Null {
        return false;
    }
    let order = || compare_with_text(value, wanted);
    let is_listed = || {
        let mut listed = std::iter::once(wanted).chain(&condition.others);
        listed.any(|wanted| compare_with_text(value, wanted) == Ordering::Equal)
    };
    match operator {
        Operator::In => is_listed(),
        Operator::NotIn => !is_listed(),
        Operator::Equal | Operator::Is => order() == Ordering::Equal,
        Operator::Unequal | Operator::IsNot => order() != Ordering::Equal,
        Operator::Less => order() == Ordering::Less,
        Operator::LessOrEqual => order() != Ordering::Greater,
        Operator::Greater => order() == Ordering::Greater,
        Operator::GreaterOrEqual => order() != Ordering::Less,
        Operator::Like => is_like(&value.to_string(), wanted),
        Operator::NotLike => !is_like(&value.to_string(), wanted),
    }
}

fn compare_with_text(value: &Value, wanted: &str) -> Ordering {
    let truth = match wanted.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Some(true),
        "no" | "false" | "off" | "0" => Some(false),
        _ => None,
    };
    match (value, truth, wanted.parse::<f64>()) {
        (Value::Boolean(is), Some(wanted), _) => is.cmp(&wanted),
        (_, _, Ok(wanted)) if number(value).is_some() => compare(value, &Value::Decimal(wanted)),
        _ => compare(&Value::Text(value.to_string()), &Value::Text(wanted.to_owned())),
    }
}

/// As in SQL, and without regard to case.
fn is_like(text: &str, pattern: &str) -> bool {
    like(pattern.to_lowercase().as_bytes(), text.to_lowercase().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::language::{Command, parse};

    fn answer(text: &str) -> Result<Vec<String>, NoColumn> {
        let columns = [
            Column::text("server"),
            Column::decimal("lag_ms"),
            Column::boolean("backup"),
        ];
        let row = |name: &str, lag: Value, backup: bool| vec![name.into(), lag, backup.into()];
        let rows = vec![
            row("db1", Value::Decimal(9.5), false),
            row("db2", Value::Decimal(100.0), true),
            row("DB10", Value::Null, false),
        ];
        let Ok(Command::Query(query)) = parse(text) else {
            panic!("{text}");
        };
        let answer = Answer::new(&columns, rows).select(&query)?;
        let show = |row: &Row| row.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        Ok(answer.rows.iter().map(show).collect())
    }

    #[test]
    fn rows_and_columns_are_chosen() {
        let all = |text: &str| answer(text).unwrap();
        assert_eq!(all("SELECT server FROM t WHERE lag_ms > 20"), ["db2"]);
        assert_eq!(all("SELECT server FROM t WHERE lag_ms < '20'"), ["db1"]);
        assert_eq!(all("SELECT server FROM t WHERE backup = yes"), ["db2"]);
        assert_eq!(
            all("SELECT server FROM t WHERE backup = 0 AND lag_ms IS NULL"),
            ["DB10"]
        );
        assert_eq!(
            all("SELECT server FROM t WHERE server LIKE 'db1%'"),
            ["db1", "DB10"]
        );
        assert_eq!(all("SHOW t LIKE '%2'"), ["db2 100.000 yes"]);
        assert_eq!(
            all("SELECT server FROM t ORDER BY lag_ms DESC"),
            ["db2", "db1", "DB10"]
        );
        assert_eq!(
            all("SELECT server FROM t ORDER BY backup DESC, server LIMIT 2"),
            ["db2", "db1"]
        );
        assert_eq!(all("SELECT COUNT(*) FROM t WHERE server != 'db1'"), ["2"]);
        let wrong = answer("SELECT lag_m FROM t").unwrap_err().to_string();
        assert!(wrong.contains("did you mean `lag_ms`?"), "{wrong}");
    }

    #[test]
    fn columns_are_renamed_listed_and_counted() {
        let all = |text: &str| answer(text).unwrap();
        assert_eq!(
            all("SELECT x.server FROM s.t x WHERE x.server IN ('db1', 'db10')"),
            ["db1", "DB10"]
        );
        assert_eq!(
            all("SELECT server FROM t AS x WHERE server NOT IN ('db1') AND lag_ms BETWEEN 5 AND 200"),
            ["db2"]
        );
        assert_eq!(
            all("SELECT server FROM t WHERE server = 'db1' OR server = 'db2' LIMIT 1, 5"),
            ["db2"]
        );
        assert_eq!(
            all("SELECT DISTINCT backup FROM t ORDER BY backup"),
            ["no", "yes"]
        );
        assert_eq!(
            all("SELECT server AS name FROM t ORDER BY name DESC LIMIT 1"),
            ["db2"]
        );
        assert_eq!(all("SELECT COUNT(*) AS n FROM t LIMIT 1"), ["3"]);
        let Ok(Command::Query(query)) = parse("SELECT server AS metric, lag_ms `value` FROM t") else {
            panic!();
        };
        let columns = [Column::text("server"), Column::decimal("lag_ms")];
        let named = Answer::new(&columns, Vec::new()).select(&query).unwrap().columns;
        assert_eq!(
            named.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["metric", "value"]
        );
    }

    #[test]
    fn patterns_match_as_in_sql() {
        assert!(is_like("replica-1", "REPLICA%"));
        assert!(is_like("abc", "a_c"));
        assert!(!is_like("abc", "a_"));
        assert!(is_like("a%c", "a\\%c"));
        assert!(!is_like("abc", "a\\%c"));
    }
}
