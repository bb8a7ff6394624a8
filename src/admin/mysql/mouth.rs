//! What the library writes, without its part of the login: the client has been greeted and let in before.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncWrite, BufWriter};

use crate::wire::packet::{HEADER, Header};

pub struct Mouth<W> {
    inner: BufWriter<W>,
    /// Packets that the client does not get.
    swallowed: usize,
    header: Vec<u8>,
    /// What is left of the packet that is swallowed.
    rest: usize,
}

// === impl Mouth ===

impl<W: AsyncWrite> Mouth<W> {
    pub fn new(inner: W, swallowed: usize) -> Self {
        Self {
            inner: BufWriter::new(inner),
            swallowed,
            header: Vec::new(),
            rest: 0,
        }
    }

    /// How many of these bytes the client does not get.
    fn swallow(&mut self, bytes: &[u8]) -> usize {
        let mut count = 0;
        while self.swallowed > 0 && count < bytes.len() {
            if self.rest == 0 {
                self.header.push(bytes[count]);
                count += 1;
                if let Some(header) = Header::parse(&self.header) {
                    self.rest = header.total() - HEADER;
                    self.header.clear();
                    self.swallowed -= usize::from(self.rest == 0);
                }
                continue;
            }
            let some = self.rest.min(bytes.len() - count);
            self.rest -= some;
            count += some;
            self.swallowed -= usize::from(self.rest == 0);
        }
        count
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Mouth<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let swallowed = self.swallow(bytes);
        if swallowed > 0 {
            return Poll::Ready(Ok(swallowed));
        }
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn the_first_packets_are_swallowed_however_they_come() {
        let bytes = [&[3, 0, 0, 0][..], b"abc", &[0, 0, 0, 1], &[2, 0, 0, 0], b"xy"].concat();
        for size in 1..=bytes.len() {
            let mut out = Vec::new();
            let mut mouth = Mouth::new(&mut out, 2);
            for part in bytes.chunks(size) {
                mouth.write_all(part).await.unwrap();
            }
            mouth.flush().await.unwrap();
            drop(mouth);
            assert_eq!(out, [2, 0, 0, 0, b'x', b'y'], "{size}");
        }
    }
}
