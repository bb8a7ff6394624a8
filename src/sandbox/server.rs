//! One running server: its process, its address, and what a test does to it (stop, kill, pause, restart).

use std::fmt;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Pool};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep, timeout};

use super::watchdog::Watchdog;
use super::{Error, Flavour};

/// The account that a sandbox is used with: it may do everything, from any host.
pub const USER: &str = "app";
pub const PASSWORD: &str = "app";
pub const DATABASE: &str = "app";

/// How long a server may take to answer after its start, even on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(60);
const STATEMENT_LIMIT: Duration = Duration::from_secs(60);
/// On a busy machine the kernel gets to it late.
const PAUSE_LIMIT: Duration = Duration::from_secs(10);
/// Lines of the error log that an error message shows.
pub const LOG_LINES: usize = 25;

/// What a server was started as. A failover does not change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Primary,
    Replica,
}

/// A server of a sandbox. Its process ends when this is dropped.
pub struct Server {
    pub name: String,
    pub role: Role,
    pub host: String,
    pub port: u16,
    pub socket: PathBuf,
    pub datadir: PathBuf,
    /// The server's error log.
    pub log: PathBuf,
    pub flavour: Flavour,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    watchdog: Arc<Watchdog>,
    /// None while the server is down.
    child: Mutex<Option<Child>>,
}

/// What [`Server::launch`] needs besides options.
pub struct Launch {
    pub name: String,
    pub role: Role,
    pub port: u16,
    pub socket: PathBuf,
    pub datadir: PathBuf,
    pub log: PathBuf,
    pub flavour: Flavour,
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub watchdog: Arc<Watchdog>,
}

/// Whether no thread of a process runs on. A process that is gone has none.
fn is_stopped(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return true;
    };
    threads.flatten().all(|thread| {
        let state = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // Behind the name in brackets, which may have any in it.
        let state = state.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        matches!(state, None | Some('T' | 't' | 'Z' | 'X'))
    })
}

// === impl Role ===

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Primary => "primary",
            Role::Replica => "replica",
        })
    }
}

// === impl Server ===

impl Server {
    /// Starts the process. [`wait_until_ready`](Server::wait_until_ready) tells when it can be used.
    pub(super) fn launch(launch: Launch) -> Result<Server, Error> {
        let server = Server {
            name: launch.name,
            role: launch.role,
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: launch.port,
            socket: launch.socket,
            datadir: launch.datadir,
            log: launch.log,
            flavour: launch.flavour,
            program: launch.program,
            arguments: launch.arguments,
            environment: launch.environment,
            watchdog: launch.watchdog,
            child: Mutex::new(None),
        };
        server.spawn(&[])?;
        Ok(server)
    }

    /// Starts the process again as a supervisor would, without waiting for it: it takes no writes until it is told
    /// to, and goes on following whom it followed.
    pub(super) fn revive(&self) -> Result<(), Error> {
        let options: &[&str] = match self.flavour {
            Flavour::MySql => &["--super-read-only=1", "--skip-replica-start=OFF"],
            Flavour::MariaDb => &["--read-only=1", "--skip-slave-start=OFF"],
        };
        self.spawn(options)
    }

    /// The running process; None while the server is down.
    pub fn pid(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// `host:port`, as a configuration wants it.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Connection options for the account that may do everything, over TCP.
    pub fn options(&self) -> OptsBuilder {
        OptsBuilder::default()
            .ip_or_hostname(self.host.clone())
            .tcp_port(self.port)
            .user(Some(USER))
            .pass(Some(PASSWORD))
            .prefer_socket(false)
            .max_allowed_packet(Some(256 << 20))
            .wait_timeout(Some(28_800))
    }

    pub fn pool(&self) -> Pool {
        Pool::new(self.options())
    }

    pub async fn connect(&self) -> Result<Conn, Error> {
        self.within("connecting", Conn::new(self.options())).await
    }

    /// Runs one statement on a connection of its own.
    pub async fn execute(&self, sql: impl AsRef<str>) -> Result<(), Error> {
        let mut connection = self.connect().await?;
        self.within(sql.as_ref(), connection.query_drop(sql.as_ref()))
            .await?;
        self.within("disconnecting", connection.disconnect()).await
    }

    /// The rows of one statement on a connection of its own.
    pub async fn query<T>(&self, sql: impl AsRef<str>) -> Result<Vec<T>, Error>
    where
        T: mysql_async::prelude::FromRow + Send + 'static,
    {
        let mut connection = self.connect().await?;
        let rows = self.within(sql.as_ref(), connection.query(sql.as_ref())).await?;
        self.within("disconnecting", connection.disconnect()).await?;
        Ok(rows)
    }

    /// Ends the server in good order and waits until it has.
    pub async fn stop(&self) -> Result<(), Error> {
        // A paused process would sleep through the request.
        self.signal(Signal::CONT);
        self.signal(Signal::TERM);
        let deadline = Instant::now() + STOP_LIMIT;
        while self.exited().is_none() {
            if Instant::now() > deadline {
                return Err(self.too_slow("SIGTERM", STOP_LIMIT));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Ends the server as a power cut would end its process, and returns when it is gone.
    pub fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            let _ = child.kill();
            let _ = child.wait();
            self.watchdog.remove(child.id());
        }
    }

    /// Starts the server again, on the same port and data, and waits until it answers.
    /// A replica's replication does not start by itself: see [`Cluster::restart`](super::Cluster::restart).
    pub async fn start(&self) -> Result<(), Error> {
        if self.exited().is_some() {
            self.spawn(&[])?;
        }
        self.wait_until_ready().await
    }

    /// The process stops in its tracks: it accepts connections and answers nothing. All its threads have, when this
    /// returns.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        let until = Instant::now() + PAUSE_LIMIT;
        while self.pid().is_some_and(|pid| !is_stopped(pid)) && Instant::now() < until {
            std::thread::yield_now();
        }
    }

    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether the process has ended; reaps it if so. A server that is down has.
    pub fn exited(&self) -> Option<Option<ExitStatus>> {
        let mut child = self.child();
        let Some(process) = child.as_mut() else {
            return Some(None);
        };
        let status = process.try_wait().ok()??;
        self.watchdog.remove(process.id());
        *child = None;
        Some(Some(status))
    }

    pub(super) async fn wait_until_ready(&self) -> Result<(), Error> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if let Some(status) = self.exited() {
                let reason = status.map_or("it is down".to_owned(), |status| {
                    format!("it ended with {status}")
                });
                return Err(self.not_started(reason));
            }
            let Err(reason) = visit(self.options()).await else {
                return Ok(());
            };
            if Instant::now() > deadline {
                return Err(self.not_started(reason));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether it ended because another process took its port between the choice and the start.
    pub(super) fn lost_its_port(&self) -> bool {
        self.last_words(LOG_LINES).contains("Address already in use")
    }

    /// The last lines of its error log.
    pub fn last_words(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }

    /// Awaits an answer of the server, but not for ever: the client library has no time limits.
    pub(super) async fn within<T>(
        &self,
        what: &str,
        answer: impl Future<Output = Result<T, mysql_async::Error>>,
    ) -> Result<T, Error> {
        match timeout(STATEMENT_LIMIT, answer).await {
            Ok(result) => result.map_err(|source| Error::Sql {
                name: self.name.clone(),
                source,
            }),
            Err(_) => Err(self.too_slow(what, STATEMENT_LIMIT)),
        }
    }

    fn spawn(&self, more: &[&str]) -> Result<(), Error> {
        use std::os::unix::process::CommandExt;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .args(more)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in a terminal is for the owner, who ends the servers in good order.
            .process_group(0)
            .spawn()
            .map_err(Error::path("start", &self.program))?;
        self.watchdog.add(child.id());
        *self.child() = Some(child);
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        // Held while signalling, so that the number cannot be reaped and reused meanwhile.
        let child = self.child();
        let pid = child
            .as_ref()
            .and_then(|child| Pid::from_raw(i32::try_from(child.id()).ok()?));
        if let Some(pid) = pid {
            let _ = kill_process(pid, signal);
        }
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_started(&self, reason: String) -> Error {
        Error::NotStarted {
            name: self.name.clone(),
            reason,
            log: self.last_words(LOG_LINES),
        }
    }

    fn too_slow(&self, what: &str, limit: Duration) -> Error {
        Error::Timeout {
            name: self.name.clone(),
            what: what.to_owned(),
            seconds: limit.as_secs(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({} {}:{}, pid {:?})",
            self.name,
            self.role,
            self.host,
            self.port,
            self.pid()
        )
    }
}

/// Logs in and leaves; or why it was not let in.
pub(super) async fn visit(options: OptsBuilder) -> Result<(), String> {
    let patience = Duration::from_secs(5);
    match timeout(patience, Conn::new(options)).await {
        Ok(Ok(connection)) => {
            let _ = timeout(patience, connection.disconnect()).await;
            Ok(())
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it does not answer".to_owned()),
    }
}

/// A port that is free now. Below the range that the kernel gives to outgoing connections, so that a server
/// that restarts finds its port free again.
pub fn free_port() -> u16 {
    for _ in 0..1000 {
        let port = 20_000 + dice(12_000);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    0
}

/// A number below `sides`, from the randomness that the standard library seeds its maps with.
pub fn dice(sides: u16) -> u16 {
    use std::hash::{BuildHasher, Hasher};
    let random = std::hash::RandomState::new().build_hasher().finish();
    u16::try_from(random % u64::from(sides.max(1))).unwrap_or(0)
}

/// The end of a server's error log, for a message.
pub fn tail(log: &Path, lines: usize) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
