//! All clients of the process by their connection id, for KILL, for limits, and for those who look.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use dashmap::DashMap;
use tokio::time::Instant;

use crate::backend::Key;
use crate::session::{Holds, Session};
use crate::wire::command::Command;

/// What other threads may know of a client.
#[derive(Debug)]
pub struct Entry {
    pub worker: usize,
    pub user: Vec<u8>,
    /// As whom it comes to servers.
    pub key: Key,
    /// The server and its id of the connection that runs or holds for this client, in one word; 0: there is none.
    place: AtomicU64,
    /// So many orders to kill what is in that place are under way: nobody else may get the connection meanwhile.
    aimed: AtomicU32,
    /// Somebody is about to kill its connection: what that breaks is not to run elsewhere.
    dying: AtomicBool,
    /// The statement under way is not to go on.
    is_cancelled: AtomicBool,
    /// It is killed, and whoever did it knows: nothing that it still says is answered.
    is_killed: AtomicBool,
    /// `None`: a Unix socket.
    pub address: Option<SocketAddr>,
    pub listener: Arc<str>,
    /// When it connected.
    pub since: Instant,
    seen: Glance,
}

/// What those who look see of a session. Its own thread writes, before and after each command; nobody waits for it.
#[derive(Debug)]
struct Glance {
    /// The command that runs, or [`IDLE`].
    command: AtomicU8,
    /// When that began, in milliseconds after `since`.
    changed: AtomicU32,
    holds: AtomicU32,
    /// When the transaction began, in milliseconds after `since`; [`NONE`]: there is none.
    transaction: AtomicU32,
    statements: AtomicU64,
    schema: ArcSwapOption<Arc<[u8]>>,
    /// Where the schema's name lies, which nobody else can come to lie at while it is there; 0: there is none.
    schema_at: AtomicUsize,
}

/// No command has this number.
const IDLE: u8 = u8::MAX;
const NONE: u32 = u32::MAX;

#[derive(Debug, Default)]
pub struct Registry {
    clients: DashMap<u32, Arc<Entry>>,
    next: AtomicU32,
    total: AtomicUsize,
    per_address: DashMap<IpAddr, usize>,
    per_user: DashMap<Vec<u8>, usize>,
}

/// A client's place among the connections of the process; given back when dropped.
#[derive(Debug)]
pub struct Place {
    registry: Arc<Registry>,
    address: Option<IpAddr>,
    user: Option<Vec<u8>>,
}

/// An order to kill, from before it is known where until it has been carried out.
#[derive(Debug)]
pub struct Aim {
    entry: Arc<Entry>,
    /// Where the client's connection was, and is as long as this lives.
    pub place: Option<(usize, u64)>,
    /// It is the whole session that is to end, not only what it runs.
    pub ends_session: bool,
}

/// Which limit a client ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    Address,
    User,
}

/// Of a place in one word. Servers number their connections with less; of those they have no more than 64 thousand.
const THREAD_BITS: u32 = 48;
const THREAD: u64 = (1 << THREAD_BITS) - 1;
/// Clients' ids begin here, so that they do not meet the servers' ids, which count from one:
/// KILL takes either.
const FIRST_ID: u32 = 1 << 30;
/// More clients than come while a process is replaced.
const FAR: u32 = 1 << 28;

// === impl Entry ===

impl Entry {
    pub fn new(worker: usize, user: Vec<u8>, key: Key) -> Self {
        Self {
            worker,
            user,
            key,
            place: AtomicU64::new(0),
            aimed: AtomicU32::new(0),
            dying: AtomicBool::new(false),
            is_cancelled: AtomicBool::new(false),
            is_killed: AtomicBool::new(false),
            address: None,
            listener: Arc::from(""),
            since: Instant::now(),
            seen: Glance::default(),
        }
    }

    /// How it came in.
    pub fn by(self, listener: &str, address: Option<SocketAddr>) -> Self {
        Self {
            listener: listener.into(),
            address,
            ..self
        }
    }

    /// The server and its id of the connection that works for the client.
    pub fn place(&self) -> Option<(usize, u64)> {
        let place = self.place.load(Ordering::SeqCst);
        (place != 0).then_some(((place >> THREAD_BITS) as usize, place & THREAD))
    }

    pub fn set_place(&self, place: Option<(usize, u64)>) {
        let place = place.map_or(0, |(server, thread)| {
            (server as u64) << THREAD_BITS | thread & THREAD
        });
        self.place.store(place, Ordering::SeqCst);
    }

    /// Its own thread's: nobody who aims from now on finds a connection. Whether somebody has before.
    pub fn hide(&self) -> bool {
        self.place.store(0, Ordering::SeqCst);
        self.aimed.load(Ordering::SeqCst) != 0
    }
}

impl Entry {
    pub fn set_dying(&self, dying: bool) {
        self.dying.store(dying, Ordering::Release);
    }

    pub fn is_dying(&self) -> bool {
        self.dying.load(Ordering::Acquire) || self.is_killed()
    }

    /// Who kills looks for its connection after this, and its own thread looks at this once its connection can be
    /// seen: one of the two sees the other.
    pub fn kill(&self) {
        self.is_killed.store(true, Ordering::SeqCst);
    }

    pub fn is_killed(&self) -> bool {
        self.is_killed.load(Ordering::SeqCst)
    }

    /// As [`Entry::kill`], for what it runs now.
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::SeqCst);
    }

    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::SeqCst)
    }
}

// === impl Aim ===

impl Aim {
    pub fn at(entry: Arc<Entry>) -> Self {
        entry.aimed.fetch_add(1, Ordering::SeqCst);
        let place = entry.place();
        Self {
            entry,
            place,
            ends_session: false,
        }
    }

    /// The server has carried it out, and whoever gave it is about to hear so.
    pub fn met(&self) {
        if self.ends_session {
            self.entry.kill();
        }
    }
}

impl Drop for Aim {
    fn drop(&mut self) {
        self.entry.aimed.fetch_sub(1, Ordering::SeqCst);
    }
}

// === impl Entry: at a glance ===

impl Entry {
    /// Its thread's: a command begins.
    pub fn begins(&self, command: Command, now: Instant) {
        self.is_cancelled.store(false, Ordering::Relaxed);
        self.seen.command.store(command.0, Ordering::Relaxed);
        self.seen.changed.store(self.millis(now), Ordering::Relaxed);
    }

    /// Its thread's: the command has ended, and left the session so.
    pub fn ended(&self, session: &Session, statements: u64, now: Instant) {
        let seen = &self.seen;
        seen.command.store(IDLE, Ordering::Relaxed);
        seen.changed.store(self.millis(now), Ordering::Relaxed);
        seen.holds.store(session.holds.bits(), Ordering::Relaxed);
        seen.statements.store(statements, Ordering::Relaxed);
        let was_open = seen.transaction.load(Ordering::Relaxed) != NONE;
        match (was_open, session.in_transaction()) {
            (false, true) => seen.transaction.store(self.millis(now), Ordering::Relaxed),
            (true, false) => seen.transaction.store(NONE, Ordering::Relaxed),
            _ => {}
        }
        let schema = session.state.schema.as_ref();
        let at = schema.map_or(0, |schema| schema.as_ptr().addr());
        if seen.schema_at.load(Ordering::Relaxed) != at {
            seen.schema.store(schema.cloned().map(Arc::new));
            seen.schema_at.store(at, Ordering::Relaxed);
        }
    }

    /// What it does, and for how long; to about a tenth of a second.
    pub fn doing(&self) -> (&'static str, Duration) {
        let word = match Command(self.seen.command.load(Ordering::Relaxed)) {
            Command(IDLE) => "idle",
            Command::QUERY => "query",
            Command::STMT_PREPARE => "prepare",
            Command::STMT_EXECUTE | Command::STMT_BULK_EXECUTE => "execute",
            Command::STMT_FETCH => "fetch",
            Command::BINLOG_DUMP | Command::BINLOG_DUMP_GTID => "binlog dump",
            _ => "command",
        };
        (word, self.after(self.seen.changed.load(Ordering::Relaxed)))
    }

    pub fn is_idle(&self) -> bool {
        self.seen.command.load(Ordering::Relaxed) == IDLE
    }

    pub fn holds(&self) -> Holds {
        Holds::from_bits(self.seen.holds.load(Ordering::Relaxed))
    }

    /// How long its transaction has been open.
    pub fn in_transaction(&self) -> Option<Duration> {
        let began = self.seen.transaction.load(Ordering::Relaxed);
        (began != NONE).then(|| self.after(began))
    }

    pub fn statements(&self) -> u64 {
        self.seen.statements.load(Ordering::Relaxed)
    }

    pub fn schema(&self) -> Option<Arc<[u8]>> {
        Some(Arc::clone(&*self.seen.schema.load_full()?))
    }

    /// In milliseconds since it came; they last for seven weeks of silence, and then stand still.
    fn millis(&self, now: Instant) -> u32 {
        let since = now.saturating_duration_since(self.since).as_millis();
        u32::try_from(since).unwrap_or(NONE - 1)
    }

    fn after(&self, millis: u32) -> Duration {
        let then = Duration::from_millis(millis.into());
        self.since.elapsed().saturating_sub(then)
    }
}

impl Default for Glance {
    fn default() -> Self {
        Self {
            command: AtomicU8::new(IDLE),
            changed: AtomicU32::new(0),
            holds: AtomicU32::new(0),
            transaction: AtomicU32::new(NONE),
            statements: AtomicU64::new(0),
            schema: ArcSwapOption::empty(),
            schema_at: AtomicUsize::new(0),
        }
    }
}

// === impl Registry ===

impl Registry {
    /// Looks at every client; not to be done for each statement.
    pub fn each(&self, mut look: impl FnMut(u32, &Entry)) {
        // Copied first: nobody who comes or goes waits while they are looked at.
        let clients: Vec<_> = self
            .clients
            .iter()
            .map(|client| (*client.key(), client.value().clone()))
            .collect();
        for (id, entry) in clients {
            look(id, &entry);
        }
    }

    pub fn next_id(&self) -> u32 {
        FIRST_ID | self.next.fetch_add(1, Ordering::Relaxed) & (FIRST_ID - 1)
    }

    /// Leaves the ids that are next to another process: those here go on far behind them.
    pub fn reserve_ids(&self) -> u32 {
        self.next.fetch_add(FAR, Ordering::Relaxed)
    }

    /// The other process's side.
    pub fn begin_at(&self, next: u32) {
        self.next.store(next, Ordering::Relaxed);
    }

    pub fn is_own_id(id: u64) -> bool {
        (u64::from(FIRST_ID)..u64::from(FIRST_ID) * 2).contains(&id)
    }

    pub fn get(&self, id: u32) -> Option<Arc<Entry>> {
        Some(self.clients.get(&id)?.clone())
    }

    pub fn insert(&self, id: u32, entry: Arc<Entry>) {
        self.clients.insert(id, entry);
    }

    pub fn remove(&self, id: u32) {
        self.clients.remove(&id);
    }

    /// The client that a server's thread works for.
    pub fn client_of(&self, server: usize, thread: u64) -> Option<u32> {
        let works = |entry: &Entry| entry.place() == Some((server, thread));
        self.clients
            .iter()
            .find(|client| works(client.value()))
            .map(|client| *client.key())
    }

    pub fn connections(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    /// Takes a place for a new connection. Whether there are too many is for the one to ask who can say so.
    pub fn enter(self: &Arc<Self>) -> Place {
        self.total.fetch_add(1, Ordering::Relaxed);
        Place {
            registry: self.clone(),
            address: None,
            user: None,
        }
    }
}

// === impl Place ===

impl Place {
    /// Counts the connection for the address that it comes from.
    pub fn comes_from(&mut self, address: Option<IpAddr>, limit: Option<usize>) -> Result<(), Full> {
        if let (Some(address), Some(limit)) = (address, limit) {
            let mut count = self.registry.per_address.entry(address).or_default();
            if *count >= limit {
                return Err(Full::Address);
            }
            *count += 1;
            self.address = Some(address);
        }
        Ok(())
    }

    /// Counts the connection for its user too, once it is known.
    pub fn belongs_to(&mut self, user: &[u8], limit: Option<usize>) -> Result<(), Full> {
        self.leave_user();
        let Some(limit) = limit else { return Ok(()) };
        let mut count = self.registry.per_user.entry(user.to_vec()).or_default();
        if *count >= limit {
            return Err(Full::User);
        }
        *count += 1;
        drop(count);
        self.user = Some(user.to_vec());
        Ok(())
    }

    fn leave_user(&mut self) {
        if let Some(user) = self.user.take() {
            decrement(&self.registry.per_user, &user);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.registry.total.fetch_sub(1, Ordering::Relaxed);
        if let Some(address) = self.address {
            decrement(&self.registry.per_address, &address);
        }
        self.leave_user();
    }
}

fn decrement<K: std::hash::Hash + Eq>(counts: &DashMap<K, usize>, key: &K) {
    counts.remove_if_mut(key, |_, count| {
        *count = count.saturating_sub(1);
        *count == 0
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_and_given_back() {
        let registry = Arc::new(Registry::default());
        let here = Some(IpAddr::from([127, 0, 0, 1]));
        let (mut first, mut second) = (registry.enter(), registry.enter());
        first.comes_from(here, Some(1)).unwrap();
        assert_eq!(second.comes_from(here, Some(1)), Err(Full::Address));
        first.belongs_to(b"app", Some(1)).unwrap();
        assert_eq!(second.belongs_to(b"app", Some(1)), Err(Full::User));
        drop(first);
        second.belongs_to(b"app", Some(1)).unwrap();
        second.comes_from(here, Some(1)).unwrap();
        assert_eq!(registry.connections(), 1);
        drop(second);
        assert_eq!(registry.connections(), 0);
        assert!(registry.per_user.is_empty() && registry.per_address.is_empty());
    }
}
