//! SHOW SPLITRAIL COUNTERS: what rules, logs and the loss of servers have done since the start, of all threads
//! together.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::frontend::caching::Held;
use crate::frontend::shared::Shared;
use crate::wire::result::ResultSet;

/// What became of statements for a rule's sake.
#[derive(Debug, Default)]
pub struct RuleCounts {
    /// Refused by `block`.
    pub blocked: AtomicU64,
    /// Let wait by `throttle`, and refused by it.
    pub delayed: AtomicU64,
    pub throttled: AtomicU64,
    /// Stopped by `timeout`.
    pub timed_out: AtomicU64,
}

/// `held`: of the cache, where there is one.
pub fn show(shared: &Shared, held: Option<Held>) -> ResultSet {
    let (rules, mirrored, recovery) = (&shared.ruled, &shared.mirrored, &shared.recovery);
    let (logged, audit) = (&shared.logged, &shared.audit.counts);
    let held = held.unwrap_or_default();
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (alike, different, failed) = (of(&mirrored.alike), of(&mirrored.different), of(&mirrored.failed));
    let counters = [
        ("rules.blocked", of(&rules.blocked)),
        ("rules.delayed", of(&rules.delayed)),
        ("rules.throttled", of(&rules.throttled)),
        ("rules.timed_out", of(&rules.timed_out)),
        ("cache.hits", held.hits),
        ("cache.misses", held.misses),
        ("cache.entries", held.entries),
        ("cache.bytes", held.bytes),
        ("cache.evictions", held.evictions),
        ("cache.invalidations", held.invalidations),
        ("mirror.sent", alike + different + failed),
        ("mirror.alike", alike),
        ("mirror.different", different),
        ("mirror.failed", failed),
        ("mirror.dropped", of(&mirrored.dropped)),
        ("log.slow", of(&logged.slow)),
        ("log.sampled", of(&logged.sampled)),
        ("log.left_out", of(&logged.left_out)),
        ("audit.written", of(&audit.written)),
        ("audit.dropped", of(&audit.dropped)),
        ("audit.lost", of(&audit.lost)),
    ];
    let mut rows = ResultSet::new(&["counter", "value"]);
    for (name, value) in counters {
        rows.push([Some(name.to_owned()), Some(value.to_string())]);
    }
    for (name, value) in recovery.list() {
        rows.push([Some(format!("failover.{name}")), Some(value.to_string())]);
    }
    rows
}
