//! `splitrail setup`: the schema and the accounts that the proxy needs, as SQL for the primary; printed, or run.
//! Everything in it can be run again.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use mysql_async::prelude::Queryable;
use tokio::time::timeout;

use crate::accounts::{Flavour, Source};
use crate::config::{Config, Login, Role};
use crate::frontend::evidence::commit::COMMIT;
use crate::frontend::evidence::settle::SETTLE as SETTLED;
use crate::util::Secret;
use crate::util::driver::in_short;

#[derive(Debug, Args)]
pub struct Options {
    /// The configuration
    #[arg(short, long, default_value = "proxy.yaml")]
    pub config: std::path::PathBuf,
    /// Run it on the primary instead of printing it
    #[arg(long, requires = "user")]
    apply: bool,
    /// An account there that may create users and grant
    #[arg(long)]
    user: Option<String>,
    /// The environment variable that has its password
    #[arg(long, value_name = "NAME", default_value = "SPLITRAIL_SETUP_PASSWORD")]
    password_variable: String,
    /// Print for mysql or mariadb, without asking the primary which it is
    #[arg(long, value_parser = ["mysql", "mariadb"])]
    flavour: Option<String>,
    /// Print passwords too, for a file that only you can read
    #[arg(long)]
    show_passwords: bool,
}

/// A statement in two forms.
struct Statement {
    shown: String,
    run: String,
}

const LIMIT: Duration = Duration::from_secs(30);

/// The heartbeat's row is found by its writer; the epoch's rows say who the primary was, those of changes what is
/// under way.
const SCHEMA: [&str; 4] = [
    "CREATE DATABASE IF NOT EXISTS splitrail",
    "CREATE TABLE IF NOT EXISTS splitrail.heartbeat (writer BIGINT UNSIGNED NOT NULL PRIMARY KEY, \
     beat BIGINT UNSIGNED NOT NULL, at DATETIME(6) NOT NULL) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS splitrail.epoch (epoch BIGINT UNSIGNED NOT NULL PRIMARY KEY, \
     primary_uuid VARCHAR(64) NOT NULL, primary_id INT UNSIGNED NOT NULL, primary_name VARCHAR(255) NOT NULL, \
     fork LONGTEXT NOT NULL, at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), \
     done_by VARCHAR(255) NOT NULL) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS splitrail.changes (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, \
     epoch BIGINT UNSIGNED NOT NULL, state VARCHAR(16) NOT NULL, from_uuid VARCHAR(64) NOT NULL, \
     from_name VARCHAR(255) NOT NULL, to_name VARCHAR(255) NOT NULL, \
     at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), done_by VARCHAR(255) NOT NULL) ENGINE=InnoDB",
];

/// Prints or runs it.
pub fn setup(config: &Config, options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    runtime.block_on(run(config, options))
}

async fn run(config: &Config, options: &Options) -> anyhow::Result<()> {
    if config.monitor.login.is_none() {
        bail!("the configuration names no account for the proxy: give `monitor.user` and `monitor.password`");
    }
    if options.apply {
        return apply(config, options).await;
    }
    let flavour = match options.flavour.as_deref() {
        Some("mariadb") => Flavour::MariaDb,
        Some(_) => Flavour::MySql,
        None => ask(config).await?,
    };
    let mut out = io::stdout().lock();
    if !options.show_passwords {
        // Whoever runs this as it is makes an account with three stars for its password.
        writeln!(
            out,
            "-- Passwords are not shown: put them in where *** stands, add --show-passwords, or run it with --apply."
        )?;
    }
    for statement in statements(config, flavour) {
        let text = if options.show_passwords {
            statement.run
        } else {
            statement.shown
        };
        if text.contains(" PROCEDURE splitrail.") && text.starts_with("CREATE ") {
            // A client would end the statement at its first semicolon.
            writeln!(out, "DELIMITER //\n{text}//\nDELIMITER ;")?;
        } else {
            writeln!(out, "{text};")?;
        }
    }
    Ok(())
}

/// The primary's flavour, by its greeting.
async fn ask(config: &Config) -> anyhow::Result<Flavour> {
    let Some(server) = primary(config) else {
        bail!("no server is the primary");
    };
    let tls = super::secure::for_server(&server.tls)?;
    let server = crate::backend::Server::new(0, config, tls);
    let help = "say which it is with --flavour mysql or --flavour mariadb";
    crate::backend::connect::greet(&server).await.context(help)?;
    Ok(match server.profile() {
        Some(profile) if profile.is_mariadb() => Flavour::MariaDb,
        _ => Flavour::MySql,
    })
}

fn primary(config: &Config) -> Option<&crate::config::Server> {
    config.servers.iter().find(|server| server.role == Role::Primary)
}

async fn apply(config: &Config, options: &Options) -> anyhow::Result<()> {
    let (Some(server), Some(user)) = (primary(config), &options.user) else {
        bail!("--apply needs --user");
    };
    let variable = &options.password_variable;
    let password = std::env::var(variable).ok();
    let unset = if password.is_some() {
        String::new()
    } else {
        format!(" without a password, as {variable} is not set")
    };
    let password = password.unwrap_or_default();
    let login = Login {
        user: user.clone(),
        password: Secret::from(password.as_str()),
    };
    let source = Source::of(config, server).with_login(&login);
    let connected = timeout(LIMIT, source.connect()).await;
    let mut conn = connected.context("no answer")?.map_err(|error| {
        anyhow!(
            "connecting to {} as {user}{unset}: {}",
            server.name,
            in_short(&error)
        )
    })?;
    let version: Option<String> = conn.query_first("SELECT VERSION()").await?;
    let flavour = Flavour::from_version(&version.unwrap_or_default());
    let mut out = io::stdout().lock();
    for statement in statements(config, flavour) {
        if statement.run.starts_with("--") {
            writeln!(out, "{};", statement.shown)?;
            continue;
        }
        let done = timeout(LIMIT, conn.query_drop(&statement.run)).await;
        // The server's message may repeat a part of the statement: passwords are never in the part it repeats.
        done.context("no answer")?
            .with_context(|| format!("running: {}", statement.shown))?;
        writeln!(out, "{};", statement.shown)?;
    }
    writeln!(io::stderr(), "done on {}", server.name)?;
    Ok(())
}

/// Only strict modes refuse what `commit_as` relies on being refused; a procedure keeps the mode that it was made in.
const STRICT: &str = "SET SESSION sql_mode='STRICT_ALL_TABLES'";

const COMMITS: &str = "CREATE TABLE IF NOT EXISTS splitrail.commits (writer BIGINT UNSIGNED NOT NULL, \
     slot BIGINT UNSIGNED NOT NULL, number BIGINT UNSIGNED NOT NULL, asked INT UNSIGNED NOT NULL DEFAULT 0, \
     at DATETIME NOT NULL, PRIMARY KEY (writer, slot)) ENGINE=InnoDB";

/// Writes a number that is higher than the one before, or commits nothing.
const COMMIT_AS: &str = "BEGIN \
     INSERT INTO splitrail.commits (writer, slot, number, at) VALUES (the_writer, the_slot, the_number, UTC_TIMESTAMP()) \
     ON DUPLICATE KEY UPDATE number = IF(number < the_number, the_number, NULL), at = UTC_TIMESTAMP(); \
     COMMIT; END";

/// Whether a number has arrived; it never will from then on if it has not. Always writes, so that what it says is as
/// durable as any commit.
const SETTLE: &str = "BEGIN \
     DECLARE found BIGINT UNSIGNED DEFAULT 0; \
     START TRANSACTION READ WRITE; \
     INSERT INTO splitrail.commits (writer, slot, number, at) VALUES (the_writer, the_slot, 0, UTC_TIMESTAMP()) \
     ON DUPLICATE KEY UPDATE asked = asked + 1; \
     SELECT number INTO found FROM splitrail.commits WHERE writer = the_writer AND slot = the_slot FOR UPDATE; \
     IF found < the_number THEN UPDATE splitrail.commits SET number = the_number + 1 \
     WHERE writer = the_writer AND slot = the_slot; END IF; \
     COMMIT; \
     IF found < the_number OR found = the_number + 1 THEN \
     SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'splitrail: not committed'; \
     ELSEIF found <> the_number THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'splitrail: not known'; END IF; END";

/// What `failover.commit_evidence` needs. The procedures run with the rights of the monitor's account, so that
/// applications need none on the table, and write nothing on a server that is read-only.
pub fn evidence(monitor: &str) -> Vec<String> {
    let definer = format!("{}@'%'", quoted(monitor));
    let mut all = vec![COMMITS.to_owned(), STRICT.to_owned()];
    for (name, body) in [(COMMIT, COMMIT_AS), (SETTLED, SETTLE)] {
        all.push(format!("DROP PROCEDURE IF EXISTS {name}"));
        all.push(format!(
            "CREATE DEFINER={definer} PROCEDURE {name} (IN the_writer BIGINT UNSIGNED, IN the_slot BIGINT UNSIGNED, \
             IN the_number BIGINT UNSIGNED) MODIFIES SQL DATA SQL SECURITY DEFINER {body}"
        ));
        all.push(format!("GRANT EXECUTE ON PROCEDURE {name} TO {definer}"));
    }
    all
}

/// Who commits needs this, and no more. On MariaDB that is everybody; on MySQL it is said to each account.
fn evidence_grants(flavour: Flavour) -> Vec<String> {
    let (comment, who) = match flavour {
        Flavour::MariaDb => ("", "PUBLIC"),
        Flavour::MySql => ("-- for each account of an application: ", "its_name@its_host"),
    };
    [COMMIT, SETTLED]
        .map(|name| format!("{comment}GRANT EXECUTE ON PROCEDURE {name} TO {who}"))
        .to_vec()
}

fn statements(config: &Config, flavour: Flavour) -> Vec<Statement> {
    let plain = |text: &str| Statement {
        shown: text.to_owned(),
        run: text.to_owned(),
    };
    let mut all: Vec<_> = SCHEMA.iter().map(|text| plain(text)).collect();
    let mut created = Vec::new();
    let monitor = config.monitor.login.as_ref();
    let failover = config.failover.login.as_ref().or(monitor);
    let replication = config.failover.replication.as_ref().or(failover);
    for (login, grants) in [
        (monitor, monitoring(flavour)),
        (failover, changing(flavour)),
        (replication, &["REPLICATION SLAVE ON *.*"]),
    ] {
        let Some(login) = login else {
            continue;
        };
        let account = format!("{}@'%'", quoted(&login.user));
        if !created.contains(&account) {
            all.push(create(&account, login));
            created.push(account.clone());
        }
        all.extend(
            grants
                .iter()
                .map(|grant| plain(&format!("GRANT {grant} TO {account}"))),
        );
    }
    if let Some(login) = monitor.filter(|_| config.failover.commit_evidence) {
        all.extend(evidence(&login.user).iter().map(|text| plain(text)));
        all.extend(evidence_grants(flavour).iter().map(|text| plain(text)));
    }
    all
}

fn create(account: &str, login: &Login) -> Statement {
    let create = |password: &str| format!("CREATE USER IF NOT EXISTS {account} IDENTIFIED BY {password}");
    Statement {
        shown: create("'***'"),
        run: create(&quoted(login.password.expose_text().unwrap_or_default())),
    }
}

/// To watch servers, to verify clients against their accounts, and to write heartbeats.
fn monitoring(flavour: Flavour) -> &'static [&'static str] {
    match flavour {
        Flavour::MySql => &[
            "REPLICATION CLIENT, SHOW_ROUTINE ON *.*",
            "SELECT ON performance_schema.*",
            "SELECT ON mysql.user",
            "SELECT ON mysql.db",
            "SELECT ON mysql.global_grants",
            "SELECT ON mysql.default_roles",
            "SELECT, INSERT, UPDATE, DELETE ON splitrail.*",
        ],
        Flavour::MariaDb => &[
            "SLAVE MONITOR ON *.*",
            "SELECT ON mysql.global_priv",
            "SELECT ON mysql.db",
            "SELECT ON mysql.proc",
            "SELECT, INSERT, UPDATE, DELETE ON splitrail.*",
        ],
    }
}

/// To promote, demote, fence and repoint servers.
fn changing(flavour: Flavour) -> &'static [&'static str] {
    match flavour {
        Flavour::MySql => &[
            "RELOAD, PROCESS, REPLICATION CLIENT, REPLICATION SLAVE ON *.*",
            "REPLICATION_SLAVE_ADMIN, SYSTEM_VARIABLES_ADMIN, CONNECTION_ADMIN, SYSTEM_USER, BACKUP_ADMIN, CLONE_ADMIN ON *.*",
            "SELECT, INSERT, CREATE ON splitrail.*",
        ],
        Flavour::MariaDb => &[
            "RELOAD, PROCESS, REPLICATION SLAVE ON *.*",
            "SLAVE MONITOR, REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, READ_ONLY ADMIN, CONNECTION ADMIN, \
             BINLOG ADMIN, BINLOG MONITOR, BINLOG REPLAY ON *.*",
            "SELECT, INSERT, CREATE ON splitrail.*",
        ],
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(more: &str) -> Config {
        let text = format!("servers: [db1]\nmonitor: {{user: mon, password: \"it's\"}}\n{more}");
        Config::parse(&text, Path::new("test.yaml")).unwrap()
    }

    #[test]
    fn evidence_runs_with_the_monitors_rights() {
        for (flavour, who) in [
            (Flavour::MariaDb, "GRANT EXECUTE"),
            (Flavour::MySql, "-- for each"),
        ] {
            let all = statements(&config("failover: {commit_evidence: true}"), flavour);
            let texts: Vec<_> = all.iter().map(|each| each.run.as_str()).collect();
            let definer = "CREATE DEFINER='mon'@'%' PROCEDURE splitrail.";
            assert_eq!(texts.iter().filter(|text| text.starts_with(definer)).count(), 2);
            assert!(texts.contains(&"GRANT EXECUTE ON PROCEDURE splitrail.settle TO 'mon'@'%'"));
            let last = texts.last().unwrap();
            assert!(
                last.starts_with(who) && last.contains("splitrail.settle"),
                "{last}"
            );
        }
    }

    #[test]
    fn an_account_is_made_once_and_its_password_is_not_shown() {
        for flavour in [Flavour::MySql, Flavour::MariaDb] {
            let all = statements(&config(""), flavour);
            let creates: Vec<_> = all
                .iter()
                .filter(|each| each.run.starts_with("CREATE USER"))
                .collect();
            assert_eq!(creates.len(), 1);
            assert!(
                creates[0].run.ends_with("IDENTIFIED BY 'it''s'"),
                "{}",
                creates[0].run
            );
            assert!(all.iter().all(|each| !each.shown.contains("it''s")));
        }
        let more = "failover: {user: ops, password: p, replication: {user: repl, password: q}}";
        let all = statements(&config(more), Flavour::MySql);
        let texts: Vec<_> = all.iter().map(|each| each.shown.as_str()).collect();
        assert!(
            texts.contains(&"GRANT REPLICATION SLAVE ON *.* TO 'repl'@'%'"),
            "{texts:#?}"
        );
        assert!(
            texts.iter().all(|text| !text.contains("commits")),
            "nobody asked for evidence"
        );
        assert_eq!(
            texts
                .iter()
                .filter(|text| text.starts_with("CREATE USER"))
                .count(),
            3
        );
    }
}
