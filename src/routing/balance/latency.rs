//! The faster of two drawn at random, where being fast includes having little to do.
//!
//! A server that looked slow is seldom chosen, so nobody learns that it has recovered. Therefore a latency that
//! has not been measured anew fades, until the server is tried again.

use std::time::Duration;

use tokio::time::Instant;

use super::weight::{Candidate, Scale};
use crate::util::Random;

/// An old measurement counts half after this time, a quarter after twice the time, and so on: the first read on a
/// new connection may have taken a hundred times as long as the next one will.
const FADES_IN: Duration = Duration::from_secs(10);
/// More than an hour is as slow as can be.
const SLOWEST: u64 = 1 << 32;

/// What was measured of each server, by its index.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    seen: Vec<Option<Seen>>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    latency: u64,
    /// When it was first seen.
    at: Instant,
}

// === impl Latencies ===

impl Latencies {
    pub(super) fn faster(
        &mut self,
        candidates: &[Candidate],
        scale: &Scale,
        random: &mut Random,
        now: Instant,
    ) -> Option<usize> {
        for candidate in candidates {
            self.notice(candidate, now);
        }
        let first = draw(candidates, |_, candidate| scale.weigh(candidate), random)?;
        let others = |position: usize, candidate: &Candidate| match position == first {
            true => 0,
            false => scale.weigh(candidate),
        };
        let Some(second) = draw(candidates, others, random) else {
            return Some(first);
        };
        let fair = fair_share(candidates, scale);
        let of = |position: usize| {
            let candidate = &candidates[position];
            (
                self.faded(candidate.index, now),
                busyness(candidate, scale.weigh(candidate), fair),
            )
        };
        let ((mine, my_work), (theirs, their_work)) = (of(first), of(second));
        // Of a server that nobody has measured, only its work is known.
        let (mine, theirs) = match mine == 0 || theirs == 0 {
            true => (1, 1),
            false => (mine, theirs),
        };
        let is_slower = u128::from(mine) * my_work > u128::from(theirs) * their_work;
        Some(if is_slower { second } else { first })
    }

    fn notice(&mut self, candidate: &Candidate, now: Instant) {
        if candidate.index >= self.seen.len() {
            self.seen.resize(candidate.index + 1, None);
        }
        let latency = candidate.latency.min(SLOWEST);
        let seen = &mut self.seen[candidate.index];
        if seen.is_none_or(|seen| seen.latency != latency) {
            *seen = Some(Seen { latency, at: now });
        }
    }

    fn faded(&self, index: usize, now: Instant) -> u64 {
        let Some(seen) = self.seen.get(index).copied().flatten() else {
            return 0;
        };
        let age = now.saturating_duration_since(seen.at);
        let halvings = age.as_secs_f64() / FADES_IN.as_secs_f64();
        // What was measured stays measured: 0 means that nothing was.
        ((seen.latency as f64 * (-halvings).exp2()) as u64).max(seen.latency.min(1))
    }
}

/// One by chance, each as likely as it weighs; `None` when nobody weighs anything.
pub(super) fn draw(
    candidates: &[Candidate],
    weigh: impl Fn(usize, &Candidate) -> u64,
    random: &mut Random,
) -> Option<usize> {
    let weighed = || {
        candidates
            .iter()
            .enumerate()
            .map(|(position, candidate)| (position, weigh(position, candidate)))
    };
    let total = weighed().map(|(_, weight)| weight).fold(0, u64::saturating_add);
    let mut rest = random.below(total);
    for (position, weight) in weighed() {
        if rest < weight {
            return Some(position);
        }
        rest -= weight;
    }
    None
}

/// What a candidate weighs on average.
fn fair_share(candidates: &[Candidate], scale: &Scale) -> u64 {
    let weights = || candidates.iter().map(|candidate| scale.weigh(candidate));
    let eligible = weights().filter(|weight| *weight > 0).count();
    let total = weights().fold(0, u64::saturating_add);
    total / u64::try_from(eligible).unwrap_or(1).max(1)
}

/// How many statements a new one shares the server with, itself included, as if it weighed the fair share.
/// In 1024ths.
fn busyness(candidate: &Candidate, weight: u64, fair: u64) -> u128 {
    let others = u128::from(candidate.in_flight) * u128::from(fair) * 1024 / u128::from(weight.max(1));
    others + 1024
}
