//! SHOW SESSIONS, SESSION, TRANSACTIONS, HOLDS: who is connected and what keeps them from sharing.

use super::table::{Column, Table};
use super::value::{Row, Value};
use crate::admin::State;
use crate::frontend::digests;
use crate::frontend::own::holds::ends_with;
use crate::frontend::registry::Entry;
use crate::session::Hold;

pub const NAME: &str = "sessions";

pub const SESSIONS: Table = Table {
    name: NAME,
    about: "each client: who, from where, what it does and what it holds, its statement without literals",
    columns: &[
        Column::integer("id"),
        Column::text("user"),
        Column::text("address"),
        Column::text("listener"),
        Column::text("db"),
        Column::text("state"),
        Column::decimal("state_ms"),
        Column::text("server"),
        Column::integer("server_thread"),
        Column::text("holds"),
        Column::integer("statements"),
        Column::decimal("connected_ms"),
        Column::integer("worker"),
        Column::text("statement"),
    ],
    // Without what the threads have to be asked for: `rows_with_statements` has it.
    rows: sessions,
};

pub const SESSION: Table = Table {
    name: "session",
    about: "the same at length, an item a row; SHOW SESSION n is one of them",
    columns: &[
        Column::integer("id"),
        Column::text("item"),
        Column::text("value"),
        Column::text("why"),
    ],
    rows: session,
};

pub const TRANSACTIONS: Table = Table {
    name: "transactions",
    about: "sessions in a transaction, the longest first",
    columns: &[
        Column::integer("id"),
        Column::text("user"),
        Column::text("address"),
        Column::text("db"),
        Column::text("server"),
        Column::integer("server_thread"),
        Column::text("state"),
        Column::decimal("open_ms"),
        Column::integer("statements"),
    ],
    rows: transactions,
};

pub const HOLDS: Table = Table {
    name: "holds",
    about: "why sessions keep a server connection, and what ends that",
    columns: &[
        Column::integer("id"),
        Column::text("user"),
        Column::text("server"),
        Column::text("hold"),
        Column::text("why"),
        Column::text("ends_with"),
        Column::decimal("state_ms"),
    ],
    rows: holds,
};

fn sessions(state: &State) -> Vec<Row> {
    let mut rows = Vec::new();
    state.shared.registry.each(|id, entry| {
        let (word, since) = entry.doing();
        rows.push(vec![
            id.into(),
            text(&entry.user),
            address(entry),
            entry.listener.as_ref().into(),
            schema(entry),
            word.into(),
            Value::millis(since),
            server(state, entry),
            entry.place().map(|(_, thread)| thread).into(),
            hold_names(entry).into(),
            entry.statements().into(),
            Value::millis(entry.since.elapsed()),
            entry.worker.into(),
            Value::Null,
        ]);
    });
    sort_by_id(rows)
}

/// The sessions with what each runs or ran last, which its thread alone knows.
pub async fn rows_with_statements(state: &State) -> Vec<Row> {
    let statements = digests::statements(&state.shared).await;
    let mut rows = sessions(state);
    for row in &mut rows {
        let Some(Value::Integer(id)) = row.first() else {
            continue;
        };
        let shape = u32::try_from(*id).ok().and_then(|id| statements.get(&id));
        if let (Some(shape), Some(last)) = (shape, row.last_mut()) {
            *last = text(shape);
        }
    }
    rows
}

fn sort_by_id(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(|row| match row.first() {
        Some(Value::Integer(id)) => *id,
        _ => u64::MAX,
    });
    rows
}

fn session(state: &State) -> Vec<Row> {
    let mut rows = Vec::new();
    state.shared.registry.each(|id, entry| {
        let (word, since) = entry.doing();
        let mut tell =
            |item: &str, value: Value, why: Value| rows.push(vec![id.into(), item.into(), value, why]);
        tell("user", text(&entry.user), Value::Null);
        tell("address", address(entry), Value::Null);
        tell("listener", entry.listener.as_ref().into(), Value::Null);
        tell("db", schema(entry), Value::Null);
        tell("state", word.into(), Value::Null);
        tell(
            "in that state for",
            format!("{} ms", since.as_millis()).into(),
            Value::Null,
        );
        tell(
            "connected for",
            format!("{} s", entry.since.elapsed().as_secs()).into(),
            Value::Null,
        );
        tell("statements", entry.statements().into(), Value::Null);
        tell("server", server(state, entry), Value::Null);
        tell(
            "server thread",
            entry.place().map(|(_, thread)| thread).into(),
            Value::Null,
        );
        for hold in entry.holds().iter() {
            let why = format!("{}; it ends with {}", hold.text(), ends_with(hold));
            tell("hold", hold.name().into(), why.into());
        }
        tell("worker", entry.worker.into(), Value::Null);
    });
    // Stable: the items stay in their order.
    sort_by_id(rows)
}

fn transactions(state: &State) -> Vec<Row> {
    let mut rows = Vec::new();
    state.shared.registry.each(|id, entry| {
        let Some(open) = entry.in_transaction() else {
            return;
        };
        rows.push(vec![
            id.into(),
            text(&entry.user),
            address(entry),
            schema(entry),
            server(state, entry),
            entry.place().map(|(_, thread)| thread).into(),
            entry.doing().0.into(),
            Value::millis(open),
            entry.statements().into(),
        ]);
    });
    rows.sort_by(|left, right| {
        let open = |row: &Row| match row.get(7) {
            Some(Value::Decimal(open)) => *open,
            _ => 0.0,
        };
        open(right).total_cmp(&open(left))
    });
    rows
}

fn holds(state: &State) -> Vec<Row> {
    let mut rows = Vec::new();
    state.shared.registry.each(|id, entry| {
        for hold in entry.holds().iter() {
            rows.push(vec![
                id.into(),
                text(&entry.user),
                server(state, entry),
                hold.name().into(),
                hold.text().into(),
                ends_with(hold).into(),
                Value::millis(entry.doing().1),
            ]);
        }
    });
    sort_by_id(rows)
}

fn text(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into_owned().into()
}

fn address(entry: &Entry) -> Value {
    entry
        .address
        .map_or_else(|| "local".to_owned(), |address| address.to_string())
        .into()
}

fn schema(entry: &Entry) -> Value {
    entry.schema().map_or(Value::Null, |schema| text(&schema))
}

fn server(state: &State, entry: &Entry) -> Value {
    let server = entry
        .place()
        .and_then(|(index, _)| state.shared.servers.get(index));
    server.as_ref().map(|server| server.name()).into()
}

fn hold_names(entry: &Entry) -> Option<String> {
    let names: Vec<_> = entry.holds().iter().map(Hold::name).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
