//! Accepts connections and hands them to the threads that serve clients.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
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

/// Accepts until the task is dropped. What is accepted counts at once, so that limits hold from the first byte.
pub async fn accept(door: Door, listener: Arc<ArcSwap<Listener>>, shared: Arc<Shared>) {
    loop {
        let socket = match door.accept().await.and_then(Socket::detach) {
            Ok(socket) => socket,
            Err(error) => {
                // Out of file descriptors, most likely: some will be free in a while.
                tracing::warn!(listener = listener.load().name, %error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let place = shared.registry.enter();
        shared.hand_over(Message::Client {
            socket,
            listener: listener.load_full(),
            place,
        });
    }
}
