//! What a server weighs at this moment: its configured weight, less while it is still warming up.

use std::time::Duration;

use tokio::time::Instant;

/// A server that would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its place among all servers, by which the balancer knows it again.
    pub index: usize,
    /// Its share relative to the others'. 0: only if all are 0.
    pub weight: u32,
    /// Statements that it is busy with, of all workers.
    pub in_flight: u32,
    /// What a statement takes there lately, in microseconds; 0: not known.
    pub latency: u64,
    /// Since when it has been usable; `None`: for longer than anybody asks.
    pub usable_since: Option<Instant>,
}

/// Tells what candidates weigh, all by the same clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    slow_start: Duration,
    now: Instant,
    /// No candidate has any weight: each counts as one.
    is_level: bool,
}

/// One unit of configured weight, so that a warming server can weigh a fraction.
pub(super) const UNIT: u64 = 1024;

// === impl Scale ===

impl Scale {
    pub(super) fn new(slow_start: Option<Duration>, candidates: &[Candidate], now: Instant) -> Self {
        Self {
            slow_start: slow_start.unwrap_or_default(),
            now,
            is_level: candidates.iter().all(|candidate| candidate.weight == 0),
        }
    }

    /// In parts of a [`UNIT`]; 0 for a candidate that must not be chosen.
    pub(super) fn weigh(&self, candidate: &Candidate) -> u64 {
        let units = match candidate.weight {
            0 => u64::from(self.is_level),
            weight => u64::from(weight),
        };
        units * self.warmth(candidate)
    }

    /// From 1 to a whole [`UNIT`]: even a cold server gets something, or it would never be warm.
    fn warmth(&self, candidate: &Candidate) -> u64 {
        let Some(since) = candidate.usable_since.filter(|_| !self.slow_start.is_zero()) else {
            return UNIT;
        };
        let elapsed = self.now.saturating_duration_since(since);
        if elapsed >= self.slow_start {
            return UNIT;
        }
        let parts = elapsed.as_micros() * u128::from(UNIT) / self.slow_start.as_micros().max(1);
        u64::try_from(parts).unwrap_or(UNIT).clamp(1, UNIT)
    }
}
