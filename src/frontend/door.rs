//! Listening sockets: opened, or inherited from the process that this one replaces, and kept at hand for the one
//! that will replace this.

use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::sync::Arc;

use dashmap::DashMap;
use tokio::net::{TcpListener, UnixListener};

use crate::config::Address;
use crate::net::Socket;

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
pub enum OpenDoor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Second descriptors of all the doors that are open, by their addresses: what a new process is given.
#[derive(Debug, Default)]
pub struct Doors(DashMap<Address, Door>);

/// The door is in the list for as long as this is kept: while it has a second descriptor the kernel lets clients in.
#[derive(Debug)]
pub struct Listed {
    doors: Arc<Doors>,
    address: Address,
}

/// What came from the process before, until it is asked for.
#[derive(Debug, Default)]
pub struct Inherited(Vec<(String, OwnedFd)>);

// === impl Door ===

impl Door {
    /// The one that was inherited, or a new one.
    pub async fn open(address: &Address, inherited: &mut Inherited) -> io::Result<Self> {
        match inherited.take(address) {
            Some(door) => door,
            None => Self::bind(address).await,
        }
    }

    /// The same for clients, whatever users of the system they are: as at a server's socket, their password counts.
    pub async fn open_for_all(address: &Address, inherited: &mut Inherited) -> io::Result<Self> {
        if let Some(door) = inherited.take(address) {
            return door;
        }
        let door = Self::bind(address).await?;
        if let Address::Unix(path) = address {
            std::fs::set_permissions(path, Permissions::from_mode(0o777))?;
        }
        Ok(door)
    }

    pub async fn bind(address: &Address) -> io::Result<Self> {
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

    /// What came as a descriptor has to be what the address says.
    fn of(descriptor: OwnedFd, address: &Address) -> io::Result<Self> {
        let socket = socket2::SockRef::from(&descriptor);
        let is_unix = socket.domain()? == socket2::Domain::UNIX;
        if !socket.is_listener()? || is_unix != matches!(address, Address::Unix(_)) {
            return Err(io::Error::other("the process before gave something else for it"));
        }
        socket.set_nonblocking(true)?;
        Ok(match is_unix {
            true => Self::Unix(descriptor.into()),
            false => Self::Tcp(descriptor.into()),
        })
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(listener) => Self::Tcp(listener.try_clone()?),
            Self::Unix(listener) => Self::Unix(listener.try_clone()?),
        })
    }

    pub fn attach(self) -> io::Result<OpenDoor> {
        Ok(match self {
            Self::Tcp(listener) => OpenDoor::Tcp(TcpListener::from_std(listener)?),
            Self::Unix(listener) => OpenDoor::Unix(UnixListener::from_std(listener)?),
        })
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
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

// === impl OpenDoor ===

impl OpenDoor {
    /// The next connection, and the address that it comes from if it has one.
    pub async fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
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

// === impl Doors ===

impl Doors {
    /// `None`: there are too many open files, and a new process has to open the door itself.
    pub fn list(self: &Arc<Self>, address: &Address, door: &Door) -> Option<Listed> {
        match door.try_clone() {
            Ok(clone) => {
                self.0.insert(address.clone(), clone);
                let doors = self.clone();
                let address = address.clone();
                Some(Listed { doors, address })
            }
            Err(error) => {
                tracing::warn!(%address, %error, "this listener cannot be handed over");
                None
            }
        }
    }

    /// Descriptors of all of them, as they are now.
    pub fn all(&self) -> Vec<(Address, Door)> {
        let clone = |each: dashmap::mapref::multiple::RefMulti<'_, Address, Door>| {
            Some((each.key().clone(), each.value().try_clone().ok()?))
        };
        self.0.iter().filter_map(clone).collect()
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.doors.0.remove(&self.address);
    }
}

// === impl Inherited ===

impl Inherited {
    /// The address is as [`Address`] writes it.
    pub fn push(&mut self, address: String, descriptor: OwnedFd) {
        self.0.push((address, descriptor));
    }

    pub fn take(&mut self, address: &Address) -> Option<io::Result<Door>> {
        let name = address.to_string();
        let place = self.0.iter().position(|(known, _)| *known == name)?;
        Some(Door::of(self.0.swap_remove(place).1, address))
    }

    /// Closes what nobody has asked for: those listeners are not in the new configuration.
    pub fn close(&mut self) {
        for (address, _) in self.0.drain(..) {
            tracing::info!(address, "closed: it is no listener any more");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anywhere() -> Address {
        Address::Tcp {
            host: "127.0.0.1".to_owned(),
            port: 0,
        }
    }

    #[tokio::test]
    async fn what_is_accepted_does_not_delay_and_is_kept_alive() {
        let Door::Tcp(listener) = Door::bind(&anywhere()).await.unwrap() else {
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

    #[tokio::test]
    async fn a_door_is_listed_while_it_is_open() {
        let doors = Arc::new(Doors::default());
        let door = Door::bind(&anywhere()).await.unwrap();
        let listed = doors.list(&anywhere(), &door);
        assert_eq!(doors.all().len(), 1);
        drop(listed);
        assert!(doors.all().is_empty());
    }

    #[tokio::test]
    async fn only_what_the_address_says_is_inherited() {
        let folder = tempfile::tempdir().unwrap();
        let path = Address::Unix(folder.path().join("socket"));
        let door = Door::bind(&path).await.unwrap();
        let descriptor = || door.as_fd().try_clone_to_owned().unwrap();
        let mut inherited = Inherited::default();
        inherited.push(path.to_string(), descriptor());
        inherited.push(anywhere().to_string(), descriptor());
        assert!(matches!(
            Door::open(&path, &mut inherited).await,
            Ok(Door::Unix(_))
        ));
        assert!(Door::open(&anywhere(), &mut inherited).await.is_err());
        inherited.push(path.to_string(), descriptor());
        inherited.close();
        assert!(inherited.take(&path).is_none());
    }
}
