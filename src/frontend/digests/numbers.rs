//! What is counted of one kind of statement, with the times it took in buckets fine enough for percentiles.

use std::time::Duration;

use tokio::time::Instant;

use super::table::Seen;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers {
    pub calls: u64,
    /// Of those, what ended in an error, or in no answer at all.
    pub errors: u64,
    /// Returned, or changed.
    pub rows: u64,
    /// Of the answers.
    pub bytes: u64,
    /// How many the primary ran, and how many a replica.
    pub primary: u64,
    pub replica: u64,
    pub time: Duration,
    pub longest: Duration,
    buckets: [u32; BUCKETS],
    /// The first and the last, to about a tenth of a second.
    pub first: Instant,
    pub last: Instant,
}

/// Four to every doubling: a percentile is at most a quarter too high.
const FINENESS: u32 = 2;
/// The first bucket ends at 2^4 microseconds.
const FIRST: u32 = 4;
/// From 16 microseconds to a minute, what is shorter, and what is longer.
const BUCKETS: usize = 90;

// === impl Numbers ===

impl Numbers {
    pub fn new(now: Instant) -> Self {
        Self {
            calls: 0,
            errors: 0,
            rows: 0,
            bytes: 0,
            primary: 0,
            replica: 0,
            time: Duration::ZERO,
            longest: Duration::ZERO,
            buckets: [0; BUCKETS],
            first: now,
            last: now,
        }
    }

    pub fn count(&mut self, seen: &Seen) {
        self.calls += 1;
        self.errors += u64::from(seen.failed);
        self.rows += seen.rows;
        self.bytes += seen.bytes;
        match seen.on_primary {
            Some(true) => self.primary += 1,
            Some(false) => self.replica += 1,
            None => {}
        }
        self.time = self.time.saturating_add(seen.taken);
        self.longest = self.longest.max(seen.taken);
        let bucket = &mut self.buckets[bucket(seen.taken)];
        *bucket = bucket.saturating_add(1);
        self.last = seen.now;
    }

    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.primary += other.primary;
        self.replica += other.replica;
        self.time = self.time.saturating_add(other.time);
        self.longest = self.longest.max(other.longest);
        for (sum, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum = sum.saturating_add(*more);
        }
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }

    pub fn mean(&self) -> Duration {
        let nanos = self.time.as_nanos() / u128::from(self.calls.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// So long took at most this share of them, in percent.
    pub fn percentile(&self, percent: u64) -> Duration {
        let all: u64 = self.buckets.iter().copied().map(u64::from).sum();
        let wanted = (all * percent).div_ceil(100).max(1);
        let mut sum = 0;
        for (place, &count) in self.buckets.iter().enumerate() {
            sum += u64::from(count);
            if sum >= wanted {
                return end(place).map_or(self.longest, |end| end.min(self.longest));
            }
        }
        Duration::ZERO
    }
}

fn bucket(taken: Duration) -> usize {
    let micros = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
    let Some(power) = micros.checked_ilog2().filter(|power| *power >= FIRST) else {
        return 0;
    };
    let quarter = (micros >> (power - FINENESS)) & 3;
    let place = u64::from((power - FIRST) << FINENESS) + quarter + 1;
    usize::try_from(place).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// What nothing in a bucket reaches. The last has no end.
fn end(place: usize) -> Option<Duration> {
    let place = u32::try_from(place).ok()?;
    if place == 0 {
        return Some(Duration::from_micros(1 << FIRST));
    }
    let (power, quarter) = (FIRST + (place - 1) / 4, (place - 1) % 4);
    let end = u64::from(4 + quarter + 1) << (power - FINENESS);
    (place < BUCKETS as u32 - 1).then(|| Duration::from_micros(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(micros: u64) -> Seen {
        Seen {
            taken: Duration::from_micros(micros),
            rows: 2,
            bytes: 10,
            failed: micros > 1_000,
            on_primary: Some(true),
            now: Instant::now(),
        }
    }

    #[test]
    fn times_fall_into_the_bucket_that_ends_behind_them() {
        let mut last = 0;
        for micros in (0..5_000).chain([20_000_000, 80_000_000, u64::MAX / 1_000]) {
            let place = bucket(Duration::from_micros(micros));
            assert!(place >= last && place < BUCKETS, "{micros}");
            last = place;
            if let Some(end) = end(place) {
                assert!(Duration::from_micros(micros) < end, "{micros}");
                assert!(
                    micros < 16 || end <= Duration::from_micros(micros * 5 / 4 + 1),
                    "{micros}"
                );
            }
        }
        assert_eq!(last, BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_near_and_never_above_the_longest() {
        let mut numbers = Numbers::new(Instant::now());
        for micros in 1..=1_000 {
            numbers.count(&seen(micros));
        }
        let p95 = numbers.percentile(95).as_micros();
        assert!((950..=1_190).contains(&p95), "{p95}");
        assert_eq!(numbers.percentile(100), Duration::from_micros(1_000));
        assert_eq!(numbers.mean(), Duration::from_nanos(500_500));
        assert_eq!(Numbers::new(Instant::now()).percentile(50), Duration::ZERO);
    }

    #[test]
    fn sums_are_those_of_one_counter() {
        let now = Instant::now();
        let (mut one, mut two, mut all) = (Numbers::new(now), Numbers::new(now), Numbers::new(now));
        for (place, micros) in [3, 50, 700, 9_000, 9_000_000].into_iter().enumerate() {
            let seen = Seen { now, ..seen(micros) };
            [&mut one, &mut two][place % 2].count(&seen);
            all.count(&seen);
        }
        one.add(&two);
        assert_eq!(one, all);
        assert_eq!((all.calls, all.errors, all.rows, all.primary), (5, 2, 10, 5));
    }
}
