//! mysql_servers: one server may have several rows there, one for each hostgroup.

use serde_yaml::{Mapping, Value};

use super::super::document::Item;
use super::super::libconfig::Node;
use super::super::plan::{Plan, literal, mapping};
use super::groups::{Groups, group, name};

pub fn convert(root: &Node, groups: &Groups, plan: &mut Plan) {
    let rows = root.items("mysql_servers");
    let mut names: Vec<String> = Vec::new();
    for row in rows {
        let name = name(row);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let is_writer = |name: &String| rows.iter().any(|row| is_in(row, name, groups.writer));
    // The sort is stable: writers first, all else in the order of the file.
    names.sort_by_key(|name| !is_writer(name));
    let mut items = Vec::new();
    for (place, name_) in names.iter().enumerate() {
        let mine: Vec<_> = rows.iter().filter(|row| name(row) == *name_).collect();
        items.push(server(name_, &mine, place == 0, groups, plan));
    }
    if let Some(second) = names.get(1).filter(|name| is_writer(name)) {
        let row = rows.iter().find(|row| name(row) == *second);
        plan.warn(
            row.map_or(1, |row| row.line),
            "there is one primary: the other writers are listed as replicas",
        );
    }
    plan.list("servers", "The database servers.", items, Vec::new());
    let reads_from_primary = names
        .first()
        .is_some_and(|first| is_writer(first) && rows.iter().any(|row| is_in(row, first, groups.reader)));
    if reads_from_primary {
        let share = mapping([("reads_from_primary", "share".into())]);
        plan.section("routing", "The primary was among the readers too.", share);
    }
    lag(rows, plan);
}

fn is_in(row: &Node, server: &str, wanted: Option<u64>) -> bool {
    Some(group(row)) == wanted && name(row) == server
}

fn server(name: &str, rows: &[&Node], is_primary: bool, groups: &Groups, plan: &mut Plan) -> Item<Value> {
    let mut server = mapping([("address", literal(name).into()), ("name", literal(name).into())]);
    if is_primary {
        server.insert("role".into(), "primary".into());
    }
    let reader = rows.iter().find(|row| Some(group(row)) == groups.reader);
    let writer = rows.iter().find(|row| Some(group(row)) == groups.writer);
    // The weight among the readers is the one that counts.
    let Some(row) = reader.or(writer).or(rows.first()) else {
        return Item {
            comments: Vec::new(),
            value: Value::Mapping(server),
        };
    };
    let mut comments: Vec<_> = row.text("comment").map(str::to_owned).into_iter().collect();
    if reader.or(writer).is_none() {
        let text = format!(
            "hostgroup {} is neither the writers' nor the readers': reads come here by rules only",
            group(row)
        );
        plan.warn(row.line, format!("{name}: {text}"));
        comments.push(text);
        server.insert("weight".into(), 0.into());
    } else if let Some(weight) = row.number("weight").filter(|weight| *weight != 1) {
        server.insert("weight".into(), weight.min(1_000_000).into());
    }
    state(&mut server, row, is_primary, plan);
    if let Some(most) = row.number("max_connections") {
        server.insert("max_connections".into(), most.clamp(1, 100_000).into());
    }
    if row.number("use_ssl") == Some(1) {
        server.insert("tls".into(), "require".into());
    }
    if row.number("max_latency_ms").unwrap_or(0) > 0 {
        plan.warn(row.line, "max_latency_ms: see `routing.balance: least_latency`");
    }
    Item {
        comments,
        value: Value::Mapping(server),
    }
}

fn state(server: &mut Mapping, row: &Node, is_primary: bool, plan: &mut Plan) {
    let status = row.text("status").unwrap_or("ONLINE").to_ascii_uppercase();
    let state = match status.as_str() {
        "OFFLINE_SOFT" => "drain",
        "OFFLINE_HARD" => "maintenance",
        _ => return,
    };
    if is_primary {
        plan.warn(row.line, format!("the primary was {status}: it cannot be here"));
    } else {
        server.insert("state".into(), state.into());
    }
}

fn lag(rows: &[Node], plan: &mut Plan) {
    let limit = |row: &Node| row.number("max_replication_lag").filter(|limit| *limit > 0);
    let mut limits: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((limit(row)?, row.line)))
        .collect();
    limits.sort_unstable();
    let Some((least, line)) = limits.first().copied() else {
        return;
    };
    if limits.iter().any(|(limit, _)| *limit != least) {
        plan.warn(
            line,
            "max_replication_lag differs among servers: the smallest counts for all",
        );
    }
    let lag = mapping([("max_lag", format!("{}s", least.min(86_400)).into())]);
    plan.section("consistency", "A replica further behind serves no reads.", lag);
}
