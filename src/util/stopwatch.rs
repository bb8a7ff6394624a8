//! How long things take, told by the cheapest clock that is good enough.
//!
//! Where the kernel lets processes read the time without a system call, a reading costs some 20 ns, and the exact
//! clock is used. Elsewhere the clock of the kernel's last tick is: a few milliseconds coarse, but never a system
//! call, and in the mean as right as the other.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A time of no meaning but its distance from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(u64);

#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(ClockId);

/// A reading that takes longer than this many nanoseconds is a system call.
const TOO_LONG: u64 = 100;

// === impl Stopwatch ===

impl Stopwatch {
    /// Tries what a reading costs here. The least of some counts: the others were interrupted.
    pub fn choose() -> Self {
        let exact = Self(ClockId::Monotonic);
        let cost = (0..64).map(|_| {
            let before = exact.now();
            exact.now().0.saturating_sub(before.0)
        });
        match cost.min() {
            Some(least) if least <= TOO_LONG => exact,
            _ => Self(ClockId::MonotonicCoarse),
        }
    }

    pub fn is_exact(self) -> bool {
        matches!(self.0, ClockId::Monotonic)
    }

    pub fn now(self) -> Moment {
        let now = clock_gettime(self.0);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let rest = u64::try_from(now.tv_nsec).unwrap_or(0);
        Moment(seconds.wrapping_mul(1_000_000_000).wrapping_add(rest))
    }

    pub fn since(self, began: Moment) -> Duration {
        Duration::from_nanos(self.now().0.saturating_sub(began.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_go_on() {
        for watch in [
            Stopwatch(ClockId::Monotonic),
            Stopwatch(ClockId::MonotonicCoarse),
            Stopwatch::choose(),
        ] {
            let began = watch.now();
            while watch.since(began) < Duration::from_millis(1) {
                std::hint::spin_loop();
            }
            assert!(watch.now() > began);
            assert_eq!(watch.since(Moment(u64::MAX)), Duration::ZERO);
        }
    }
}
