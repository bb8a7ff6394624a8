//! What only looks: tables, HELP, and what clients ask about the connection.

use super::reply::{Who, Wrong};
use crate::admin::State;
use crate::admin::catalog::{self, Answer, Kind, Row, Value, process};
use crate::admin::language::{COMMANDS, Condition, Expression, Item, Operator, Query, Source, TABLE_NAMES};
use crate::util::suggest::nearest;

/// The one database that there is.
const DATABASE: &str = "splitrail";

pub async fn query(state: &State, query: &Query) -> Result<Answer, Wrong> {
    let answer = match &query.source {
        Source::Describe(name) => Answer::describing(catalog::find(name).ok_or_else(|| no_table(name))?),
        Source::Table(name) => match catalog::find(name) {
            Some(table) => Answer::new(table.columns, table.read(state).await),
            None => of_clients(name).ok_or_else(|| no_table(name))?,
        },
    };
    Ok(answer.select(query)?)
}

fn no_table(name: &str) -> Wrong {
    let names = catalog::TABLES.iter().map(|table| table.name);
    let text = match nearest(name, names.clone()) {
        Some(meant) => format!(
            "there is no table `{name}`; did you mean {}?",
            meant.to_uppercase()
        ),
        None => {
            let names = names.map(str::to_uppercase).collect::<Vec<_>>();
            format!("there is no table `{name}`; there are {}", names.join(", "))
        }
    };
    Wrong::NoTable(text)
}

/// What graphical clients ask of any server, so that they find the tables.
fn of_clients(name: &str) -> Option<Answer> {
    let none = |columns: &[&str]| Answer::of_texts(columns, Vec::new());
    Some(match name {
        "databases" | "schemas" => Answer::of_texts(&["Database"], vec![vec![DATABASE.into()]]),
        "schemata" => Answer::of_texts(&["SCHEMA_NAME"], vec![vec![DATABASE.into()]]),
        "tables" => tables(),
        TABLE_NAMES => {
            let row = |table: &catalog::Table| vec![table.name.into(), "VIEW".into()];
            let rows = catalog::TABLES.iter().map(row).collect();
            Answer::of_texts(&["Tables_in_splitrail", "Table_type"], rows)
        }
        "columns" => columns(),
        "warnings" | "errors" => none(&["Level", "Code", "Message"]),
        "engines" => none(&["Engine", "Support", "Comment"]),
        "plugins" => none(&["Name", "Status", "Type", "Library", "License"]),
        "privileges" => none(&["Privilege", "Context", "Comment"]),
        "grants" => none(&["Grants"]),
        "triggers" | "procedure" | "function" => none(&["Name"]),
        "collation" | "collations" => Answer::of_texts(
            &["Collation", "Charset", "Id", "Default", "Compiled", "Sortlen"],
            vec![
                ["utf8mb4_general_ci", "utf8mb4", "45", "Yes", "Yes", "1"]
                    .map(Value::from)
                    .to_vec(),
            ],
        ),
        "charset" | "character_set" | "character_sets" => Answer::of_texts(
            &["Charset", "Description", "Default collation", "Maxlen"],
            vec![
                ["utf8mb4", "UTF-8 Unicode", "utf8mb4_general_ci", "4"]
                    .map(Value::from)
                    .to_vec(),
            ],
        ),
        _ => return None,
    })
}

fn tables() -> Answer {
    let row = |table: &catalog::Table| -> Row {
        vec![
            table.name.into(),
            DATABASE.into(),
            "SYSTEM VIEW".into(),
            table.about.into(),
        ]
    };
    let columns = ["TABLE_NAME", "TABLE_SCHEMA", "TABLE_TYPE", "TABLE_COMMENT"];
    Answer::of_texts(&columns, catalog::TABLES.iter().map(row).collect())
}

fn columns() -> Answer {
    let names = [
        "TABLE_NAME",
        "COLUMN_NAME",
        "TABLE_SCHEMA",
        "DATA_TYPE",
        "ORDINAL_POSITION",
    ];
    let mut rows: Vec<Row> = Vec::new();
    for table in catalog::TABLES {
        for (place, column) in table.columns.iter().enumerate() {
            rows.push(vec![
                table.name.into(),
                column.name.into(),
                DATABASE.into(),
                column.kind.sql().into(),
                (place + 1).to_string().into(),
            ]);
        }
    }
    Answer::of_texts(&names, rows)
}

pub async fn session(state: &State, id: u32) -> Result<Answer, Wrong> {
    let condition = Condition {
        column: "id".to_owned(),
        operator: Operator::Equal,
        value: Some(id.to_string()),
    };
    let wanted = Query {
        conditions: vec![condition],
        columns: ["item", "value", "why"].map(str::to_owned).to_vec(),
        ..Query::of("session")
    };
    let answer = query(state, &wanted).await?;
    match answer.rows.is_empty() {
        true => Err(Wrong::NoSession(id)),
        false => Ok(answer),
    }
}

pub fn help() -> Answer {
    let shows = catalog::TABLES
        .iter()
        .filter(|table| table.name != "session")
        .map(|table| {
            let command = format!("SHOW {}", table.name.replace('_', " ").to_uppercase());
            vec![command.into(), table.about.into(), "read".into()]
        });
    let commands = COMMANDS.iter().map(|form| {
        let role = if form.operates { "operate" } else { "read" };
        vec![form.command.into(), form.about.into(), role.into()]
    });
    Answer::of_texts(&["command", "about", "role"], commands.chain(shows).collect())
}

pub fn small_talk(who: &Who, items: &[Item]) -> Result<Answer, Wrong> {
    let mut answer = Answer {
        columns: Vec::new(),
        rows: vec![Vec::new()],
    };
    for item in items {
        let value = evaluate(who, &item.expression)?;
        let kind = match value {
            Value::Integer(_) => Kind::Integer,
            _ => Kind::Text,
        };
        answer.columns.push((item.name.clone(), kind));
        answer.rows[0].push(value);
    }
    Ok(answer)
}

fn evaluate(who: &Who, expression: &Expression) -> Result<Value, Wrong> {
    Ok(match expression {
        Expression::Null => Value::Null,
        Expression::Text(text) => text.as_str().into(),
        Expression::Number(number) => match number.parse::<u64>() {
            Ok(number) => number.into(),
            Err(_) => number.as_str().into(),
        },
        Expression::Variable(name) => match process::variable(name) {
            Some(value) => match value.parse::<u64>() {
                Ok(number) => number.into(),
                Err(_) => value.into(),
            },
            None => return Err(Wrong::NoVariable(name.clone())),
        },
        Expression::Function(name) => match name.as_str() {
            "user" | "current_user" | "session_user" | "system_user" => {
                let host = who
                    .from
                    .rsplit_once(':')
                    .map_or(who.from.as_str(), |(host, _)| host);
                format!("{}@{host}", who.user).into()
            }
            "version" => process::server_version().into(),
            "connection_id" => who.id.into(),
            "database" | "schema" => who.schema.as_deref().unwrap_or(DATABASE).into(),
            "now" | "sysdate" | "current_timestamp" => Value::time(std::time::SystemTime::now()),
            "last_insert_id" | "row_count" | "found_rows" => 0_u32.into(),
            "current_role" => who.role.word().into(),
            _ => return Err(Wrong::Syntax(format!("there is no function `{name}` here"))),
        },
    })
}
