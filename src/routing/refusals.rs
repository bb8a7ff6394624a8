//! What experience taught: statements that a replica refused as writes, and replicas that did not catch up in time.

use std::collections::{HashSet, VecDeque};

/// So many statements are remembered; the oldest is forgotten first.
const MOST: usize = 4096;

#[derive(Debug, Default)]
pub struct Refusals {
    digests: HashSet<u64, foldhash::fast::FixedState>,
    order: VecDeque<u64>,
    /// Per server, the number of the probe whose position was not enough in time.
    stalled: Vec<u64>,
}

// === impl Refusals ===

impl Refusals {
    pub fn has(&self, digest: u64) -> bool {
        !self.digests.is_empty() && self.digests.contains(&digest)
    }

    pub fn remember(&mut self, digest: u64) {
        if !self.digests.insert(digest) {
            return;
        }
        self.order.push_back(digest);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.digests.remove(&oldest);
        }
    }

    /// Nobody waits for this server again until a probe has looked at it.
    pub fn stall(&mut self, server: usize, serial: u64) {
        if self.stalled.len() <= server {
            self.stalled.resize(server + 1, 0);
        }
        self.stalled[server] = serial + 1;
    }

    pub fn stalls(&self, server: usize, serial: u64) -> bool {
        self.stalled.get(server).is_some_and(|stalled| *stalled > serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_refusal_is_forgotten() {
        let mut refusals = Refusals::default();
        for digest in 0..=MOST as u64 {
            refusals.remember(digest);
        }
        assert!(!refusals.has(0) && refusals.has(1) && refusals.has(MOST as u64));
    }

    #[test]
    fn a_stall_lasts_until_the_next_probe() {
        let mut refusals = Refusals::default();
        assert!(!refusals.stalls(1, 0));
        refusals.stall(1, 7);
        assert!(refusals.stalls(1, 7) && !refusals.stalls(1, 8) && !refusals.stalls(0, 7));
    }
}
