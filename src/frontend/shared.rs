//! What all threads that serve clients have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use tokio::sync::mpsc;

use super::caching::ResultCache;
use super::listener::Pauses;
use super::mirror::MirrorCounts;
use super::registry::{Place, Registry};
use super::traffic::Traffic;
use crate::accounts::Accounts;
use crate::backend::{Profile, Server, Servers};
use crate::config::{Balance, Config, Listener, ListenerMode};
use crate::net::Interrupt;
use crate::net::socket::DetachedSocket;
use crate::routing::rules::RuleSet;
use crate::topology::Topology;

/// What one thread tells another.
#[derive(Debug)]
pub enum Message {
    Client {
        socket: DetachedSocket,
        listener: Arc<Listener>,
        place: Place,
    },
    /// Reaches one client of the thread.
    Interrupt { client: u32, interrupt: Interrupt },
    /// Reaches them all.
    InterruptAll(Interrupt),
    /// Somebody waits for a connection to this server.
    Spare(usize),
}

pub struct Shared {
    pub config: Config,
    pub servers: Servers,
    pub accounts: Accounts,
    pub topology: Arc<Topology>,
    pub rules: RuleSet,
    /// Where a rule keeps results.
    pub results: Option<Arc<ResultCache>>,
    pub mirrored: MirrorCounts,
    pub registry: Arc<Registry>,
    pub pauses: Pauses,
    /// Of each thread.
    pub traffic: Box<[Traffic]>,
    /// Replaced when certificates are loaded again.
    pub tls: ArcSwapOption<rustls::ServerConfig>,
    pub draining: AtomicBool,
    pub workers: Vec<mpsc::UnboundedSender<Message>>,
    /// How many clients each thread has; the next one goes where there are fewest.
    pub loads: Vec<AtomicUsize>,
    turn: AtomicUsize,
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
    ) -> Arc<Self> {
        let loads = workers.iter().map(|_| AtomicUsize::new(0)).collect();
        let traffic = workers
            .iter()
            .map(|_| Traffic::new(config.servers.len()))
            .collect();
        let pauses = Pauses::new(config.listeners.len());
        let rules = RuleSet::compile(&config.rules);
        let caches = config.rules.iter().any(|rule| rule.actions.cache.is_some());
        let results = caches.then(|| {
            let most = usize::try_from(config.routing.result_cache).unwrap_or(usize::MAX);
            Arc::new(ResultCache::new(most, topology.clone()))
        });
        Arc::new(Self {
            config,
            servers,
            accounts,
            topology,
            rules,
            results,
            mirrored: MirrorCounts::default(),
            registry: Arc::default(),
            pauses,
            traffic,
            tls: ArcSwapOption::new(tls),
            draining: AtomicBool::new(false),
            workers,
            loads,
            turn: AtomicUsize::new(0),
        })
    }

    /// What clients are shown: the primary's greeting, once it has given one.
    pub fn profile(&self) -> Option<Arc<Profile>> {
        self.servers
            .primary()
            .profile()
            .or_else(|| self.servers.iter().find_map(|server| server.profile()))
    }

    /// Where the statements of a listener's clients go.
    pub fn server_for(&self, mode: ListenerMode) -> &Arc<Server> {
        match mode {
            ListenerMode::Split | ListenerMode::Primary => self.servers.primary(),
            ListenerMode::Replica => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                let turns = turn..turn + self.servers.iter().count();
                let mut replicas = turns.filter_map(|turn| self.servers.replica(turn));
                let usable = replicas.find(|server| self.is_usable(server.index));
                usable
                    .or(self.servers.replica(turn))
                    .unwrap_or(self.servers.primary())
            }
        }
    }

    /// Whether it matters how soon servers answer. Nobody else pays for reading the clock.
    pub fn measures_latency(&self) -> bool {
        self.config.routing.balance == Balance::LeastLatency
    }

    /// Whether new statements may go to a server, as far as is known.
    pub fn is_usable(&self, server: usize) -> bool {
        let snapshot = self.topology.snapshot();
        snapshot
            .servers
            .get(server)
            .is_some_and(|server| server.is_usable())
    }

    /// Hands a new connection to the thread with the fewest clients.
    pub fn hand_over(&self, message: Message) {
        let least = (0..self.workers.len()).min_by_key(|index| self.loads[*index].load(Ordering::Relaxed));
        let index = least.unwrap_or_default();
        self.loads[index].fetch_add(1, Ordering::Relaxed);
        if self.workers[index].send(message).is_err() {
            self.loads[index].fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub fn interrupt(&self, worker: usize, client: u32, interrupt: Interrupt) {
        if let Some(sender) = self.workers.get(worker) {
            // A thread that has ended has no clients left.
            let _ = sender.send(Message::Interrupt { client, interrupt });
        }
    }

    pub fn interrupt_all(&self, interrupt: Interrupt) {
        self.draining.store(true, Ordering::Relaxed);
        for sender in &self.workers {
            let _ = sender.send(Message::InterruptAll(interrupt));
        }
    }
}
