//! Answers of a proxy that does not exist, for the tests of what is shown.

use std::time::Duration;

use tokio::time::Instant;

use super::sample::Sample;
use crate::admin::client::connection::Rows;

fn rows(columns: &[&str], rows: &[&[&str]]) -> Rows {
    let field = |field: &&str| (!field.is_empty()).then(|| (*field).to_owned());
    Rows {
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        numeric: vec![false; columns.len()],
        rows: rows.iter().map(|row| row.iter().map(field).collect()).collect(),
        info: String::new(),
    }
}

pub fn sample() -> Sample {
    of(Instant::now(), ["100", "50", "10"], "7")
}

/// Two seconds later.
pub fn sample_later() -> Sample {
    of(
        Instant::now() + Duration::from_secs(2),
        ["300", "150", "10"],
        "1007",
    )
}

fn of(at: Instant, statements: [&str; 3], time: &str) -> Sample {
    let server = |name, role, health, lag, statements, problem| {
        [
            name, role, health, "online", lag, statements, "0", "0", "3", "100", "1", "1", problem,
        ]
    };
    let columns = [
        "server",
        "role",
        "health",
        "state",
        "lag_ms",
        "statements",
        "reads",
        "errors",
        "connections",
        "max_connections",
        "in_flight",
        "weight",
        "problem",
    ];
    let servers = [
        server("db1", "primary", "up", "0", statements[0], ""),
        server("db2", "replica", "up", "12.5", statements[1], ""),
        server("db3", "replica", "down", "", statements[2], "connection refused"),
    ];
    let session = [
        "id",
        "user",
        "address",
        "state",
        "state_ms",
        "server",
        "holds",
        "statements",
        "statement",
    ];
    let sessions: [[&str; 9]; 3] = [
        [
            "11",
            "app",
            "10.0.0.1:1",
            "idle",
            "9000",
            "db1",
            "transaction",
            "7",
            "BEGIN",
        ],
        [
            "12",
            "app",
            "10.0.0.1:2",
            "idle",
            "99000",
            "",
            "",
            "8",
            "SELECT a FROM t",
        ],
        [
            "13",
            "app",
            "10.0.0.1:3",
            "query",
            "1500",
            "db1",
            "",
            "9",
            "UPDATE t SET a = ?",
        ],
    ];
    let digest = [
        "digest",
        "user",
        "schema",
        "server",
        "calls",
        "errors",
        "total_ms",
        "mean_ms",
        "p95_ms",
        "statement",
    ];
    let digests: [[&str; 10]; 2] = [
        [
            "a1",
            "app",
            "shop",
            "db2",
            "40",
            "0",
            "5000",
            "1.5",
            "2.5",
            "SELECT a FROM t",
        ],
        [
            "b2",
            "app",
            "shop",
            "db1",
            time,
            "0",
            time,
            "1.0",
            "9.0",
            "UPDATE t SET a = ?",
        ],
    ];
    Sample {
        at,
        version: rows(
            &["item", "value"],
            &[
                &["version", "0.1.0"],
                &["uptime_seconds", "61"],
                &["clients", "3"],
            ],
        ),
        analysis: rows(
            &["item", "value"],
            &[&["gate", "open"], &["verdict", "healthy"], &["paused", "no"]],
        ),
        servers: rows(&columns, &servers.each_ref().map(|row| &row[..])),
        sessions: rows(&session, &sessions.each_ref().map(|row| &row[..])),
        digests: rows(&digest, &digests.each_ref().map(|row| &row[..])),
    }
}
