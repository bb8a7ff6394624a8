//! What graphical clients and drivers ask of any server before anybody has typed anything: so that they find the
//! tables, and stumble over nothing that is not here.

use crate::admin::State;
use crate::admin::catalog::{self, Answer, Row, Value};
use crate::admin::language::{DATABASE, Query, STATUS, TABLE_NAMES, VARIABLES};

/// Of what nobody has anything.
pub fn none(columns: &[&str]) -> Answer {
    Answer::of_texts(columns, Vec::new())
}

/// A table that is no catalogue's.
pub async fn table(state: &State, query: &Query, name: &str) -> Option<Answer> {
    Some(match name {
        "databases" | "schemas" => Answer::of_texts(&["Database"], vec![vec![DATABASE.into()]]),
        "schemata" => schemata(),
        "tables" => tables(),
        TABLE_NAMES => {
            let row = |table: &catalog::Table| vec![table.name.into(), "VIEW".into()];
            let rows = catalog::TABLES.iter().map(row).collect();
            Answer::of_texts(&["Tables_in_splitrail", "Table_type"], rows)
        }
        "table_status" => table_status(),
        "columns" => columns(),
        "processlist" => process_list(state).await,
        "warnings" | "errors" => none(&["Level", "Code", "Message"]),
        "engines" => none(&["Engine", "Support", "Comment"]),
        "plugins" => none(&["Name", "Status", "Type", "Library", "License"]),
        "privileges" => none(&["Privilege", "Context", "Comment"]),
        "triggers" => none(&["Trigger", "Event", "Table"]),
        "collation" | "collations" => one(
            &["Collation", "Charset", "Id", "Default", "Compiled", "Sortlen"],
            &["utf8mb4_general_ci", "utf8mb4", "45", "Yes", "Yes", "1"],
        ),
        "charset" | "character_set" | "character_sets" => one(
            &["Charset", "Description", "Default collation", "Maxlen"],
            &["utf8mb4", "UTF-8 Unicode", "utf8mb4_general_ci", "4"],
        ),
        VARIABLES => named(state, "variables").await?,
        STATUS => named(state, "status").await?,
        _ if name.contains('.') => foreign(query),
        _ => return None,
    })
}

/// Names and values as a server's own tables call them.
async fn named(state: &State, table: &str) -> Option<Answer> {
    let rows = catalog::find(table)?.read(state).await;
    Some(Answer::of_texts(&["VARIABLE_NAME", "VARIABLE_VALUE"], rows))
}

fn one(columns: &[&str], values: &[&str]) -> Answer {
    let row = values.iter().map(|value| Value::from(*value)).collect();
    Answer::of_texts(columns, vec![row])
}

/// A server's own table: it has every column that is asked for, and no rows.
fn foreign(query: &Query) -> Answer {
    let conditions = query.conditions.iter().map(|condition| condition.column.as_str());
    let order = query.order.iter().map(|order| order.column.as_str());
    let names = query
        .columns
        .iter()
        .map(String::as_str)
        .chain(conditions)
        .chain(order);
    let mut columns: Vec<&str> = Vec::new();
    for name in names {
        if !columns.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            columns.push(name);
        }
    }
    match columns.is_empty() {
        true => none(&["Name"]),
        false => none(&columns),
    }
}

fn schemata() -> Answer {
    one(
        &[
            "CATALOG_NAME",
            "SCHEMA_NAME",
            "DEFAULT_CHARACTER_SET_NAME",
            "DEFAULT_COLLATION_NAME",
            "SQL_PATH",
        ],
        &["def", DATABASE, "utf8mb4", "utf8mb4_general_ci", ""],
    )
}

fn tables() -> Answer {
    let row = |table: &catalog::Table| -> Row {
        vec![
            "def".into(),
            DATABASE.into(),
            table.name.into(),
            "VIEW".into(),
            Value::Null,
            table.about.into(),
        ]
    };
    let columns = [
        "TABLE_CATALOG",
        "TABLE_SCHEMA",
        "TABLE_NAME",
        "TABLE_TYPE",
        "ENGINE",
        "TABLE_COMMENT",
    ];
    Answer::of_texts(&columns, catalog::TABLES.iter().map(row).collect())
}

fn table_status() -> Answer {
    let row = |table: &catalog::Table| vec![table.name.into(), Value::Null, Value::Null, table.about.into()];
    let rows = catalog::TABLES.iter().map(row).collect();
    Answer::of_texts(&["Name", "Engine", "Rows", "Comment"], rows)
}

fn columns() -> Answer {
    let names = [
        "TABLE_CATALOG",
        "TABLE_SCHEMA",
        "TABLE_NAME",
        "COLUMN_NAME",
        "ORDINAL_POSITION",
        "COLUMN_DEFAULT",
        "IS_NULLABLE",
        "DATA_TYPE",
        "COLUMN_TYPE",
        "COLUMN_KEY",
        "EXTRA",
        "COLUMN_COMMENT",
    ];
    let mut rows: Vec<Row> = Vec::new();
    for table in catalog::TABLES {
        for (place, column) in table.columns.iter().enumerate() {
            let kind = column.kind.sql();
            // Without length and sign.
            let plain = kind.split(['(', ' ']).next().unwrap_or(kind);
            rows.push(vec![
                "def".into(),
                DATABASE.into(),
                table.name.into(),
                column.name.into(),
                (place + 1).to_string().into(),
                Value::Null,
                "YES".into(),
                plain.into(),
                kind.into(),
                "".into(),
                "".into(),
                "".into(),
            ]);
        }
    }
    Answer::of_texts(&names, rows)
}

/// SHOW CREATE TABLE, as far as there is something to create.
pub fn create(table: &catalog::Table) -> Answer {
    let column = |column: &catalog::Column| format!("  `{}` {}", column.name, column.kind.sql());
    let columns: Vec<_> = table.columns.iter().map(column).collect();
    let text = format!("CREATE TABLE `{}` (\n{}\n)", table.name, columns.join(",\n"));
    one(&["Table", "Create Table"], &[table.name, &text])
}

/// The sessions under the names that a server's clients know.
async fn process_list(state: &State) -> Answer {
    let columns = ["Id", "User", "Host", "db", "Command", "Time", "State", "Info"];
    let Some(sessions) = catalog::find("sessions") else {
        return none(&columns);
    };
    let wanted = [
        "id",
        "user",
        "address",
        "db",
        "state",
        "state_ms",
        "holds",
        "statement",
    ];
    let places: Vec<_> = wanted.iter().filter_map(|name| sessions.column(name)).collect();
    let shown = |row: Row| -> Row {
        let field = |place: &usize| row.get(*place).cloned().unwrap_or(Value::Null);
        let mut fields: Row = places.iter().map(field).collect();
        if let Some(Value::Decimal(millis)) = fields.get(5) {
            // Whole seconds, as a server has them.
            fields[5] = format!("{:.0}", (millis / 1000.0).floor()).into();
        }
        if fields.get(4) == Some(&Value::from("idle")) {
            fields[4] = "Sleep".into();
            fields[7] = Value::Null;
        }
        fields
    };
    let rows = sessions.read(state).await;
    Answer::of_texts(&columns, rows.into_iter().map(shown).collect())
}
