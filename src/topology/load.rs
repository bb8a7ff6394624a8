//! How busy a server is with this proxy's statements, and how quick: updated for each statement, by all threads.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Counters of one server. The numbers guide choices; nothing depends on their being exact.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Load {
    /// Statements under way.
    pub in_flight: AtomicU32,
    /// How long statements take, in microseconds: an average in which the latest counts for an eighth. 0: none yet.
    pub latency: AtomicU64,
}

// === impl Load ===

impl Load {
    pub fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// A statement has ended after `taken`. Two threads at once may lose one of their figures.
    pub fn leave(&self, taken: Duration) {
        self.abandon();
        let taken = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX).max(1);
        let average = match self.latency.load(Ordering::Relaxed) {
            0 => taken,
            average => average - average / 8 + taken / 8,
        };
        self.latency.store(average.max(1), Ordering::Relaxed);
    }

    /// A statement has ended whose time says nothing of the server.
    pub fn abandon(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_follows_and_never_returns_to_unknown() {
        let load = Load::default();
        let run = |micros| {
            load.enter();
            load.leave(Duration::from_micros(micros));
            load.latency.load(Ordering::Relaxed)
        };
        assert_eq!(run(800), 800);
        assert_eq!(run(1600), 900);
        for _ in 0..200 {
            run(0);
        }
        assert!((1..8).contains(&load.latency.load(Ordering::Relaxed)));
        assert_eq!(load.in_flight.load(Ordering::Relaxed), 0);
        load.latency.store(u64::MAX, Ordering::Relaxed);
        load.enter();
        load.leave(Duration::MAX);
    }
}
