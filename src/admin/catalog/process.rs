//! SHOW VERSION, MEMORY, VARIABLES, STATUS: the process itself, and what clients ask any server.

use super::table::{Column, Table};
use super::value::{Row, Value};
use crate::admin::State;
use crate::net::buffer;
use crate::topology::events::EventKind;

pub const VERSION: Table = Table {
    name: "version",
    about: "which program this is, and since when it runs",
    columns: &[Column::text("item"), Column::text("value")],
    rows: version,
};

pub const MEMORY: Table = Table {
    name: "memory",
    about: "who uses how much memory",
    columns: &[
        Column::text("owner"),
        Column::integer("bytes"),
        Column::integer("limit_bytes"),
    ],
    rows: memory,
};

pub const VARIABLES: Table = Table {
    name: "variables",
    about: "what clients ask of any server; the proxy's own settings are in CONFIG",
    columns: &[Column::text("Variable_name"), Column::text("Value")],
    rows: variables,
};

pub const STATUS: Table = Table {
    name: "status",
    about: "counters of the whole",
    columns: &[Column::text("Variable_name"), Column::text("Value")],
    rows: status,
};

/// What SHOW VARIABLES and @@name answer. Drivers refuse to work without some of them.
pub const KNOWN: &[(&str, &str)] = &[
    ("auto_increment_increment", "1"),
    ("autocommit", "1"),
    ("character_set_client", "utf8mb4"),
    ("character_set_connection", "utf8mb4"),
    ("character_set_database", "utf8mb4"),
    ("character_set_results", "utf8mb4"),
    ("character_set_server", "utf8mb4"),
    ("collation_connection", "utf8mb4_general_ci"),
    ("collation_database", "utf8mb4_general_ci"),
    ("collation_server", "utf8mb4_general_ci"),
    ("have_ssl", "YES"),
    ("hostname", "splitrail"),
    ("init_connect", ""),
    ("interactive_timeout", "28800"),
    ("license", "Apache-2.0"),
    ("lower_case_table_names", "1"),
    ("max_allowed_packet", "67108864"),
    ("datadir", ""),
    ("default_storage_engine", ""),
    ("net_buffer_length", "16384"),
    ("net_write_timeout", "60"),
    ("performance_schema", "0"),
    ("query_cache_size", "0"),
    ("query_cache_type", "OFF"),
    ("port", "0"),
    ("read_only", "0"),
    ("socket", ""),
    ("sql_mode", "STRICT_TRANS_TABLES"),
    ("sql_safe_updates", "0"),
    ("sql_select_limit", "18446744073709551615"),
    ("ssl_cipher", ""),
    ("system_time_zone", "UTC"),
    ("time_zone", "+00:00"),
    ("transaction_isolation", "READ-COMMITTED"),
    ("transaction_read_only", "0"),
    ("tx_isolation", "READ-COMMITTED"),
    ("tx_read_only", "0"),
    ("version_compile_machine", std::env::consts::ARCH),
    ("version_compile_os", std::env::consts::OS),
    ("wait_timeout", "28800"),
];

/// As the greeting shows it: what clients take for a server of today.
pub fn server_version() -> String {
    format!("8.0.40-splitrail-{}", env!("CARGO_PKG_VERSION"))
}

pub const COMMENT: &str = concat!(
    "splitrail ",
    env!("CARGO_PKG_VERSION"),
    " admin; HELP lists all commands"
);

/// One of the variables, by its name in small letters.
pub fn variable(name: &str) -> Option<String> {
    match name {
        "version" => Some(server_version()),
        "version_comment" => Some(COMMENT.to_owned()),
        _ => {
            let (_, value) = KNOWN.iter().find(|(known, _)| *known == name)?;
            Some((*value).to_owned())
        }
    }
}

fn variables(_: &State) -> Vec<Row> {
    let mut rows: Vec<Row> = KNOWN
        .iter()
        .map(|(name, value)| vec![(*name).into(), (*value).into()])
        .collect();
    rows.push(vec!["version".into(), server_version().into()]);
    rows.push(vec!["version_comment".into(), COMMENT.into()]);
    rows
}

fn version(state: &State) -> Vec<Row> {
    let snapshot = state.shared.topology.snapshot();
    let uptime = state.started.elapsed().unwrap_or_default().as_secs();
    let items: [(&str, Value); 7] = [
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("started", Value::time(state.started)),
        ("uptime_seconds", uptime.to_string().into()),
        ("pid", std::process::id().to_string().into()),
        (
            "workers",
            state.shared.settings().config.workers.to_string().into(),
        ),
        ("epoch", snapshot.epoch.to_string().into()),
        ("clients", state.shared.registry.connections().to_string().into()),
    ];
    items
        .into_iter()
        .map(|(item, value)| vec![item.into(), value])
        .collect()
}

fn memory(state: &State) -> Vec<Row> {
    let process = vec!["process".into(), resident().into(), Value::Null];
    let owners = owners(state).into_iter();
    let rows = owners.map(|owner| vec![owner.name.into(), owner.bytes.into(), owner.limit.into()]);
    std::iter::once(process).chain(rows).collect()
}

/// Whose the memory is, as far as it is counted: the rest is connections, tables of statements and the program.
pub struct Owner {
    pub name: &'static str,
    pub bytes: u64,
    /// At which its owner takes no more.
    pub limit: u64,
}

pub fn owners(state: &State) -> Vec<Owner> {
    let shared = &state.shared;
    let settings = shared.settings();
    let config = &settings.config;
    let mut owners = vec![
        Owner {
            name: "buffers",
            bytes: buffer::lent() as u64,
            limit: config.limits.buffer_memory,
        },
        Owner {
            name: "parked statements",
            bytes: shared.lot.bytes(),
            limit: shared.lot.most_bytes(),
        },
    ];
    owners.extend(shared.replays.as_ref().map(|budget| Owner {
        name: "transactions to run again",
        bytes: budget.used(),
        limit: budget.total(),
    }));
    owners.extend(settings.results.as_ref().map(|results| Owner {
        name: "kept results",
        bytes: results.held().bytes,
        limit: config.routing.result_cache,
    }));
    owners
}

/// What the kernel counts for this process.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().ok()?;
    Some(kib * 1024)
}

fn status(state: &State) -> Vec<Row> {
    let shared = &state.shared;
    let uptime = state.started.elapsed().unwrap_or_default().as_secs();
    let mut rows: Vec<Row> = vec![
        vec!["Uptime".into(), uptime.to_string().into()],
        vec![
            "Threads_connected".into(),
            shared.registry.connections().to_string().into(),
        ],
        vec![
            "Epoch".into(),
            shared.topology.snapshot().epoch.to_string().into(),
        ],
    ];
    for kind in EventKind::ALL {
        let count = shared.topology.events().count(kind);
        rows.push(vec![
            format!("Events_{}", kind.word()).into(),
            count.to_string().into(),
        ]);
    }
    rows
}
