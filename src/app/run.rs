//! The running proxy: threads, listeners, signals, and the order in which it ends.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::notify::notify;
use super::reload::Reloader;
use super::{accounts, secure};
use crate::admin::{self, State};
use crate::backend::{Server, Servers};
use crate::config::{Address, Config};
use crate::failover;
use crate::frontend::audit::Audit;
use crate::frontend::door::{Door, Inherited};
use crate::frontend::shared::Shared;
use crate::frontend::{eviction, login, parking, worker};
use crate::monitor;
use crate::net::tls::TlsError;
use crate::net::{Interrupt, buffer};
use crate::topology::Topology;

#[derive(Debug, Error)]
pub enum StartError {
    #[error("listener '{name}' cannot use {address}: {source}")]
    Listen {
        name: String,
        address: String,
        source: io::Error,
    },
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    #[error("accounts: {0}")]
    Accounts(String),
    #[error("{0}")]
    Admin(#[from] admin::mysql::PortError),
    #[error("audit.file: {path} cannot be written: {source}")]
    Audit { path: String, source: io::Error },
    #[error("{0}")]
    Http(#[from] admin::http::SiteError),
    #[error("the system refuses what every process needs: {0}")]
    System(#[from] io::Error),
}

/// How often a proxy that knows no server yet asks again.
const LEARN_AGAIN: Duration = Duration::from_millis(500);

/// Runs the proxy until it is told to end. The file is read again when a reload is asked for.
pub fn run(config: Config, file: &Path) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(serve(config, file));
    // The threads of clients that were not waited for end with the process.
    runtime.shutdown_background();
    served
}

async fn serve(config: Config, file: &Path) -> Result<(), StartError> {
    raise_open_files();
    buffer::set_budget(usize::try_from(config.limits.buffer_memory).unwrap_or(usize::MAX));
    let servers = servers(&config)?;
    let (sources, source) = watch::channel(accounts::source(&config));
    let accounts = accounts::build(&config, source).map_err(StartError::Accounts)?;
    let tls = secure::for_clients(&config)?;
    let (senders, inboxes): (Vec<_>, Vec<_>) = (0..config.workers).map(|_| mpsc::unbounded_channel()).unzip();
    let mut inherited = Inherited::default();
    let doors = doors(&config).await?;
    let admin_port = admin::mysql::Port::open(&config.admin, &mut inherited).await?;
    let http = admin::http::Site::open(&config.http, secure::for_http(&config)?, &mut inherited).await?;
    let topology = Topology::new(&config);
    let monitor = monitor::run(config.clone(), servers.clone(), topology.clone());
    // The coordinator ends when nobody can command it any more.
    let (failover, coordinator) = failover::start(&config, topology.clone());
    let audit = open_audit(&config)?;
    let shared = Shared::new(config, servers, accounts, topology, tls, senders, audit);
    let threads = start_workers(&shared, inboxes)?;
    let mut terminate = Signals::new()?;
    let mut tasks = JoinSet::new();
    tasks.spawn(learn(shared.clone()));
    tasks.spawn(monitor);
    tasks.spawn(coordinator);
    tasks.spawn(eviction::run(shared.clone()));
    tasks.spawn(parking::run(shared.clone()));
    // Directories stop when the last sender goes: one stays here for the clients that are still served at the end.
    tasks.spawn(accounts::follow_primary(
        sources.clone(),
        shared.topology.clone(),
        shared.settings().config.clone(),
    ));
    for (turn, (door, listener)) in doors.into_iter().enumerate() {
        tracing::info!(listener = listener.name, address = %listener.address, "listening");
        shared.open(turn, door, listener);
    }
    let reloader = Arc::new(Reloader::new(file.to_owned(), shared.clone()));
    let admin = State::new(shared.clone(), Some(failover), reloads(&reloader));
    if let Some(port) = admin_port {
        tasks.spawn(port.serve(admin.clone()));
    }
    if let Some(site) = http {
        tasks.spawn(site.serve(admin.clone()));
    }
    notify("READY=1");
    terminate.wait(&reloader).await;
    notify("STOPPING=1");
    let settings = shared.settings().clone();
    let grace = settings.config.shutdown.grace;
    tracing::info!(clients = shared.registry.connections(), ?grace, "stopping");
    tasks.shutdown().await;
    end(&shared, threads, grace, &mut terminate).await;
    clear_up(&shared).await;
    Ok(())
}

async fn doors(config: &Config) -> Result<Vec<(Door, Arc<crate::config::Listener>)>, StartError> {
    let mut doors = Vec::new();
    for listener in &config.listeners {
        let failed = |source| StartError::Listen {
            name: listener.name.clone(),
            address: listener.address.to_string(),
            source,
        };
        let door = Door::bind(&listener.address).await.map_err(failed)?;
        doors.push((door, Arc::new(listener.clone())));
    }
    Ok(doors)
}

/// Nothing of the process is left but its files.
async fn clear_up(shared: &Shared) {
    forget_sockets(&shared.settings().config);
    shared.audit.finish().await;
    tracing::info!("stopped");
}

fn open_audit(config: &Config) -> Result<Audit, StartError> {
    let path = config.audit.file.as_deref().unwrap_or(std::path::Path::new(""));
    Audit::open(&config.audit).map_err(|source| StartError::Audit {
        path: path.display().to_string(),
        source,
    })
}

fn servers(config: &Config) -> Result<Servers, StartError> {
    let mut servers = Vec::new();
    for (index, server) in config.servers.iter().enumerate() {
        servers.push(Server::new(index, config, secure::for_server(&server.tls)?));
    }
    Ok(Servers::new(servers))
}

fn start_workers(
    shared: &Arc<Shared>,
    inboxes: Vec<mpsc::UnboundedReceiver<crate::frontend::shared::Message>>,
) -> io::Result<Vec<JoinHandle<io::Result<()>>>> {
    let start = |(index, inbox)| {
        let shared = shared.clone();
        let thread = std::thread::Builder::new().name(format!("worker-{index}"));
        thread.spawn(move || worker::run(index, shared, inbox))
    };
    inboxes.into_iter().enumerate().map(start).collect()
}

/// Clients cannot be greeted before one server has been.
async fn learn(shared: Arc<Shared>) {
    while !login::learn(&shared).await {
        tokio::time::sleep(LEARN_AGAIN).await;
    }
}

/// Lets transactions end within the grace, then closes every client; a second signal skips the grace.
async fn end(
    shared: &Arc<Shared>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    grace: Duration,
    terminate: &mut Signals,
) {
    shared.interrupt_all(Interrupt::Drain);
    let joined = tokio::task::spawn_blocking(move || {
        for thread in threads {
            if !matches!(thread.join(), Ok(Ok(()))) {
                tracing::error!("a thread ended in an error");
            }
        }
    });
    tokio::pin!(joined);
    tokio::select! {
        _ = &mut joined => return,
        () = terminate.second() => {}
        () = tokio::time::sleep(grace) => {}
    }
    tracing::warn!(
        clients = shared.registry.connections(),
        "the grace is over: closing all clients"
    );
    shared.interrupt_all(Interrupt::Stop);
    // Whoever does not even take the last packet ends with the process.
    let _ = tokio::time::timeout(Duration::from_secs(1), joined).await;
}

/// Every client takes two descriptors, and the usual limit is a thousand.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the number of open files");
    }
}

/// What the operating system tells us.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

// === impl Signals ===

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Until the first signal to end. SIGHUP reads the configuration and the certificates again.
    async fn wait(&mut self, reloader: &Reloader) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => drop(reloader.reload()),
            }
        }
    }

    async fn second(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn forget_sockets(config: &Config) {
    let listeners = config.listeners.iter().map(|listener| &listener.address);
    for address in listeners.chain(&config.admin.address).chain(&config.http.address) {
        if let Address::Unix(path) = address {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// What operators may ask for that only this place can do.
fn reloads(reloader: &Arc<Reloader>) -> admin::Reloads {
    let (tls, config) = (reloader.clone(), reloader.clone());
    let told = |changes: Vec<String>| match changes.as_slice() {
        [] => "nothing is different".to_owned(),
        changes => changes.join("; "),
    };
    admin::Reloads {
        tls: Some(Box::new(move || tls.reload_certificates())),
        config: Some(Box::new(move || config.reload().map(told))),
    }
}
