//! What a server has of its own is saved to a file and thrown away, so that it can follow the primary again.
//!
//! Its data differ from the primary's by what those transactions did, so that forgetting their numbers would not
//! do: MySQL copies the primary's data over it; MariaDB has nothing of that kind that could be asked for by SQL.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use super::course::Course;
use super::rejoin::Rejoin;
use super::surplus::surplus;
use crate::config::{Address, Login};
use crate::gtid::Position;

/// For copying all data, and for the restart after it.
const CLONE: Duration = Duration::from_secs(6 * 3600);
const RESTART: Duration = Duration::from_secs(600);
/// For reading the binary log.
const SALVAGE: Duration = Duration::from_secs(600);
/// Events that are written down of one file of the log.
const MOST_EVENTS: usize = 200_000;

/// The server copied everything and wants to be restarted by whoever started it; it ends.
const RESTART_IT: u16 = 3707;

// === impl Rejoin ===

impl Rejoin {
    pub(super) async fn discard(&mut self, course: &Course) -> Result<(), String> {
        let name = self.scene.members[self.server].name.clone();
        let began = Instant::now();
        let saved = self.salvage().await;
        let text = match &saved {
            Ok((path, how)) => format!(
                "what {name} has of its own is saved to {} ({how})",
                path.display()
            ),
            Err(_) => format!("what {name} has of its own is saved"),
        };
        course
            .steps
            .note(Some(&name), text, began, saved.as_ref().err().cloned());
        let (path, _) =
            saved.map_err(|error| format!("nothing is thrown away, as it cannot be saved: {error}"))?;
        if self.is_mariadb() {
            return Err(format!(
                "it is saved to {}, but MariaDB cannot be told to copy the primary's data: restore {name} from a \
                 copy of the primary (mariadb-backup), and REJOIN {name}",
                path.display()
            ));
        }
        self.copy_primary(course).await?;
        self.come_behind(course).await
    }

    fn is_mariadb(&self) -> bool {
        let status = self.scene.members[self.server].status.as_deref();
        status.is_some_and(|status| status.mariadb)
    }

    fn login(&self) -> Option<&Login> {
        let failover = self.config.failover.login.as_ref();
        failover.or(self.config.monitor.login.as_ref())
    }

    /// MySQL's CLONE: all data and settings of the primary take the place of the server's own.
    async fn copy_primary(&mut self, course: &Course) -> Result<(), String> {
        let name = self.scene.members[self.server].name.clone();
        let Address::Tcp { host, port } = self.scene.members[self.primary].address.clone() else {
            return Err("the primary has no address that another server could copy from".to_owned());
        };
        let login = self.login().ok_or("there is no account to copy with")?;
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
        let password = login.password.expose_text().unwrap_or_default();
        let clone = format!(
            "CLONE INSTANCE FROM {}@{}:{port} IDENTIFIED BY {}",
            quoted(&login.user),
            quoted(&host),
            quoted(password)
        );
        let donors = quoted(&format!("{host}:{port}"));
        let control = self.fleet.control(self.server);
        let began = Instant::now();
        let copying = began;
        let prepare = format!("SET GLOBAL clone_valid_donor_list = {donors}; SET GLOBAL super_read_only = 0");
        let ready = control.run(&prepare).await;
        let done = match ready {
            Ok(_) => control.run_once(&clone, CLONE).await,
            Err(trouble) => Err(trouble),
        };
        let error = match done {
            Ok(_) => None,
            Err(trouble) if trouble.code() == Some(RESTART_IT) => None,
            // It restarts while it answers.
            Err(super::control::Trouble::Lost(_)) => None,
            Err(trouble) => Some(format!(
                "{trouble} (the plugin `clone` has to be there on both, BACKUP_ADMIN on the primary, CLONE_ADMIN \
                 on {name})"
            )),
        };
        let text = format!("{name} copies the primary's data");
        course.steps.note(Some(&name), text, began, error.clone());
        if let Some(error) = error {
            return Err(error);
        }
        let began = Instant::now();
        let back = self.wait_until_it_restarts(copying, RESTART).await;
        course
            .steps
            .note(Some(&name), format!("{name} is back"), began, back.clone().err());
        back?;
        let own = self.scene.members[self.server].position();
        let left = surplus(&own, &self.scene.members[self.primary].executed(), &self.reigns);
        if own.is_empty() || left == self.extra {
            return Err(format!("{name} has come back with its old data"));
        }
        Ok(())
    }

    /// Into a file that says what is lost: whole, where the server's own program for that is there.
    async fn salvage(&self) -> Result<(PathBuf, &'static str), String> {
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
        let path = folder.join(format!("{safe}-{}.sql", now.as_secs()));
        let mut file = tokio::fs::File::create_new(&path).await.map_err(failed)?;
        let header = format!("-- What {name} had and its primary lacked: {}\n", self.extra);
        file.write_all(header.as_bytes()).await.map_err(failed)?;
        let how = match self.by_program().await {
            Some(text) => {
                file.write_all(&text).await.map_err(failed)?;
                "as mysqlbinlog prints it"
            }
            None => {
                let text = timeout(SALVAGE, self.by_events()).await;
                let text = text.map_err(|_| format!("no end within {SALVAGE:?}"))??;
                file.write_all(text.as_bytes()).await.map_err(failed)?;
                "as SHOW BINLOG EVENTS has it: rows are not in it, a mysqlbinlog that fits was not found"
            }
        };
        file.sync_all().await.map_err(failed)?;
        Ok((path, how))
    }

    /// `mysqlbinlog`, for MySQL's sets; `None` where it is not, or does not work.
    async fn by_program(&self) -> Option<Vec<u8>> {
        let Address::Tcp { host, port } = &self.scene.members[self.server].address else {
            return None;
        };
        let first = self.logs().await.ok()?.into_iter().next()?;
        let login = self.login()?;
        if self.is_mariadb() {
            return None;
        }
        let output = Command::new("mysqlbinlog")
            .args(["--read-from-remote-server", "--verbose", "--to-last-log"])
            .arg(format!("--host={host}"))
            .arg(format!("--port={port}"))
            .arg(format!("--user={}", login.user))
            .arg(format!("--include-gtids={}", self.extra))
            .arg(first)
            .env("MYSQL_PWD", login.password.expose_text().unwrap_or_default())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = timeout(SALVAGE, output).await.ok()?.ok()?;
        output.status.success().then_some(output.stdout)
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
