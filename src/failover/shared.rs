//! What the coordinator knows beside the topology, readable by everybody.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::course::Course;
use super::handle::{Check, CheckStep};
use super::plan::{By, Kind, Refusal, Wish, choose, finish, prepare};
use super::report::{Outcome, Report, ReportKind};
use super::scene::Scene;
use super::step::{Dialect, Step};
use super::verdict::{Analysis, Verdict, judge};
use super::watch::Watch;
use crate::config::Config;

/// Held for moments and never across an await.
#[allow(clippy::disallowed_types)]
type Mutex<T> = std::sync::Mutex<T>;

/// Reports that are kept.
const HISTORY: usize = 100;

/// One for the process.
pub(super) struct Shared {
    pub(super) config: ArcSwap<Config>,
    paused: AtomicBool,
    /// What was judged last, and of what; none before the first probe.
    latest: ArcSwapOption<(Analysis, Scene)>,
    history: Mutex<VecDeque<Arc<Report>>>,
    /// A change that has not ended.
    under_way: ArcSwapOption<Report>,
    /// Changes of the primary that have begun, whoever wanted them.
    begun: AtomicU64,
    /// Its one permit is for the command that changes the primary, from when it is given until it is answered.
    turn: Arc<Semaphore>,
    pub(super) counters: Counters,
}

/// Nobody else commands a change of the primary while this is kept.
#[derive(Debug)]
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
    /// Changes that had begun when it was taken.
    begun: u64,
}

/// What has happened since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// New primaries because the old one was lost.
    pub promotions: AtomicU64,
    pub switchovers: AtomicU64,
    pub rejoins: AtomicU64,
    /// Copies made by the program of `failover.reclone`.
    pub reclones: AtomicU64,
    pub undone: AtomicU64,
    pub failed: AtomicU64,
    /// Promotions that lost something.
    pub gaps: AtomicU64,
    /// Transactions in those gaps.
    pub lost: AtomicU64,
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config: ArcSwap::from_pointee(config),
            latest: ArcSwapOption::empty(),
            paused: AtomicBool::new(false),
            history: Mutex::default(),
            under_way: ArcSwapOption::empty(),
            begun: AtomicU64::new(0),
            turn: Arc::new(Semaphore::new(1)),
            counters: Counters::default(),
        }
    }

    pub(super) fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    pub(super) fn publish(&self, analysis: Analysis, scene: Scene) {
        self.latest.store(Some(Arc::new((analysis, scene))));
    }

    pub(super) fn analysis(&self) -> Analysis {
        match &*self.latest.load() {
            Some(latest) if latest.1.paused == self.is_paused() => latest.0.clone(),
            Some(latest) => judge(&Scene {
                paused: self.is_paused(),
                ..latest.1.clone()
            }),
            None => judge(&Watch::new(&self.config.load()).scene(0)),
        }
    }

    /// What a change of the primary would do now.
    pub(super) fn check(&self, to: Option<&str>) -> Check {
        let refused = |reasons: Vec<String>| Check {
            steps: Vec::new(),
            refusals: reasons,
        };
        let Some(latest) = self.latest.load_full() else {
            return refused(vec!["nothing is known of the servers yet".to_owned()]);
        };
        let (analysis, scene) = &*latest;
        let to = match to {
            None => None,
            Some(name) => match scene.named(name) {
                None => return refused(vec![format!("there is no server '{name}'")]),
                found => found,
            },
        };
        let is_lost = matches!(analysis.verdict, Verdict::Dead | Verdict::Hung);
        let wish = Wish {
            to,
            force: false,
            kind: if is_lost { Kind::Failover } else { Kind::Switchover },
            by: By::Operator,
            now: Instant::now(),
        };
        match plan(scene, &wish) {
            Ok(steps) => Check {
                steps,
                refusals: Vec::new(),
            },
            Err(refusal) => refused(refusal.reasons),
        }
    }

    pub(super) fn history(&self) -> Vec<Arc<Report>> {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.iter().cloned().collect()
    }

    pub(super) fn under_way(&self) -> Option<Arc<Report>> {
        self.under_way.load_full()
    }

    /// A command that waited for another change would undo it.
    pub(super) fn take_turn(&self) -> Result<Turn, Refusal> {
        // First: a change that begins from here on is seen by one or the other.
        let begun = self.begun.load(Ordering::Acquire);
        let under_way = self.under_way();
        if let Some(report) = under_way.filter(|report| report.kind != ReportKind::Rejoin) {
            return Err(Refusal::of(format!("{} is under way already", title(&report))));
        }
        let busy = |_| Refusal::of("a change of the primary is under way already");
        let permit = self.turn.clone().try_acquire_owned().map_err(busy)?;
        Ok(Turn {
            _permit: permit,
            begun,
        })
    }

    /// A failover by itself may have begun between the command and its turn.
    pub(super) fn still_allows(&self, turn: &Turn) -> Result<(), Refusal> {
        if self.begun.load(Ordering::Acquire) == turn.begun {
            return Ok(());
        }
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changes = history.iter().filter(|report| report.kind != ReportKind::Rejoin);
        let change = changes
            .next()
            .map_or_else(|| "a change of the primary".to_owned(), |report| title(report));
        Err(Refusal::of(format!("{change} was under way already")))
    }

    /// A change of the primary begins.
    pub(super) fn begin(&self, course: &Course) {
        self.show(course);
        self.begun.fetch_add(1, Ordering::Release);
    }

    /// Who asks meanwhile sees how far it is.
    pub(super) fn show(&self, course: &Course) {
        self.under_way.store(Some(Arc::new(course.so_far())));
    }

    /// Counts what came of it and keeps it.
    pub(super) fn record(&self, report: &Report) {
        self.counters.count(report);
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if report.kind != ReportKind::Rejoin {
            self.under_way.store(None);
        }
        history.truncate(HISTORY - 1);
        history.push_front(Arc::new(report.clone()));
    }
}

/// What it is and between whom, as far as that is known.
fn title(report: &Report) -> String {
    let place = |word: &str, name: &Option<Arc<str>>| {
        name.as_ref()
            .map(|name| format!(" {word} {name}"))
            .unwrap_or_default()
    };
    let (kind, from) = (report.kind.word(), place("from", &report.from));
    format!("a {kind}{from}{}", place("to", &report.to))
}

/// All steps as things stand: the choice is made anew once the servers are frozen.
fn plan(scene: &Scene, wish: &Wish) -> Result<Vec<CheckStep>, Refusal> {
    let preparation = prepare(scene, wish)?;
    let choice = choose(scene, wish)?;
    let finish = finish(scene, &choice);
    let shown = |step: &Step| {
        let status = scene
            .member(step.server)
            .and_then(|member| member.status.as_deref());
        let sql = status
            .map(|status| step.sql(Dialect::of(status)))
            .unwrap_or_default();
        let sql: Vec<_> = sql.iter().map(ToString::to_string).collect();
        CheckStep {
            step: step.sentence.clone(),
            server: step.name.to_string(),
            sql: sql.join("; "),
            note: if step.needed {
                String::new()
            } else {
                "nobody waits for it".to_owned()
            },
        }
    };
    let steps = preparation.fence.iter().chain(&preparation.freeze).chain(&finish);
    let mut steps: Vec<_> = steps.map(shown).collect();
    let name = scene.name(choice.candidate).to_owned();
    let at = preparation.fence.len() + preparation.freeze.len();
    steps.insert(
        at.min(steps.len()),
        CheckStep {
            step: "the new primary is chosen".to_owned(),
            server: name,
            sql: String::new(),
            note: choice.why.join("; "),
        },
    );
    Ok(steps)
}

// === impl Counters ===

impl Counters {
    fn count(&self, report: &Report) {
        let add = |counter: &AtomicU64, count| counter.fetch_add(count, Ordering::Relaxed);
        match (&report.outcome, report.kind) {
            (Outcome::UnderWay, _) => 0,
            (Outcome::Done, ReportKind::Failover) => add(&self.promotions, 1),
            (Outcome::Done, ReportKind::Switchover) => add(&self.switchovers, 1),
            (Outcome::Done, ReportKind::Rejoin) => add(&self.rejoins, 1),
            (Outcome::Undone(_), _) => add(&self.undone, 1),
            (Outcome::Failed(_), _) => add(&self.failed, 1),
        };
        if let Some(gap) = report.gap.as_ref().filter(|gap| gap.transactions > 0) {
            add(&self.gaps, 1);
            add(&self.lost, gap.transactions);
        }
    }
}
