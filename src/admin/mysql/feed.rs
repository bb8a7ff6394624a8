//! What the library reads: one packet at a time, because it loses its place in memory when a client sends several
//! at once; of bounded length; and only commands that it knows, because it says OK to every other.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::wire::command::Command;
use crate::wire::packet::{HEADER, Header};

/// Longer commands are not read.
const LONGEST: usize = 1 << 20;

/// A text that no command begins with, in place of a command that is not served.
pub const NOT_SERVED: &str = "\u{1}";

pub struct Feed<R> {
    inner: R,
    /// The packet at hand, as far as it is here.
    packet: Vec<u8>,
    /// How much of it the library has.
    given: usize,
    /// It is whole, and what is left of it may be given.
    whole: bool,
    idle_timeout: Option<Duration>,
    idle: Pin<Box<Sleep>>,
}

// === impl Feed ===

impl<R> Feed<R> {
    /// The library reads `first` before anything that the client says.
    pub fn new(inner: R, first: Vec<u8>, idle_timeout: Option<Duration>) -> Self {
        Self {
            inner,
            packet: first,
            given: 0,
            whole: true,
            idle_timeout,
            idle: Box::pin(tokio::time::sleep(Duration::from_secs(86_400))),
        }
    }

    /// How many bytes the packet at hand still lacks.
    fn lacks(&self) -> io::Result<usize> {
        let Some(header) = Header::parse(&self.packet) else {
            return Ok(HEADER - self.packet.len());
        };
        if header.length > LONGEST {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the command is too long",
            ));
        }
        Ok(header.total() - self.packet.len())
    }

    fn is_silent(&mut self, context: &mut Context<'_>) -> bool {
        self.idle_timeout.is_some() && self.packet.is_empty() && self.idle.as_mut().poll(context).is_ready()
    }
}

impl<R: AsyncRead + Unpin> Feed<R> {
    /// Reads until the packet is whole; false: the client has gone, or was silent for too long.
    fn poll_packet(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            let lacking = self.lacks()?;
            if lacking == 0 {
                return Poll::Ready(Ok(true));
            }
            let start = self.packet.len();
            self.packet.resize(start + lacking, 0);
            let mut buffer = ReadBuf::new(&mut self.packet[start..]);
            let polled = Pin::new(&mut self.inner).poll_read(context, &mut buffer);
            let count = buffer.filled().len();
            self.packet.truncate(start + count);
            if polled.is_pending() {
                return match self.is_silent(context) {
                    true => Poll::Ready(Ok(false)),
                    false => Poll::Pending,
                };
            }
            ready!(polled)?;
            if count == 0 {
                return Poll::Ready(Ok(false));
            }
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Feed<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.given == this.packet.len() && this.whole {
            this.packet.clear();
            (this.given, this.whole) = (0, false);
            if let Some(limit) = this.idle_timeout {
                this.idle.as_mut().reset(Instant::now() + limit);
            }
        }
        if !this.whole {
            if !ready!(this.poll_packet(context))? {
                return Poll::Ready(Ok(()));
            }
            this.whole = true;
            make_known(&mut this.packet);
        }
        let rest = &this.packet[this.given..];
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        this.given += count;
        Poll::Ready(Ok(()))
    }
}

/// A command that is not served becomes a question that is answered with an error.
fn make_known(packet: &mut Vec<u8>) {
    let command = Command(packet.get(HEADER).copied().unwrap_or(u8::MAX));
    let is_known = matches!(
        command,
        Command::QUIT
            | Command::INIT_DB
            | Command::QUERY
            | Command::FIELD_LIST
            | Command::PING
            | Command::STMT_PREPARE
            | Command::STMT_EXECUTE
            | Command::STMT_CLOSE
            // Nothing of a session is kept, so there is nothing to do for these, and OK is the answer.
            | Command::STMT_RESET
            | Command::RESET_CONNECTION
    );
    let is_text = !matches!(command, Command::QUERY | Command::STMT_PREPARE | Command::INIT_DB)
        || std::str::from_utf8(&packet[HEADER + 1..]).is_ok();
    if is_known && is_text {
        return;
    }
    let sequence = packet.get(3).copied().unwrap_or_default();
    packet.clear();
    let length = u8::try_from(NOT_SERVED.len() + 1).unwrap_or(u8::MAX);
    packet.extend_from_slice(&[length, 0, 0, sequence, Command::QUERY.0]);
    packet.extend_from_slice(NOT_SERVED.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    fn packet(payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![u8::try_from(payload.len()).unwrap(), 0, 0, 0];
        packet.extend_from_slice(payload);
        packet
    }

    #[tokio::test]
    async fn each_read_has_bytes_of_one_packet() {
        let first = packet(b"login");
        let mut bytes = packet(b"\x03SHOW SERVERS");
        bytes.extend(packet(b"\x0e"));
        bytes.extend(packet(b"\x11change user"));
        let mut feed = Feed::new(&bytes[..], first.clone(), None);
        let mut buffer = [0; 1000];
        let mut next = async |room: usize| {
            let count = feed.read(&mut buffer[..room]).await.unwrap();
            buffer[..count].to_vec()
        };
        assert_eq!(next(1000).await, first);
        assert_eq!(next(6).await, packet(b"\x03SHOW SERVERS")[..6]);
        assert_eq!(next(1000).await, packet(b"\x03SHOW SERVERS")[6..]);
        assert_eq!(next(1000).await, packet(b"\x0e"));
        assert_eq!(next(1000).await, packet(b"\x03\x01"), "not served");
        assert_eq!(next(1000).await, b"");
    }

    #[tokio::test]
    async fn what_is_too_long_or_no_text_is_not_passed_on() {
        let long = [0xff, 0xff, 0xff, 0, 3];
        let mut feed = Feed::new(&long[..], Vec::new(), None);
        assert!(feed.read(&mut [0; 10]).await.is_err());
        let bytes = packet(b"\x03\xff\xfe");
        let mut feed = Feed::new(&bytes[..], Vec::new(), None);
        let mut buffer = [0; 100];
        let count = feed.read(&mut buffer).await.unwrap();
        assert_eq!(buffer[..count], packet(b"\x03\x01"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_like_one_that_has_gone() {
        let (near, _far) = tokio::io::duplex(10);
        let mut feed = Feed::new(near, Vec::new(), Some(Duration::from_secs(5)));
        assert_eq!(feed.read(&mut [0; 10]).await.unwrap(), 0);
    }
}
