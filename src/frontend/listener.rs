//! Accepts connections, on one of the threads that serve clients, for all of them.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::door::{Door, Listed, OpenDoor};
use super::worker::Worker;
use crate::config::{Address, Listener};

/// Held for a lookup, and never across an await.
#[allow(clippy::disallowed_types)]
type Mutex<T> = std::sync::Mutex<T>;

/// Whether a listener lets anybody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Open,
    /// By an operator's word.
    Paused,
    /// The configuration has it no more.
    Closed,
}

/// What is wanted of listeners, by their addresses.
#[derive(Debug, Default)]
pub struct Pauses(Mutex<HashMap<Address, watch::Sender<Standing>>>);

// === impl Pauses ===

impl Pauses {
    pub fn set(&self, listener: &Address, paused: bool) {
        let standing = if paused { Standing::Paused } else { Standing::Open };
        self.with(listener, |sender| sender.send_replace(standing));
    }

    pub fn is_paused(&self, listener: &Address) -> bool {
        self.with(listener, |sender| *sender.borrow() == Standing::Paused)
    }

    /// It is closed for good; what has come in by it stays.
    pub fn close(&self, listener: &Address) {
        let sender = self.lock().remove(listener);
        if let Some(sender) = sender {
            sender.send_replace(Standing::Closed);
        }
    }

    fn watch(&self, listener: &Address) -> watch::Receiver<Standing> {
        self.with(listener, watch::Sender::subscribe)
    }

    fn with<T>(&self, listener: &Address, act: impl FnOnce(&watch::Sender<Standing>) -> T) -> T {
        let mut all = self.lock();
        let open = || watch::Sender::new(Standing::Open);
        act(all.entry(listener.clone()).or_insert_with(open))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Address, watch::Sender<Standing>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts until the task is dropped or the listener is closed. A paused one is closed, so that whoever comes is
/// refused at once and goes elsewhere, and is opened again afterwards.
pub async fn serve(door: (Door, Option<Listed>), listener: Arc<Listener>, worker: Rc<Worker>) {
    let mut standing = worker.shared.pauses.watch(&listener.address);
    let mut door = Some(door);
    loop {
        match door.take() {
            Some((open, listed)) => {
                let Some(open) = attach(open, &listener) else {
                    return;
                };
                tokio::select! {
                    () = accept(&open, &listener, &worker) => {}
                    _ = standing.wait_for(|standing| *standing != Standing::Open) => {}
                }
                drop(listed);
                if *standing.borrow() == Standing::Closed {
                    return close(&open, &listener, &worker).await;
                }
            }
            None => match Door::bind(&listener.address).await {
                Ok(open) => {
                    let listed = worker.shared.doors.list(&listener.address, &open);
                    door = Some((open, listed));
                }
                Err(error) => {
                    tracing::warn!(listener = listener.name, %error, "cannot listen again");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            },
        }
        match standing.wait_for(|standing| *standing != Standing::Paused).await {
            Ok(standing) if *standing == Standing::Open => {}
            _ => return,
        }
    }
}

fn attach(door: Door, listener: &Listener) -> Option<OpenDoor> {
    door.attach()
        .inspect_err(|error| tracing::error!(listener = listener.name, %error, "cannot listen"))
        .ok()
}

/// What is accepted counts at once, so that limits hold from the first byte.
async fn accept(door: &OpenDoor, listener: &Arc<Listener>, worker: &Rc<Worker>) {
    loop {
        match door.accept().await {
            Ok((socket, peer)) => worker.let_in(socket, peer, listener),
            Err(error) => {
                // Out of file descriptors, most likely: some will be free in a while.
                tracing::warn!(listener = listener.name, %error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Who has connected already is let in; nobody else is.
async fn close(door: &OpenDoor, listener: &Arc<Listener>, worker: &Rc<Worker>) {
    while let Ok(Ok((socket, peer))) = tokio::time::timeout(Duration::ZERO, door.accept()).await {
        worker.let_in(socket, peer, listener);
    }
    if let Address::Unix(path) = &listener.address {
        let _ = std::fs::remove_file(path);
    }
    tracing::info!(listener = listener.name, address = %listener.address, "listens no more");
}
