//! The gate before the primary: whether writes may be sent, and to whom.
//!
//! Whoever changes the primary shuts it first and opens it afterwards; sessions pass it, or wait before it. The
//! answer to "may I, and where" is one load of one word.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

/// One for the process.
pub struct Gate {
    /// The index of the primary, or [`SHUT`].
    writable: AtomicUsize,
    /// Why it is shut; none while it is open.
    reason: ArcSwapOption<Shut>,
    opened: Notify,
    servers: Box<[Evictions]>,
    /// Wakes whoever closes sessions' connections to a server.
    evicted: Notify,
    pen: Arc<Mutex<()>>,
}

/// Since when and why nothing may be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Shut {
    pub since: Instant,
    pub why: Arc<str>,
}

/// What concerns the connections that sessions have to one server.
#[derive(Debug, Default)]
struct Evictions {
    /// Sessions that are in a statement that may write, or in a transaction, or hold a connection there.
    busy: AtomicU32,
    idle: Notify,
    /// How many times all connections to the server have been given up.
    count: AtomicU32,
}

const SHUT: usize = usize::MAX;

// === impl Gate ===

impl Gate {
    pub(super) fn new(servers: usize, primary: Option<usize>) -> Self {
        Self {
            writable: AtomicUsize::new(primary.unwrap_or(SHUT)),
            reason: ArcSwapOption::empty(),
            opened: Notify::new(),
            servers: (0..servers).map(|_| Evictions::default()).collect(),
            evicted: Notify::new(),
            pen: Arc::default(),
        }
    }

    /// The server that takes writes now. `None`: nobody does, wait for [`Gate::opened`].
    pub fn writable(&self) -> Option<usize> {
        let index = self.writable.load(Ordering::Acquire);
        (index != SHUT).then_some(index)
    }

    /// Held for each row that the process writes on its own account. Who keeps it lets another process write them.
    pub fn pen(&self) -> &Arc<Mutex<()>> {
        &self.pen
    }

    /// Why nobody takes writes.
    pub fn shut_because(&self) -> Option<Arc<Shut>> {
        self.reason.load_full()
    }

    /// From now on no session begins a write. What has begun goes on.
    pub fn shut(&self, why: &str) {
        let shut = Shut {
            since: Instant::now(),
            why: why.into(),
        };
        self.reason.store(Some(Arc::new(shut)));
        self.writable.store(SHUT, Ordering::SeqCst);
    }

    /// Writes go to this server, and whoever waited is woken.
    pub fn open(&self, primary: usize) {
        self.reason.store(None);
        self.writable.store(primary, Ordering::SeqCst);
        self.opened.notify_waiters();
    }

    /// Waits until somebody takes writes, and says who.
    pub async fn opened(&self) -> usize {
        loop {
            let opened = self.opened.notified();
            tokio::pin!(opened);
            opened.as_mut().enable();
            match self.writable() {
                Some(index) => return index,
                None => opened.await,
            }
        }
    }

    /// A session begins something on a server that may write there. Look at [`Gate::writable`] again afterwards:
    /// whoever shuts the gate counts the busy after that.
    pub fn enter(&self, server: usize) {
        if let Some(server) = self.servers.get(server) {
            server.busy.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// It has ended: nothing of it is left on the server's connection.
    pub fn leave(&self, server: usize) {
        if let Some(server) = self.servers.get(server)
            && server.busy.fetch_sub(1, Ordering::SeqCst) == 1
        {
            server.idle.notify_waiters();
        }
    }

    /// Sessions that are in the middle of something on a server.
    pub fn busy(&self, server: usize) -> u32 {
        self.servers
            .get(server)
            .map_or(0, |server| server.busy.load(Ordering::SeqCst))
    }

    /// Waits until no session is in the middle of anything there. Shut the gate first.
    pub async fn idle(&self, server: usize) {
        let Some(server) = self.servers.get(server) else {
            return;
        };
        loop {
            let idle = server.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            if server.busy.load(Ordering::SeqCst) == 0 {
                return;
            }
            idle.await;
        }
    }

    /// Every connection that sessions or pools have to this server is to be closed, whatever runs there.
    pub fn evict(&self, server: usize) {
        if let Some(server) = self.servers.get(server) {
            server.count.fetch_add(1, Ordering::SeqCst);
            self.evicted.notify_one();
        }
    }

    /// How many times [`Gate::evict`] was called for each server. One task follows it, with [`Gate::evicted`].
    pub fn evictions(&self) -> Vec<u32> {
        let count = |server: &Evictions| server.count.load(Ordering::SeqCst);
        self.servers.iter().map(count).collect()
    }

    /// Waits for the next [`Gate::evict`], or for one that nobody has waited for.
    pub async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Gate")
            .field("writable", &self.writable())
            .field("shut", &self.shut_because())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_is_told_the_new_primary() {
        let gate = Arc::new(Gate::new(2, Some(0)));
        assert_eq!((gate.writable(), gate.opened().await), (Some(0), 0));
        gate.shut("switchover to db2");
        assert_eq!(gate.writable(), None);
        assert_eq!(&*gate.shut_because().unwrap().why, "switchover to db2");
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.opened().await }
        });
        tokio::task::yield_now().await;
        gate.open(1);
        assert_eq!(waiting.await.unwrap(), 1);
        assert!(gate.shut_because().is_none());
    }

    #[tokio::test]
    async fn idle_comes_when_the_last_has_left() {
        let gate = Arc::new(Gate::new(1, Some(0)));
        gate.enter(0);
        gate.enter(0);
        let idle = tokio::spawn({
            let gate = gate.clone();
            async move { gate.idle(0).await }
        });
        gate.leave(0);
        tokio::task::yield_now().await;
        assert!(!idle.is_finished());
        gate.leave(0);
        idle.await.unwrap();
        assert_eq!(gate.busy(0), 0);
        gate.evict(0);
        gate.evicted().await;
        assert_eq!(gate.evictions(), [1]);
    }
}
