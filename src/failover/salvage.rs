//! What only a server that is to be overwritten has, into a file: by the program that came with the server, which
//! prints rows too, else by what the server shows of its binary log.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;
use tracing::info;

use super::epoch::Epoch;
use super::rejoin::Rejoin;
use super::surplus::{reign_of, surplus};
use crate::config::Address;
use crate::gtid::Position;

/// For reading the binary log.
const SALVAGE: Duration = Duration::from_secs(600);
/// Events that are written down of one file of the log.
const MOST_EVENTS: usize = 200_000;
/// A program's complaint is cut here.
const LONGEST: usize = 300;

/// In the order in which they are tried. MariaDB installs its own as `mysqlbinlog` too; each refuses what is meant for
/// the other.
const MYSQL: &[&str] = &["mysqlbinlog"];
const MARIADB: &[&str] = &["mariadb-binlog", "mysqlbinlog"];

// === impl Rejoin ===

impl Rejoin {
    /// Into a file that says what is lost: whole, where the server's own program for that is there.
    pub(super) async fn salvage(&self) -> Result<(PathBuf, &'static str), String> {
        let folder = &self.config.failover.salvage;
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        tokio::fs::create_dir_all(folder).await.map_err(failed)?;
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let name = &self.scene.members[self.server].name;
        // A server's name is the operator's; a path is not made of it as it is.
        let safe: String = name
            .chars()
            .map(|letter| {
                if letter.is_ascii_alphanumeric() {
                    letter
                } else {
                    '_'
                }
            })
            .collect();
        let path = folder.join(format!("{safe}-{}.{:03}.sql", now.as_secs(), now.subsec_millis()));
        // It is data: for nobody else's eyes.
        let mut options = tokio::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .await
            .map_err(failed)?;
        let header = format!("-- What {name} had and its primary lacked: {}\n", self.extra);
        file.write_all(header.as_bytes()).await.map_err(failed)?;
        let how = match self.by_program().await {
            Some(text) => {
                file.write_all(&text).await.map_err(failed)?;
                "as the server's own program prints it"
            }
            None => {
                let text = timeout(SALVAGE, self.by_events()).await;
                let text = text.map_err(|_| format!("no end within {SALVAGE:?}"))??;
                file.write_all(text.as_bytes()).await.map_err(failed)?;
                "as SHOW BINLOG EVENTS has it: rows are not in it, a mysqlbinlog or mariadb-binlog that fits was not found"
            }
        };
        file.sync_all().await.map_err(failed)?;
        Ok((path, how))
    }

    /// By the server's own program; `None` where it is not, or does not work.
    async fn by_program(&self) -> Option<Vec<u8>> {
        let Address::Tcp { host, port } = &self.scene.members[self.server].address else {
            return None;
        };
        let first = self.logs().await.ok()?.into_iter().next()?;
        let login = self.login()?;
        // MariaDB's program is told where to begin: it has no sets. To the end all is the server's own.
        let (programs, which) = if self.is_mariadb() {
            let before = before(&self.extra, &self.reigns).unwrap_or_default();
            (MARIADB, format!("--start-position={before}"))
        } else {
            (MYSQL, format!("--include-gtids={}", self.extra))
        };
        for program in programs {
            let output = Command::new(program)
                .args(["--no-defaults", "--read-from-remote-server", "--to-last-log"])
                .args(["--verbose", "--protocol=tcp"])
                .arg(format!("--host={host}"))
                .arg(format!("--port={port}"))
                .arg(format!("--user={}", login.user))
                .args((!which.ends_with('=')).then_some(&which))
                .arg(&first)
                .env("MYSQL_PWD", login.password.expose_text().unwrap_or_default())
                .stdin(Stdio::null())
                .kill_on_drop(true)
                .output();
            match timeout(SALVAGE, output).await {
                Ok(Ok(output)) if output.status.success() => return Some(output.stdout),
                Ok(Ok(output)) => {
                    let text = String::from_utf8_lossy(&output.stderr);
                    let error: String = text.trim().chars().take(LONGEST).collect();
                    info!(program, error, "the binary log is read without it");
                }
                _ => info!(program, "it cannot be run: the binary log is read without it"),
            }
        }
        None
    }

    async fn logs(&self) -> Result<Vec<String>, String> {
        let control = self.fleet.control(self.server);
        let sets = control
            .run("SHOW BINARY LOGS")
            .await
            .map_err(|trouble| trouble.to_string())?;
        let names = sets.into_iter().flatten();
        let names = names.filter_map(|row| row.get_opt::<Option<String>, _>(0)?.ok()?);
        Ok(names.collect())
    }

    /// The events of the transactions in question, a line each.
    async fn by_events(&self) -> Result<String, String> {
        let control = self.fleet.control(self.server);
        let mut text = String::new();
        let mut is_wanted = false;
        for log in self.logs().await? {
            let sql = format!("SHOW BINLOG EVENTS IN '{log}' LIMIT {MOST_EVENTS}");
            let sets = control
                .run_within(&sql, SALVAGE)
                .await
                .map_err(|trouble| trouble.to_string())?;
            for row in sets.into_iter().flatten() {
                let field = |place: usize| {
                    let text: Option<Option<String>> = row.get_opt(place).and_then(Result::ok);
                    text.flatten().unwrap_or_default()
                };
                let (kind, info) = (field(2), field(5));
                if kind.eq_ignore_ascii_case("gtid") || kind.eq_ignore_ascii_case("gtid_tagged") {
                    is_wanted = self.is_extra(&info);
                }
                if is_wanted {
                    text += &format!("-- {log} {kind}: {}\n", info.replace('\n', " "));
                }
            }
        }
        Ok(text)
    }

    /// By the text of a GTID event: `SET @@SESSION.GTID_NEXT= 'uuid:7'`, `BEGIN GTID 0-1-7`.
    fn is_extra(&self, info: &str) -> bool {
        let gtid = match info.split_once('\'') {
            Some((_, rest)) => rest.split('\'').next(),
            None => info.split_whitespace().find(|word| word.contains('-')),
        };
        let Ok(gtid) = Position::parse(self.is_mariadb(), gtid.unwrap_or_default().as_bytes()) else {
            return false;
        };
        let primary = self.scene.members[self.primary].executed();
        !surplus(&gtid, &primary, &self.reigns).is_empty()
    }
}

/// Where the reigns began that did not know these transactions: on MariaDB all of them come after that.
fn before(extra: &Position, reigns: &[Epoch]) -> Option<String> {
    let Position::MariaDb(extra) = extra else {
        return None;
    };
    let mut all = Vec::new();
    for last in extra.iter() {
        let Position::MariaDb(fork) = &reign_of(last.domain, last.sequence, reigns)?.fork else {
            return None;
        };
        let from = fork.iter().find(|from| from.domain == last.domain)?;
        all.push(format!("{}-{}-{}", from.domain, from.server, from.sequence));
    }
    Some(all.join(","))
}
