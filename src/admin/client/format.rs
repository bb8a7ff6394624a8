//! Rows as a table for people, and as JSON and CSV for programs.

use std::fmt::Write;

use super::connection::Rows;

/// A cell of a table is cut after this many characters.
const WIDEST: usize = 100;
/// SQL goes on in the next line, for so many of them: it is shown to be read.
const HIGHEST: usize = 12;

pub fn table(rows: &Rows) -> String {
    let most = match rows.columns.iter().any(|column| column == "sql") {
        true => HIGHEST,
        false => 1,
    };
    let shown = |field: &Option<String>| {
        let text = field.as_deref().unwrap_or("NULL");
        broken(&text.replace(['\n', '\r', '\t'], " "), most)
    };
    let mut cells: Vec<Vec<String>> = Vec::new();
    for row in &rows.rows {
        let fields: Vec<_> = row.iter().map(shown).collect();
        let height = fields.iter().map(Vec::len).max().unwrap_or(0);
        let part = |place: usize| {
            let text = |field: &Vec<String>| field.get(place).cloned().unwrap_or_default();
            fields.iter().map(text).collect()
        };
        cells.extend((0..height).map(part));
    }
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

/// In so many lines that are not too long, at spaces where there are any.
fn broken(text: &str, high: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some((most, _)) = rest.char_indices().nth(WIDEST) {
        if lines.len() + 1 == high {
            lines.push(format!("{}…", &rest[..most]));
            return lines;
        }
        let end = match rest[..most].rfind(' ') {
            Some(space) if space > most / 2 => space + 1,
            _ => most,
        };
        lines.push(rest[..end].trim_end().to_owned());
        rest = &rest[end..];
    }
    lines.push(rest.to_owned());
    lines
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
    fn sql_goes_on_in_the_next_line() {
        let long = "word ".repeat(30);
        let rows = Rows {
            columns: vec!["sql".to_owned(), "lag_ms".to_owned()],
            rows: vec![vec![Some(long.clone()), Some("1".to_owned())]],
            ..rows()
        };
        let text = table(&rows);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(
            lines[1].ends_with("word       1") && lines[2].starts_with("word"),
            "{text}"
        );
        assert_eq!(broken(&"x".repeat(5000), HIGHEST).len(), HIGHEST);
        assert_eq!(broken(&"ä".repeat(150), 2).concat(), "ä".repeat(150));
        assert_eq!(broken("", 1), [""]);
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
