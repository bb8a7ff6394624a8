//! `splitrail status`: one screen that says whether all is well.

use std::fmt::Write as _;
use std::io::Write;

use super::connection::{ClientError, Connection, Rows, Target};
use super::{REFUSED, UNREACHABLE};

/// Show servers, connections and the latest events on one screen
#[derive(Debug, Clone, clap::Args)]
pub struct Status {
    #[command(flatten)]
    target: Target,
}

/// All that is shown.
struct Screen {
    version: Rows,
    topology: Rows,
    pools: Rows,
    analysis: Rows,
    events: Rows,
}

const BAR: usize = 10;
/// A server's own complaint is cut here; SHOW EVENTS and SHOW SERVERS have all of it.
const LONGEST: usize = 140;

/// The exit code: 0 if there is a primary that takes writes, else [`REFUSED`]; [`UNREACHABLE`] if nobody answers.
pub async fn status(options: &Status, out: &mut impl Write, err: &mut impl Write) -> std::io::Result<u8> {
    match look(&options.target).await {
        Ok(screen) => {
            out.write_all(screen.draw().as_bytes())?;
            Ok(if screen.is_well() { 0 } else { REFUSED })
        }
        Err(error) => {
            writeln!(err, "splitrail: {error}")?;
            Ok(UNREACHABLE)
        }
    }
}

async fn look(target: &Target) -> Result<Screen, ClientError> {
    let mut connection: Connection = target.connect().await?;
    let screen = Screen {
        version: connection.ask("SHOW VERSION").await?,
        topology: connection.ask("SHOW TOPOLOGY").await?,
        pools: connection.ask("SHOW POOLS").await?,
        analysis: connection.ask("SHOW FAILOVER ANALYSIS").await?,
        events: connection.ask("SHOW EVENTS LIMIT 8").await?,
    };
    connection.leave().await;
    Ok(screen)
}

// === impl Screen ===

impl Screen {
    fn is_well(&self) -> bool {
        let is_up =
            |row| self.topology.get(row, "role") == "primary" && self.topology.get(row, "health") == "up";
        let takes_writes =
            item(&self.analysis, "gate") == "open" && item(&self.analysis, "verdict") != "read-only";
        (0..self.topology.rows.len()).any(is_up) && takes_writes
    }

    fn draw(&self) -> String {
        let mut text = String::new();
        let uptime = item(&self.version, "uptime_seconds").parse().unwrap_or(0);
        let _ = writeln!(
            text,
            "splitrail {}, up {}, {} clients, epoch {}",
            item(&self.version, "version"),
            spoken(uptime),
            item(&self.version, "clients"),
            item(&self.version, "epoch"),
        );
        let _ = writeln!(text, "{}\n", writes(&self.analysis));
        self.draw_servers(&mut text);
        if !self.events.rows.is_empty() {
            text.push_str("\nlatest events, UTC\n");
        }
        for row in (0..self.events.rows.len()).rev() {
            let field = |column| self.events.get(row, column);
            let server = match field("server") {
                "" => String::new(),
                server => format!("{server}: "),
            };
            let _ = writeln!(text, "  {}  {server}{}", field("at"), cut(field("text")));
        }
        text
    }

    fn draw_servers(&self, text: &mut String) {
        let width = |row| self.topology.get(row, "tree").chars().count();
        let widest = (0..self.topology.rows.len()).map(width).max().unwrap_or(0);
        for row in 0..self.topology.rows.len() {
            let field = |column| self.topology.get(row, column);
            let space = " ".repeat(widest - width(row));
            let health = match field("state") {
                "online" => field("health"),
                state => state,
            };
            let lag = match (field("role"), field("lag_ms").parse::<f64>()) {
                ("primary", _) => String::new(),
                (_, Ok(lag)) => format!("{} {lag:.0} ms", bar(lag)),
                (_, Err(_)) => format!("{} lag unknown", " ".repeat(BAR)),
            };
            let _ = write!(
                text,
                "  {}{space}  {:<8} {health:<12} {:<24} {}",
                field("tree"),
                field("role"),
                lag,
                self.connections(field("server")),
            );
            if !field("problem").is_empty() {
                let _ = write!(text, "  {}", cut(field("problem")));
            }
            let end = text.trim_end().len();
            text.truncate(end);
            text.push('\n');
        }
    }

    fn connections(&self, server: &str) -> String {
        let row = (0..self.pools.rows.len()).find(|row| self.pools.get(*row, "server") == server);
        let field = |column| row.map_or("", |row| self.pools.get(row, column));
        format!("{}/{} connections", field("open"), field("max_connections"))
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What becomes of writes, by SHOW FAILOVER ANALYSIS.
pub fn writes(analysis: &Rows) -> String {
    let (gate, verdict) = (item(analysis, "gate"), item(analysis, "verdict"));
    let writes = match (gate, verdict) {
        ("open", "dead") => "find no primary".to_owned(),
        ("open", "read-only") => "are refused".to_owned(),
        ("open", _) => "go to the primary".to_owned(),
        (shut, _) => format!("wait: {}", shut.split_once(": ").map_or(shut, |(_, why)| why)),
    };
    let paused = match item(analysis, "paused") {
        "yes" => " (failover is paused)",
        _ => "",
    };
    format!("writes {writes}; the primary is {verdict}{paused}")
}

/// The value beside an item.
pub fn item<'a>(rows: &'a Rows, name: &str) -> &'a str {
    let row = (0..rows.rows.len()).find(|row| rows.get(*row, "item") == name);
    row.map_or("", |row| rows.get(row, "value"))
}

/// From a millisecond to a minute, each part ten times the one before it, roughly.
fn bar(lag: f64) -> String {
    let parts = if lag < 1.0 { 0.0 } else { lag.log10() * 2.0 + 1.0 };
    let full = (0..BAR)
        .filter(|part| f64::from(u32::try_from(*part).unwrap_or(0)) < parts)
        .count();
    format!("{}{}", "█".repeat(full), "·".repeat(BAR - full))
}

pub fn spoken(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(columns: &[&str], rows: &[&[&str]]) -> Rows {
        Rows {
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            rows: rows
                .iter()
                .map(|row| row.iter().map(|field| Some((*field).to_owned())).collect())
                .collect(),
            ..Rows::default()
        }
    }

    #[test]
    fn the_screen_says_what_matters() {
        let tree = ["tree", "server", "role", "health", "state", "lag_ms", "problem"];
        let screen = Screen {
            version: rows(
                &["item", "value"],
                &[&["version", "0.1.0"], &["uptime_seconds", "61"]],
            ),
            topology: rows(
                &tree,
                &[
                    &["db1", "db1", "primary", "up", "online", "", ""],
                    &["└─ db2", "db2", "replica", "up", "drain", "12.3", ""],
                    &["└─ db3", "db3", "replica", "down", "online", "", "no answer"],
                ],
            ),
            pools: rows(&["server", "open", "max_connections"], &[&["db1", "3", "100"]]),
            analysis: rows(&["item", "value"], &[&["gate", "open"], &["verdict", "healthy"]]),
            events: rows(&["at", "server", "text"], &[&["now", "db3", "it is down"]]),
        };
        let text = screen.draw();
        assert!(screen.is_well());
        assert!(text.contains("up 1 min") && text.contains("writes go to the primary"));
        assert!(
            text.contains("3/100 connections") && text.contains("drain"),
            "{text}"
        );
        assert!(text.contains("12 ms") && text.contains("no answer"), "{text}");
        assert!(text.ends_with("now  db3: it is down\n"), "{text}");
    }

    #[test]
    fn writes_are_told_of_as_they_are() {
        let told = |gate, verdict| {
            let all: [&[&str]; 3] = [&["gate", gate], &["verdict", verdict], &["paused", "yes"]];
            writes(&rows(&["item", "value"], &all))
        };
        assert_eq!(
            told("open", "read-only"),
            "writes are refused; the primary is read-only (failover is paused)"
        );
        assert!(told("open", "dead").starts_with("writes find no primary;"));
        let shut = told("shut for 12 ms: nobody is promoted: it is too early", "dead");
        assert!(
            shut.starts_with("writes wait: nobody is promoted: it is too early;"),
            "{shut}"
        );
        assert_eq!(cut(&"ä".repeat(200)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn bars_grow_with_the_lag() {
        let full = |lag| bar(lag).chars().filter(|part| *part == '█').count();
        assert_eq!((full(0.0), full(1.0), full(10.0), full(1e9)), (0, 1, 3, BAR));
        assert!(full(200.0) < full(5000.0));
        assert_eq!(bar(50.0).chars().count(), BAR);
    }
}
