//! One thread that serves clients: its event loop, its clients, its pools.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::digests::Digests;
use super::lines::Lines;
use super::login;
use super::mirror::{self, Mirror};
use super::shared::{Message, Shared};
use super::templates::Templates;
use super::traffic::{Sampler, Traffic};
use crate::backend::Pools;
use crate::net::{Interrupt, Link, Signal};
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
    sampler: Sampler,
    clients: RefCell<HashMap<u32, Rc<Signal>>>,
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
        .build()?;
    let tasks = LocalSet::new();
    let worker = Rc::new(Worker::new(index, shared));
    tasks.block_on(&runtime, worker.clone().serve(inbox));
    Ok(())
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
        let routing = &shared.config.routing;
        let seed = foldhash::fast::RandomState::default().hash_one(index);
        let names = shared.servers.iter().map(|server| server.name());
        let balancer = Balancer::new(routing.balance, routing.slow_start, seed).with_names(names);
        let router = Router::new(shared.topology.clone(), balancer);
        let digests = shared.config.statistics.digests as usize;
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
            sampler: Sampler::default(),
            templates: Templates::default(),
            clients: RefCell::default(),
        }
    }

    async fn serve(self: Rc<Self>, mut inbox: mpsc::UnboundedReceiver<Message>) {
        let mut ticks = tokio::time::interval(clock::TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut count = 0u32;
        let mirrors = |rule: &crate::config::Rule| rule.actions.mirror.is_some();
        if self.shared.config.rules.iter().any(mirrors) {
            tokio::task::spawn_local(mirror::run(self.clone()));
        }
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
                    count = count.wrapping_add(1);
                    self.free_connections();
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
            Message::Client {
                socket,
                listener,
                place,
            } => {
                let id = self.shared.registry.next_id();
                let signal = Rc::new(Signal::default());
                self.clients.borrow_mut().insert(id, signal.clone());
                tokio::task::spawn_local(async move {
                    match socket.attach() {
                        Ok(socket) => {
                            socket.tune();
                            let link = Link::new(socket);
                            login::run(link, self.clone(), listener, place, (id, signal)).await;
                        }
                        Err(error) => tracing::warn!(%error, "cannot serve a new connection"),
                    }
                    self.clients.borrow_mut().remove(&id);
                    self.shared.registry.remove(id);
                    self.shared.loads[self.index].fetch_sub(1, Ordering::Relaxed);
                });
            }
            Message::Interrupt { client, interrupt } => {
                if let Some(signal) = self.clients.borrow().get(&client) {
                    signal.raise(interrupt);
                }
            }
            Message::InterruptAll(interrupt) => {
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
        }
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
        let default = self.shared.config.limits.idle_timeout;
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
