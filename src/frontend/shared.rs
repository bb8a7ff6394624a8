//! What all threads that serve clients have in common.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use tokio::sync::mpsc;

use super::audit::Audit;
use super::digests::Row;
use super::door::{Door, Doors, Listed};
use super::lines::LogCounts;
use super::listener::Pauses;
use super::mirror::MirrorCounts;
use super::own::counters::RuleCounts;
use super::parking::Lot;
use super::registry::{Place, Registry};
use super::replay;
use super::settings::Settings;
use super::spans::Tracer;
use super::traffic::Traffic;
use crate::accounts::Accounts;
use crate::backend::{Profile, Server, Servers};
use crate::config::{Config, Listener, ListenerMode, MOST_SERVERS};
use crate::net::Interrupt;
use crate::net::socket::DetachedSocket;
use crate::session::Budget;
use crate::topology::Topology;

/// What one thread tells another.
#[derive(Debug)]
pub enum Message {
    /// It accepts connections for all threads from now on.
    Accept {
        door: Door,
        /// In the list before the thread has heard of it: who takes over may already ask.
        listed: Option<Listed>,
        listener: Arc<Listener>,
    },
    /// A connection that another thread accepted.
    Client(Newcomer<DetachedSocket>),
    /// Reaches one client of the thread.
    Interrupt {
        client: u32,
        interrupt: Interrupt,
    },
    /// Ends what this client of the thread waits for, if it still does.
    Cancel(u32),
    /// Reaches them all.
    InterruptAll(Interrupt),
    /// It accepts no connections any more.
    CloseDoors,
    /// Somebody waits for a connection to this server.
    Spare(usize),
    /// The connections to this server have been given up.
    Evict(usize),
    /// The server was removed: nobody needs its idle connections any more.
    Retire(usize),
    /// Somebody looks at what was counted of statements.
    Digests(mpsc::Sender<Vec<Row>>),
    ForgetDigests,
    /// Somebody looks at what each client runs.
    Statements(mpsc::Sender<Vec<(u32, Arc<[u8]>)>>),
}

/// A connection that was accepted.
#[derive(Debug)]
pub struct Newcomer<Socket> {
    pub socket: Socket,
    /// `None` for a Unix socket.
    pub peer: Option<SocketAddr>,
    pub listener: Arc<Listener>,
    pub place: Place,
}

pub struct Shared {
    settings: ArcSwap<Settings>,
    /// The same as in the settings: every statement asks whether they are new.
    settings_serial: AtomicU64,
    pub servers: Servers,
    pub accounts: Accounts,
    pub topology: Arc<Topology>,
    pub mirrored: MirrorCounts,
    pub ruled: RuleCounts,
    pub logged: LogCounts,
    pub audit: Audit,
    /// `None`: no statement is traced.
    pub tracer: Option<Tracer>,
    pub registry: Arc<Registry>,
    pub pauses: Pauses,
    /// What a process that replaces this one is given.
    pub doors: Arc<Doors>,
    /// How many processes there were before this one, each of which the next has replaced.
    pub takeovers: AtomicU64,
    /// Of each thread.
    pub traffic: Box<[Traffic]>,
    /// Statements that wait for a primary.
    pub lot: Arc<Lot>,
    /// What became of statements whose server was lost.
    pub recovery: replay::Counts,
    /// How much of open transactions is kept; none if nothing is.
    pub replays: Option<Arc<Budget>>,
    /// Replaced when certificates are loaded again.
    pub tls: ArcSwapOption<rustls::ServerConfig>,
    pub draining: AtomicBool,
    pub workers: Vec<mpsc::UnboundedSender<Message>>,
    /// How many clients each thread has; the next one goes where there are fewest.
    pub loads: Vec<AtomicUsize>,
    turn: AtomicUsize,
}

// === impl Newcomer ===

impl<From> Newcomer<From> {
    /// The same with its socket in, or out of, an event loop.
    pub fn map<To>(self, change: impl FnOnce(From) -> io::Result<To>) -> io::Result<Newcomer<To>> {
        Ok(Newcomer {
            socket: change(self.socket)?,
            peer: self.peer,
            listener: self.listener,
            place: self.place,
        })
    }
}

// === impl Shared ===

impl Shared {
    pub fn new(
        config: Config,
        servers: Servers,
        accounts: Accounts,
        topology: Arc<Topology>,
        tls: Option<Arc<rustls::ServerConfig>>,
        workers: Vec<mpsc::UnboundedSender<Message>>,
        audit: Audit,
    ) -> Arc<Self> {
        let loads = workers.iter().map(|_| AtomicUsize::new(0)).collect();
        let traffic = workers.iter().map(|_| Traffic::new(MOST_SERVERS)).collect();
        let lot = Lot::new(&config.failover);
        let kept = &config.failover.replay;
        let replays = replay::record::is_enabled(&config.failover)
            .then(|| Budget::new(kept.per_transaction, kept.total));
        let tracer = Tracer::new(&config.traces);
        let settings = Settings::new(config, None, &topology);
        Arc::new(Self {
            lot,
            recovery: Default::default(),
            replays,
            settings: ArcSwap::from_pointee(settings),
            settings_serial: AtomicU64::new(0),
            servers,
            accounts,
            topology,
            mirrored: MirrorCounts::default(),
            ruled: RuleCounts::default(),
            logged: LogCounts::default(),
            audit,
            tracer,
            registry: Arc::default(),
            pauses: Pauses::default(),
            doors: Arc::default(),
            takeovers: AtomicU64::new(0),
            traffic,
            tls: ArcSwapOption::new(tls),
            draining: AtomicBool::new(false),
            workers,
            loads,
            turn: AtomicUsize::new(0),
        })
    }

    /// What is configured now. Cheap enough for every statement.
    pub fn settings(&self) -> Guard<Arc<Settings>> {
        self.settings.load()
    }

    /// Reloads come one after the other.
    pub fn set_settings(&self, settings: Settings) {
        let serial = self.settings_serial() + 1;
        self.settings.store(Arc::new(Settings { serial, ..settings }));
        self.settings_serial.store(serial, Ordering::Release);
    }

    pub fn settings_serial(&self) -> u64 {
        self.settings_serial.load(Ordering::Acquire)
    }

    /// What clients are shown: the primary's greeting, once it has given one.
    pub fn profile(&self) -> Option<Arc<Profile>> {
        let primary = self.primary().profile();
        primary.or_else(|| self.servers.iter().find_map(|server| server.profile()))
    }

    /// The primary of the moment. Whether it takes writes is another question.
    pub fn primary(&self) -> Arc<Server> {
        let primary = self.topology.primary().and_then(|index| self.servers.get(index));
        primary.map_or_else(|| self.servers.first().clone(), |primary| Arc::clone(&primary))
    }

    /// Where the statements of a listener's clients go.
    pub fn server_for(&self, mode: ListenerMode) -> Arc<Server> {
        let primary = self.primary();
        if mode != ListenerMode::Replica {
            return primary;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let replicas = self.servers.iter().filter(|server| {
            let is_replica = server.index != primary.index;
            is_replica && !self.is_removed(server.index)
        });
        let replicas: Vec<_> = replicas.map(|server| Arc::clone(&server)).collect();
        let place = turn % replicas.len().max(1);
        let mut in_turn = replicas.iter().skip(place).chain(&replicas);
        let usable = in_turn.find(|server| self.is_usable(server.index));
        usable.or(replicas.get(place)).cloned().unwrap_or(primary)
    }

    /// Whether the configuration has the server no more.
    pub fn is_removed(&self, server: usize) -> bool {
        let snapshot = self.topology.snapshot();
        snapshot
            .servers
            .get(server)
            .is_none_or(|server| !server.is_configured())
    }

    /// Whether clients of a listener for replicas are better off elsewhere than on this server.
    pub fn is_no_replica(&self, server: usize) -> bool {
        !self.is_usable(server) || self.topology.primary() == Some(server)
    }

    /// Whether new statements may go to a server, as far as is known.
    pub fn is_usable(&self, server: usize) -> bool {
        let snapshot = self.topology.snapshot();
        snapshot
            .servers
            .get(server)
            .is_some_and(|server| server.is_usable())
    }

    /// Whether it is worth waiting for a primary: one is to come, or may.
    pub fn waits_for_primary(&self) -> bool {
        let automatic = self.settings().config.failover.mode.replaces_by_itself();
        (automatic || self.topology.gate().writable().is_none()) && !self.lot.patience().is_zero()
    }

    /// The thread with the fewest clients, which has one more now; among several `here`, if it is one of them.
    pub fn admit(&self, here: usize) -> usize {
        let load = |index: &usize| (self.loads[*index].load(Ordering::Relaxed), *index != here);
        let index = (0..self.loads.len()).min_by_key(load).unwrap_or(here);
        self.loads[index].fetch_add(1, Ordering::Relaxed);
        index
    }

    /// Opens the door on one of the threads.
    pub fn open(&self, turn: usize, door: Door, listener: Arc<Listener>) {
        let worker = &self.workers[turn % self.workers.len()];
        let listed = self.doors.list(&listener.address, &door);
        // A thread that has ended already lets nobody in.
        let _ = worker.send(Message::Accept {
            door,
            listed,
            listener,
        });
    }

    /// No thread lets anybody in from now on; who is here stays.
    pub fn close_doors(&self) {
        for sender in &self.workers {
            let _ = sender.send(Message::CloseDoors);
        }
    }

    pub fn interrupt(&self, worker: usize, client: u32, interrupt: Interrupt) {
        if let Some(sender) = self.workers.get(worker) {
            // A thread that has ended has no clients left.
            let _ = sender.send(Message::Interrupt { client, interrupt });
        }
    }

    pub fn cancel(&self, worker: usize, client: u32) {
        if let Some(sender) = self.workers.get(worker) {
            let _ = sender.send(Message::Cancel(client));
        }
    }

    pub fn interrupt_all(&self, interrupt: Interrupt) {
        self.draining.store(true, Ordering::Relaxed);
        for sender in &self.workers {
            let _ = sender.send(Message::InterruptAll(interrupt));
        }
    }
}
