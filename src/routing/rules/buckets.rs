//! How many statements may pass in a time, for each of many who share a rate.
//!
//! Of each only one moment is kept: the one at which its allowance is whole again. Every statement moves that on
//! by the time that it costs; whoever's moment has come is as good as new and is forgotten.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Throttle;

/// The allowances of everybody under one rule.
#[derive(Debug)]
pub struct Buckets {
    interval: Duration,
    /// How far ahead of the present the moment may lie for a statement to pass at once.
    allowance: Duration,
    wait: Duration,
    most: usize,
    whole_at: HashMap<u64, Instant>,
    /// Shared by all who came when there was no room for them.
    others: Option<Instant>,
    swept: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    /// Its turn comes after this time, and is kept for it.
    Wait(Duration),
    /// It would have to wait this long, which is too long.
    Refuse(Duration),
}

/// Names kept per rule. Beyond that, those who are not known yet share one allowance.
pub(super) const MOST: usize = 10_000;
/// A full table is searched for forgettable names at most so often.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

// === impl Buckets ===

impl Buckets {
    pub fn new(throttle: &Throttle, most: usize) -> Self {
        Self {
            interval: throttle.interval,
            allowance: throttle.interval.saturating_mul(throttle.burst),
            wait: throttle.wait,
            most,
            whole_at: HashMap::new(),
            others: None,
            swept: None,
        }
    }

    /// A statement of `who` asks to pass.
    pub fn ask(&mut self, who: u64, now: Instant) -> Verdict {
        if !self.whole_at.contains_key(&who) && self.whole_at.len() >= self.most {
            self.sweep(now);
        }
        let is_known = self.whole_at.contains_key(&who);
        let is_other = !is_known && self.whole_at.len() >= self.most;
        let stored = match is_other {
            true => self.others,
            false => self.whole_at.get(&who).copied(),
        };
        let from = stored.map_or(now, |moment| moment.max(now));
        let Some(moment) = from.checked_add(self.interval) else {
            return Verdict::Refuse(self.wait);
        };
        let wait = moment
            .saturating_duration_since(now)
            .saturating_sub(self.allowance);
        if wait > self.wait {
            return Verdict::Refuse(wait);
        }
        if is_other {
            self.others = Some(moment);
        } else {
            self.whole_at.insert(who, moment);
        }
        match wait.is_zero() {
            true => Verdict::Pass,
            false => Verdict::Wait(wait),
        }
    }

    /// Names kept at the moment.
    pub fn len(&self) -> usize {
        self.whole_at.len()
    }

    pub fn is_empty(&self) -> bool {
        self.whole_at.is_empty()
    }

    fn sweep(&mut self, now: Instant) {
        let is_due = |last: Instant| now.saturating_duration_since(last) >= SWEEP_EVERY;
        if self.swept.is_none_or(is_due) {
            self.swept = Some(now);
            self.whole_at.retain(|_, moment| *moment > now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::ThrottlePer;

    fn buckets(interval: u64, burst: u32, wait: u64, most: usize) -> Buckets {
        let throttle = Throttle {
            interval: Duration::from_millis(interval),
            per: ThrottlePer::All,
            burst,
            wait: Duration::from_millis(wait),
        };
        Buckets::new(&throttle, most)
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_the_rate_counts() {
        let mut buckets = buckets(100, 3, 0, 10);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(buckets.ask(1, Instant::now()), Verdict::Pass);
        }
        assert_eq!(buckets.ask(1, start), Verdict::Refuse(Duration::from_millis(100)));
        assert_eq!(buckets.ask(2, start), Verdict::Pass, "another one has its own");
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(buckets.ask(1, Instant::now()), Verdict::Pass);
        assert_eq!(
            buckets.ask(1, Instant::now()),
            Verdict::Refuse(Duration::from_millis(100))
        );
        tokio::time::advance(Duration::from_secs(60)).await;
        let passed = (0..10).filter(|_| buckets.ask(1, Instant::now()) == Verdict::Pass);
        assert_eq!(
            passed.count(),
            3,
            "what was not used is not saved up beyond the burst"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_keeps_a_turn() {
        let mut buckets = buckets(100, 1, 250, 10);
        let now = Instant::now();
        let wait = |milliseconds| Verdict::Wait(Duration::from_millis(milliseconds));
        assert_eq!(buckets.ask(1, now), Verdict::Pass);
        assert_eq!(buckets.ask(1, now), wait(100));
        assert_eq!(buckets.ask(1, now), wait(200));
        assert_eq!(buckets.ask(1, now), Verdict::Refuse(Duration::from_millis(300)));
        tokio::time::advance(Duration::from_millis(150)).await;
        assert_eq!(buckets.ask(1, Instant::now()), wait(150));
    }

    #[tokio::test(start_paused = true)]
    async fn names_are_bounded_and_do_not_evade_the_rate() {
        let mut buckets = buckets(60_000, 1, 0, 100);
        let passed = (0..10_000).filter(|who| buckets.ask(*who, Instant::now()) == Verdict::Pass);
        assert_eq!(passed.count(), 101, "all the others share one allowance");
        assert_eq!(buckets.len(), 100);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(buckets.ask(5_000, Instant::now()), Verdict::Pass);
        assert_eq!(buckets.len(), 1, "the old ones are forgotten");
    }

    proptest! {
        /// However the questions are spread, no more pass or wait than the rate allows.
        #[test]
        fn the_rate_holds(steps in proptest::collection::vec(0..300_u64, 1..200), burst in 1..5_u32) {
            let mut buckets = buckets(100, burst, 200, 10);
            let start = Instant::now();
            let (mut elapsed, mut run) = (0, 0_u64);
            for step in steps {
                elapsed += step;
                match buckets.ask(1, start + Duration::from_millis(elapsed)) {
                    Verdict::Pass | Verdict::Wait(_) => run += 1,
                    Verdict::Refuse(_) => {}
                }
                prop_assert!(run <= u64::from(burst) + elapsed / 100 + 2);
            }
        }
    }
}
