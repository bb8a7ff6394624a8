//! What the threads count each for itself, added up.

use crate::admin::State;
use crate::frontend::traffic::{Times, Traffic};
use crate::topology::events::EventKind;

#[derive(Debug, Default)]
pub struct Total {
    pub commands: u64,
    pub errors: u64,
    pub own_errors: u64,
    pub bytes: u64,
    /// By where, and how it ended.
    pub waits: [(&'static str, &'static str, u64); 4],
    pub reasons: Vec<(&'static str, u64)>,
    pub times: Times,
    pub delays: Times,
}

#[derive(Debug, Default)]
pub struct ServerTotal {
    pub statements: u64,
    pub reads: u64,
    pub errors: u64,
    pub bytes: u64,
}

pub fn traffic(state: &State) -> Total {
    let mut total = Total::default();
    for thread in &state.shared.traffic {
        total.add(thread);
    }
    total
}

pub fn server(state: &State, index: usize) -> ServerTotal {
    let mut total = ServerTotal::default();
    for server in state
        .shared
        .traffic
        .iter()
        .filter_map(|thread| thread.server(index))
    {
        total.statements += server.statements.get();
        total.reads += server.reads.get();
        total.errors += server.errors.get();
        total.bytes += server.bytes.get();
    }
    total
}

/// Of all kinds.
pub fn events(state: &State) -> u64 {
    let events = state.shared.topology.events();
    EventKind::ALL.iter().map(|kind| events.count(*kind)).sum()
}

// === impl Total ===

impl Total {
    fn add(&mut self, thread: &Traffic) {
        self.commands += thread.commands.get();
        self.errors += thread.errors.get();
        self.own_errors += thread.own_errors.get();
        self.bytes += thread.bytes.get();
        let waits = &thread.waits;
        let ended = [
            ("replica", "seen", &waits.on_replica),
            ("replica", "in_vain", &waits.on_replica_in_vain),
            ("primary", "seen", &waits.on_primary),
            ("primary", "in_vain", &waits.on_primary_in_vain),
        ];
        for (sum, (place, outcome, count)) in self.waits.iter_mut().zip(ended) {
            *sum = (place, outcome, sum.2 + count.get());
        }
        thread.times.add_to(&mut self.times);
        thread.delays.add_to(&mut self.delays);
        if self.reasons.is_empty() {
            self.reasons = thread.reasons().collect();
        } else {
            for (sum, (_, count)) in self.reasons.iter_mut().zip(thread.reasons()) {
                sum.1 += count;
            }
        }
    }
}
