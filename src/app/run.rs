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
use tokio::time::timeout;

use super::notify::notify;
use super::operators::{Opened, Operators};
use super::reload::Reloader;
use super::takeover::{Claim, Offer, successor};
use super::{accounts, departures, secure};
use crate::accounts::Source;
use crate::admin::{self, State};
use crate::backend::{Server, Servers};
use crate::config::{Address, Config, Scheduling, Written};
use crate::failover;
use crate::frontend::audit::Audit;
use crate::frontend::door::{Door, Inherited};
use crate::frontend::shared::Shared;
use crate::frontend::{eviction, meeting, parking, spans, worker};
use crate::monitor;
use crate::net::tls::TlsError;
use crate::net::{Interrupt, buffer};
use crate::topology::{Event, EventKind, Topology};
use crate::util::scheduling::batch;

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
    #[error("the running process does not hand over: {0}")]
    Takeover(#[from] super::takeover::Trouble),
    #[error("the system refuses what every process needs: {0}")]
    System(#[from] io::Error),
}

/// How often a proxy that knows no server yet asks again.
const LEARN_AGAIN: Duration = Duration::from_millis(500);
/// How long a process that takes over waits for a server's greeting, and then for a primary, before it begins without.
const SETTLED: Duration = Duration::from_secs(5);

/// Runs the proxy until it is told to end. The file is read again when a reload is asked for. `takeover`: instead of
/// the process that runs already.
pub fn run(config: Config, read: (Written, &Path), takeover: bool) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(serve(config, read, takeover));
    // The threads of clients that were not waited for end with the process.
    runtime.shutdown_background();
    served
}

async fn serve(config: Config, (written, file): (Written, &Path), takeover: bool) -> Result<(), StartError> {
    raise_open_files();
    buffer::set_budget(usize::try_from(config.limits.buffer_memory).unwrap_or(usize::MAX));
    let (mut claim, mut inherited) = claim(&config, takeover).await?;
    let servers = servers(&config)?;
    let (sources, source) = watch::channel(accounts::source(&config));
    let accounts = accounts::build(&config, source).map_err(StartError::Accounts)?;
    let tls = secure::for_clients(&config)?;
    let (senders, inboxes): (Vec<_>, Vec<_>) = (0..config.workers).map(|_| mpsc::unbounded_channel()).unzip();
    let doors = doors(&config, &mut inherited).await?;
    let opened = Opened::beside(None, &config, &mut inherited).await?;
    let topology = Topology::new(&config);
    let (configs, followed) = watch::channel(Arc::new(config.clone()));
    let monitor = monitor::follow(followed.clone(), servers.clone(), topology.clone());
    // The coordinator ends when nobody can command it any more.
    let (failover, coordinator) = failover::start(&config, topology.clone());
    let audit = open_audit(&config)?;
    let shared = Shared::new(config, servers, accounts, topology, tls, senders, audit);
    if let Some(tracer) = &shared.tracer {
        tracer.trust(secure::for_collector(&shared.settings().config)?);
    }
    let threads = start_workers(&shared, inboxes)?;
    let mut terminate = Signals::new()?;
    // Directories stop when the last sender goes: one stays here for the clients that are still served at the end.
    let pen = claim.is_some().then(|| shared.topology.gate().pen().try_lock());
    let mut tasks = watchers(&shared, (&sources, followed), monitor);
    if let Some(claim) = &mut claim {
        succeed(claim, &shared, &failover).await?;
    }
    drop(pen);
    let coordinator = tokio::spawn(coordinator);
    if claim.is_some() {
        // Until the coordinator knows who the primary is, the old process serves better.
        let _ = timeout(SETTLED, shared.topology.gate().opened()).await;
    }
    let_in(&shared, doors);
    let read = (file.to_owned(), written);
    let reloader = Arc::new(Reloader::new(read, shared.clone(), failover.clone(), configs));
    let admin = State::new(shared.clone(), Some(failover.clone()), reloads(&reloader));
    let operators = reloader.serve(Operators::new(admin));
    operators.take_up(opened, &shared.settings().config)?;
    let offer = Offer::open(&shared, failover, &mut inherited).await;
    if let Some(claim) = claim {
        claim.serving().await?;
        inherited.close();
    }
    notify("READY=1");
    let replaced = tokio::select! {
        () = terminate.wait(&reloader) => None,
        replaced = offer.taken() => Some(replaced),
    };
    coordinator.abort();
    let _ = coordinator.await;
    leave(&shared, operators, replaced.is_some(), &mut terminate).await;
    tasks.shutdown().await;
    end(&shared, threads, &mut terminate).await;
    clear_up(&shared, operators, replaced.is_some()).await;
    Ok(())
}

fn let_in(shared: &Arc<Shared>, doors: Vec<(Door, Arc<crate::config::Listener>)>) {
    for (turn, (door, listener)) in doors.into_iter().enumerate() {
        tracing::info!(listener = listener.name, address = %listener.address, "listening");
        shared.open(turn, door, listener);
    }
}

async fn doors(
    config: &Config,
    inherited: &mut Inherited,
) -> Result<Vec<(Door, Arc<crate::config::Listener>)>, StartError> {
    let mut doors = Vec::new();
    for listener in &config.listeners {
        doors.push((door(listener, inherited).await?, Arc::new(listener.clone())));
    }
    Ok(doors)
}

pub(super) async fn door(
    listener: &crate::config::Listener,
    inherited: &mut Inherited,
) -> Result<Door, StartError> {
    let failed = |source| StartError::Listen {
        name: listener.name.clone(),
        address: listener.address.to_string(),
        source,
    };
    Door::open_for_all(&listener.address, inherited)
        .await
        .map_err(failed)
}

/// `None`: there is nobody to take over from, or it is not wanted.
async fn claim(config: &Config, takeover: bool) -> Result<(Option<Claim>, Inherited), StartError> {
    let socket = config.takeover.socket.as_deref().filter(|_| takeover);
    let claimed = match socket {
        Some(socket) => Claim::make(socket).await?,
        None => None,
    };
    Ok(claimed.map_or_else(Default::default, |(claim, inherited)| (Some(claim), inherited)))
}

/// What goes on until the very end.
fn watchers(
    shared: &Arc<Shared>,
    (sources, followed): (&watch::Sender<Source>, watch::Receiver<Arc<Config>>),
    monitor: impl Future<Output = ()> + Send + 'static,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(learn(shared.clone()));
    tasks.spawn(monitor);
    // It sends what the last clients did, and ends with the process.
    tokio::spawn(spans::run(shared.clone()));
    tasks.spawn(eviction::run(shared.clone()));
    tasks.spawn(parking::run(shared.clone()));
    tasks.spawn(accounts::follow_primary(
        sources.clone(),
        shared.topology.clone(),
        followed,
    ));
    tasks.spawn(departures::run(shared.clone()));
    tasks
}

/// Waits for the old process to stop deciding and writing, once everything here is ready.
async fn succeed(
    claim: &mut Claim,
    shared: &Arc<Shared>,
    failover: &failover::Handle,
) -> Result<(), StartError> {
    // Clients are let in as if they had met the old one.
    let _ = timeout(SETTLED, learn(shared.clone())).await;
    let legacy = claim.ready().await?;
    legacy.take_up(shared, failover);
    let text = "the listeners were taken over from the process before";
    let event = Event::new(EventKind::Configuration, None, text.to_owned());
    shared.topology.events().record(event);
    Ok(())
}

/// From here on no client comes in. Operators still do, to see who holds the end up and to end that; not where this
/// process was replaced, for they belong to the other one then.
async fn leave(shared: &Arc<Shared>, operators: &Operators, is_replaced: bool, terminate: &mut Signals) {
    let settings = shared.settings().clone();
    if is_replaced {
        operators.close();
        let linger = settings.config.takeover.linger;
        tokio::select! {
            () = successor::linger(shared, linger) => {}
            () = terminate.second() => {}
        }
    } else {
        notify("STOPPING=1");
    }
    let grace = settings.config.shutdown.grace;
    tracing::info!(clients = shared.registry.connections(), ?grace, "stopping");
}

/// Nothing of the process is left but its files. One that was replaced leaves the sockets to the other.
async fn clear_up(shared: &Shared, operators: &Operators, is_replaced: bool) {
    operators.close();
    if !is_replaced {
        forget_sockets(&shared.settings().config);
    }
    shared.audit.finish().await;
    if let Some(tracer) = &shared.tracer {
        tracer.finish().await;
    }
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
        thread.spawn(move || {
            schedule(shared.settings().config.scheduling, index);
            worker::run(index, shared, inbox)
        })
    };
    inboxes.into_iter().enumerate().map(start).collect()
}

/// A worker serves all the same where it may not choose, and what keeps one from it keeps all: the first one says so.
fn schedule(scheduling: Scheduling, index: usize) {
    if scheduling == Scheduling::Normal {
        return;
    }
    if let Err(error) = batch()
        && index == 0
    {
        tracing::warn!(%error, "the system refuses SCHED_BATCH (`scheduling`): workers run as the process was started");
    }
}

/// Clients cannot be greeted before one server has been.
async fn learn(shared: Arc<Shared>) {
    let mut is_first = true;
    while !meeting::learn(&shared, is_first).await {
        is_first = false;
        tokio::time::sleep(LEARN_AGAIN).await;
    }
}

/// Lets transactions end within the grace, then closes every client; a second signal skips the grace.
async fn end(shared: &Arc<Shared>, threads: Vec<JoinHandle<io::Result<()>>>, terminate: &mut Signals) {
    let grace = shared.settings().config.shutdown.grace;
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
    replace: Signal,
}

// === impl Signals ===

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            replace: signal(SignalKind::user_defined2())?,
        })
    }

    /// Until the first signal to end. SIGHUP reads the configuration and the certificates again, SIGUSR2 starts the
    /// process that is to take over.
    async fn wait(&mut self, reloader: &Reloader) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => drop(reloader.reload().await),
                _ = self.replace.recv() => successor::start(),
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
    let (tls, config, save) = (reloader.clone(), reloader.clone(), reloader.clone());
    let differing = reloader.clone();
    let told = |changes: Vec<String>| match changes.as_slice() {
        [] => "nothing is different".to_owned(),
        changes => changes.join("; "),
    };
    admin::Reloads {
        tls: Some(Box::new(move || {
            let tls = tls.clone();
            Box::pin(async move { tls.reload_certificates() })
        })),
        config: Some(Box::new(move || {
            let config = config.clone();
            Box::pin(async move { config.reload().await.map(told) })
        })),
        save: Some(Box::new(move |to| {
            let save = save.clone();
            Box::pin(async move { save.save(to.as_deref()).await })
        })),
        unsaved: Some(Box::new(move || {
            let all = super::save::differences(differing.shared()).into_iter();
            all.map(|(path, wanted)| (path, wanted.value)).collect()
        })),
    }
}
