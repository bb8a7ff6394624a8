//! What passes through a thread: counted by that thread alone, so that a statement costs no locked instruction,
//! and read by whoever looks.
//!
//! Reading the time for every statement would cost more than the counting. Some are measured: the first ones after
//! each tick, which are as good a sample as any.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::routing::Why;

/// A number that one thread adds to.
#[derive(Debug, Default)]
pub struct Tally(AtomicU64);

/// Of one thread, in a place of its own.
#[derive(Debug)]
#[repr(align(128))]
pub struct Traffic {
    /// Statements and other commands that clients sent.
    pub commands: Tally,
    /// Errors that servers answered.
    pub errors: Tally,
    /// Errors that the proxy answered in their place.
    pub own_errors: Tally,
    /// Bytes that servers answered.
    pub bytes: Tally,
    /// Reads that waited for their server to have what their session has seen.
    pub waits: Waits,
    /// Why statements ran where they did, in the order of [`Why::GROUPS`].
    reasons: [Tally; Why::GROUPS.len()],
    servers: Box<[ServerTraffic]>,
    /// How long the measured ones took, from the request to the end of the response.
    pub times: Histogram,
    /// How late the thread's ticks were: how long something else kept it.
    pub delays: Histogram,
    /// Texts whose facts were known already, and those that had to be looked at.
    pub facts_hits: Tally,
    pub facts_misses: Tally,
    /// How many are known now.
    pub facts_kept: Tally,
    /// Rows of the thread's digests.
    pub digests_kept: Tally,
}

/// How waits for what a session has seen ended.
#[derive(Debug, Default)]
pub struct Waits {
    pub on_replica: Tally,
    pub on_replica_in_vain: Tally,
    pub on_primary: Tally,
    pub on_primary_in_vain: Tally,
}

/// What one thread sent to one server.
#[derive(Debug, Default)]
pub struct ServerTraffic {
    pub statements: Tally,
    /// Of those, what only reads.
    pub reads: Tally,
    pub errors: Tally,
    pub bytes: Tally,
}

/// How long things took, in buckets that double.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Tally; BUCKETS],
    micros: Tally,
}

/// The histogram of all threads, or a part of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Times {
    /// How many there were in each bucket; the last has no upper end.
    pub counts: [u64; BUCKETS],
    pub sum: Duration,
}

/// Which statements a thread measures.
#[derive(Debug, Default)]
pub struct Sampler {
    left: Cell<u32>,
}

/// The shortest bucket ends at 2^6 microseconds, the longest but one at 2^25: half a minute.
pub const BUCKETS: usize = 21;
const FIRST: u32 = 6;
/// Statements measured between two ticks.
const SAMPLES: u32 = 20;

// === impl Tally ===

impl Tally {
    /// By its own thread alone, as all that changes it.
    pub fn set(&self, sum: u64) {
        self.0.store(sum, Ordering::Relaxed);
    }

    /// By its own thread alone.
    pub fn add(&self, more: u64) {
        let sum = self.0.load(Ordering::Relaxed).wrapping_add(more);
        self.0.store(sum, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl Traffic ===

impl Traffic {
    pub fn new(servers: usize) -> Self {
        Self {
            commands: Tally::default(),
            errors: Tally::default(),
            own_errors: Tally::default(),
            bytes: Tally::default(),
            waits: Waits::default(),
            reasons: Default::default(),
            servers: (0..servers).map(|_| ServerTraffic::default()).collect(),
            times: Histogram::default(),
            delays: Histogram::default(),
            facts_hits: Tally::default(),
            facts_misses: Tally::default(),
            facts_kept: Tally::default(),
            digests_kept: Tally::default(),
        }
    }

    /// A place has been found for a statement.
    pub fn routed(&self, why: Why) {
        if let Some(reason) = self.reasons.get(why.group()) {
            reason.add(1);
        }
    }

    /// A statement was answered by a server.
    pub fn answered(&self, server: usize, is_read: bool, failed: bool, bytes: u64) {
        self.bytes.add(bytes);
        if let Some(server) = self.servers.get(server) {
            server.statements.add(1);
            server.reads.add(u64::from(is_read));
            server.errors.add(u64::from(failed));
            server.bytes.add(bytes);
        }
        self.errors.add(u64::from(failed));
    }

    /// With the name of each reason.
    pub fn reasons(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.reasons.iter().map(Tally::get);
        Why::GROUPS.iter().copied().zip(counts)
    }

    pub fn server(&self, index: usize) -> Option<&ServerTraffic> {
        self.servers.get(index)
    }
}

// === impl Histogram ===

impl Histogram {
    pub fn record(&self, taken: Duration) {
        let micros = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)].add(1);
        self.micros.add(micros);
    }

    pub fn add_to(&self, times: &mut Times) {
        for (sum, bucket) in times.counts.iter_mut().zip(&self.buckets) {
            *sum += bucket.get();
        }
        times.sum += Duration::from_micros(self.micros.get());
    }
}

/// The first whose upper end is not below.
fn bucket(micros: u64) -> usize {
    let bits = u64::BITS - micros.saturating_sub(1).leading_zeros();
    (bits.saturating_sub(FIRST) as usize).min(BUCKETS - 1)
}

// === impl Times ===

impl Times {
    /// The upper end of a bucket in seconds; `None`: there is none.
    pub fn end(bucket: usize) -> Option<f64> {
        let power = FIRST + u32::try_from(bucket).ok()?;
        (bucket < BUCKETS - 1).then(|| f64::from(1_u32 << power) / 1e6)
    }
}

// === impl Sampler ===

impl Sampler {
    /// A tick has passed.
    pub fn refill(&self) {
        self.left.set(SAMPLES);
    }

    /// The time, if what begins now is to be measured.
    pub fn begin(&self) -> Option<Instant> {
        let left = self.left.get().checked_sub(1)?;
        self.left.set(left);
        Some(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_double() {
        assert_eq!((bucket(0), bucket(1), bucket(64), bucket(65)), (0, 0, 0, 1));
        assert_eq!((bucket(128), bucket(129)), (1, 2));
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        for place in 0..BUCKETS - 1 {
            let end = Times::end(place).unwrap();
            let micros = (end * 1e6).round();
            assert_eq!(bucket(micros as u64), place);
            assert_eq!(bucket(micros as u64 + 1), place + 1);
        }
        assert_eq!(Times::end(BUCKETS - 1), None);
    }

    #[test]
    fn what_is_counted_is_read() {
        let traffic = Traffic::new(2);
        traffic.routed(Why::Hint);
        traffic.answered(1, true, true, 100);
        traffic.answered(7, false, false, 1);
        traffic.times.record(Duration::from_micros(100));
        let mut times = Times::default();
        traffic.times.add_to(&mut times);
        traffic.times.add_to(&mut times);
        assert_eq!((times.counts[1], times.sum), (2, Duration::from_micros(200)));
        assert!(traffic.reasons().any(|reason| reason == ("hint", 1)));
        assert_eq!(traffic.server(1).map(|server| server.errors.get()), Some(1));
        assert_eq!((traffic.errors.get(), traffic.bytes.get()), (1, 101));
    }

    #[test]
    fn only_some_are_measured() {
        let sampler = Sampler::default();
        assert!(sampler.begin().is_none());
        sampler.refill();
        let measured = (0..100).filter(|_| sampler.begin().is_some()).count();
        assert_eq!(measured, 20);
    }
}
