//! Statements that wait for a primary: so many, so large together, and so long; let out in their order and a few
//! at a time when there is one.
//!
//! While the gate is open and the primary cannot be reached nevertheless, one of them at a time goes and looks.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, oneshot};

use super::shared::Shared;
use crate::config::Failover;

/// Held to join or leave the queue, and never across an await.
#[allow(clippy::disallowed_types)]
type Mutex<T> = std::sync::Mutex<T>;

/// One for the process.
#[derive(Debug)]
pub struct Lot {
    /// Replaced when the configuration is read again.
    limits: ArcSwap<Limits>,
    queue: Mutex<Queue>,
    parked: AtomicUsize,
    /// The server that sessions could not reach though writes may go there; [`NOWHERE`]: none.
    stalled: AtomicUsize,
    /// Somebody has come, or a turn is over.
    changed: Notify,
}

/// `failover.park_timeout` and its siblings.
#[derive(Debug)]
struct Limits {
    patience: Duration,
    most_statements: usize,
    most_bytes: u64,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiter>,
    bytes: u64,
    /// Turns that are out.
    running: usize,
    serial: u64,
}

#[derive(Debug)]
struct Waiter {
    serial: u64,
    bytes: u64,
    sender: oneshot::Sender<Turn>,
}

/// The right to go on; over when dropped.
#[derive(Debug)]
pub struct Turn {
    lot: Arc<Lot>,
}

/// A place in the queue; left when dropped.
#[derive(Debug)]
pub struct Waiting {
    lot: Arc<Lot>,
    serial: u64,
    receiver: oneshot::Receiver<Turn>,
}

/// There were too many, and this was the oldest.
#[derive(Debug, PartialEq, Eq)]
pub struct Crowded;

/// Statements that are let out and have not ended yet.
const AT_ONCE: usize = 64;
/// How often somebody looks whether an unreachable primary is back.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const NOWHERE: usize = usize::MAX;

/// Lets statements out, for as long as the proxy runs.
pub async fn run(shared: Arc<Shared>) {
    let (lot, gate) = (&shared.lot, shared.topology.gate());
    loop {
        if lot.parked() == 0 {
            lot.changed.notified().await;
            continue;
        }
        let primary = gate.opened().await;
        if lot.is_stalled(primary) {
            tokio::time::sleep(LOOK_AGAIN).await;
            if gate.writable() == Some(primary) {
                lot.let_out(if lot.is_stalled(primary) { 1 } else { AT_ONCE });
            }
        } else if lot.let_out(AT_ONCE) == 0 {
            lot.changed.notified().await;
        }
    }
}

// === impl Limits ===

impl Limits {
    fn of(settings: &Failover) -> Self {
        Self {
            patience: settings.park_timeout,
            most_statements: settings.park_statements as usize,
            most_bytes: settings.park_bytes,
        }
    }
}

// === impl Lot ===

impl Lot {
    pub fn new(settings: &Failover) -> Arc<Self> {
        Arc::new(Self {
            limits: ArcSwap::from_pointee(Limits::of(settings)),
            queue: Mutex::default(),
            parked: AtomicUsize::new(0),
            stalled: AtomicUsize::new(NOWHERE),
            changed: Notify::new(),
        })
    }

    /// What counts from now on. Who waits already waits for as long as was meant then.
    pub fn configure(&self, settings: &Failover) {
        self.limits.store(Arc::new(Limits::of(settings)));
    }

    /// How long a statement waits.
    pub fn patience(&self) -> Duration {
        self.limits.load().patience
    }

    /// How many statements wait.
    pub fn parked(&self) -> usize {
        self.parked.load(Ordering::Acquire)
    }

    pub fn most_bytes(&self) -> u64 {
        self.limits.load().most_bytes
    }

    /// Of the statements that wait.
    pub fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Joins the queue. Where there are too many then, the oldest have to go.
    pub fn wait(self: &Arc<Self>, bytes: u64) -> Waiting {
        let (sender, receiver) = oneshot::channel();
        let mut queue = self.lock();
        queue.serial += 1;
        let serial = queue.serial;
        queue.bytes += bytes;
        queue.waiting.push_back(Waiter {
            serial,
            bytes,
            sender,
        });
        let limits = self.limits.load();
        while queue.waiting.len() > limits.most_statements || queue.bytes > limits.most_bytes {
            let Some(oldest) = queue.waiting.pop_front() else {
                break;
            };
            // Nobody tells it more than that: its sender is gone.
            queue.bytes -= oldest.bytes;
        }
        self.parked.store(queue.waiting.len(), Ordering::Release);
        drop(queue);
        self.changed.notify_one();
        Waiting {
            lot: self.clone(),
            serial,
            receiver,
        }
    }

    /// Gives turns to the first in the queue as long as fewer than `most` are out; answers how many.
    fn let_out(self: &Arc<Self>, most: usize) -> usize {
        let (mut count, mut unclaimed) = (0, Vec::new());
        let mut queue = self.lock();
        while queue.running < most {
            let Some(first) = queue.waiting.pop_front() else {
                break;
            };
            queue.bytes -= first.bytes;
            queue.running += 1;
            let turn = Turn { lot: self.clone() };
            match first.sender.send(turn) {
                Ok(()) => count += 1,
                // It has gone at this moment. The turn ends when nobody has the lock.
                Err(turn) => unclaimed.push(turn),
            }
        }
        self.parked.store(queue.waiting.len(), Ordering::Release);
        drop(queue);
        count
    }

    /// The primary could not be reached, and may be back, or have a successor.
    pub fn stall(&self, server: usize) {
        self.stalled.store(server, Ordering::Release);
    }

    pub fn is_stalled(&self, server: usize) -> bool {
        self.stalled.load(Ordering::Acquire) == server
    }

    /// It was reached.
    pub fn works(&self, server: usize) {
        let stalled = &self.stalled;
        if stalled
            .compare_exchange(server, NOWHERE, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
        {
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Waiting ===

impl Waiting {
    /// Waits for the turn, as long as it takes.
    pub async fn turn(&mut self) -> Result<Turn, Crowded> {
        (&mut self.receiver).await.map_err(|_| Crowded)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.receiver.close();
        let mut queue = self.lot.lock();
        if let Ok(place) = queue
            .waiting
            .binary_search_by_key(&self.serial, |waiter| waiter.serial)
            && let Some(gone) = queue.waiting.remove(place)
        {
            queue.bytes -= gone.bytes;
        }
        self.lot.parked.store(queue.waiting.len(), Ordering::Release);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.lot.lock().running -= 1;
        self.lot.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lot(most_statements: usize, most_bytes: u64) -> Arc<Lot> {
        Arc::new(Lot {
            limits: ArcSwap::from_pointee(Limits {
                patience: Duration::from_secs(10),
                most_statements,
                most_bytes,
            }),
            queue: Mutex::default(),
            parked: AtomicUsize::new(0),
            stalled: AtomicUsize::new(NOWHERE),
            changed: Notify::new(),
        })
    }

    fn has_turn(waiting: &mut Waiting) -> Option<Turn> {
        waiting.receiver.try_recv().ok()
    }

    #[tokio::test]
    async fn they_go_in_their_order_and_a_few_at_a_time() {
        let lot = lot(10, 100);
        let mut waiting: Vec<_> = (0..4).map(|_| lot.wait(5)).collect();
        drop(waiting.remove(1));
        assert_eq!((lot.parked(), lot.lock().bytes), (3, 15));
        assert_eq!(lot.let_out(2), 2);
        let first = has_turn(&mut waiting[0]).unwrap();
        let _second = has_turn(&mut waiting[1]).unwrap();
        assert!(has_turn(&mut waiting[2]).is_none());
        assert_eq!(lot.let_out(2), 0, "both are still running");
        drop(first);
        assert_eq!(lot.let_out(2), 1);
        assert!(has_turn(&mut waiting[2]).is_some());
        assert_eq!((lot.parked(), lot.lock().bytes), (0, 0));
    }

    #[tokio::test]
    async fn where_there_are_too_many_the_oldest_goes() {
        let lot = lot(2, 10);
        let (mut one, _two) = (lot.wait(1), lot.wait(1));
        let _three = lot.wait(1);
        assert_eq!(one.turn().await.unwrap_err(), Crowded);
        let mut large = lot.wait(10);
        assert_eq!(lot.parked(), 1);
        let mut larger = lot.wait(11);
        assert_eq!(large.turn().await.unwrap_err(), Crowded);
        assert_eq!(larger.turn().await.unwrap_err(), Crowded, "it alone is too large");
        assert_eq!((lot.parked(), lot.lock().bytes), (0, 0));
    }

    #[tokio::test]
    async fn a_turn_that_nobody_takes_is_over() {
        let lot = lot(10, 100);
        let waiting = lot.wait(1);
        assert_eq!(lot.let_out(1), 1);
        drop(waiting);
        assert_eq!(lot.lock().running, 0);
        assert_eq!(lot.let_out(1), 0);
    }

    #[test]
    fn only_who_reached_the_stalled_server_says_that_it_works() {
        let lot = lot(1, 1);
        lot.stall(0);
        lot.works(1);
        assert!(lot.is_stalled(0) && !lot.is_stalled(1));
        lot.works(0);
        assert!(!lot.is_stalled(0));
    }
}
