//! What the coordinator knows beside the topology, readable by everybody.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use super::report::{Kind, Outcome, Report};

/// Held for moments and never across an await.
#[allow(clippy::disallowed_types)]
type Mutex<T> = std::sync::Mutex<T>;

/// Reports that are kept.
const HISTORY: usize = 100;

/// One for the process.
pub(super) struct Shared {
    paused: AtomicBool,
    history: Mutex<VecDeque<Arc<Report>>>,
    pub(super) counters: Counters,
}

/// What has happened since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// New primaries because the old one was lost.
    pub promotions: AtomicU64,
    pub switchovers: AtomicU64,
    pub rejoins: AtomicU64,
    pub undone: AtomicU64,
    pub failed: AtomicU64,
    /// Promotions that lost something.
    pub gaps: AtomicU64,
    /// Transactions in those gaps.
    pub lost: AtomicU64,
}

// === impl Shared ===

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            paused: AtomicBool::new(false),
            history: Mutex::default(),
            counters: Counters::default(),
        }
    }

    pub(super) fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    pub(super) fn history(&self) -> Vec<Arc<Report>> {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.iter().cloned().collect()
    }

    /// Counts what came of it and keeps it.
    pub(super) fn record(&self, report: &Report) {
        self.counters.count(report);
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.truncate(HISTORY - 1);
        history.push_front(Arc::new(report.clone()));
    }
}

// === impl Counters ===

impl Counters {
    fn count(&self, report: &Report) {
        let add = |counter: &AtomicU64, count| counter.fetch_add(count, Ordering::Relaxed);
        match (&report.outcome, report.kind) {
            (Outcome::Done, Kind::Failover) => add(&self.promotions, 1),
            (Outcome::Done, Kind::Switchover) => add(&self.switchovers, 1),
            (Outcome::Done, Kind::Rejoin) => add(&self.rejoins, 1),
            (Outcome::Undone(_), _) => add(&self.undone, 1),
            (Outcome::Failed(_), _) => add(&self.failed, 1),
        };
        if let Some(gap) = report.gap.as_ref().filter(|gap| gap.transactions > 0) {
            add(&self.gaps, 1);
            add(&self.lost, gap.transactions);
        }
    }
}
