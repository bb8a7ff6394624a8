//! What is under way: its clock, its steps, and the report that comes of them. Tasks that run beside each other
//! write their steps into the same account.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tracing::{debug, warn};

use super::report::{Gap, Outcome, Report, ReportKind, StepReport};

/// Held for a push, and never across an await.
#[allow(clippy::disallowed_types)]
type Mutex<T> = std::sync::Mutex<T>;

/// More steps than this are not written down: a report is for people.
const MOST_STEPS: usize = 500;

/// One command, from its beginning to its report.
pub(super) struct Course {
    pub(super) steps: Steps,
    pub(super) kind: ReportKind,
    pub(super) from: Option<Arc<str>>,
    pub(super) to: Option<Arc<str>>,
    pub(super) epoch: u64,
    pub(super) gap: Option<Gap>,
    at: SystemTime,
    shut: Option<Instant>,
    pause: Option<Duration>,
}

/// The account of the steps. Cheap to clone.
#[derive(Clone)]
pub(super) struct Steps {
    began: Instant,
    all: Arc<Mutex<Vec<StepReport>>>,
}

// === impl Course ===

impl Course {
    pub(super) fn new(kind: ReportKind, epoch: u64) -> Self {
        Self {
            steps: Steps {
                began: Instant::now(),
                all: Arc::default(),
            },
            kind,
            from: None,
            to: None,
            epoch,
            gap: None,
            at: SystemTime::now(),
            shut: None,
            pause: None,
        }
    }

    pub(super) fn shut(&mut self) {
        self.shut = Some(Instant::now());
    }

    pub(super) fn open(&mut self) {
        self.pause = self.shut.take().map(|shut| shut.elapsed());
    }

    pub(super) fn end(self, outcome: Outcome) -> Report {
        Report {
            outcome,
            ..self.so_far()
        }
    }

    pub(super) fn so_far(&self) -> Report {
        Report {
            kind: self.kind,
            from: self.from.clone(),
            to: self.to.clone(),
            epoch: self.epoch,
            began: self.at,
            took: self.steps.began.elapsed(),
            pause: self.pause,
            gap: self.gap.clone(),
            steps: self.steps.taken(),
            outcome: Outcome::UnderWay,
        }
    }
}

// === impl Steps ===

impl Steps {
    /// Something was done, or could not be.
    pub(super) fn note(
        &self,
        server: Option<&Arc<str>>,
        text: impl Into<String>,
        since: Instant,
        error: Option<String>,
    ) {
        let step = StepReport {
            text: text.into(),
            server: server.cloned(),
            at: since.saturating_duration_since(self.began),
            took: since.elapsed(),
            error,
        };
        let (server, at, took) = (step.server.as_deref().unwrap_or(""), step.at, step.took);
        match &step.error {
            None => debug!(server, ?at, ?took, "{}", step.text),
            Some(error) => warn!(server, ?at, ?took, %error, "{}", step.text),
        }
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MOST_STEPS {
            all.push(step);
        }
    }

    /// In the order of their beginnings.
    fn taken(&self) -> Vec<StepReport> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort_by_key(|step| step.at);
        all
    }
}
