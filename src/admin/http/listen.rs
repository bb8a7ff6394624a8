//! The listener itself: who comes is given a place, a TLS handshake where there is TLS, and then to the router.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::router::router;
use super::stream::{Guarded, Stream};
use crate::admin::State;
use crate::config::{Address, Http};
use crate::frontend::door::{Door, Inherited, OpenDoor};
use crate::net::Socket;

/// An open listener that nobody is served at yet.
pub struct Site {
    door: Door,
    address: Address,
    max_connections: usize,
}

#[derive(Debug, Error)]
pub enum SiteError {
    #[error("the HTTP listener cannot use {address}: {source}")]
    Listen { address: Address, source: io::Error },
}

/// Who comes, once it can be spoken to.
struct Visitors(mpsc::Receiver<(Guarded, Peer)>);

/// Where it comes from, for the log.
#[derive(Debug, Clone)]
pub struct Peer(pub Arc<str>);

/// Visitors that have been let in and not been taken by the router yet.
const QUEUE: usize = 16;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection may go without an answer being written.
const SILENCE: Duration = Duration::from_secs(75);
/// After an accept that failed: mostly there are too many open files.
const BREATH: Duration = Duration::from_millis(50);

// === impl Site ===

impl Site {
    /// `None`: the configuration wants none, or did not ask for one and the default place is taken.
    pub async fn open(http: &Http, inherited: &mut Inherited) -> Result<Option<Self>, SiteError> {
        let Some(address) = http.address.clone() else {
            return Ok(None);
        };
        match Door::open(&address, inherited).await {
            Ok(door) => Ok(Some(Self {
                door,
                address,
                max_connections: http.max_connections as usize,
            })),
            Err(source) if http.is_chosen => Err(SiteError::Listen { address, source }),
            Err(error) => {
                tracing::warn!(%address, %error, "no HTTP listener: give `http.address`, or `off`");
                Ok(None)
            }
        }
    }

    /// Lets people in until `closed`; who is in stays.
    pub async fn serve(self, state: Arc<State>, closed: oneshot::Receiver<()>) {
        let scheme = match &*state.http_tls.load() {
            Some(_) => "https",
            None => "http",
        };
        let _listed = state.shared.doors.list(&self.address, &self.door);
        let door = match self.door.attach() {
            Ok(door) => door,
            Err(error) => {
                tracing::error!(%error, "no HTTP listener");
                return;
            }
        };
        tracing::info!(address = %self.address, scheme, "HTTP listener open");
        let (sender, visitors) = mpsc::channel(QUEUE);
        let address = self.address.clone();
        let service = router(state.clone()).into_make_service_with_connect_info::<Peer>();
        let served = axum::serve(Visitors(visitors), service);
        tokio::select! {
            () = admit(&door, &state, self.max_connections, sender) => {}
            _ = served => {}
            _ = closed => tracing::info!(%address, "HTTP listener closed"),
        }
    }
}

async fn admit(
    door: &OpenDoor,
    state: &State,
    max_connections: usize,
    sender: mpsc::Sender<(Guarded, Peer)>,
) {
    let room = Arc::new(Semaphore::new(max_connections));
    let mut handshakes = JoinSet::new();
    loop {
        let Ok(place) = room.clone().acquire_owned().await else {
            return;
        };
        let (stream, peer) = loop {
            tokio::select! {
                accepted = accept(door) => match accepted {
                    Ok(accepted) => break accepted,
                    Err(error) => {
                        tracing::warn!(%error, "the HTTP listener cannot accept a connection");
                        tokio::time::sleep(BREATH).await;
                    }
                },
                Some(_) = handshakes.join_next() => {}
            }
        };
        let (sender, tls) = (sender.clone(), state.http_tls.load_full().map(TlsAcceptor::from));
        handshakes.spawn(async move {
            let stream: Box<dyn Stream> = match tls {
                None => stream,
                Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                    Ok(Ok(stream)) => Box::new(stream),
                    _ => return,
                },
            };
            // The router goes when the process ends, and nobody is served then.
            let _ = sender.send((Guarded::new(stream, SILENCE, place), peer)).await;
        });
    }
}

async fn accept(door: &OpenDoor) -> io::Result<(Box<dyn Stream>, Peer)> {
    let (socket, peer) = door.accept().await?;
    let peer = peer.map_or_else(|| "local".to_owned(), |peer| peer.to_string());
    let stream: Box<dyn Stream> = match socket {
        Socket::Tcp(stream) => {
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
        Socket::Unix(stream) => Box::new(stream),
    };
    Ok((stream, Peer(peer.into())))
}

// === impl Visitors ===

impl Listener for Visitors {
    type Io = Guarded;
    type Addr = Peer;

    async fn accept(&mut self) -> (Guarded, Peer) {
        match self.0.recv().await {
            Some(visitor) => visitor,
            // Nobody lets any in any more.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer("here".into()))
    }
}

impl Connected<IncomingStream<'_, Visitors>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Visitors>) -> Self {
        stream.remote_addr().clone()
    }
}
