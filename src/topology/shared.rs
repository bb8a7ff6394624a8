//! [`Topology`]: told by the monitor and the sessions, read by everybody.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::{Notify, futures::Notified, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use super::acknowledged::Acknowledged;
use super::events::{Event, EventKind, Events};
use super::gate::Gate;
use super::known::Known;
use super::load::Load;
use super::observation::{Class, Observation, Outcome};
use super::readers::Readers;
use super::record::Record;
use super::snapshot::{Admin, Health, Lag, Replication, Role, ServerView, Snapshot};
use super::tell::tell;
use super::trail::Trail;
use crate::config::{self, Config};
use crate::gtid::Position;

/// Held while a snapshot is built, some times a second, and never across an await.
#[allow(clippy::disallowed_types)]
type Mutex<T> = std::sync::Mutex<T>;

/// One for the process.
#[derive(Debug)]
pub struct Topology {
    snapshot: ArcSwap<Snapshot>,
    /// How many snapshots there have been.
    published: AtomicU64,
    gate: Gate,
    /// The same as in the snapshot, for those who need no more; [`NOBODY`] if there is none.
    primary: AtomicUsize,
    primary_changed: Notify,
    events: Events,
    acknowledged: Acknowledged,
    servers: Box<[Shared]>,
    inner: Mutex<Inner>,
    /// Grows with every probe: who acts on what is seen follows it.
    observed: watch::Sender<u64>,
    /// Replaced when the configuration is read again.
    monitor: ArcSwap<Watching>,
}

/// What of `monitor` counts here.
#[derive(Debug, Clone, PartialEq)]
struct Watching {
    /// `monitor.failures`.
    threshold: u32,
    ejection: config::Ejection,
}

/// What is known of one server beside the snapshot, because it changes with every probe or statement.
#[derive(Debug, Default)]
struct Shared {
    load: Load,
    known: ArcSwap<Known>,
    /// Probes that have begun.
    begun: AtomicU64,
    /// Failures in a row, of probes and of sessions.
    failures: AtomicU32,
    /// Wakes the monitor before its time.
    suspected: Notify,
}

#[derive(Debug)]
struct Inner {
    records: Vec<Record>,
    serial: u64,
    epoch: u64,
    primary: Option<usize>,
    readers: Arc<Readers>,
    tidy: Arc<Readers>,
    /// How often they were forgotten.
    forgotten: u64,
    /// The same when they were read last.
    known_as_of: u64,
    trail: Trail,
}

/// Stands for no server.
const NOBODY: usize = usize::MAX;

// === impl Topology ===

impl Topology {
    pub fn new(config: &Config) -> Arc<Self> {
        let records: Vec<_> = config
            .servers
            .iter()
            .map(|server| Record::new(view(server)))
            .collect();
        let primary = records
            .iter()
            .position(|record| record.view.role == Role::Primary);
        let inner = Inner {
            primary,
            serial: 0,
            epoch: 1,
            readers: Arc::default(),
            tidy: Arc::default(),
            forgotten: 0,
            known_as_of: 0,
            trail: Trail::default(),
            records,
        };
        Arc::new(Self {
            snapshot: ArcSwap::from_pointee(inner.snapshot()),
            published: AtomicU64::new(0),
            gate: Gate::new(config::MOST_SERVERS, primary),
            primary: AtomicUsize::new(primary.unwrap_or(NOBODY)),
            primary_changed: Notify::new(),
            events: Events::new(config.monitor.events as usize),
            acknowledged: Acknowledged::default(),
            servers: (0..config::MOST_SERVERS).map(|_| Shared::default()).collect(),
            inner: Mutex::new(inner),
            observed: watch::Sender::new(0),
            monitor: ArcSwap::from_pointee(Watching::of(config)),
        })
    }

    /// The servers as they are now. Cheap enough for every statement.
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// A number that grows with every snapshot: who has asked for it first has one that is no older.
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Acquire)
    }

    /// What the server surely has. A server that was not reached lately is known to have nothing.
    pub fn position(&self, index: usize) -> Guard<Arc<Known>> {
        self.servers[index].known.load()
    }

    /// The primary, by one load of one word. Whether it takes writes, the gate knows.
    pub fn primary(&self) -> Option<usize> {
        let index = self.primary.load(Ordering::Acquire);
        (index != NOBODY).then_some(index)
    }

    /// Waits until another server than this one is the primary.
    pub async fn primary_changed_from(&self, known: Option<usize>) -> Option<usize> {
        loop {
            let changed = self.primary_changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let primary = self.primary();
            if primary != known {
                return primary;
            }
            changed.await;
        }
    }

    /// Whether writes may be sent, and where.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// What has happened to the servers.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// What clients were told is committed.
    pub fn acknowledged(&self) -> &Acknowledged {
        &self.acknowledged
    }

    /// Another server is the primary from now on. The gate stays as it is: whoever shut it opens it.
    pub fn set_primary(&self, index: usize, epoch: u64) {
        let mut inner = self.lock();
        if index >= inner.records.len() {
            return;
        }
        for (place, record) in inner.records.iter_mut().enumerate() {
            record.set_role(if place == index {
                Role::Primary
            } else {
                Role::Replica
            });
        }
        inner.primary = Some(index);
        inner.epoch = epoch;
        inner.trail = Trail::default();
        self.publish(&mut inner);
        self.primary.store(index, Ordering::Release);
        self.primary_changed.notify_waiters();
    }

    /// Whether a server is kept from all use, and why: it has what the primary lacks.
    pub fn set_quarantine(&self, index: usize, why: Option<Arc<str>>) {
        let mut inner = self.lock();
        inner.records[index].set_quarantine(why, Instant::now());
        self.publish(&mut inner);
    }

    pub fn load(&self, index: usize) -> &Load {
        &self.servers[index].load
    }

    /// The monitor's: a probe of this server begins; answers its number.
    pub fn begin_probe(&self, index: usize) -> u64 {
        let probe = self.servers[index].begun.fetch_add(1, Ordering::AcqRel) + 1;
        if self.primary() == Some(index) {
            self.acknowledged.mark(index, probe);
        }
        probe
    }

    /// How many probes of a server have begun. Whatever was read there before now, the next one sees too.
    pub fn probes_begun(&self, index: usize) -> u64 {
        self.servers[index].begun.load(Ordering::Acquire)
    }

    /// The latest probe of a server.
    pub fn observation(&self, index: usize) -> Option<Arc<Observation>> {
        self.lock().records[index].latest.clone()
    }

    /// The monitor's: what a probe saw.
    pub fn observe(&self, index: usize, observation: Observation) {
        let (now, shared) = (Instant::now(), &self.servers[index]);
        let mut inner = self.lock();
        let record = &mut inner.records[index];
        match &observation.outcome {
            Outcome::Failed(failure) => {
                let failures = shared.count_failure();
                if failures >= self.monitor.load().threshold {
                    record.down(failure.to_string().into(), now);
                }
                // It may come back with less than it had. One that is slow has not gone.
                if failure.class != Class::Timeout {
                    shared.known.store(Arc::default());
                }
            }
            Outcome::Answered(_) | Outcome::Greeted { .. } if !record.is_news(observation.began) => return,
            Outcome::Answered(_) | Outcome::Greeted { .. } => {
                shared.failures.store(0, Ordering::Relaxed);
                record.up(now);
            }
        }
        if let Outcome::Answered(status) = &observation.outcome {
            self.identify(&mut inner.records, index, &status.uuid);
            let record = &mut inner.records[index];
            let is_primary = record.view.role == Role::Primary;
            let position = match &status.applied {
                Some(applied) if !is_primary => applied,
                _ => &status.executed,
            };
            shared.probed(observation.probe, position, status.shown.as_ref());
            if is_primary {
                self.acknowledged.probed(index, observation.probe, position);
                inner.trail.record(observation.began + observation.took, position);
            }
        }
        let behind = inner.behind(&observation);
        let record = &mut inner.records[index];
        record.replicate(&observation, behind);
        record.steady();
        record.latest = Some(Arc::new(observation));
        self.publish(&mut inner);
        drop(inner);
        self.observed.send_modify(|count| *count += 1);
    }

    /// A number that grows with every probe of any server.
    pub fn observed(&self) -> watch::Receiver<u64> {
        self.observed.subscribe()
    }

    /// A session proved that the server has `position`. The primary has everything anyway.
    pub fn reached(&self, index: usize, position: &Position) {
        let known = &self.servers[index].known;
        if self.snapshot.load().primary == Some(index) || known.load().position.contains(position) {
            return;
        }
        known.rcu(|known| known.reached(position));
    }

    /// The server hung up on a session. However many do, that is one failure: one statement may kill all of them.
    pub fn hung_up(&self, index: usize) {
        let shared = &self.servers[index];
        shared.known.store(Arc::default());
        let (first, order) = (1, Ordering::Relaxed);
        if shared.failures.compare_exchange(0, first, order, order).is_ok() {
            shared.suspected.notify_one();
        }
    }

    /// A session lost the server otherwise, or could not connect to it.
    pub fn failed(&self, index: usize) {
        let shared = &self.servers[index];
        let failures = shared.count_failure();
        let Watching { threshold, ejection } = &**self.monitor.load();
        shared.known.store(Arc::default());
        // Nobody needs to be told of more.
        if failures <= *threshold {
            shared.suspected.notify_one();
        }
        if failures == *threshold {
            let (mut inner, now) = (self.lock(), Instant::now());
            let why: Arc<str> = format!("sessions lost it, {failures} times in a row").into();
            if inner.records[index].view.role == Role::Primary {
                inner.records[index].down(why, now);
            } else if inner.may_eject(index, ejection.most, now) {
                let (shortest, longest) = (ejection.shortest, ejection.longest);
                inner.records[index].eject(why, shortest, longest, now);
            } else {
                // Probes alone decide about it now.
                shared.failures.store(0, Ordering::Relaxed);
            }
            self.publish(&mut inner);
        }
    }

    /// Tells of a server that is another one than before, or that is in the list twice.
    fn identify(&self, records: &mut [Record], index: usize, uuid: &str) {
        let before = records[index].identity.clone();
        let replaced = records[index].identify(uuid);
        if records[index].identity == before {
            return;
        }
        let server = records[index].view.name.clone();
        if let Some(before) = replaced {
            warn!(
                server = &*server,
                was = before,
                is = uuid,
                "another server answers at this address"
            );
            let text = format!("another server than before answers: {before} -> {uuid}");
            self.events
                .record(Event::new(EventKind::Identity, Some(&server), text));
        }
        let twin = records.iter().enumerate().find(|(place, record)| {
            *place != index && record.identity == uuid && record.view.is_configured()
        });
        if let Some((_, twin)) = twin {
            let other = &*twin.view.name;
            warn!(
                server = &*server,
                same_as = other,
                uuid,
                "two names for one server"
            );
            let text = format!("the same server as {other}: both are {uuid}");
            self.events
                .record(Event::new(EventKind::Identity, Some(&server), text));
        }
    }

    /// A session was answered by the server. Once it is down, probes alone bring it back.
    pub fn succeeded(&self, index: usize) {
        let failures = &self.servers[index].failures;
        let count = failures.load(Ordering::Relaxed);
        if count != 0 && count < self.monitor.load().threshold {
            let _ = failures.compare_exchange(count, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Wakes the monitor before its time: somebody waits for this server's next probe.
    pub fn hurry(&self, index: usize) {
        self.servers[index].suspected.notify_one();
    }

    /// The monitor's: waits for a session that lost the server.
    pub fn suspected(&self, index: usize) -> Notified<'_> {
        self.servers[index].suspected.notified()
    }

    /// Takes up what the configuration says of servers now and did not say before: what an operator set by hand
    /// stays where the file has not changed.
    pub fn configure(&self, old: &Config, new: &Config) {
        self.monitor.store(Arc::new(Watching::of(new)));
        self.events.keep(new.monitor.events as usize);
        let (mut inner, now) = (self.lock(), Instant::now());
        for (index, server) in new.servers.iter().enumerate().take(self.servers.len()) {
            let old = old.servers.get(index);
            let known = inner.records.get_mut(index);
            match (known, old) {
                (Some(record), Some(old)) if record.is_still(server) => {
                    if old.address != server.address {
                        record.moved(now);
                        self.servers[index].known.store(Arc::default());
                    }
                    record.configure(&view(old), view(server), now);
                }
                (Some(record), _) => {
                    *record = Record::new(view(server));
                    record.set_role(Role::Replica);
                    self.servers[index].begin_anew();
                }
                (None, _) => {
                    let mut record = Record::new(view(server));
                    record.set_role(Role::Replica);
                    inner.records.push(record);
                }
            }
        }
        self.publish(&mut inner);
    }

    /// Nothing refers any more to a server that was removed: another one may have its place.
    pub fn forget(&self, index: usize) {
        let mut inner = self.lock();
        if let Some(record) = inner.records.get_mut(index)
            && record.view.admin == Admin::Removed
        {
            record.set_admin(Admin::Gone, Instant::now());
            self.publish(&mut inner);
        }
    }

    pub fn set_admin(&self, index: usize, admin: Admin) {
        let mut inner = self.lock();
        inner.records[index].set_admin(admin, Instant::now());
        self.publish(&mut inner);
    }

    /// The server's share of the reads from now on.
    pub fn set_weight(&self, index: usize, weight: u32) {
        let mut inner = self.lock();
        inner.records[index].set_weight(weight);
        self.publish(&mut inner);
    }

    pub fn set_readers(&self, readers: Readers) {
        let mut inner = self.lock();
        if *inner.readers != readers {
            info!(functions = readers.len(), "stored functions that only read");
            inner.readers = Arc::new(readers);
            self.publish(&mut inner);
        }
    }

    /// The procedures that leave nothing behind, as they were when they had been forgotten so often.
    pub fn set_procedures(&self, tidy: Readers, forgotten: u64) {
        let mut inner = self.lock();
        if *inner.tidy != tidy && inner.forgotten == forgotten {
            info!(
                procedures = tidy.len(),
                "stored procedures that leave nothing behind"
            );
            inner.tidy = Arc::new(tidy);
            self.publish(&mut inner);
        }
    }

    pub fn procedures_forgotten(&self) -> u64 {
        self.lock().forgotten
    }

    /// A procedure was made: until they are read again, nobody knows what any of them does.
    pub fn forget_procedures(&self) {
        let mut inner = self.lock();
        inner.forgotten += 1;
        inner.tidy = Arc::default();
        self.publish(&mut inner);
    }

    /// All routines have been read since they had been forgotten so often.
    pub fn know_procedures(&self, forgotten: u64) {
        let mut inner = self.lock();
        if inner.forgotten == forgotten && inner.known_as_of != forgotten {
            inner.known_as_of = forgotten;
            self.publish(&mut inner);
        }
    }

    /// Makes a new snapshot if anything is different.
    fn publish(&self, inner: &mut Inner) {
        let old = self.snapshot.load();
        let mut new = inner.snapshot();
        if new == **old {
            return;
        }
        inner.serial += 1;
        new.serial = inner.serial;
        for (old, new) in old.servers.iter().zip(&new.servers) {
            tell(old, new, &self.events);
        }
        self.snapshot.store(Arc::new(new));
        self.published.fetch_add(1, Ordering::AcqRel);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Watching ===

impl Watching {
    fn of(config: &Config) -> Self {
        Self {
            threshold: config.monitor.failures,
            ejection: config.monitor.ejection.clone(),
        }
    }
}

// === impl Shared ===

impl Shared {
    /// For another server. The probes go on to be counted.
    fn begin_anew(&self) {
        self.known.store(Arc::default());
        self.failures.store(0, Ordering::Relaxed);
        self.load.latency.store(0, Ordering::Relaxed);
    }

    fn count_failure(&self) -> u32 {
        self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    fn probed(&self, probe: u64, position: &Position, shown: Option<&Position>) {
        self.known.rcu(|known| known.probed(probe, position, shown));
    }
}

// === impl Inner ===

impl Inner {
    fn snapshot(&self) -> Snapshot {
        Snapshot {
            serial: self.serial,
            epoch: self.epoch,
            primary: self.primary,
            servers: self.records.iter().map(|record| record.view.clone()).collect(),
            readers: self.readers.clone(),
            tidy: self.tidy.clone(),
            made_anew: self.forgotten,
            known_as_of: self.known_as_of,
        }
    }

    /// Whether one more replica may be taken out because of what sessions saw: never more than this percentage, but
    /// one at least.
    fn may_eject(&self, index: usize, most: u32, now: Instant) -> bool {
        let replicas = || {
            self.records
                .iter()
                .filter(|record| record.view.role == Role::Replica && record.view.is_configured())
        };
        let count = replicas().count() * usize::try_from(most).unwrap_or(100) / 100;
        let ejected = replicas().filter(|record| record.is_ejected(now)).count();
        !self.records[index].is_ejected(now) && ejected < count.max(1)
    }

    /// How old the data are at least that a probe saw, by what the primary had before.
    fn behind(&self, observation: &Observation) -> Lag {
        match &observation.outcome {
            Outcome::Answered(status) => {
                let position = status.applied.as_ref().unwrap_or(&status.executed);
                Lag::Known(self.trail.behind(observation.began, position))
            }
            _ => Lag::Unknown,
        }
    }
}

/// A server of the configuration, before anything is known of it.
fn view(server: &config::Server) -> ServerView {
    let role = match server.role {
        config::Role::Primary => Role::Primary,
        config::Role::Replica => Role::Replica,
    };
    ServerView {
        name: server.name.as_str().into(),
        role,
        health: Health::Unknown,
        admin: match server.state {
            config::ServerState::Online => Admin::Online,
            config::ServerState::Drain => Admin::Drain,
            config::ServerState::Maintenance => Admin::Maintenance,
            config::ServerState::Removed => Admin::Removed,
        },
        weight: server.weight,
        rank: server.rank,
        backup: server.backup,
        replication: Replication::None,
        lag: match role {
            Role::Primary => Lag::Known(std::time::Duration::ZERO),
            Role::Replica => Lag::Unknown,
        },
        steady_lag: Lag::Unknown,
        usable_since: None,
        quarantine: None,
    }
}
