//! A TCP or Unix stream, read and written without knowing which.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, SendFlags};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::buffer::Inbox;
use crate::util::clock;

#[derive(Debug)]
pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A socket between two threads, tied to no event loop.
#[derive(Debug)]
pub enum DetachedSocket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

// === impl Socket ===

impl Socket {
    pub fn poll_read(&mut self, context: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(room);
        let polled = match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, &mut buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, &mut buffer),
        };
        polled.map_ok(|()| buffer.filled().len())
    }

    /// The same into an inbox, which needs room only once there is something to read. What the event loop knows is
    /// looked at first: waiting, and the turn that others have, cost more than the reading.
    pub fn poll_fill(&mut self, context: &mut Context<'_>, inbox: &mut Inbox) -> Poll<io::Result<usize>> {
        // Who found its room filled to the brim asks for its turn: there may be no end of it.
        let mut has_turn = !inbox.is_hungry();
        loop {
            if has_turn && let Some(read) = self.read_now(inbox) {
                return Poll::Ready(read);
            }
            let ready = match self {
                Self::Tcp(stream) => stream.poll_read_ready(context),
                Self::Unix(stream) => stream.poll_read_ready(context),
            };
            ready!(ready)?;
            has_turn = true;
        }
    }

    /// Reads if the event loop knows of something.
    fn read_now(&self, inbox: &mut Inbox) -> Option<io::Result<usize>> {
        self.now(Interest::READABLE, |fd| {
            let room = inbox.spare();
            let length = room.len();
            let (count, _) = rustix::net::recv(fd, room, RecvFlags::empty())?;
            inbox.filled(count);
            Ok((count, length))
        })
    }

    /// Does what the event loop says can be done, with as much of so many bytes as the kernel lets it. Where that was
    /// not all of them there is no more to be done: the event loop is told, and the kernel is not asked again.
    fn now(
        &self,
        interest: Interest,
        act: impl FnOnce(BorrowedFd<'_>) -> rustix::io::Result<(usize, usize)>,
    ) -> Option<io::Result<usize>> {
        let mut partly = None;
        let act = |fd: BorrowedFd<'_>| match act(fd)? {
            (count, wanted) if 0 < count && count < wanted => {
                partly = Some(count);
                Err(io::ErrorKind::WouldBlock.into())
            }
            (count, _) => Ok(count),
        };
        let done = match self {
            Self::Tcp(stream) => stream.try_io(interest, || act(stream.as_fd())),
            Self::Unix(stream) => stream.try_io(interest, || act(stream.as_fd())),
        };
        match (partly, done) {
            (Some(count), _) => Some(Ok(count)),
            (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => None,
            (None, done) => Some(done),
        }
    }

    pub fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.now(Interest::WRITABLE, |fd| {
            let count = rustix::net::send(fd, bytes, SendFlags::NOSIGNAL)?;
            Ok((count, bytes.len()))
        });
        if let Some(written) = written {
            return Poll::Ready(written);
        }
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    pub fn poll_write_vectored(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    /// Writes what the kernel takes at once, without asking the event loop.
    pub fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream).send(bytes),
            Self::Unix(stream) => SockRef::from(stream).send(bytes),
        }
    }

    /// Says that nothing more comes, and throws away what the peer has said meanwhile: the kernel would reset a connection
    /// that is closed with something unread, and what was sent last with it.
    pub fn part(&self) {
        let socket = match self {
            Self::Tcp(stream) => SockRef::from(stream),
            Self::Unix(stream) => SockRef::from(stream),
        };
        let mut unheard = [MaybeUninit::uninit(); 4096];
        if socket.shutdown(std::net::Shutdown::Write).is_ok() {
            // No more than a few packets: who goes on talking does not listen.
            for _ in 0..16 {
                if !matches!(socket.recv(&mut unheard), Ok(1..)) {
                    return;
                }
            }
        }
    }

    /// Whether the event loop has been told of something to read. Asks nobody, and may not know yet.
    pub fn has_news(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.try_io(Interest::READABLE, || Ok(())).is_ok(),
            Self::Unix(stream) => stream.try_io(Interest::READABLE, || Ok(())).is_ok(),
        }
    }

    /// Whether the peer has neither closed nor said anything: asks the kernel, not the event loop.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = match self {
            Self::Tcp(stream) => SockRef::from(stream).peek(&mut byte),
            Self::Unix(stream) => SockRef::from(stream).peek(&mut byte),
        };
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether the peer has hung up with nothing left to read. Asks the kernel only if there is any news.
    pub fn has_ended(&self) -> bool {
        if !self.has_news() {
            return false;
        }
        let mut byte = [MaybeUninit::uninit()];
        let peeked = match self {
            Self::Tcp(stream) => SockRef::from(stream).peek(&mut byte),
            Self::Unix(stream) => SockRef::from(stream).peek(&mut byte),
        };
        match peeked {
            Ok(count) => count == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// Waits until the peer has said that it sends no more, or has gone. Nothing is read.
    pub async fn read_closed(&self) {
        let interest = tokio::io::Interest::READABLE;
        loop {
            let ready = match self {
                Self::Tcp(stream) => stream.ready(interest).await,
                Self::Unix(stream) => stream.ready(interest).await,
            };
            if ready.map_or(true, |ready| ready.is_read_closed()) {
                return;
            }
            // What there is to read stays there, and is news each time.
            tokio::time::sleep(clock::TICK).await;
        }
    }

    /// What every connection of a proxy wants: no delay, and a peer that vanished noticed some day.
    pub fn tune(&self) {
        if let Self::Tcp(stream) = self {
            // Neither is worth losing the connection for.
            let _ = stream.set_nodelay(true);
            let _ = SockRef::from(stream).set_keepalive(true);
        }
    }

    pub fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    pub fn local(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    pub fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// Takes the socket out of this thread's event loop.
    pub fn detach(self) -> io::Result<DetachedSocket> {
        Ok(match self {
            Self::Tcp(stream) => DetachedSocket::Tcp(stream.into_std()?),
            Self::Unix(stream) => DetachedSocket::Unix(stream.into_std()?),
        })
    }
}

// === impl DetachedSocket ===

impl DetachedSocket {
    /// Puts the socket into this thread's event loop.
    pub fn attach(self) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(stream) => Socket::Tcp(TcpStream::from_std(stream)?),
            Self::Unix(stream) => Socket::Unix(UnixStream::from_std(stream)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn fill(socket: &mut Socket, inbox: &mut Inbox) -> io::Result<usize> {
        poll_fn(|context| socket.poll_fill(context, inbox)).await
    }

    async fn write(socket: &mut Socket, bytes: &[u8]) -> usize {
        poll_fn(|context| socket.poll_write(context, bytes))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn all_that_is_written_arrives_however_full_the_rooms_were() {
        let (one, two) = UnixStream::pair().unwrap();
        let (mut one, mut two) = (Socket::Unix(one), Socket::Unix(two));
        let sent: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
        let writing = async {
            let mut left = &sent[..];
            while !left.is_empty() {
                left = &left[write(&mut one, left).await..];
            }
            drop(one);
        };
        let reading = async {
            let (mut inbox, mut all) = (Inbox::default(), Vec::new());
            while fill(&mut two, &mut inbox).await.unwrap() > 0 {
                all.extend_from_slice(inbox.bytes());
                inbox.consume(inbox.bytes().len());
            }
            all
        };
        let ((), received) = tokio::join!(writing, reading);
        assert!(received == sent);
    }

    #[tokio::test]
    async fn nothing_is_lent_while_there_is_nothing_to_read() {
        let (one, two) = UnixStream::pair().unwrap();
        let (mut one, mut two) = (Socket::Unix(one), Socket::Unix(two));
        let mut inbox = Inbox::default();
        let mut context = Context::from_waker(std::task::Waker::noop());
        for word in [&b"one"[..], b"another"] {
            assert!(two.poll_fill(&mut context, &mut inbox).is_pending());
            assert!(inbox.is_empty_handed() && !two.has_news());
            write(&mut one, word).await;
            assert_eq!(fill(&mut two, &mut inbox).await.unwrap(), word.len());
            assert_eq!(inbox.bytes(), word);
            inbox.consume(word.len());
            inbox.release();
        }
        drop(one);
        assert_eq!(fill(&mut two, &mut inbox).await.unwrap(), 0);
    }
}
