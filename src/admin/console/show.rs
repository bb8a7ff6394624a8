//! What only looks: tables, HELP, and what clients ask about the connection.

use super::reply::{Who, Wrong};
use super::visitors;
use crate::admin::State;
use crate::admin::catalog::{self, Answer, Kind, Value, process};
use crate::admin::language::{COMMANDS, Condition, DATABASE, Expression, Item, Query, Source};
use crate::util::suggest::nearest;

pub async fn query(state: &State, who: &Who, query: &Query) -> Result<Answer, Wrong> {
    let find = |name: &str| catalog::find(name).ok_or_else(|| no_table(name));
    let mut answer = match &query.source {
        Source::Describe(name) => Answer::describing(find(name)?),
        Source::Create(name) => visitors::create(find(name)?),
        Source::Table(name) => match catalog::find(name) {
            Some(table) => Answer::new(table.columns, table.read(state).await),
            None => {
                let known = visitors::table(state, query, name).await;
                known.ok_or_else(|| no_table(name))?
            }
        },
    };
    for (column, expression) in &query.fixed {
        let value = evaluate(who, expression)?;
        answer = answer.with(column, kind(&value), &value);
    }
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

pub async fn session(state: &State, who: &Who, id: u32) -> Result<Answer, Wrong> {
    let wanted = Query {
        conditions: vec![Condition::equal("id", &id.to_string())],
        columns: ["item", "value", "why"].map(str::to_owned).to_vec(),
        ..Query::of("session")
    };
    let answer = query(state, who, &wanted).await?;
    match answer.rows.is_empty() {
        true => Err(Wrong::NoSession(id)),
        false => Ok(answer),
    }
}

/// All commands, or those that say a word somewhere.
pub fn help(word: Option<&str>) -> Answer {
    // What the command-line client makes of `help` alone.
    let word = word.filter(|word| !word.eq_ignore_ascii_case("contents"));
    let word = word.unwrap_or_default().to_lowercase();
    let shows = catalog::TABLES
        .iter()
        .filter(|table| table.name != "session")
        .map(|table| {
            let command = format!("SHOW {}", table.name.replace('_', " ").to_uppercase());
            (command, table.about, "read")
        });
    let commands = COMMANDS.iter().map(|form| {
        let role = if form.operates { "operate" } else { "read" };
        (form.command.to_owned(), form.about, role)
    });
    let says = |(command, about, _): &(String, &str, &str)| {
        command.to_lowercase().contains(&word) || about.to_lowercase().contains(&word)
    };
    let rows = commands.chain(shows).filter(says);
    let rows = rows.map(|(command, about, role)| vec![command.into(), about.into(), role.into()]);
    Answer::of_texts(&["command", "about", "role"], rows.collect())
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Integer(_) => Kind::Integer,
        _ => Kind::Text,
    }
}

pub fn small_talk(who: &Who, items: &[Item]) -> Result<Answer, Wrong> {
    let mut answer = Answer {
        columns: Vec::new(),
        rows: vec![Vec::new()],
    };
    for item in items {
        let value = evaluate(who, &item.expression)?;
        answer.columns.push((item.name.clone(), kind(&value)));
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
            "unix_timestamp" => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                since.unwrap_or_default().as_secs().into()
            }
            "last_insert_id" | "row_count" | "found_rows" => 0_u32.into(),
            "current_role" => who.role.word().into(),
            _ => return Err(Wrong::Syntax(format!("there is no function `{name}` here"))),
        },
    })
}
