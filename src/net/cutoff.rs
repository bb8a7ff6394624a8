//! A way to give up a connection from another thread, whatever its owner waits for there.
//!
//! A server that hangs never ends a read by itself. Whoever knows that nothing more is to come of it cuts the
//! connection off: the owner's next read that would have to wait is an error, and so is its next write.

use std::io;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

/// Held to copy a waker, and never across an await.
#[allow(clippy::disallowed_types)]
type Mutex<T> = std::sync::Mutex<T>;

/// One for a connection, which it outlives.
#[derive(Debug, Default)]
pub struct Cutoff {
    is_cut: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// What the owner of the connection gets.
pub fn error() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "the connection was given up because another server takes its place",
    )
}

// === impl Cutoff ===

impl Cutoff {
    /// For good.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        let waker = self.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Acquire)
    }

    /// The owner is about to wait, and is woken by a cut. True: there has been one, and nothing to wait for.
    pub fn listen(&self, context: &Context<'_>) -> bool {
        let mut waker = self.lock();
        match &*waker {
            Some(known) if known.will_wake(context.waker()) => {}
            _ => *waker = Some(context.waker().clone()),
        }
        drop(waker);
        self.is_cut()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::net::{Link, Socket};

    #[tokio::test]
    async fn who_waits_for_a_silent_peer_is_told() {
        let (one, _two) = tokio::net::UnixStream::pair().unwrap();
        let cutoff = Arc::new(Cutoff::default());
        let mut link = Link::new(Socket::Unix(one));
        link.obey(cutoff.clone());
        link.send(b"anybody there?").await.unwrap();
        let (filled, ()) = tokio::join!(link.fill(), async {
            tokio::task::yield_now().await;
            cutoff.cut();
        });
        assert_eq!(filled.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert!(link.is_cut());
        assert!(
            link.send(b"and now?").await.is_err(),
            "not a byte more goes there"
        );
    }

    #[tokio::test]
    async fn what_has_arrived_is_still_read() {
        let (one, two) = tokio::net::UnixStream::pair().unwrap();
        two.writable().await.unwrap();
        two.try_write(b"done").unwrap();
        let cutoff = Arc::new(Cutoff::default());
        let mut link = Link::new(Socket::Unix(one));
        link.obey(cutoff.clone());
        cutoff.cut();
        assert_eq!(link.fill().await.unwrap(), 4);
        assert!(link.fill().await.is_err());
    }
}
