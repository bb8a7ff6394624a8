//! The tables as JSON: all rows, or those in which columns have the values that are asked for.

use serde_json::{Value as Json, json};

use super::answer::{Problem, rows};
use super::call::Call;
use super::endpoint::{MOST_ROWS, USUAL_ROWS};
use crate::admin::State;
use crate::admin::catalog::{Answer, Table};
use crate::admin::console::{Reply, Wrong, look};
use crate::admin::language::{Command, Condition, Order, Query};

pub async fn show(state: &State, table: &Table, call: &Call) -> Result<Json, Problem> {
    let columns = table.columns.iter().map(|column| column.name);
    let known: Vec<_> = ["limit", "offset", "order"].into_iter().chain(columns).collect();
    call.knows(&known)?;
    let equal = |(column, value): &(String, String)| Condition::equal(column, value);
    let is_column = |(name, _): &&(String, String)| table.column(name).is_some();
    let wanted = Query {
        conditions: call.query.iter().filter(is_column).map(equal).collect(),
        order: call.parameter("order").map(order).into_iter().collect(),
        ..Query::of(table.name)
    };
    let limit = call.number("limit", MOST_ROWS)?.unwrap_or(USUAL_ROWS) as usize;
    let offset = call.number("offset", u32::MAX)?.unwrap_or(0) as usize;
    let answer = Answer::new(table.columns, table.read(state).await);
    let mut answer = answer
        .select(&wanted)
        .map_err(|error| Problem::from(Wrong::from(error)))?;
    let total = answer.rows.len();
    answer.rows = answer.rows.into_iter().skip(offset).take(limit).collect();
    Ok(json!({ "table": table.name, "total": total, "rows": rows(&answer) }))
}

fn order(text: &str) -> Order {
    let descending = text.strip_prefix('-');
    Order {
        column: descending.unwrap_or(text).to_owned(),
        descending: descending.is_some(),
    }
}

pub async fn session(state: &State, call: &Call) -> Result<Json, Problem> {
    let id = super::actions::session_id(call)?;
    let who = super::actions::who(call);
    match look(state, &who, Command::Session(id)).await? {
        Reply::Rows(answer) => Ok(json!({ "id": id, "rows": rows(&answer) })),
        Reply::Done(text) => Ok(json!({ "done": text })),
    }
}
