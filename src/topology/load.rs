//! How busy a server is with this proxy's statements, and how quick: updated for each statement, by all threads.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Counters of one server. The numbers guide choices; nothing depends on their being exact.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Load {
    /// Statements under way, in the place of the thread that runs them: one place for all would go from core to core
    /// with each statement.
    in_flight: [Place; PLACES],
    /// How long reads wait for their answer, in microseconds: an average in which the latest counts for an eighth.
    /// 0: none was measured, as only `least_latency` wants it.
    pub latency: AtomicU64,
}

/// On a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Place(AtomicU32);

/// More threads than this share places.
const PLACES: usize = 8;

/// A statement under way, until it is dropped.
#[derive(Debug)]
pub struct Underway<'a>(&'a Place);

// === impl Load ===

impl Load {
    /// A statement begins on this thread.
    pub fn enter(&self, thread: usize) -> Underway<'_> {
        let place = &self.in_flight[thread % PLACES];
        place.0.fetch_add(1, Ordering::Relaxed);
        Underway(place)
    }

    /// Statements under way.
    pub fn in_flight(&self) -> u32 {
        let places = self.in_flight.iter();
        places.map(|place| place.0.load(Ordering::Relaxed)).sum()
    }

    /// A read was answered after `taken`. Two threads at once may lose one of their figures.
    pub fn answered(&self, taken: Duration) {
        let taken = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX).max(1);
        let average = match self.latency.load(Ordering::Relaxed) {
            0 => taken,
            average => average - average / 8 + taken / 8,
        };
        self.latency.store(average.max(1), Ordering::Relaxed);
    }
}

// === impl Underway ===

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_follows_and_never_returns_to_unknown() {
        let load = Load::default();
        let run = |micros| {
            load.answered(Duration::from_micros(micros));
            load.latency.load(Ordering::Relaxed)
        };
        assert_eq!(run(800), 800);
        assert_eq!(run(1600), 900);
        for _ in 0..200 {
            run(0);
        }
        assert!((1..8).contains(&load.latency.load(Ordering::Relaxed)));
        load.latency.store(u64::MAX, Ordering::Relaxed);
        load.answered(Duration::MAX);
    }

    #[test]
    fn a_statement_counts_while_it_is_under_way() {
        let load = Load::default();
        let in_flight = || load.in_flight();
        let first = load.enter(0);
        let second = load.enter(PLACES + 1);
        assert_eq!(in_flight(), 2);
        drop(first);
        assert_eq!(in_flight(), 1);
        drop(second);
        assert_eq!(in_flight(), 0);
    }
}
