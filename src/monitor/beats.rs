//! The heartbeats that were written, so that a replica's lag can be told from the newest one that it shows. Pure.
//!
//! Everything is measured by one clock, the proxy's own: a row on a replica says which heartbeat it is, and this
//! remembers when that one was written.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// At five a second, a quarter of an hour.
const REMEMBERED: usize = 4096;

/// Written by this process to the primary, oldest first.
#[derive(Debug)]
pub(super) struct Beats {
    interval: Duration,
    written: VecDeque<(u64, Instant)>,
}

// === impl Beats ===

impl Beats {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            written: VecDeque::new(),
        }
    }

    /// Heartbeat `number` was sent at this time, and the primary has it.
    pub(super) fn record(&mut self, number: u64, sent: Instant) {
        if self.written.len() == REMEMBERED {
            self.written.pop_front();
        }
        self.written.push_back((number, sent));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// How late a replica is that showed heartbeat `seen` at `now`; 0 if it showed none yet.
    ///
    /// It has what the primary had when `seen` was written and lacks what it had at the next one: the truth is in
    /// between, and the middle is wrong by half an interval at most.
    pub(super) fn lag(&self, seen: u64, now: Instant) -> Option<Duration> {
        let next = self.written.partition_point(|(number, _)| *number <= seen);
        let (_, first) = self.written.front()?;
        let age = |sent: &Instant| now.saturating_duration_since(*sent);
        let Some((_, missed)) = self.written.get(next) else {
            // It has the newest, and something after that at most.
            let newest = self.written.back().map_or(Duration::ZERO, |(_, sent)| age(sent));
            return Some(newest.min(self.interval) / 2);
        };
        let had = next.checked_sub(1).and_then(|place| self.written.get(place));
        let (least, most) = (age(missed), had.map_or(age(first), |(_, sent)| age(sent)));
        Some((least + most) / 2)
    }

    /// Whether a replica that showed `seen` surely lacks something, and not only what was written this moment.
    pub(super) fn is_late(&self, seen: u64, now: Instant) -> bool {
        let next = self.written.partition_point(|(number, _)| *number <= seen);
        let missed = self.written.get(next);
        missed.is_some_and(|(_, sent)| now.saturating_duration_since(*sent) > self.interval / 4)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_written_says_nothing() {
        let beats = Beats::new(Duration::from_millis(200));
        assert_eq!(beats.lag(0, Instant::now()), None);
        assert!(!beats.is_late(0, Instant::now()));
    }

    #[test]
    fn it_is_bounded_and_what_was_forgotten_counts_as_old() {
        let (start, mut beats) = (Instant::now(), Beats::new(Duration::from_secs(1)));
        for number in 1..=5000 {
            beats.record(number, start + Duration::from_secs(number));
        }
        assert_eq!(beats.written.len(), REMEMBERED);
        let lag = beats.lag(3, start + Duration::from_secs(5000)).unwrap();
        assert_eq!(lag, Duration::from_secs(REMEMBERED as u64 - 1));
    }

    proptest! {
        /// A replica that is late by a constant time is told to be, up to half an interval.
        #[test]
        fn a_constant_delay_is_told(delay in 0_u64..5_000, now in 6_000_u64..20_000, interval in 20_u64..400) {
            let (start, mut beats) = (Instant::now(), Beats::new(Duration::from_millis(interval)));
            let mut seen = 0;
            for number in 1..=now / interval {
                let sent = number * interval;
                beats.record(number, start + Duration::from_millis(sent));
                if sent + delay <= now {
                    seen = number;
                }
            }
            let now = start + Duration::from_millis(now);
            let lag = u64::try_from(beats.lag(seen, now).unwrap().as_millis()).unwrap();
            prop_assert!(lag.abs_diff(delay) <= interval / 2 + 1, "{lag} for {delay}");
            prop_assert!(delay > interval / 4 || !beats.is_late(seen, now));
            prop_assert!(delay <= interval * 5 / 4 || beats.is_late(seen, now));
        }
    }
}
