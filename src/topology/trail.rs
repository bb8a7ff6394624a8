//! Where the primary was and when, so that a replica's lag can be judged by one clock: our own.
//!
//! A replica that lacks what the primary had a while ago is at least that old, whatever it says of itself: one
//! whose connection hangs does not know better than that it has everything.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::gtid::Position;

/// At two probes a second, for a primary that never rests: one minute.
const LENGTH: usize = 128;

/// The primary's latest positions, oldest first, each with the time when it surely had been reached.
#[derive(Debug, Default)]
pub(super) struct Trail {
    steps: VecDeque<(Instant, Position)>,
}

// === impl Trail ===

impl Trail {
    /// The primary was at `position` at some time before `now`.
    pub(super) fn record(&mut self, now: Instant, position: &Position) {
        if let Some((_, last)) = self.steps.back() {
            if last == position {
                return;
            }
            if !position.contains(last) {
                // Another primary, or one that has lost something: its past is of no use.
                self.steps.clear();
            }
        }
        if self.steps.len() == LENGTH {
            self.steps.pop_front();
        }
        self.steps.push_back((now, position.clone()));
    }

    /// How old a server's data are at least that had `position` at some time after `now`. What the primary had
    /// from the beginning of the trail does not count: replicas may lack some of it for ever.
    pub(super) fn behind(&self, now: Instant, position: &Position) -> Duration {
        let (Some((_, base)), Some((_, newest))) = (self.steps.front(), self.steps.back()) else {
            return Duration::ZERO;
        };
        if position.contains(newest) {
            return Duration::ZERO;
        }
        let has = |step: &(Instant, Position)| position.contains(&step.1.minus(base));
        let missing = self.steps.partition_point(has);
        self.steps
            .get(missing)
            .map_or(Duration::ZERO, |(then, _)| now.saturating_duration_since(*then))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str) -> Position {
        Position::parse(true, text.as_bytes()).unwrap()
    }

    #[test]
    fn a_replica_is_as_old_as_the_first_that_it_lacks() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut trail = Trail::default();
        assert_eq!(trail.behind(start, &Position::Empty), Duration::ZERO);
        // Domain 5 was never replicated.
        for (seconds, text) in [
            (0, "0-1-10,5-1-1"),
            (1, "0-1-20,5-1-1"),
            (2, "0-1-20,5-1-1"),
            (3, "0-1-30,5-1-1"),
        ] {
            trail.record(at(seconds), &position(text));
        }
        let behind = |text| trail.behind(at(10), &position(text)).as_secs();
        assert_eq!(behind("0-1-30"), 0);
        assert_eq!(behind("0-1-29"), 7);
        assert_eq!(behind("0-1-20,5-1-1"), 7);
        assert_eq!(behind("0-1-19"), 9);
        assert_eq!(behind("0-1-1"), 9);
        assert_eq!(trail.behind(at(1), &position("0-1-29")), Duration::ZERO);
    }

    #[test]
    fn it_is_bounded_and_forgets_a_past_that_was_undone() {
        let start = Instant::now();
        let mut trail = Trail::default();
        for number in 1..=1000_u64 {
            trail.record(
                start + Duration::from_secs(number),
                &position(&format!("0-1-{number}")),
            );
        }
        assert_eq!(trail.steps.len(), LENGTH);
        let behind = trail.behind(start + Duration::from_secs(2000), &position("0-1-1"));
        assert_eq!(behind, Duration::from_secs(1000 + LENGTH as u64 - 2));
        trail.record(start, &position("0-1-5"));
        assert_eq!(trail.steps.len(), 1);
    }
}
