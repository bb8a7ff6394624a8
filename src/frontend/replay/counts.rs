//! How often statements had to wait for a primary, and how lost ones ended; since the start, over all threads.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub struct Count(AtomicU64);

#[derive(Debug, Default)]
pub struct Counts {
    /// Times that a statement began to wait for a primary.
    pub parked: Count,
    /// Refused: no primary came in time.
    pub timed_out: Count,
    /// Refused: too many waited.
    pub crowded: Count,
    /// Their clients hung up.
    pub left: Count,
    /// Connections given up.
    pub evicted: Count,
    /// Transactions that went on elsewhere.
    pub replayed: Count,
    /// Transactions whose statements had other results there.
    pub different: Count,
    /// Transactions that could not be run again.
    pub unreplayable: Count,
    /// Reads, and writes that were not committed, sent again because nothing of their result had come.
    pub repeated: Count,
    /// Writes and commits that were sent and never answered, and of which nothing became known.
    pub ambiguous: Count,
    /// Commits that were never answered, and of which the evidence told that they were done, that they were not, or
    /// nothing.
    pub committed: Count,
    pub not_committed: Count,
    pub unsettled: Count,
    /// Commits without evidence, because the server refused it.
    pub unproven: Count,
}

// === impl Count ===

impl Count {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl Counts ===

impl Counts {
    /// Names and figures, for people.
    pub fn list(&self) -> [(&'static str, u64); 14] {
        [
            ("parked", self.parked.get()),
            ("parked_timed_out", self.timed_out.get()),
            ("parked_crowded_out", self.crowded.get()),
            ("parked_clients_left", self.left.get()),
            ("connections_given_up", self.evicted.get()),
            ("transactions_replayed", self.replayed.get()),
            ("transactions_different", self.different.get()),
            ("transactions_unreplayable", self.unreplayable.get()),
            ("reads_repeated", self.repeated.get()),
            ("outcomes_unknown", self.ambiguous.get()),
            ("commits_found_done", self.committed.get()),
            ("commits_found_undone", self.not_committed.get()),
            ("commits_not_found_out", self.unsettled.get()),
            ("commits_without_evidence", self.unproven.get()),
        ]
    }
}
