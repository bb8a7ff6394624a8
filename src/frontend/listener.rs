//! Accepts connections and hands them to the threads that serve clients.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};

use super::shared::{Message, Shared};
use crate::config::{Address, Listener};
use crate::net::Socket;

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 4096;

#[derive(Debug)]
pub enum Door {
    Tcp(TcpListener),
    Unix(UnixListener),
}

// === impl Door ===

impl Door {
    pub async fn open(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp { host, port } => {
                let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
                for address in tokio::net::lookup_host((host.as_str(), *port)).await? {
                    match bind(address) {
                        Ok(listener) => return Ok(Self::Tcp(listener)),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
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

    async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| Socket::Tcp(stream)),
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| Socket::Unix(stream)),
        }
    }
}

fn bind(address: std::net::SocketAddr) -> io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Which listeners are paused by an operator, in the order of the configuration.
#[derive(Debug)]
pub struct Pauses(Box<[tokio::sync::watch::Sender<bool>]>);

// === impl Pauses ===

impl Pauses {
    pub fn new(listeners: usize) -> Self {
        let sender = |_| tokio::sync::watch::Sender::new(false);
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

    fn watch(&self, listener: usize) -> Option<tokio::sync::watch::Receiver<bool>> {
        self.0.get(listener).map(tokio::sync::watch::Sender::subscribe)
    }
}

/// Accepts until the task is dropped. A paused listener is closed, so that whoever comes is refused at once and goes
/// elsewhere, and is opened again afterwards.
pub async fn serve(door: Door, listener: Arc<Listener>, shared: Arc<Shared>) {
    let place = shared
        .config
        .listeners
        .iter()
        .position(|known| *known == *listener);
    let Some(mut paused) = place.and_then(|place| shared.pauses.watch(place)) else {
        return accept(door, listener, shared).await;
    };
    let mut door = Some(door);
    loop {
        match door.take() {
            Some(open) => tokio::select! {
                () = accept(open, listener.clone(), shared.clone()) => return,
                _ = paused.wait_for(|paused| *paused) => {}
            },
            None => match Door::open(&listener.address).await {
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
async fn accept(door: Door, listener: Arc<Listener>, shared: Arc<Shared>) {
    loop {
        let socket = match door.accept().await.and_then(Socket::detach) {
            Ok(socket) => socket,
            Err(error) => {
                // Out of file descriptors, most likely: some will be free in a while.
                tracing::warn!(listener = listener.name, %error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let place = shared.registry.enter();
        shared.hand_over(Message::Client {
            socket,
            listener: listener.clone(),
            place,
        });
    }
}
