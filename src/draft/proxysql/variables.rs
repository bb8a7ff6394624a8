//! mysql_variables: those that have an equal here.

use serde_yaml::{Mapping, Value};

use super::super::document::Item;
use super::super::libconfig::{Kind, Node};
use super::super::plan::{Plan, literal, mapping};

/// Variables that are converted, and those that need no equal: defaults of every sample file.
const KNOWN: [&str; 30] = [
    "threads",
    "max_connections",
    "interfaces",
    "server_version",
    "monitor_username",
    "monitor_password",
    "monitor_connect_interval",
    "monitor_ping_interval",
    "monitor_read_only_interval",
    "monitor_read_only_timeout",
    "monitor_replication_lag_interval",
    "monitor_history",
    "monitor_connect_timeout",
    "monitor_ping_timeout",
    "connect_timeout_server",
    "wait_timeout",
    "max_allowed_packet",
    "connection_max_age_ms",
    "query_cache_size_mb",
    "default_schema",
    "poll_timeout",
    "poll_timeout_on_failure",
    "stacksize",
    "commands_stats",
    "sessions_sort",
    "have_compress",
    "have_ssl",
    "connect_retries_on_failure",
    "ping_interval_server_msec",
    "ping_timeout_server",
];

pub fn convert(root: &Node, plan: &mut Plan) {
    let Some(variables) = root.get("mysql_variables") else {
        return;
    };
    plan.section(
        "monitor",
        "The account that watches the servers.",
        monitor(variables),
    );
    let mut pool = Mapping::new();
    if let Some(timeout) = milliseconds(variables, "connect_timeout_server", 1, 600_000) {
        pool.insert("connect_timeout".into(), timeout);
    }
    if let Some(age) = milliseconds(variables, "connection_max_age_ms", 1000, 86_400_000) {
        pool.insert("max_age".into(), age);
    }
    plan.section("pool", "Connections to each server.", pool);
    let mut limits = Mapping::new();
    if let Some(most) = variables.number("max_connections").filter(|most| *most > 0) {
        limits.insert("client_connections".into(), most.min(1_000_000).into());
    }
    if let Some(idle) = milliseconds(variables, "wait_timeout", 1000, 86_400_000) {
        limits.insert("idle_timeout".into(), idle);
    }
    if let Some(packet) = variables.number("max_allowed_packet") {
        limits.insert("max_allowed_packet".into(), packet.clamp(1 << 20, 1 << 30).into());
    }
    plan.section("limits", "What clients may take.", limits);
    if let Some(threads) = variables.number("threads").filter(|threads| *threads > 0) {
        plan.value("workers", "Threads that serve clients.", threads.min(1024).into());
    }
    if let Some(version) = variables.text("server_version") {
        // Clients of a proxy that says 5.5.30 were held back to what 5.5.30 could do.
        plan.warn(
            variables.line,
            format!("server_version {version} is left out: clients are told the primary's own"),
        );
    }
    let is_other = |key: &&str| !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(key));
    let others = variables.settings().iter().map(|(key, _)| key.as_str());
    for key in others.filter(is_other) {
        let line = variables.get(key).map_or(variables.line, |node| node.line);
        plan.warn(line, format!("mysql-{key} has no equal, or a default that does"));
    }
}

fn monitor(variables: &Node) -> Mapping {
    let mut monitor = Mapping::new();
    if let (Some(user), Some(password)) = (
        variables.text("monitor_username"),
        variables.text("monitor_password"),
    ) {
        monitor.insert("user".into(), literal(user).into());
        monitor.insert("password".into(), literal(password).into());
    }
    monitor
}

fn milliseconds(variables: &Node, key: &str, least: u64, most: u64) -> Option<Value> {
    let value = variables.number(key).filter(|value| *value > 0)?;
    Some(format!("{}ms", value.clamp(least, most)).into())
}

/// The listeners: the name of each by its port.
pub fn listeners(root: &Node, plan: &mut Plan) -> Vec<(u64, String)> {
    let interfaces = root
        .get("mysql_variables")
        .and_then(|variables| variables.get("interfaces"));
    let text = match interfaces.map(|node| &node.kind) {
        Some(Kind::Scalar(text)) => text.as_str(),
        _ => "0.0.0.0:6033",
    };
    let (mut items, mut names) = (Vec::new(), Vec::new());
    for address in text
        .split([';', ','])
        .map(str::trim)
        .filter(|address| !address.is_empty())
    {
        let address = match address.starts_with('/') {
            true => format!("unix:{address}"),
            false => address.to_owned(),
        };
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        names.extend(port.map(|port: u64| (port, address.clone())));
        let listener = mapping([
            ("address", address.as_str().into()),
            ("name", address.as_str().into()),
        ]);
        items.push(Item {
            comments: Vec::new(),
            value: Value::Mapping(listener),
        });
    }
    plan.list(
        "listeners",
        "Where clients connect: writes go to the primary, reads to replicas.",
        items,
        Vec::new(),
    );
    names
}
