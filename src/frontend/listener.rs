//! Accepts connections, on one of the threads that serve clients, for all of them.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::rc::Rc;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use super::worker::Worker;
use crate::config::{Address, Listener};
use crate::net::Socket;

/// Held for a lookup, and never across an await.
#[allow(clippy::disallowed_types)]
type Mutex<T> = std::sync::Mutex<T>;

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 4096;

/// An open listening socket, in no event loop yet.
#[derive(Debug)]
pub enum Door {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// The same in the event loop of the thread that accepts.
#[derive(Debug)]
enum OpenDoor {
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
                let listener = std::os::unix::net::UnixListener::bind(path)?;
                listener.set_nonblocking(true)?;
                Ok(Self::Unix(listener))
            }
        }
    }

    fn attach(self) -> io::Result<OpenDoor> {
        Ok(match self {
            Self::Tcp(listener) => OpenDoor::Tcp(TcpListener::from_std(listener)?),
            Self::Unix(listener) => OpenDoor::Unix(UnixListener::from_std(listener)?),
        })
    }
}

// === impl OpenDoor ===

impl OpenDoor {
    /// The next connection, and the address that it comes from if it has one.
    async fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Socket::Tcp(stream), Some(peer)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Socket::Unix(stream), None))
            }
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // What is accepted has these from the listening socket.
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

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
pub async fn serve(door: Door, listener: Arc<Listener>, worker: Rc<Worker>) {
    let mut standing = worker.shared.pauses.watch(&listener.address);
    let mut door = Some(door);
    loop {
        match door.take() {
            Some(open) => {
                let Some(open) = attach(open, &listener) else {
                    return;
                };
                tokio::select! {
                    () = accept(&open, &listener, &worker) => {}
                    _ = standing.wait_for(|standing| *standing != Standing::Open) => {}
                }
                if *standing.borrow() == Standing::Closed {
                    return close(&open, &listener, &worker).await;
                }
            }
            None => match Door::open(&listener.address).await {
                Ok(open) => door = Some(open),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_accepted_does_not_delay_and_is_kept_alive() {
        let address = Address::Tcp {
            host: "127.0.0.1".to_owned(),
            port: 0,
        };
        let Door::Tcp(listener) = Door::open(&address).await.unwrap() else {
            panic!("not a TCP socket");
        };
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, peer) = Door::Tcp(listener).attach().unwrap().accept().await.unwrap();
        assert_eq!(peer, client.local_addr().ok());
        let Socket::Tcp(stream) = socket else {
            panic!("not a TCP socket");
        };
        let socket = socket2::SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
    }
}
