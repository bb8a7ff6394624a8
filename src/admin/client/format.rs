//! Rows as a table for people, and as JSON and CSV for programs.

use std::fmt::Write;

use super::connection::Rows;

/// A cell of a table is cut after this many characters.
const WIDEST: usize = 100;

pub fn table(rows: &Rows) -> String {
    let shown = |field: &Option<String>| {
        let text = field
            .as_deref()
            .unwrap_or("NULL")
            .replace(['\n', '\r', '\t'], " ");
        match text.char_indices().nth(WIDEST) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    };
    let cells: Vec<Vec<String>> = rows
        .rows
        .iter()
        .map(|row| row.iter().map(shown).collect())
        .collect();
    let width = |column: usize| {
        let longest = cells.iter().filter_map(|row| row.get(column));
        let longest = longest.map(|cell| cell.chars().count()).max().unwrap_or(0);
        longest.max(rows.columns[column].chars().count())
    };
    let widths: Vec<_> = (0..rows.columns.len()).map(width).collect();
    let mut text = String::new();
    line(&mut text, &rows.columns, &widths, &[]);
    for row in &cells {
        line(&mut text, row, &widths, &rows.numeric);
    }
    text
}

/// Numbers stand at the right.
fn line(text: &mut String, cells: &[String], widths: &[usize], numeric: &[bool]) {
    let mut written = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let space = " ".repeat(width.saturating_sub(cell.chars().count()));
        let _ = match numeric.get(column) {
            Some(true) => write!(written, "{space}{cell}  "),
            _ => write!(written, "{cell}{space}  "),
        };
    }
    text.push_str(written.trim_end());
    text.push('\n');
}

/// An object for each row; for a command without rows, one with what it said.
pub fn json(rows: &Rows) -> String {
    use serde_json::Value;
    if rows.columns.is_empty() {
        return format!("{{\"done\":{}}}\n", Value::from(rows.info.as_str()));
    }
    // A map would sort them by name.
    let object = |row: &Vec<Option<String>>| {
        let field = |(column, field): (usize, &Option<String>)| {
            let value = match field {
                None => Value::Null,
                Some(text) if rows.numeric[column] => number(text),
                Some(text) => Value::from(text.as_str()),
            };
            format!("    {}: {value}", Value::from(rows.columns[column].as_str()))
        };
        let fields: Vec<_> = row.iter().enumerate().map(field).collect();
        format!("  {{\n{}\n  }}", fields.join(",\n"))
    };
    let list: Vec<_> = rows.rows.iter().map(object).collect();
    match list.is_empty() {
        true => "[]\n".to_owned(),
        false => format!("[\n{}\n]\n", list.join(",\n")),
    }
}

fn number(text: &str) -> serde_json::Value {
    text.parse::<u64>()
        .map(serde_json::Value::from)
        .or_else(|_| text.parse::<f64>().map(serde_json::Value::from))
        .unwrap_or_else(|_| serde_json::Value::from(text))
}

pub fn csv(rows: &Rows) -> String {
    let mut text = String::new();
    let mut push = |fields: Vec<&str>| {
        let fields: Vec<_> = fields.into_iter().map(quoted).collect();
        text.push_str(&fields.join(","));
        text.push('\n');
    };
    if rows.columns.is_empty() {
        push(vec!["done"]);
        push(vec![&rows.info]);
        return text;
    }
    push(rows.columns.iter().map(String::as_str).collect());
    for row in &rows.rows {
        push(
            row.iter()
                .map(|field| field.as_deref().unwrap_or_default())
                .collect(),
        );
    }
    text
}

fn quoted(field: &str) -> String {
    match field.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        let field = |text: &str| Some(text.to_owned());
        Rows {
            columns: vec!["server".to_owned(), "lag_ms".to_owned()],
            numeric: vec![false, true],
            rows: vec![vec![field("db1, \"a\""), None], vec![field("db2"), field("12.5")]],
            info: String::new(),
        }
    }

    #[test]
    fn people_get_columns() {
        let text = table(&rows());
        assert_eq!(text, "server    lag_ms\ndb1, \"a\"    NULL\ndb2         12.5\n");
    }

    #[test]
    fn programs_get_json_and_csv() {
        let text = json(&rows());
        assert!(text.find("server") < text.find("lag_ms"), "{text}");
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            json(&Rows {
                rows: Vec::new(),
                ..rows()
            }),
            "[]\n"
        );
        assert_eq!(parsed[1]["lag_ms"], 12.5);
        assert_eq!(parsed[0]["lag_ms"], serde_json::Value::Null);
        assert_eq!(csv(&rows()), "server,lag_ms\n\"db1, \"\"a\"\"\",\ndb2,12.5\n");
        let said = Rows {
            info: "db2 is set to drain".to_owned(),
            ..Rows::default()
        };
        assert_eq!(json(&said), "{\"done\":\"db2 is set to drain\"}\n");
    }
}
