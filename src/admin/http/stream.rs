//! A connection that does not keep its place for nothing: whoever neither asks nor takes an answer loses it.
//!
//! The clock is set back by each answer that is written, not by what comes in. So it also ends requests that come
//! byte by byte, and connections that are kept open and not used.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

/// A stream of either kind, with TLS or without.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub struct Guarded {
    stream: Box<dyn Stream>,
    limit: Duration,
    alarm: Pin<Box<Sleep>>,
    /// Its place among the connections.
    _place: OwnedSemaphorePermit,
}

// === impl Guarded ===

impl Guarded {
    pub fn new(stream: Box<dyn Stream>, limit: Duration, place: OwnedSemaphorePermit) -> Self {
        Self {
            stream,
            limit,
            alarm: Box::pin(tokio::time::sleep(limit)),
            _place: place,
        }
    }

    /// The result, unless there is none and none has come for too long.
    fn in_time<T>(&mut self, context: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_pending() {
            ready!(self.alarm.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        result
    }

    fn wrote(&mut self) {
        let next = Instant::now() + self.limit;
        self.alarm.as_mut().reset(next);
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if result.is_ready() && Instant::now() >= self.alarm.deadline() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.in_time(context, result)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        if matches!(result, Poll::Ready(Ok(1..))) {
            self.wrote();
        }
        self.in_time(context, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.in_time(context, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(context);
        self.in_time(context, result)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_trickles_is_cut_off_and_who_is_answered_is_not() {
        let (mut client, server) = duplex(64);
        let room = Arc::new(Semaphore::new(1));
        let place = room.clone().try_acquire_owned().unwrap();
        let mut guarded = Guarded::new(Box::new(server), Duration::from_secs(10), place);
        let mut byte = [0];
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(4)).await;
            client.write_all(b"a").await.unwrap();
            guarded.read_exact(&mut byte).await.unwrap();
            guarded.write_all(b"b").await.unwrap();
        }
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_secs(4)).await;
            client.write_all(b"a").await.unwrap();
            guarded.read_exact(&mut byte).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(4)).await;
        client.write_all(b"a").await.unwrap();
        let error = guarded.read_exact(&mut byte).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(guarded);
        assert_eq!(room.available_permits(), 1);
    }
}
