//! Accepts connections, on one of the threads that serve clients, for all of them.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::door::Door;
use super::worker::Worker;
use crate::config::Listener;

/// Which listeners are paused by an operator, in the order of the configuration.
#[derive(Debug)]
pub struct Pauses(Box<[watch::Sender<bool>]>);

// === impl Pauses ===

impl Pauses {
    pub fn new(listeners: usize) -> Self {
        let sender = |_| watch::Sender::new(false);
        Self((0..listeners).map(sender).collect())
    }

    pub fn set(&self, listener: usize, paused: bool) {
        if let Some(sender) = self.0.get(listener) {
            sender.send_replace(paused);
        }
    }

    pub fn is_paused(&self, listener: usize) -> bool {
        self.0.get(listener).is_some_and(|sender| *sender.borrow())
    }

    fn watch(&self, listener: usize) -> Option<watch::Receiver<bool>> {
        self.0.get(listener).map(watch::Sender::subscribe)
    }
}

/// Accepts until the task is dropped. A paused listener is closed, so that whoever comes is refused at once and goes
/// elsewhere, and is opened again afterwards.
pub async fn serve(door: Door, listener: Arc<Listener>, worker: Rc<Worker>) {
    let shared = worker.shared.clone();
    let place = shared.place_of(&listener);
    let Some(mut paused) = place.and_then(|place| shared.pauses.watch(place)) else {
        return accept(door, &listener, &worker).await;
    };
    let mut door = Some(door);
    loop {
        match door.take() {
            Some(open) => tokio::select! {
                () = accept(open, &listener, &worker) => return,
                _ = paused.wait_for(|paused| *paused) => {}
            },
            None => match Door::bind(&listener.address).await {
                Ok(open) => door = Some(open),
                Err(error) => {
                    tracing::warn!(listener = listener.name, %error, "cannot listen again");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            },
        }
        if paused.wait_for(|paused| !*paused).await.is_err() {
            return;
        }
    }
}

/// What is accepted counts at once, so that limits hold from the first byte.
async fn accept(door: Door, listener: &Arc<Listener>, worker: &Rc<Worker>) {
    let _listed = worker.shared.doors.list(&listener.address, &door);
    let door = match door.attach() {
        Ok(door) => door,
        Err(error) => {
            tracing::error!(listener = listener.name, %error, "cannot listen");
            return;
        }
    };
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
