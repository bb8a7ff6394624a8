//! A way to reach a session that waits for a socket: to end it, or to let it know that the proxy is going down.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

/// Why a session is called away from what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interrupt {
    /// The proxy is stopping: end between transactions.
    Drain,
    /// Nothing came from the client for too long.
    Idle,
    /// Somebody asked for this connection to be ended.
    Kill,
    /// The proxy is stopping and the grace is over.
    Stop,
}

/// One session's letter box. Only the thread that runs the session touches it.
#[derive(Debug, Default)]
pub struct Signal {
    interrupt: Cell<Option<Interrupt>>,
    waker: RefCell<Option<Waker>>,
    /// Since when the session has been waiting for its client to say something.
    pub idle_since: Cell<Option<Instant>>,
    /// Of which server it keeps a connection meanwhile that it could do without.
    pub holds_softly: Cell<Option<usize>>,
    /// That connection is needed by somebody.
    pub is_wanted: Cell<bool>,
    /// A server connection of the session may have been given up.
    pub is_evicted: Cell<bool>,
    /// Somebody asked for the statement under way to be ended.
    pub is_cancelled: Cell<bool>,
    /// How long it may wait; `None`: as long as the configuration lets it.
    pub idle_limit: Cell<Option<Duration>>,
    /// What it runs or ran last, without literals, for those who look.
    pub statement: RefCell<Option<Arc<[u8]>>>,
}

// === impl Signal ===

impl Signal {
    /// The graver of two interrupts stays.
    pub fn raise(&self, interrupt: Interrupt) {
        if self.interrupt.get() < Some(interrupt) {
            self.interrupt.set(Some(interrupt));
        }
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Asks for the server connection that the session could do without.
    pub fn want_connection(&self) {
        self.is_wanted.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Has a session that waits for its client look after its server connections.
    pub fn evict(&self) {
        self.is_evicted.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Ends the statement under way, if it waits in the proxy.
    pub fn cancel(&self) {
        self.is_cancelled.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// For those who look.
    pub fn shows(&self, statement: &Arc<[u8]>) {
        let mut shown = self.statement.borrow_mut();
        if !shown.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, statement)) {
            *shown = Some(statement.clone());
        }
    }

    pub fn get(&self) -> Option<Interrupt> {
        self.interrupt.get()
    }

    /// Waits until the statement under way is not to go on: it, or the session, or all is to end.
    pub async fn called_off(&self) {
        poll_fn(|context| {
            if self.get() >= Some(Interrupt::Kill) || self.is_cancelled.get() {
                return Poll::Ready(());
            }
            self.listen(context);
            Poll::Pending
        })
        .await
    }

    /// Remembers whom to wake when something is raised.
    pub fn listen(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        match &*waker {
            Some(known) if known.will_wake(context.waker()) => {}
            _ => *waker = Some(context.waker().clone()),
        }
    }
}
