//! The choice itself, by the configured algorithm.

use std::cmp::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::latency::{Latencies, draw};
use super::turns::Turns;
use super::weight::{Candidate, Scale};
use crate::config::Balance;
use crate::util::Random;
use crate::util::random::scatter;

/// Chooses among candidates for one worker.
#[derive(Debug)]
pub struct Balancer {
    balance: Balance,
    slow_start: Option<Duration>,
    random: Random,
    turns: Turns,
    latencies: Latencies,
    /// What `source_hash` knows servers by, by their index; the index itself where there is none.
    identities: Box<[u64]>,
    /// The order of `first`, by their index; the index itself where there is none.
    ranks: Box<[usize]>,
}

// === impl Balancer ===

impl Balancer {
    /// Workers should have different seeds, so that they do not all choose alike.
    pub fn new(balance: Balance, slow_start: Option<Duration>, seed: u64) -> Self {
        Self {
            balance,
            slow_start,
            random: Random::new(seed),
            turns: Turns::default(),
            latencies: Latencies::default(),
            identities: Box::default(),
            ranks: Box::default(),
        }
    }

    /// With the servers' names, in the order of their indices, `source_hash` chooses alike in every proxy and
    /// after every change of the list.
    pub fn with_names<'a>(mut self, names: impl Iterator<Item = &'a str>) -> Self {
        self.identities = names.map(identity).collect();
        self
    }

    /// Where the configuration lists them, in the order of their indices.
    pub fn with_ranks(mut self, ranks: impl Iterator<Item = usize>) -> Self {
        self.ranks = ranks.collect();
        self
    }

    /// The position of one of the candidates, `None` only when there are none. `source` is where the client
    /// comes from, in a number: the same for the same client address.
    pub fn choose(&mut self, candidates: &[Candidate], source: u64, now: Instant) -> Option<usize> {
        if candidates.len() < 2 {
            return (!candidates.is_empty()).then_some(0);
        }
        let scale = Scale::new(self.slow_start, candidates, now);
        match self.balance {
            Balance::RoundRobin => self.turns.next(candidates, |candidate| scale.weigh(candidate)),
            Balance::LeastConnections => self.least_busy(candidates, &scale),
            Balance::LeastLatency => self.latencies.faster(candidates, &scale, &mut self.random, now),
            Balance::Random => draw(
                candidates,
                |_, candidate| scale.weigh(candidate),
                &mut self.random,
            ),
            Balance::SourceHash => self.highest(candidates, &scale, source),
            Balance::First => self.first(candidates, &scale),
        }
    }

    /// Those with the least work for their weight take turns.
    fn least_busy(&mut self, candidates: &[Candidate], scale: &Scale) -> Option<usize> {
        let load = |candidate: &Candidate| (u64::from(candidate.in_flight), scale.weigh(candidate));
        let mut loads = candidates.iter().map(load).filter(|(_, weight)| *weight > 0);
        let first = loads.next()?;
        let least = loads.fold(first, |least, each| match compare(each, least) {
            Ordering::Less => each,
            _ => least,
        });
        self.turns.next(candidates, |candidate| {
            let load = load(candidate);
            match compare(load, least) {
                Ordering::Equal => load.1,
                _ => 0,
            }
        })
    }

    /// The one that the configuration lists before all others.
    fn first(&self, candidates: &[Candidate], scale: &Scale) -> Option<usize> {
        let rank = |index: usize| self.ranks.get(index).copied().unwrap_or(index);
        let able = candidates
            .iter()
            .enumerate()
            .filter(|(_, candidate)| scale.weigh(candidate) > 0);
        able.min_by_key(|(_, candidate)| rank(candidate.index))
            .map(|(position, _)| position)
    }

    /// Rendezvous hashing: every server draws a number for this source, and the highest wins. A server that goes
    /// away or comes changes nothing among the others.
    fn highest(&self, candidates: &[Candidate], scale: &Scale, source: u64) -> Option<usize> {
        let mut best: Option<(usize, f64)> = None;
        for (position, candidate) in candidates.iter().enumerate() {
            let weight = scale.weigh(candidate);
            if weight == 0 {
                continue;
            }
            let identity = match self.identities.get(candidate.index) {
                Some(identity) => *identity,
                None => scatter(candidate.index as u64),
            };
            let score = score(scatter(identity ^ scatter(source)), weight);
            if best.is_none_or(|(_, highest)| score > highest) {
                best = Some((position, score));
            }
        }
        best.map(|(position, _)| position)
    }
}

/// Work for weight, compared without a division.
fn compare(left: (u64, u64), right: (u64, u64)) -> Ordering {
    left.0
        .saturating_mul(right.1)
        .cmp(&right.0.saturating_mul(left.1))
}

/// Grows with the weight so that the chance to be highest is in proportion to it.
fn score(bits: u64, weight: u64) -> f64 {
    // Between 0 and 1, neither included: 53 bits are what the number can hold.
    let share = ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    weight as f64 / -share.ln()
}

fn identity(name: &str) -> u64 {
    name.bytes().fold(0, |hash, byte| scatter(hash ^ u64::from(byte)))
}
