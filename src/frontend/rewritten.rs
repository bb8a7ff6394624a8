//! What a text says of its client's connection, said so that a connection that others use as well answers it right.

use std::ops::Range;

use crate::sql::{self, Dialect, Features, Flags, Function, Verb};

/// What a connection that another session used last does not know.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub row_count: Option<i64>,
    pub found_rows: Option<u64>,
}

/// A place of the text, and what stands there instead.
type Piece = (Range<usize>, Vec<u8>);

/// The text without what the server would answer or do otherwise than it should. `CONNECTION_ID()` is the
/// client's own id, the one in its greeting; where a statement compares it with the server's list of threads or with
/// who has a lock, it has to be the server's.
pub fn rewritten(
    text: &[u8],
    features: &Features,
    dialect: Dialect,
    id: u32,
    counts: Counts,
) -> Option<Vec<u8>> {
    if features.has(Flags::SPANS_OVERFLOW) {
        return None;
    }
    let mut pieces: Vec<Piece> = Vec::new();
    for span in features.spans() {
        let Some(new) = value(span.function, features, id, counts) else {
            continue;
        };
        let mut new = new.into_bytes();
        if span.bare {
            new.extend(named(&text[span.range()]));
        }
        pieces.push((span.range(), new));
    }
    if features.verb == Verb::Select && !pieces.is_empty() {
        name_items(text, dialect, &mut pieces);
    }
    (!pieces.is_empty()).then(|| put_together(text, &pieces))
}

/// What a statement to be prepared is turned into: it holds for all executions.
pub fn rewritten_for_good(text: &[u8], features: &Features, dialect: Dialect, id: u32) -> Option<Vec<u8>> {
    rewritten(text, features, dialect, id, Counts::default())
}

fn value(function: Function, features: &Features, id: u32, counts: Counts) -> Option<String> {
    match function {
        Function::ConnectionId if features.verb == Verb::Kill => Some(id.to_string()),
        // A bare number would be a column's place behind ORDER BY.
        Function::ConnectionId if !features.has(Flags::PROCESS_LIST | Flags::CHECKS_LOCK) => {
            Some(format!("CAST({id} AS UNSIGNED)"))
        }
        Function::UnscopedVariable => Some("SESSION.".to_owned()),
        Function::RowCount => counts.row_count.map(|count| format!("CAST({count} AS SIGNED)")),
        Function::FoundRows => counts.found_rows.map(|count| format!("CAST({count} AS SIGNED)")),
        Function::ConnectionId | Function::LastInsertId => None,
    }
}

/// Columns keep the names that the text as it was would have given them.
fn name_items(text: &[u8], dialect: Dialect, pieces: &mut Vec<Piece>) {
    let changed: Vec<Range<usize>> = pieces.iter().map(|(range, _)| range.clone()).collect();
    for item in sql::unnamed_items(text, dialect) {
        // One that is replaced as a whole has its name.
        if changed
            .iter()
            .any(|range| item.contains(&range.start) && *range != item)
        {
            pieces.push((item.end..item.end, named(&text[item])));
        }
    }
    pieces.sort_by_key(|(range, _)| range.start);
}

fn named(text: &[u8]) -> Vec<u8> {
    [b" AS ", &*sql::quote_identifier(text)].concat()
}

fn put_together(text: &[u8], pieces: &[Piece]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 32);
    let mut copied = 0;
    for (range, new) in pieces {
        out.extend_from_slice(&text[copied..range.start]);
        out.extend_from_slice(new);
        copied = range.end;
    }
    out.extend_from_slice(&text[copied..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_keep_their_names() {
        let said = |text: &str| {
            let dialect = Dialect::default();
            let new = rewritten_for_good(text.as_bytes(), &sql::scan(text.as_bytes(), dialect), dialect, 7);
            new.map(|new| String::from_utf8(new).unwrap())
        };
        for (text, new) in [
            ("SELECT 1", None),
            ("DO CONNECTION_ID()", Some("DO CAST(7 AS UNSIGNED)")),
            ("KILL CONNECTION_ID()", Some("KILL 7")),
            (
                "SELECT CONNECTION_ID()",
                Some("SELECT CAST(7 AS UNSIGNED) AS `CONNECTION_ID()`"),
            ),
            (
                "SELECT 2 > CONNECTION_ID( ), CONNECTION_ID() + 1 n",
                Some("SELECT 2 > CAST(7 AS UNSIGNED) AS `2 > CONNECTION_ID( )`, CAST(7 AS UNSIGNED) + 1 n"),
            ),
            (
                "SELECT (SELECT CONNECTION_ID())",
                Some(
                    "SELECT (SELECT CAST(7 AS UNSIGNED) AS `CONNECTION_ID()`) AS `(SELECT CONNECTION_ID())`",
                ),
            ),
        ] {
            assert_eq!(said(text).as_deref(), new, "{text}");
        }
    }
}
