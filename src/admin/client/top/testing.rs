//! Answers of a proxy that does not exist, for the tests of what is shown.

use std::time::Duration;

use tokio::time::Instant;

use super::sample::Sample;
use crate::admin::client::connection::Rows;

/// A line of columns' names, and one for each row. What is not there has nothing between its bars.
fn table(text: &str) -> Rows {
    let cells = |line: &str| {
        line.split('|')
            .map(|cell| cell.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let columns = cells(lines.next().unwrap_or_default());
    let given = |cell: String| Some(cell).filter(|cell| !cell.is_empty());
    Rows {
        numeric: vec![false; columns.len()],
        columns,
        rows: lines
            .map(|line| cells(line).into_iter().map(given).collect())
            .collect(),
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

fn of(at: Instant, [first, second, third]: [&str; 3], time: &str) -> Sample {
    Sample {
        at,
        version: table("item|value\n version|0.1.0\n uptime_seconds|61\n clients|3"),
        analysis: table("item|value\n gate|open\n verdict|healthy\n paused|no"),
        servers: table(&format!(
            "server|role|health|state|lag_ms|statements|reads|errors|connections|max_connections|in_flight|weight|problem
            db1|primary|up|online|0|{first}|0|0|3|100|1|1|
            db2|replica|up|online|12.5|{second}|0|0|3|100|1|1|
            db3|replica|down|online||{third}|0|0|3|100|1|1|connection refused"
        )),
        sessions: table(
            "id|user|address|state|state_ms|server|holds|statements|statement
            11|app|10.0.0.1:1|idle|9000|db1|transaction|7|BEGIN
            12|app|10.0.0.1:2|idle|99000|||8|SELECT a FROM t
            13|app|10.0.0.1:3|query|1500|db1||9|UPDATE t SET a = ?",
        ),
        digests: table(&format!(
            "digest|user|schema|server|calls|errors|total_ms|mean_ms|p95_ms|statement
            a1|app|shop|db2|40|0|5000|1.5|2.5|SELECT a FROM t
            b2|app|shop|db1|{time}|0|{time}|1.0|9.0|UPDATE t SET a = ?"
        )),
    }
}
