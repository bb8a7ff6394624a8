//! How many lines about statements a thread may log, and which statements are drawn for one.

use std::cell::{Cell, RefCell};
use std::sync::atomic::AtomicU64;

use crate::util::Random;

/// Of one thread.
#[derive(Debug)]
pub struct Lines {
    left: Cell<u32>,
    /// Lines that were not written since the last one.
    left_out: Cell<u64>,
    random: RefCell<Random>,
}

/// Of all threads, since the start.
#[derive(Debug, Default)]
pub struct LogCounts {
    /// Statements that took longer than `log.slow.threshold`.
    pub slow: AtomicU64,
    /// Drawn by `log.sample`.
    pub sampled: AtomicU64,
    /// Of both, without a line: there were too many at once.
    pub left_out: AtomicU64,
}

/// Lines between two ticks.
const LINES: u32 = 5;
/// Shares are in parts of this.
const WHOLE: u64 = 10_000;

// === impl Lines ===

impl Lines {
    pub fn new(seed: u64) -> Self {
        Self {
            left: Cell::new(LINES),
            left_out: Cell::new(0),
            random: RefCell::new(Random::new(seed)),
        }
    }

    /// A tick has passed.
    pub fn refill(&self) {
        self.left.set(LINES);
    }

    /// Whether a line may be written; how many were not before it.
    pub fn take(&self) -> Option<u64> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                Some(self.left_out.take())
            }
            None => {
                self.left_out.set(self.left_out.get() + 1);
                None
            }
        }
    }

    /// To tell things apart; no secret.
    pub fn number(&self) -> u64 {
        self.random.borrow_mut().number()
    }

    /// So many of 10000 are.
    pub fn is_sampled(&self, share: u32) -> bool {
        share > 0 && self.random.borrow_mut().below(WHOLE) < u64::from(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_those_left_out_are_told() {
        let lines = Lines::new(1);
        let written = (0..20).filter_map(|_| lines.take()).collect::<Vec<_>>();
        assert_eq!(written, [0; LINES as usize]);
        lines.refill();
        assert_eq!((lines.take(), lines.take()), (Some(15), Some(0)));
    }

    #[test]
    fn a_share_of_all_is_drawn() {
        let lines = Lines::new(1);
        let drawn = |share| (0..100_000).filter(|_| lines.is_sampled(share)).count();
        assert_eq!((drawn(0), drawn(10_000)), (0, 100_000));
        assert!((800..1_200).contains(&drawn(100)));
    }
}
