//! Idle server connections of one thread, and the way to get one.
//!
//! A session that gave its connection back finds it again with a [`Ticket`], as long as nobody else needed it:
//! then there is nothing to restore.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use super::connect::{self, Attributes};
use super::connection::Connection;
use super::error::BackendError;
use super::identity::Identity;
use super::server::Server;
use super::slots::Grant;
use crate::session::State;
use crate::util::{Shelf, clock};
use crate::wire::Capabilities;

/// Connections with the same key can serve the same sessions, once their state is restored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    pub server: usize,
    pub identity: Arc<Identity>,
    /// As the client negotiated them, so that results pass as they are.
    pub capabilities: Capabilities,
    /// As the client named it in its login: the server derives the session's character sets from it.
    pub collation: u16,
    /// A session that has chosen no schema cannot use a connection that has: there is no way back.
    pub has_schema: bool,
    /// RESET_CONNECTION gives a session that differs from a login's.
    pub was_reset: bool,
    /// The client uses TLS, and the server's connections are to do as their clients do.
    pub tls: bool,
}

/// Where a session's last connection lies, if it still lies there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    slot: usize,
    serial: u64,
}

/// The kernel is asked whether a connection still stands when it has been idle for longer than this.
const TRUSTED: Duration = clock::TICK;
/// How many idle connections are looked at for one whose state fits already.
const LOOKED_AT: usize = 8;

/// Idle connections of one key.
#[derive(Debug, Default)]
pub struct Pool {
    idle: RefCell<Shelf<Box<Connection>>>,
}

/// All pools of one thread.
pub struct Pools {
    pools: RefCell<HashMap<Key, Rc<Pool>>>,
    /// Asks the other threads to give up an idle connection to a server.
    ask_others: Box<dyn Fn(usize)>,
}

// === impl Pool ===

impl Pool {
    /// An idle connection that can be used as it stands.
    pub fn take(
        &self,
        ticket: Option<Ticket>,
        wanted: &State,
        known_by: Option<&[u8]>,
        now: Instant,
    ) -> Option<Box<Connection>> {
        let mut mine = ticket.and_then(|ticket| self.take_own(ticket));
        loop {
            let any = || match known_by {
                Some(attributes) => self.take_known_by(attributes),
                None => self.take_fitting(wanted),
            };
            let connection = mine.take().or_else(any)?;
            if stands(&connection, now) {
                return Some(connection);
            }
        }
    }

    /// The very connection that was given back with this ticket.
    pub fn take_own(&self, ticket: Ticket) -> Option<Box<Connection>> {
        let mut idle = self.idle.borrow_mut();
        let lies = idle.get(ticket.slot)?.serial == ticket.serial;
        lies.then(|| idle.take(ticket.slot))?
    }

    /// One of the oldest, preferably one in the wanted state.
    fn take_fitting(&self, wanted: &State) -> Option<Box<Connection>> {
        let mut idle = self.idle.borrow_mut();
        let fitting = idle.find(LOOKED_AT, |connection| connection.state.same_as(wanted));
        let slot = fitting.or_else(|| idle.find(1, |_| true))?;
        idle.take(slot)
    }

    /// One that was opened for a client with these attributes.
    fn take_known_by(&self, attributes: &[u8]) -> Option<Box<Connection>> {
        let mut idle = self.idle.borrow_mut();
        let slot = idle.find(usize::MAX, |connection| *connection.attributes == *attributes)?;
        idle.take(slot)
    }

    fn take_oldest(&self) -> Option<Box<Connection>> {
        let mut idle = self.idle.borrow_mut();
        let slot = idle.find(1, |_| true)?;
        idle.take(slot)
    }

    /// Puts a connection back that was only looked at. Its ticket is a new one.
    pub fn put(&self, connection: Box<Connection>) -> Ticket {
        let serial = connection.serial;
        let slot = self.idle.borrow_mut().put(connection);
        Ticket { slot, serial }
    }

    pub fn idle(&self) -> usize {
        self.idle.borrow().len()
    }
}

// === impl Pools ===

impl Pools {
    pub fn new(ask_others: Box<dyn Fn(usize)>) -> Self {
        Self {
            pools: RefCell::default(),
            ask_others,
        }
    }

    pub fn pool(&self, key: &Key) -> Rc<Pool> {
        if let Some(pool) = self.pools.borrow().get(key) {
            return pool.clone();
        }
        let pool = Rc::new(Pool::default());
        self.pools.borrow_mut().insert(key.clone(), pool.clone());
        pool
    }

    /// A connection for a session that is there already: its own if it still lies there, or an idle one.
    pub fn take_idle(
        &self,
        pool: &Pool,
        ticket: Option<Ticket>,
        wanted: &State,
        attributes: Attributes<'_>,
    ) -> Option<Box<Connection>> {
        let known_by = attributes.is_login.then_some(attributes.block);
        pool.take(ticket, wanted, known_by, clock::now())
    }

    /// A connection for a session: its own if it still lies there, an idle one, a new one, or the first to
    /// become free. Its state is whatever it was: the caller restores it.
    pub async fn acquire(
        &self,
        server: &Arc<Server>,
        (key, pool): (&Key, &Pool),
        ticket: Option<Ticket>,
        wanted: &State,
        attributes: Attributes<'_>,
    ) -> Result<Box<Connection>, BackendError> {
        if let Some(connection) = pool.take(ticket, wanted, attributes.known_by(), clock::now()) {
            return Ok(connection);
        }
        if let Some(permit) = server.slots.try_reserve() {
            return connect::connect(server, key, permit, wanted, attributes).await;
        }
        if let Some(connection) = pool.take(None, wanted, None, clock::now()) {
            return own(connection, wanted, attributes).await;
        }
        self.wait(server, key, wanted, attributes).await
    }

    async fn wait(
        &self,
        server: &Arc<Server>,
        key: &Key,
        wanted: &State,
        attributes: Attributes<'_>,
    ) -> Result<Box<Connection>, BackendError> {
        let name = || server.name().to_owned();
        let deadline = Instant::now() + server.pool().acquire_timeout;
        loop {
            let Some(mut place) = server.slots.wait(key.clone()) else {
                return Err(BackendError::PoolQueueFull { server: name() });
            };
            // Where somebody waits already, all were asked, and what becomes idle is offered at once.
            if place.is_first {
                self.spare(server.index);
                (self.ask_others)(server.index);
            }
            // Whoever gave a permit back just before we joined the queue did not see us there.
            let grant = match server.slots.try_reserve() {
                Some(permit) => Grant::Permit(permit),
                None => match tokio::time::timeout_at(deadline, place.grant()).await {
                    Ok(Ok(grant)) => grant,
                    Ok(Err(_)) => continue,
                    Err(_) => {
                        let (limit, maximum) = (server.pool().acquire_timeout, server.slots.maximum());
                        return Err(BackendError::PoolTimeout {
                            server: name(),
                            limit,
                            maximum,
                        });
                    }
                },
            };
            // What opening a connection takes is not to be spent in the queue.
            drop(place);
            match grant {
                Grant::Permit(permit) => {
                    return connect::connect(server, key, permit, wanted, attributes).await;
                }
                Grant::Connection(connection, from) => {
                    let connection = match from == thread::current().id() {
                        true => connection,
                        false => connection.reattach()?,
                    };
                    if stands(&connection, clock::now()) {
                        return own(connection, wanted, attributes).await;
                    }
                }
            }
        }
    }

    /// Takes a connection back that the session leaves clean. `None` when somebody else got it.
    pub fn give_back(&self, pool: &Pool, mut connection: Box<Connection>) -> Option<Ticket> {
        if connection.is_outdated() {
            return None;
        }
        if !connection.link.inbox.bytes().is_empty() {
            // What nobody asked for would be taken for the answer to the next statement.
            return None;
        }
        if connection.server.slots.is_over() {
            return None;
        }
        connection.link.inbox.release();
        connection.used = clock::now();
        if connection.server.slots.has_waiters() {
            let server = connection.server.clone();
            connection = server.slots.offer(connection)?;
        }
        Some(pool.put(connection))
    }

    /// Somebody waits for a connection to this server: gives up idle ones, for as many as wait.
    pub fn spare(&self, server: usize) {
        let pools = self.pools.borrow();
        loop {
            let idle = pools.iter().filter(|(key, _)| key.server == server);
            let fullest = idle.max_by_key(|(_, pool)| pool.idle());
            let Some((pool, connection)) = fullest.and_then(|(_, pool)| Some((pool, pool.take_oldest()?)))
            else {
                return;
            };
            let slots = connection.server.slots.clone();
            if let Some(unwanted) = slots.offer(connection) {
                pool.put(unwanted);
                return;
            }
        }
    }

    /// Closes what has been idle for too long, is too old, or was closed by the server, and forgets empty pools.
    pub fn sweep(&self, now: Instant) {
        self.pools.borrow_mut().retain(|_, pool| {
            let mut idle = pool.idle.borrow_mut();
            for slot in 0..idle.places() {
                let Some(connection) = idle.get_mut(slot) else {
                    continue;
                };
                if is_surplus(connection, now) || !connection.is_usable(now) || !connection.link.is_quiet() {
                    idle.take(slot);
                }
            }
            !idle.is_empty() || Rc::strong_count(pool) > 1
        });
    }

    /// Closes all idle connections of this thread to a server.
    pub fn evict(&self, server: usize) {
        let mut gone = Vec::new();
        for (_, pool) in self.pools.borrow().iter().filter(|(key, _)| key.server == server) {
            let mut idle = pool.idle.borrow_mut();
            let places = 0..idle.places();
            gone.extend(places.map(|place| idle.take(place)));
        }
    }

    /// Idle connections of this thread to a server.
    pub fn idle(&self, server: usize) -> usize {
        let pools = self.pools.borrow();
        pools
            .iter()
            .filter(|(key, _)| key.server == server)
            .map(|(_, pool)| pool.idle())
            .sum()
    }
}

/// Whether a connection can be used as it is. One that was in use a moment ago is not asked for, unless the event
/// loop has heard something of it.
fn stands(connection: &Connection, now: Instant) -> bool {
    let fresh = now.duration_since(connection.used) < TRUSTED && !connection.link.socket().has_news();
    connection.is_usable(now) && (fresh || connection.link.is_quiet())
}

/// The connection, or where a client has just logged in and it was opened for another kind of client, one in its
/// place: the server is to show the client's own attributes.
async fn own(
    mut connection: Box<Connection>,
    wanted: &State,
    attributes: Attributes<'_>,
) -> Result<Box<Connection>, BackendError> {
    if !attributes.is_login || *connection.attributes == *attributes.block {
        return Ok(connection);
    }
    let Some(permit) = connection.permit.take() else {
        return Ok(connection);
    };
    let (server, key) = (connection.server.clone(), connection.key.clone());
    drop(connection);
    connect::connect(&server, &key, permit, wanted, attributes).await
}

/// Whether a connection has been idle for too long; its permit is given back then. All threads together keep the
/// minimum, so it is the permits that decide.
fn is_surplus(connection: &mut Connection, now: Instant) -> bool {
    if connection.server.slots.is_over() {
        return true;
    }
    let settings = connection.server.pool().clone();
    let idle = now.duration_since(connection.used);
    if settings.idle_timeout.is_none_or(|limit| idle <= limit) {
        return false;
    }
    let Some(permit) = connection.permit.take() else {
        return true;
    };
    match permit.give_up(settings.min_idle as usize) {
        Ok(()) => true,
        Err(permit) => {
            connection.permit = Some(permit);
            false
        }
    }
}
