//! The listener itself: who comes is given a place, a TLS handshake where there is TLS, and then to the router.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::router::router;
use super::stream::{Guarded, Stream};
use crate::admin::State;
use crate::config::{Address, Http};

/// An open listener that nobody is served at yet.
pub struct Site {
    door: Door,
    address: Address,
    max_connections: usize,
}

enum Door {
    Tcp(TcpListener),
    Unix(UnixListener),
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
    pub async fn open(http: &Http) -> Result<Option<Self>, SiteError> {
        let Some(address) = http.address.clone() else {
            return Ok(None);
        };
        match Door::open(&address).await {
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
        let scheme = if state.http_tls.load().is_some() {
            "https"
        } else {
            "http"
        };
        tracing::info!(address = %self.address, scheme, "HTTP listener open");
        let (sender, visitors) = mpsc::channel(QUEUE);
        let address = self.address.clone();
        let service = router(state.clone()).into_make_service_with_connect_info::<Peer>();
        let served = axum::serve(Visitors(visitors), service);
        tokio::select! {
            () = self.admit(&state, sender) => {}
            _ = served => {}
            _ = closed => tracing::info!(%address, "HTTP listener closed"),
        }
    }

    async fn admit(self, state: &State, sender: mpsc::Sender<(Guarded, Peer)>) {
        let room = Arc::new(Semaphore::new(self.max_connections));
        let mut handshakes = JoinSet::new();
        loop {
            let Ok(place) = room.clone().acquire_owned().await else {
                return;
            };
            let (stream, peer) = loop {
                tokio::select! {
                    accepted = self.door.accept() => match accepted {
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

// === impl Door ===

impl Door {
    async fn open(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp { host, port } => Ok(Self::Tcp(TcpListener::bind((host.as_str(), *port)).await?)),
            Address::Unix(path) => {
                // A socket left over by a process that was killed would be in the way.
                let left_over = std::fs::metadata(path).is_ok_and(|found| found.file_type().is_socket());
                if left_over && std::os::unix::net::UnixStream::connect(path).is_err() {
                    std::fs::remove_file(path)?;
                }
                Ok(Self::Unix(UnixListener::bind(path)?))
            }
        }
    }

    async fn accept(&self) -> io::Result<(Box<dyn Stream>, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), Peer(peer.to_string().into())))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), Peer("local".into())))
            }
        }
    }
}
