//! One thing done to one server, as SQL that can be read before it is run.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::scene::Scene;
use crate::config::{Address, Login};
use crate::gtid::Position;
use crate::topology::{ChannelTls, Status};

/// One thing to do. Doing it twice does no harm.
#[derive(Debug, Clone)]
pub struct Step {
    pub kind: StepKind,
    /// Where.
    pub server: usize,
    pub name: Arc<str>,
    /// Whether the rest has to wait for it, and fails with it. What is not needed is repaired afterwards.
    pub needed: bool,
    /// What it does and why.
    pub sentence: String,
}

#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// The primary takes no more writes.
    ReadOnly,
    /// The connections of all others are ended there: whoever executes it asks for the list with the SQL given,
    /// and kills each of them.
    KillSessions,
    /// A replica fetches nothing more by this channel.
    StopFetching {
        channel: String,
        /// Its source may be silent, and nobody is to wait for that.
        lost: bool,
    },
    /// It does again.
    StartFetching { channel: String },
    /// A replica connects to its source anew.
    Reconnect { channel: String },
    /// A replica applies what it has fetched. On MariaDB before it is told to fetch nothing more: a start with both
    /// threads stopped throws away what was fetched.
    StartApplying { channel: String },
    /// A delayed replica applies at once what it has fetched; while it still fetches, as above. MySQL alone.
    Undelay { channel: String },
    /// A replica follows another server from now on.
    Follow(Follow),
    /// Waits until a server has applied this much.
    Drain { position: Position, timeout: Duration },
    /// It follows nobody. Deletes what was fetched and not applied.
    Detach { channel: String },
    /// Whether commits there wait for a replica.
    SemiSync { on: bool },
    /// As a replica it acknowledges what it has fetched.
    Acknowledge,
    /// It takes writes.
    Writable,
    /// A row is written there and seen on another server: done by whoever executes it.
    Verify { on: Option<usize> },
}

/// How a server is to follow another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Follow {
    pub source: Address,
    pub source_name: Arc<str>,
    /// The channel to change; empty for the usual one.
    pub channel: String,
    /// `None`: what the server has is kept.
    pub login: Option<Login>,
    /// `None`: what the server has is kept.
    pub tls: Option<ChannelTls>,
    /// Said again with every change: a new source brings the default back otherwise.
    pub heartbeat: Option<Duration>,
    /// It was the primary until now.
    pub demoted: bool,
}

/// What a server understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    pub mariadb: bool,
    pub version: (u16, u16, u16),
    /// Semi-synchronous replication comes from the plugins that say "source" and "replica".
    pub semi_sync_source: bool,
}

/// A statement. `Display` shows no secret; [`Sql::expose`] is what to run.
#[derive(Clone, PartialEq, Eq)]
pub struct Sql {
    text: String,
    shown: Option<String>,
}

// === impl Step ===

impl Step {
    pub fn new(scene: &Scene, server: usize, kind: StepKind, needed: bool, sentence: String) -> Self {
        Self {
            kind,
            server,
            name: scene.name(server).into(),
            needed,
            sentence,
        }
    }

    /// The statements, in order. They are written for a session whose `sql_mode` has neither ANSI_QUOTES nor
    /// NO_BACKSLASH_ESCAPES.
    pub fn sql(&self, dialect: Dialect) -> Vec<Sql> {
        let words = dialect.words();
        match &self.kind {
            StepKind::ReadOnly => read_only(dialect),
            StepKind::KillSessions => vec![Sql::plain(kill_list(dialect))],
            StepKind::StopFetching { channel, lost: true } => words.stop_fetching(channel),
            StepKind::StopFetching { channel, .. } => words.each(&["STOP"], "IO_THREAD", channel),
            StepKind::StartFetching { channel } => words.each(&["START"], "IO_THREAD", channel),
            StepKind::Reconnect { channel } => {
                let mut all = words.stop_fetching(channel);
                all.extend(words.each(&["START"], "IO_THREAD", channel));
                all
            }
            StepKind::StartApplying { channel } => words.each(&["START"], "SQL_THREAD", channel),
            StepKind::Undelay { channel } => {
                let mut all = words.each(&["STOP"], "SQL_THREAD", channel);
                all.push(Sql::plain(
                    words.change(&format!("{}_DELAY=0", words.source), channel),
                ));
                all.extend(words.each(&["START"], "SQL_THREAD", channel));
                all
            }
            StepKind::Follow(follow) => follow.sql(dialect),
            StepKind::Drain { position, timeout } => vec![Sql::plain(drain(dialect, position, *timeout))],
            StepKind::Detach { channel } => {
                let mut all = words.each(&["STOP"], "", channel);
                all.push(Sql::plain(words.reset(channel)));
                all
            }
            StepKind::SemiSync { on } => vec![Sql::plain(dialect.semi_sync("source", *on))],
            StepKind::Acknowledge => vec![Sql::plain(dialect.semi_sync("replica", true))],
            // On MySQL this clears super_read_only too.
            StepKind::Writable => vec![Sql::plain("SET GLOBAL read_only=0")],
            StepKind::Verify { .. } => Vec::new(),
        }
    }
}

/// What runs there may hold locks that this waits for.
fn read_only(dialect: Dialect) -> Vec<Sql> {
    let variable = if dialect.mariadb {
        "read_only"
    } else {
        "super_read_only"
    };
    vec![
        Sql::plain("SET SESSION lock_wait_timeout=1"),
        Sql::plain(format!("SET GLOBAL {variable}=1")),
    ]
}

/// Everybody but replicas, the server's own threads, and whoever asks.
fn kill_list(dialect: Dialect) -> String {
    let from = if dialect.mariadb || dialect.version < (8, 0, 22) {
        "information_schema.PROCESSLIST"
    } else {
        "performance_schema.processlist"
    };
    format!(
        "SELECT ID FROM {from} WHERE ID <> CONNECTION_ID() AND USER NOT IN ('system user', 'event_scheduler') \
         AND USER <> SUBSTRING_INDEX(CURRENT_USER(), '@', 1) \
         AND COMMAND NOT IN ('Binlog Dump', 'Binlog Dump GTID', 'Daemon', 'Slave_IO', 'Slave_SQL', 'Slave_worker')"
    )
}

/// Answers 0 when the server is there.
fn drain(dialect: Dialect, position: &Position, timeout: Duration) -> String {
    let function = if dialect.mariadb {
        "MASTER_GTID_WAIT"
    } else {
        "WAIT_FOR_EXECUTED_GTID_SET"
    };
    format!("SELECT {function}('{position}', {:.3})", timeout.as_secs_f64())
}

// === impl Follow ===

impl Follow {
    fn sql(&self, dialect: Dialect) -> Vec<Sql> {
        let words = dialect.words();
        let Address::Tcp { host, port } = &self.source else {
            // Nobody can follow a Unix socket; the planner does not ask for it.
            return Vec::new();
        };
        let source = words.source;
        let mut options = vec![
            format!("{source}_HOST={}", quoted(host)),
            format!("{source}_PORT={port}"),
        ];
        if let Some(period) = self.heartbeat {
            options.push(format!("{source}_HEARTBEAT_PERIOD={:.3}", period.as_secs_f64()));
        }
        self.tls(words, &mut options);
        options.push(
            match (dialect.mariadb, self.demoted, dialect.version >= (10, 10, 0)) {
                (false, ..) => format!("{source}_AUTO_POSITION=1"),
                (true, true, true) => "MASTER_USE_GTID=slave_pos, MASTER_DEMOTE_TO_SLAVE=1".to_owned(),
                (true, true, false) => "MASTER_USE_GTID=current_pos".to_owned(),
                (true, false, _) => "MASTER_USE_GTID=slave_pos".to_owned(),
            },
        );
        // Without TLS the password goes encrypted with the source's key; one that TLS protects goes without.
        if !dialect.mariadb && self.tls.as_ref().is_some_and(|tls| !tls.on) {
            options.push(match words.source {
                "SOURCE" => "GET_SOURCE_PUBLIC_KEY=1".to_owned(),
                _ => "GET_MASTER_PUBLIC_KEY=1".to_owned(),
            });
        }
        // A channel that is new begins with a minute between its attempts, and on MySQL ends after ten of them: it would
        // be late, or gone, when its source has been started anew.
        if self.login.is_some() {
            options.push(format!("{source}_CONNECT_RETRY=1"));
            if !dialect.mariadb {
                options.push(format!("{source}_RETRY_COUNT=86400"));
            }
        }
        let change = |login: Option<(&str, &str)>| {
            let mut all = options.clone();
            if let Some((user, password)) = login {
                all.push(format!("{source}_USER={}", quoted(user)));
                all.push(format!("{source}_PASSWORD={}", quoted(password)));
            }
            words.change(&all.join(", "), &self.channel)
        };
        let login = self.login.as_ref();
        let text = change(login.map(|login| {
            (
                login.user.as_str(),
                login.password.expose_text().unwrap_or_default(),
            )
        }));
        let shown = login.map(|login| change(Some((&login.user, "***"))));
        let mut all = words.each(&["STOP"], "", &self.channel);
        all.push(Sql { text, shown });
        all.extend(words.each(&["START"], "", &self.channel));
        all
    }

    fn tls(&self, words: Words, options: &mut Vec<String>) {
        let (Some(tls), source) = (&self.tls, words.source) else {
            return;
        };
        options.push(format!("{source}_SSL={}", u8::from(tls.on)));
        if !tls.on {
            return;
        }
        options.push(format!(
            "{source}_SSL_VERIFY_SERVER_CERT={}",
            u8::from(tls.verify)
        ));
        for (name, value) in [("CA", &tls.ca), ("CERT", &tls.certificate), ("KEY", &tls.key)] {
            if !value.is_empty() {
                options.push(format!("{source}_SSL_{name}={}", quoted(value)));
            }
        }
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

// === impl Dialect ===

/// MySQL 8.4 took the old words away; all of the new ones are there since 8.0.23.
#[derive(Debug, Clone, Copy)]
struct Words {
    mariadb: bool,
    source: &'static str,
    replica: &'static str,
}

impl Dialect {
    pub fn of(status: &Status) -> Self {
        let mut numbers = status
            .version
            .split(|character: char| !character.is_ascii_digit())
            .map(|number| number.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Self {
            mariadb: status.mariadb,
            version: (next(), next(), next()),
            semi_sync_source: status.semi_sync.new_words,
        }
    }

    fn words(self) -> Words {
        let old = self.mariadb || self.version < (8, 0, 23);
        Words {
            mariadb: self.mariadb,
            source: if old { "MASTER" } else { "SOURCE" },
            replica: if old { "SLAVE" } else { "REPLICA" },
        }
    }

    fn semi_sync(self, role: &str, on: bool) -> String {
        let role = match (role, self.semi_sync_source) {
            (role, true) => role,
            ("source", false) => "master",
            (_, false) => "slave",
        };
        format!("SET GLOBAL rpl_semi_sync_{role}_enabled={}", u8::from(on))
    }
}

// === impl Words ===

impl Words {
    /// `STOP REPLICA IO_THREAD FOR CHANNEL 'east'`, `STOP SLAVE 'east' IO_THREAD`.
    fn each(self, verbs: &[&str], thread: &str, channel: &str) -> Vec<Sql> {
        let one = |verb: &&str| {
            let parts = match (self.mariadb, channel) {
                (_, "") => [verb, self.replica, thread, "", ""].map(str::to_owned),
                (true, name) => [verb, self.replica, &quoted(name), thread, ""].map(str::to_owned),
                (false, name) => {
                    [verb, self.replica, thread, "FOR CHANNEL", &quoted(name)].map(str::to_owned)
                }
            };
            let words: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            Sql::plain(words.join(" "))
        };
        verbs.iter().map(one).collect()
    }

    /// An IO thread of MariaDB that acknowledges commits ends with a visit to its source, to end the session that
    /// fed it. At a source that is silent the visit takes `rpl_semi_sync_slave_kill_conn_timeout` unless a signal
    /// reaches the thread, and STOP sends one at once and then every two seconds. So the thread is killed first, has
    /// a moment to get there, and STOP's first signal ends the visit; where it comes too early the visit takes a
    /// second. Which thread is which channel's cannot be told, so that it has to be the only one: a refusal costs
    /// time and nothing else.
    fn stop_fetching(self, channel: &str) -> Vec<Sql> {
        const HASTEN: &str = "BEGIN NOT ATOMIC DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END; \
            SET @visit=@@global.rpl_semi_sync_slave_kill_conn_timeout; \
            SET GLOBAL rpl_semi_sync_slave_kill_conn_timeout=1; \
            FOR thread IN (SELECT MIN(ID) AS id FROM information_schema.PROCESSLIST WHERE COMMAND='Slave_IO' \
            HAVING COUNT(*)=1) DO KILL thread.id; DO SLEEP(0.05); END FOR; END";
        const AS_BEFORE: &str = "BEGIN NOT ATOMIC DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END; \
            SET GLOBAL rpl_semi_sync_slave_kill_conn_timeout=@visit; END";
        let mut all = self.each(&["STOP"], "IO_THREAD", channel);
        if self.mariadb {
            all.insert(0, Sql::plain(HASTEN));
            all.push(Sql::plain(AS_BEFORE));
        }
        all
    }

    fn change(self, options: &str, channel: &str) -> String {
        let what = if self.source == "SOURCE" {
            "REPLICATION SOURCE"
        } else {
            "MASTER"
        };
        match (self.mariadb, channel) {
            (_, "") => format!("CHANGE {what} TO {options}"),
            (true, name) => format!("CHANGE {what} {} TO {options}", quoted(name)),
            (false, name) => format!("CHANGE {what} TO {options} FOR CHANNEL {}", quoted(name)),
        }
    }

    fn reset(self, channel: &str) -> String {
        match (self.mariadb, channel) {
            (_, "") => format!("RESET {} ALL", self.replica),
            (true, name) => format!("RESET {} {} ALL", self.replica, quoted(name)),
            (false, name) => format!("RESET {} ALL FOR CHANNEL {}", self.replica, quoted(name)),
        }
    }
}

// === impl Sql ===

impl Sql {
    fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            shown: None,
        }
    }

    /// What to run. It may hold a password.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Sql {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.shown.as_deref().unwrap_or(&self.text))
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(mariadb: bool, version: &str) -> Dialect {
        Dialect::of(&Status {
            mariadb,
            version: version.to_owned(),
            ..Status::default()
        })
    }

    fn shown(kind: StepKind, dialect: Dialect) -> String {
        let step = Step {
            kind,
            server: 0,
            name: "db1".into(),
            needed: true,
            sentence: String::new(),
        };
        let all: Vec<_> = step.sql(dialect).iter().map(ToString::to_string).collect();
        all.join("; ")
    }

    fn follow(login: Option<Login>, channel: &str, demoted: bool) -> StepKind {
        StepKind::Follow(Follow {
            source: Address::Tcp {
                host: "db2".to_owned(),
                port: 3306,
            },
            source_name: "db2".into(),
            channel: channel.to_owned(),
            login,
            tls: demoted.then(ChannelTls::default),
            heartbeat: Some(Duration::from_secs(1)),
            demoted,
        })
    }

    #[test]
    fn each_server_is_told_in_its_own_words() {
        let (mysql, old) = (dialect(false, "9.7.4-2"), dialect(false, "8.0.22"));
        let maria = dialect(true, "10.11.19-MariaDB-0+deb12u1");
        assert_eq!(maria.version, (10, 11, 19));
        assert_eq!(
            shown(follow(None, "", false), mysql),
            "STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_HOST='db2', SOURCE_PORT=3306, \
             SOURCE_HEARTBEAT_PERIOD=1.000, SOURCE_AUTO_POSITION=1; START REPLICA"
        );
        assert_eq!(
            shown(follow(None, "east", false), maria),
            "STOP SLAVE 'east'; CHANGE MASTER 'east' TO MASTER_HOST='db2', MASTER_PORT=3306, \
             MASTER_HEARTBEAT_PERIOD=1.000, MASTER_USE_GTID=slave_pos; START SLAVE 'east'"
        );
        let detach = || StepKind::Detach {
            channel: String::new(),
        };
        assert_eq!(shown(detach(), old), "STOP SLAVE; RESET SLAVE ALL");
        assert_eq!(shown(detach(), mysql), "STOP REPLICA; RESET REPLICA ALL");
        let stop = |lost| StepKind::StopFetching {
            channel: "e'ast".to_owned(),
            lost,
        };
        assert_eq!(
            shown(stop(true), mysql),
            "STOP REPLICA IO_THREAD FOR CHANNEL 'e''ast'"
        );
        assert_eq!(shown(stop(false), maria), "STOP SLAVE 'e''ast' IO_THREAD");
        let stopped = shown(stop(true), maria);
        assert!(stopped.starts_with("BEGIN NOT ATOMIC"), "{stopped}");
        assert!(
            stopped.contains("END; STOP SLAVE 'e''ast' IO_THREAD; BEGIN NOT ATOMIC"),
            "{stopped}"
        );
    }

    #[test]
    fn a_password_is_run_and_not_shown() {
        let login = Login {
            user: "repl".to_owned(),
            password: "hun'ter\\2".into(),
        };
        let kind = follow(Some(login), "", true);
        let step = Step {
            kind,
            server: 0,
            name: "db1".into(),
            needed: true,
            sentence: String::new(),
        };
        let all = step.sql(dialect(true, "11.4.1-MariaDB"));
        assert!(all[1].expose().contains("MASTER_PASSWORD='hun''ter\\\\2'"));
        assert!(all[1].expose().contains("MASTER_DEMOTE_TO_SLAVE=1"));
        assert!(all[1].to_string().contains("MASTER_PASSWORD='***'"));
        assert!(!format!("{all:?}{step:?}").contains("hun"));
    }
}
