//! One thread that serves clients: its event loop, its clients, its pools.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::runtime::LocalOptions;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::digests::Digests;
use super::evidence::Ledger;
use super::lines::Lines;
use super::listener;
use super::login;
use super::mirror::{self, Mirror};
use super::settings::Settings;
use super::shared::{Message, Newcomer, Shared};
use super::templates::Templates;
use super::traffic::{Sampler, Traffic};
use crate::accounts::Directory;
use crate::backend::Pools;
use crate::config::{Config, Listener};
use crate::net::{DetachedSocket, Interrupt, Signal, Socket};
use crate::routing::Router;
use crate::routing::balance::Balancer;
use crate::sql::FactsCache;
use crate::util::{Stopwatch, clock};

pub struct Worker {
    pub index: usize,
    pub shared: Arc<Shared>,
    pub pools: Pools,
    pub templates: Templates,
    /// What is known of statements' texts.
    pub facts: RefCell<FactsCache>,
    pub router: RefCell<Router>,
    pub mirror: Mirror,
    pub stopwatch: Stopwatch,
    pub digests: RefCell<Digests>,
    pub lines: Lines,
    pub evidence: Rc<Ledger>,
    sampler: Sampler,
    clients: RefCell<HashMap<u32, Rc<Signal>>>,
    /// What the router and the facts were made with.
    settings: RefCell<Arc<Settings>>,
    seed: u64,
    /// Opened by the thread's first login.
    directory: OnceCell<Option<Directory>>,
    /// The tasks that accept connections here.
    doors: RefCell<Vec<AbortHandle>>,
}

/// How long a client may think about its last statement's warnings while others wait for its connection.
const SILENCE: std::time::Duration = std::time::Duration::from_millis(100);
/// How many ticks pass between two rounds over what may have to be closed.
const ROUND: u32 = 10;

/// Runs until the proxy stops and the last client has gone.
pub fn run(
    index: usize,
    shared: Arc<Shared>,
    inbox: mpsc::UnboundedReceiver<Message>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    let worker = Rc::new(Worker::new(index, shared));
    // A task of its own: the future that is blocked on would be polled once more for others' sake.
    let serving = runtime.spawn_local(worker.serve(inbox));
    runtime.block_on(serving).map_err(std::io::Error::other)
}

fn balancer(config: &Config, seed: u64) -> Balancer {
    let (routing, servers) = (&config.routing, &config.servers);
    Balancer::new(routing.balance, routing.slow_start, seed)
        .with_names(servers.iter().map(|server| server.name.as_str()))
        .with_ranks(servers.iter().map(|server| server.rank))
}

// === impl Worker ===

impl Worker {
    fn new(index: usize, shared: Arc<Shared>) -> Self {
        let others: Vec<_> = shared
            .workers
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
            .collect();
        let others: Vec<_> = others.into_iter().map(|(_, sender)| sender.clone()).collect();
        let ask_others = move |server| {
            for other in &others {
                let _ = other.send(Message::Spare(server));
            }
        };
        let pools = Pools::new(Box::new(ask_others));
        let settings = shared.settings().clone();
        let routing = &settings.config.routing;
        let seed = foldhash::fast::RandomState::default().hash_one(index);
        let router = Router::new(shared.topology.clone(), balancer(&settings.config, seed));
        let digests = shared.settings().config.statistics.digests as usize;
        let facts = FactsCache::new(routing.digests as usize);
        Self {
            index,
            shared,
            pools,
            facts: RefCell::new(facts),
            router: RefCell::new(router),
            mirror: Mirror::new(seed),
            stopwatch: Stopwatch::choose(),
            digests: RefCell::new(Digests::new(digests)),
            lines: Lines::new(seed),
            evidence: Ledger::new(index),
            sampler: Sampler::default(),
            templates: Templates::default(),
            settings: RefCell::new(settings),
            seed,
            clients: RefCell::default(),
            directory: OnceCell::new(),
            doors: RefCell::default(),
        }
    }

    /// The servers' own accounts, where they count.
    pub fn directory(&self) -> Option<&Directory> {
        let open = || self.shared.accounts.open_directory();
        self.directory.get_or_init(open).as_ref()
    }

    async fn serve(self: Rc<Self>, mut inbox: mpsc::UnboundedReceiver<Message>) {
        let mut ticks = tokio::time::interval(clock::TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut count = 0u32;
        // Rules that mirror may come with a reload.
        tokio::task::spawn_local(mirror::run(self.clone()));
        loop {
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(message) => self.clone().handle(message),
                    None => return,
                },
                due = ticks.tick() => {
                    self.traffic().delays.record(clock::tick().saturating_duration_since(due));
                    self.sampler.refill();
                    self.lines.refill();
                    self.tell_tables();
                    count = count.wrapping_add(1);
                    self.free_connections();
                    self.keep_up();
                    if count.is_multiple_of(ROUND) {
                        self.round();
                    }
                }
            }
            if self.shared.draining.load(Ordering::Relaxed)
                && self.clients.borrow().is_empty()
                && inbox.is_empty()
            {
                return;
            }
        }
    }

    /// What this thread counts.
    pub fn traffic(&self) -> &Traffic {
        &self.shared.traffic[self.index]
    }

    /// A client's command begins; the time, if it is one of those that are measured.
    pub fn begin_command(&self) -> Option<Instant> {
        self.traffic().commands.add(1);
        self.sampler.begin()
    }

    pub fn end_command(&self, began: Option<Instant>) {
        if let Some(began) = began {
            self.traffic().times.record(began.elapsed());
        }
    }

    fn handle(self: Rc<Self>, message: Message) {
        match message {
            Message::Accept {
                door,
                listed,
                listener,
            } => {
                let accepting = listener::serve((door, listed), listener, self.clone());
                let task = tokio::task::spawn_local(accepting);
                let mut doors = self.doors.borrow_mut();
                doors.retain(|door| !door.is_finished());
                doors.push(task.abort_handle());
            }
            Message::Client(newcomer) => match newcomer.map(DetachedSocket::attach) {
                Ok(newcomer) => self.attend(newcomer),
                Err(error) => {
                    self.shared.loads[self.index].fetch_sub(1, Ordering::Relaxed);
                    tracing::warn!(%error, "cannot serve a new connection");
                }
            },
            Message::Interrupt { client, interrupt } => {
                if let Some(signal) = self.clients.borrow().get(&client) {
                    signal.raise(interrupt);
                }
            }
            Message::Cancel(client) => self.cancel(client),
            Message::CloseDoors => self.close_doors(),
            Message::InterruptAll(interrupt) => {
                // Whatever they are told, there will be no more of them.
                self.close_doors();
                for signal in self.clients.borrow().values() {
                    signal.raise(interrupt);
                }
            }
            Message::Spare(server) => self.pools.spare(server),
            Message::Digests(asker) => {
                // It has room for all threads; nobody may be left who waits.
                let _ = asker.try_send(self.digests.borrow().rows());
            }
            Message::ForgetDigests => self.digests.borrow_mut().forget(),
            Message::Retire(server) => self.pools.evict(server),
            Message::Statements(asker) => {
                let _ = asker.try_send(self.statements());
            }
            Message::Evict(server) => {
                self.pools.evict(server);
                for signal in self.clients.borrow().values() {
                    signal.evict();
                }
            }
        }
    }

    /// What this thread keeps of statements, for whoever looks.
    fn tell_tables(&self) {
        let (traffic, mut facts) = (self.traffic(), self.facts.borrow_mut());
        let looked = facts.take_looked();
        traffic.facts_hits.add(looked.hits);
        traffic.facts_misses.add(looked.misses);
        traffic.facts_kept.set(facts.len() as u64);
        traffic.digests_kept.set(self.digests.borrow().len() as u64);
    }

    /// What each client runs or ran last, without literals.
    fn statements(&self) -> Vec<(u32, Arc<[u8]>)> {
        let clients = self.clients.borrow();
        let of = |(id, signal): (&u32, &Rc<Signal>)| Some((*id, signal.statement.borrow().clone()?));
        clients.iter().filter_map(of).collect()
    }

    /// What was to be ended may have come to its end, and another statement may have begun.
    fn cancel(&self, client: u32) {
        let entry = self.shared.registry.get(client);
        if entry.is_some_and(|entry| entry.is_cancelled())
            && let Some(signal) = self.clients.borrow().get(&client)
        {
            signal.cancel();
        }
    }

    fn close_doors(&self) {
        self.doors.take().iter().for_each(AbortHandle::abort);
    }

    /// Takes up what a reload has changed of how statements are routed.
    fn keep_up(&self) {
        let new = self.shared.settings();
        let mut settings = self.settings.borrow_mut();
        if Arc::ptr_eq(&settings, &new) {
            return;
        }
        let chosen_by = |config: &Config| {
            let servers = config.servers.iter();
            let servers: Vec<_> = servers.map(|server| (server.name.clone(), server.rank)).collect();
            (config.routing.balance, config.routing.slow_start, servers)
        };
        if chosen_by(&settings.config) != chosen_by(&new.config) {
            let balancer = balancer(&new.config, self.seed);
            self.router.borrow_mut().set_balancer(balancer);
        }
        let digests = new.config.routing.digests;
        if settings.config.routing.digests != digests {
            self.facts.replace(FactsCache::new(digests as usize));
        }
        *settings = new.clone();
    }

    /// Serves a client here, unless another thread has fewer.
    pub fn let_in(self: &Rc<Self>, socket: Socket, peer: Option<SocketAddr>, listener: &Arc<Listener>) {
        let newcomer = Newcomer {
            socket,
            peer,
            listener: self.shared.current(listener),
            place: self.shared.registry.enter(),
        };
        let index = self.shared.admit(self.index);
        if index == self.index {
            self.clone().attend(newcomer);
            return;
        }
        let sent = newcomer.map(Socket::detach).map(|newcomer| {
            let sent = self.shared.workers[index].send(Message::Client(newcomer));
            sent.is_ok()
        });
        if !matches!(sent, Ok(true)) {
            self.shared.loads[index].fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn attend(self: Rc<Self>, newcomer: Newcomer<Socket>) {
        let id = self.shared.registry.next_id();
        let signal = Rc::new(Signal::default());
        if self.shared.draining.load(Ordering::Relaxed) {
            signal.raise(Interrupt::Drain);
        }
        self.clients.borrow_mut().insert(id, signal.clone());
        tokio::task::spawn_local(async move {
            login::run(self.clone(), newcomer, (id, signal)).await;
            self.clients.borrow_mut().remove(&id);
            self.shared.registry.remove(id);
            self.shared.loads[self.index].fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// Where sessions wait for a connection, clients that went silent give up those kept for their next question.
    fn free_connections(&self) {
        let servers = &self.shared.servers;
        if !servers.iter().any(|server| server.slots.has_waiters()) {
            return;
        }
        let now = clock::now();
        let waited_for = |server| {
            servers
                .get(server)
                .is_some_and(|server| server.slots.has_waiters())
        };
        for signal in self.clients.borrow().values() {
            let idle = signal.idle_since.get().map(|since| now.duration_since(since));
            if signal.holds_softly.get().is_some_and(waited_for) && idle.is_some_and(|idle| idle >= SILENCE) {
                signal.want_connection();
            }
        }
    }

    /// Ends clients that said nothing for too long, and closes server connections that nobody needs.
    fn round(&self) {
        let now = clock::now();
        self.pools.sweep(now);
        let default = self.shared.settings().config.limits.idle_timeout;
        for signal in self.clients.borrow().values() {
            let limit = signal.idle_limit.get().or(default);
            let idle = signal.idle_since.get().map(|since| now.duration_since(since));
            if let (Some(limit), Some(idle)) = (limit, idle)
                && idle > limit
            {
                signal.raise(Interrupt::Idle);
            }
        }
    }
}
