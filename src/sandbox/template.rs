//! Initialising a server takes seconds, copying the result takes a fraction of one. So a data directory is made
//! once per version, with the sandbox's accounts in it, cached, and copied for every server.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use tokio::process::Command;

use super::arguments::{Plan, running_user};
use super::server::{DATABASE, LOG_LINES, Launch, PASSWORD, USER, free_port, tail};
use super::watchdog::Watchdog;
use super::workspace::Workspace;
use super::{Error, Flavour, Installation, Role, Server};

/// Raised when what is in a template changes, so that older ones are not used.
const LAYOUT: u32 = 3;

/// The account that a proxy watches the servers with.
pub const MONITOR: &str = "monitor";
/// The account that replicas log in to their primary with.
pub const REPLICATION: &str = "replication";
/// The account that a proxy changes servers with.
pub const FAILOVER: &str = "failover";

/// The data directory to copy: from the cache, or made now.
pub async fn template(installation: &Installation, workspace: &Workspace) -> Result<PathBuf, Error> {
    let Installation { flavour, version, .. } = installation;
    let cached = installation
        .cache
        .join(format!("{}-{version}-{LAYOUT}", flavour.name()));
    if cached.is_dir() {
        return Ok(cached);
    }
    let fresh = workspace.run().join("template");
    create(installation, &fresh, workspace.watchdog()).await?;
    match store(&fresh, &cached) {
        Ok(()) => Ok(cached),
        // A cache that cannot be written to costs time, nothing else.
        Err(error) => {
            tracing::warn!("the data directory is not cached: {error}");
            Ok(fresh)
        }
    }
}

/// Copies a data directory for one server.
pub fn copy(template: &Path, datadir: &Path) -> Result<(), Error> {
    copy_folder(template, datadir)
}

async fn create(installation: &Installation, datadir: &Path, watchdog: &Arc<Watchdog>) -> Result<(), Error> {
    let beside = |suffix: &str| datadir.with_extension(suffix);
    let (log, accounts, pid_file) = (beside("log"), beside("sql"), beside("pid"));
    tracing::info!(
        "initialising a data directory for {} {}",
        installation.flavour,
        installation.version
    );
    let temporary = beside("tmp");
    std::fs::create_dir_all(&temporary).map_err(Error::path("create", &temporary))?;
    initialise(installation, datadir, &temporary, &log).await?;
    std::fs::write(&accounts, statements(installation.flavour)).map_err(Error::path("write", &accounts))?;
    let (port, socket) = (free_port(), beside("sock"));
    let plan = Plan {
        installation,
        id: 1,
        role: Role::Primary,
        port,
        socket: &socket,
        datadir,
        log: &log,
        pid_file: &pid_file,
        temporary: &temporary,
        certificates: None,
        semi_sync: false,
        extra: &[format!("init-file={}", accounts.display())],
    };
    let server = Server::launch(Launch {
        name: format!("the template of {}", installation.flavour),
        role: Role::Primary,
        port,
        socket: socket.clone(),
        datadir: datadir.to_owned(),
        log: log.clone(),
        flavour: installation.flavour,
        program: installation.program.clone(),
        arguments: plan.arguments(),
        environment: Vec::new(),
        watchdog: Arc::clone(watchdog),
    })?;
    server.wait_until_ready().await?;
    server.stop().await?;
    // Every server needs an identity of its own.
    let _ = std::fs::remove_file(datadir.join("auto.cnf"));
    Ok(())
}

async fn initialise(
    installation: &Installation,
    datadir: &Path,
    temporary: &Path,
    log: &Path,
) -> Result<(), Error> {
    let mut command = match installation.flavour {
        Flavour::MySql => {
            let mut command = Command::new(&installation.program);
            command
                .args(&installation.first_options)
                .arg("--initialize-insecure");
            command
                .arg("--loose-innodb-redo-log-capacity=64M")
                .arg(format!("--log-error={}", log.display()));
            command
        }
        Flavour::MariaDb => {
            let mut command = Command::new(beside(&installation.program, "mariadb-install-db"));
            command.args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ]);
            command.arg("--innodb-log-file-size=32M");
            command
        }
    };
    command
        .args(running_user())
        .arg(format!("--datadir={}", datadir.display()));
    command.env("TMPDIR", temporary);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(Error::io(format!("cannot initialise {}", installation.flavour)))?;
    if output.status.success() {
        return Ok(());
    }
    let printed =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Err(Error::NotStarted {
        name: format!("the first start of {}", installation.flavour),
        reason: output.status.to_string(),
        log: printed + &tail(log, LOG_LINES),
    })
}

/// A program of the same installation, or from PATH.
fn beside(server: &Path, name: &str) -> PathBuf {
    let folder = server.parent().unwrap_or(Path::new("/"));
    let places = [
        folder.join(name),
        folder.join("../bin").join(name),
        folder.join("../scripts").join(name),
    ];
    places
        .into_iter()
        .find(|path| path.is_file())
        .unwrap_or_else(|| PathBuf::from(name))
}

/// One statement a line, as `init_file` wants it.
fn statements(flavour: Flavour) -> String {
    let mut all = vec![
        format!("CREATE DATABASE {DATABASE}"),
        format!("CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'"),
        format!("GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION"),
        format!("CREATE USER '{MONITOR}'@'%' IDENTIFIED BY '{MONITOR}'"),
        format!("GRANT PROCESS, REPLICATION CLIENT ON *.* TO '{MONITOR}'@'%'"),
        format!("GRANT SELECT ON mysql.* TO '{MONITOR}'@'%'"),
        format!("CREATE USER '{REPLICATION}'@'%' IDENTIFIED BY '{REPLICATION}'"),
        format!("GRANT REPLICATION SLAVE ON *.* TO '{REPLICATION}'@'%'"),
        format!("CREATE USER '{FAILOVER}'@'%' IDENTIFIED BY '{FAILOVER}'"),
        format!("GRANT RELOAD, PROCESS, REPLICATION CLIENT, REPLICATION SLAVE ON *.* TO '{FAILOVER}'@'%'"),
        format!("GRANT SELECT, INSERT, CREATE ON splitrail.* TO '{FAILOVER}'@'%'"),
    ];
    match flavour {
        Flavour::MySql => all.extend([
            format!("GRANT SHOW_ROUTINE ON *.* TO '{MONITOR}'@'%'"),
            format!("GRANT SELECT ON performance_schema.* TO '{MONITOR}'@'%'"),
            format!(
                "GRANT REPLICATION_SLAVE_ADMIN, SYSTEM_VARIABLES_ADMIN, CONNECTION_ADMIN, SYSTEM_USER, BACKUP_ADMIN, CLONE_ADMIN \
                 ON *.* TO '{FAILOVER}'@'%'"
            ),
            "INSTALL COMPONENT 'file://component_query_attributes'".to_owned(),
        ]),
        Flavour::MariaDb => all.extend([
            format!("GRANT REPLICA MONITOR ON *.* TO '{MONITOR}'@'%'"),
            format!(
                "GRANT REPLICA MONITOR, REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, READ_ONLY ADMIN, \
                 CONNECTION ADMIN, BINLOG ADMIN, BINLOG MONITOR, BINLOG REPLAY ON *.* TO '{FAILOVER}'@'%'"
            ),
            // Anonymous accounts would hide `@'%'` accounts from local clients.
            "DELETE FROM mysql.global_priv WHERE User = ''".to_owned(),
            "FLUSH PRIVILEGES".to_owned(),
        ]),
    }
    all.iter().map(|statement| format!("{statement};\n")).collect()
}

/// Puts a finished template into the cache in one step, so that no other process sees half of it.
fn store(fresh: &Path, cached: &Path) -> Result<(), Error> {
    let parent = cached.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(parent).map_err(Error::path("create", parent))?;
    let staging = cached.with_extension(format!("{}.new", std::process::id()));
    let result = copy_folder(fresh, &staging)
        .and_then(|()| std::fs::rename(&staging, cached).map_err(Error::path("create", cached)));
    if result.is_err() {
        let _ = std::fs::remove_dir_all(&staging);
        // Another process may have been faster.
        return if cached.is_dir() { Ok(()) } else { result };
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(to).map_err(Error::path("create", to))?;
    for entry in std::fs::read_dir(from).map_err(Error::path("read", from))? {
        let entry = entry.map_err(Error::path("read", from))?;
        let kind = entry.file_type().map_err(Error::path("read", from))?;
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), &target).map_err(Error::path("copy to", &target))?;
        }
    }
    Ok(())
}
