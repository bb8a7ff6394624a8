//! How many connections a server may have, over all threads, and who waits for one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};

use tokio::sync::oneshot;

use super::connection::Connection;
use super::pool::Key;

/// Held for a short push or pop only, and never across an await.
#[allow(clippy::disallowed_types)]
type Mutex<T> = std::sync::Mutex<T>;

#[derive(Debug)]
pub struct Slots {
    maximum: AtomicUsize,
    max_waiting: AtomicUsize,
    open: AtomicUsize,
    /// The length of the queue, so that those who give back need not lock it when nobody waits.
    waiting: AtomicUsize,
    queue: Mutex<VecDeque<Waiter>>,
}

#[derive(Debug)]
struct Waiter {
    key: Key,
    sender: oneshot::Sender<Grant>,
    thread: ThreadId,
    /// How often others went before it.
    passed_over: u32,
}

/// A place in the queue; left when dropped.
#[derive(Debug)]
pub struct Place {
    slots: Arc<Slots>,
    receiver: oneshot::Receiver<Grant>,
    /// Nobody waited before: whatever lies idle anywhere has to be asked for.
    pub is_first: bool,
}

/// What a waiter is given.
#[derive(Debug)]
pub enum Grant {
    /// The right to open a connection.
    Permit(Permit),
    /// A connection that fits, and the thread in whose event loop it is.
    Connection(Box<Connection>, ThreadId),
}

/// The right to one connection; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    /// `None` only when it has been given back already.
    slots: Option<Arc<Slots>>,
}

/// A connection goes to one who waits on its own thread, and need not change its event loop, if there is one among so
/// many who wait longest, ...
const LOOKED_AT: usize = 16;
/// ... and if the first of them was not passed over so often already.
const PATIENCE: u32 = 32;

// === impl Slots ===

impl Slots {
    pub fn new(maximum: usize, max_waiting: usize) -> Arc<Self> {
        Arc::new(Self {
            maximum: AtomicUsize::new(maximum),
            max_waiting: AtomicUsize::new(max_waiting),
            open: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            queue: Mutex::default(),
        })
    }

    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub fn maximum(&self) -> usize {
        self.maximum.load(Ordering::Relaxed)
    }

    /// What there is beyond a lower maximum stays until it is closed; a higher one lets those in who wait.
    pub fn set_maximum(self: &Arc<Self>, maximum: usize) {
        self.maximum.store(maximum, Ordering::SeqCst);
        let mut places = maximum.saturating_sub(self.open());
        while places > 0 && self.has_waiters() {
            self.hand_on();
            places -= 1;
        }
    }

    pub fn set_max_waiting(&self, max_waiting: usize) {
        self.max_waiting.store(max_waiting, Ordering::Relaxed);
    }

    /// There are more than there may be, since the maximum was lowered.
    pub fn is_over(&self) -> bool {
        self.open() > self.maximum()
    }

    pub fn has_waiters(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    pub fn try_reserve(self: &Arc<Self>) -> Option<Permit> {
        let maximum = self.maximum();
        let more = |open| (open < maximum).then_some(open + 1);
        self.open
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more)
            .ok()?;
        Some(Permit {
            slots: Some(self.clone()),
        })
    }

    /// Joins the queue; `None` when it is full.
    pub fn wait(self: &Arc<Self>, key: Key) -> Option<Place> {
        let mut queue = self.lock();
        if queue.len() >= self.max_waiting.load(Ordering::Relaxed) {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        let is_first = queue.is_empty();
        queue.push_back(Waiter {
            key,
            sender,
            thread: thread::current().id(),
            passed_over: 0,
        });
        self.waiting.store(queue.len(), Ordering::SeqCst);
        drop(queue);
        Some(Place {
            slots: self.clone(),
            receiver,
            is_first,
        })
    }

    /// Takes out who does not wait any more.
    fn forget_gone(&self) {
        let mut queue = self.lock();
        queue.retain(|waiter| !waiter.sender.is_closed());
        self.waiting.store(queue.len(), Ordering::SeqCst);
    }

    /// Hands a connection to one of the first who wait, or gives it back. One that does not fit is closed,
    /// and the waiter may open its own.
    pub fn offer(&self, connection: Box<Connection>) -> Option<Box<Connection>> {
        let mut connection = connection;
        let here = thread::current().id();
        while let Some(waiter) = self.first_for(&connection.key, here) {
            if waiter.sender.is_closed() {
                continue;
            }
            if waiter.key != connection.key {
                // Its permit goes to the first waiter as the connection is dropped.
                self.put_back(waiter);
                drop(connection);
                return None;
            }
            match waiter.sender.send(Grant::Connection(connection, here)) {
                Ok(()) => return None,
                Err(Grant::Connection(refused, _)) => connection = refused,
                Err(Grant::Permit(_)) => return None,
            }
        }
        Some(connection)
    }

    /// A place has become free: the first who waits gets it.
    fn hand_on(self: &Arc<Self>) {
        while self.has_waiters() {
            let Some(permit) = self.try_reserve() else {
                return;
            };
            let mut unclaimed = match self.first() {
                None => permit,
                Some(waiter) => match waiter.sender.send(Grant::Permit(permit)) {
                    Err(Grant::Permit(permit)) => permit,
                    _ => return,
                },
            };
            // Nobody is left, or this one has gone away and the next gets it. Not dropped, so that it does not
            // recurse; nobody can have joined without trying for himself after joining.
            unclaimed.slots = None;
            self.open.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn first(&self) -> Option<Waiter> {
        let mut queue = self.lock();
        let waiter = queue.pop_front();
        self.waiting.store(queue.len(), Ordering::SeqCst);
        waiter
    }

    /// Who gets a connection of this thread.
    fn first_for(&self, key: &Key, here: ThreadId) -> Option<Waiter> {
        let mut queue = self.lock();
        let fits = |waiter: &Waiter| waiter.thread == here && waiter.key == *key;
        let near = match queue.front_mut()? {
            first if fits(first) || first.passed_over >= PATIENCE => 0,
            first => {
                first.passed_over += 1;
                queue.iter().take(LOOKED_AT).position(fits).unwrap_or_default()
            }
        };
        let waiter = queue.remove(near);
        self.waiting.store(queue.len(), Ordering::SeqCst);
        waiter
    }

    fn put_back(&self, waiter: Waiter) {
        let mut queue = self.lock();
        queue.push_front(waiter);
        self.waiting.store(queue.len(), Ordering::SeqCst);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Waiter>> {
        self.queue
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

// === impl Place ===

impl Place {
    /// What the one who waits is given; an error when nothing will come any more.
    pub async fn grant(&mut self) -> Result<Grant, oneshot::error::RecvError> {
        (&mut self.receiver).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // After a grant, too: then it is not in the queue, and there is nothing to take out.
        if !self.receiver.is_terminated() {
            self.receiver.close();
            self.slots.forget_gone();
        }
    }
}

// === impl Permit ===

impl Permit {
    /// For a connection that counts against no limit and is closed soon.
    pub fn uncounted() -> Self {
        Self { slots: None }
    }

    /// Gives it back, unless no more than `minimum` are open.
    pub fn give_up(mut self, minimum: usize) -> Result<(), Self> {
        let fewer = |open| (open > minimum).then(|| open - 1);
        match self.slots.take() {
            Some(slots)
                if slots
                    .open
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer)
                    .is_err() =>
            {
                self.slots = Some(slots);
                Err(self)
            }
            Some(slots) => {
                slots.hand_on();
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(slots) = self.slots.take() {
            slots.open.fetch_sub(1, Ordering::SeqCst);
            slots.hand_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::Credential;
    use crate::backend::Identity;
    use crate::wire::Capabilities;

    fn key() -> Key {
        let identity = Identity {
            user: b"app".to_vec(),
            credential: Credential::Empty,
            expired: false,
            version: 0,
        };
        Key {
            server: 0,
            identity: Arc::new(identity),
            capabilities: Capabilities::NONE,
            collation: 45,
            has_schema: false,
            was_reset: false,
            tls: false,
        }
    }

    #[test]
    fn who_waits_on_the_same_thread_comes_first_but_not_for_ever() {
        let (slots, key, here) = (Slots::new(1, 100), key(), thread::current().id());
        let wait = || slots.wait(key.clone()).unwrap();
        let far = thread::scope(|scope| scope.spawn(wait).join().unwrap());
        let near: Vec<_> = (0..=PATIENCE).map(|_| wait()).collect();
        assert!(far.is_first && !near[0].is_first);
        let threads: Vec<_> = std::iter::from_fn(|| slots.first_for(&key, here))
            .map(|waiter| waiter.thread == here)
            .collect();
        let mut expected = vec![true; PATIENCE as usize];
        expected.extend([false, true]);
        assert_eq!(threads, expected);
    }
}
