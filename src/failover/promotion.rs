//! A failover: the old primary is cut off, the replicas are frozen, the best of them is promoted, and the others
//! follow it. What can be done beside something else, is: clients wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tracing::{error, warn};

use super::coordinator::{Coordinator, conclude};
use super::course::{Course, Steps};
use super::epoch::Epoch;
use super::fleet::Hands;
use super::hooks::{self, Told};
use super::journal::{self, Entry, Stage};
use super::plan::{By, Choice, Kind, Preparation, Refusal, SemiSyncAfter, Wish, choose, finish, prepare};
use super::report::{Gap, Outcome, Report, ReportKind};
use super::scene::Scene;
use super::step::{Step, StepKind};
use crate::config::Hook;

/// How often the step is tried after which a server takes writes: half done it is neither this nor that.
const ATTEMPTS: usize = 3;
/// How many `step_timeout`s replicas get to follow and to show the row of the new epoch; nobody waits for that.
const PATIENCE: u32 = 5;

/// The steps of a plan, by who waits for them.
pub(super) struct Sorted {
    /// One after another, the last one makes the new primary writable.
    pub(super) needed: Vec<Step>,
    /// Servers that are to follow it.
    pub(super) beside: Vec<Step>,
    /// On which replica the row of the new epoch is looked for.
    pub(super) verify: Option<usize>,
}

/// What is known once it is done.
pub(super) struct Promoted {
    pub(super) choice: Choice,
    pub(super) sorted: Sorted,
    pub(super) scene: Scene,
    /// Servers that are on their way behind the new primary.
    pub(super) followers: JoinSet<Option<(Step, super::control::Trouble)>>,
}

// === impl Sorted ===

impl Sorted {
    pub(super) fn of(steps: Vec<Step>) -> Self {
        let verify = steps.iter().find_map(|step| match step.kind {
            StepKind::Verify { on } => on,
            _ => None,
        });
        let real = steps
            .into_iter()
            .filter(|step| !matches!(step.kind, StepKind::Verify { .. }));
        let (needed, beside) = real.partition(|step| step.needed);
        Self {
            needed,
            beside,
            verify,
        }
    }
}

// === impl Coordinator ===

impl Coordinator {
    pub(super) async fn failover(
        &mut self,
        to: Option<usize>,
        force: bool,
        by: By,
    ) -> Result<Report, Refusal> {
        let scene = self.scene();
        let wish = Wish {
            to,
            force,
            kind: Kind::Failover,
            by,
            now: Instant::now(),
        };
        let preparation = prepare(&scene, &wish)?;
        self.tending.stop();
        let mut course = self.course(ReportKind::Failover, &scene, &preparation);
        let told = self.told(&course, ReportKind::Failover);
        if let Some(why) = self.hook("before", &told, &course.steps).await
            && by == By::Proxy
        {
            return Ok(self.over(course.end(Outcome::Undone(why)), &told).await);
        }
        let why = format!(
            "failover: {} is lost",
            course.from.as_deref().unwrap_or("the primary")
        );
        self.topology.gate().shut(&why);
        course.shut();
        let hands = Hands::new(&self.fleet, &course.steps, &scene);
        let mut fence = self.fence(&hands, &preparation, &told);
        let done = self.replace(&wish, &preparation, &mut course).await;
        let outcome = match done {
            Ok(promoted) => {
                self.reign(&promoted, &mut course, by);
                self.complete(promoted, &mut course).await;
                fence.detach_all();
                Outcome::Done
            }
            Err(why) => {
                // What was meant to cut it off must not come after what brings it back.
                fence.shutdown().await;
                hands.perform_beside(&preparation.undo).await;
                if let Some(from) = preparation.from {
                    self.topology.gate().open(from);
                }
                course.open();
                Outcome::Undone(why)
            }
        };
        Ok(self.over(course.end(outcome), &told).await)
    }

    pub(super) fn course(&self, kind: ReportKind, scene: &Scene, preparation: &Preparation) -> Course {
        let mut course = Course::new(kind, scene.epoch + 1);
        let name = |index| scene.member(index).map(|member| member.name.clone());
        course.from = preparation.from.and_then(name);
        course.to = preparation.expected.and_then(name);
        self.shared.begin(&course);
        course
    }

    /// Beside everything else: it may hang.
    fn fence(&self, hands: &Hands, preparation: &Preparation, told: &Told) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let (own, steps) = (hands.clone(), preparation.fence.clone());
        tasks.spawn(async move {
            own.perform_beside(&steps).await;
        });
        if let Some(hook) = self.config.failover.fence.clone() {
            let (steps, mut told) = (hands.steps.clone(), told.clone());
            told.hook = "fence";
            tasks.spawn(async move {
                run_hook(&hook, &told, &steps).await;
            });
        }
        tasks
    }

    /// Up to the moment from which the new primary takes writes.
    async fn replace(
        &mut self,
        wish: &Wish,
        preparation: &Preparation,
        course: &mut Course,
    ) -> Result<Promoted, String> {
        self.write_down(course, journal::Kind::Failover, Stage::Stopping)
            .await;
        let scene = self.scene();
        let hands = Hands::new(&self.fleet, &course.steps, &scene);
        let failed = hands.perform_beside(&preparation.freeze).await;
        let frozen = preparation.freeze.iter().map(|step| step.server);
        let frozen = frozen.filter(|server| !failed.iter().any(|(step, _)| step.server == *server));
        let (began, frozen) = (Instant::now(), frozen.collect::<Vec<_>>());
        let scene = self.fresh(&frozen, self.config.failover.step_timeout).await;
        course
            .steps
            .note(None, "what each of them has is read", began, None);
        let choice = choose(&scene, wish).map_err(|refusal| refusal.to_string())?;
        let name = scene.members[choice.candidate].name.clone();
        course
            .steps
            .note(Some(&name), choice.why.join("; "), Instant::now(), None);
        course.to = Some(name);
        course.gap = (choice.gap > 0 || !choice.lost.is_empty()).then(|| Gap {
            transactions: choice.gap,
            text: choice.lost.to_string(),
        });
        self.write_down(course, journal::Kind::Failover, Stage::Promoting)
            .await;
        let sorted = Sorted::of(finish(&scene, &choice));
        let hands = Hands::new(&self.fleet, &course.steps, &scene);
        let followers = promote(&hands, &sorted).await?;
        Ok(Promoted {
            choice,
            sorted,
            scene,
            followers,
        })
    }

    /// From now on it is the primary, for everybody.
    pub(super) fn reign(&mut self, promoted: &Promoted, course: &mut Course, by: By) {
        let (candidate, epoch) = (promoted.choice.candidate, course.epoch);
        self.topology.set_primary(candidate, epoch);
        self.topology.gate().open(candidate);
        course.open();
        self.shared.show(course);
        if by == By::Proxy {
            self.promotions.push(Instant::now());
        }
        // After a switchover what is left there may be read on; after a failover it would wait for the dead.
        if let Some(from) = promoted
            .choice
            .from
            .filter(|_| promoted.choice.kind == Kind::Failover)
        {
            self.topology.gate().evict(from);
        }
        if let Some(gap) = &course.gap {
            let (from, to) = (course.from.as_deref(), course.to.as_deref());
            let (lost, gap) = (gap.transactions, &gap.text);
            error!(
                from,
                to, epoch, lost, gap, "transactions of the old primary are lost"
            );
        }
        let member = &promoted.scene.members[candidate];
        let status = member.status.as_deref();
        let mut fork = member.position();
        fork.merge(&promoted.choice.position);
        let reign = Epoch {
            number: epoch,
            uuid: status.map(|status| status.uuid.clone()).unwrap_or_default(),
            server_id: status.map_or(0, |status| status.server_id),
            name: member.name.clone(),
            fork,
        };
        self.reigns.insert(0, reign);
        self.tending.promoted(&promoted.choice);
        self.tending.acks_later = promoted.choice.semi_sync == SemiSyncAfter::Later;
    }

    /// Writes go on already. Servers follow, and the row of the new epoch is seen on one of them.
    pub(super) async fn complete(&mut self, mut promoted: Promoted, course: &mut Course) {
        self.write_down(course, self.journal_kind(course), Stage::Promoted)
            .await;
        self.detach(&promoted, course).await;
        let patience = self.config.failover.step_timeout * PATIENCE;
        let deadline = Instant::now() + patience;
        let all = async { while promoted.followers.join_next().await.is_some() {} };
        if timeout(patience, all).await.is_err() {
            warn!("not every server follows the new primary yet");
        }
        promoted.followers.detach_all();
        let Some(reign) = self.reigns.first().cloned() else {
            return;
        };
        let candidate = promoted.choice.candidate;
        let (began, to) = (Instant::now(), course.to.clone());
        let written = reign.write(self.fleet.control(candidate), patience).await;
        let error = written.as_ref().err().map(ToString::to_string);
        let is_written = error.is_none();
        course
            .steps
            .note(to.as_ref(), "the row of the new epoch is written", began, error);
        if let Some(replica) = promoted.sorted.verify.filter(|_| is_written) {
            let began = Instant::now();
            let error = self.see(&reign, replica, deadline).await.err();
            let name = promoted
                .scene
                .members
                .get(replica)
                .map(|member| member.name.clone());
            course
                .steps
                .note(name.as_ref(), "the row of the new epoch is seen", began, error);
        }
        // What was seen of it before it was promoted says nothing of the primary.
        self.fresh(&[candidate], self.config.failover.step_timeout).await;
    }

    /// The new primary forgets whom it followed.
    async fn detach(&self, promoted: &Promoted, course: &Course) {
        let hands = Hands::new(&self.fleet, &course.steps, &promoted.scene);
        let needed = promoted.sorted.needed.iter();
        for step in needed.filter(|step| matches!(step.kind, StepKind::Detach { .. })) {
            for _ in 0..ATTEMPTS {
                if hands.perform(step).await.is_ok() {
                    break;
                }
            }
        }
    }

    async fn see(&self, reign: &Epoch, replica: usize, deadline: Instant) -> Result<(), String> {
        let control = self.fleet.control(replica);
        loop {
            let seen = reign.is_seen(control).await;
            match seen {
                Ok(true) => return Ok(()),
                _ if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(10)).await,
                Ok(false) => return Err("it has not arrived in time".to_owned()),
                Err(trouble) => return Err(trouble.to_string()),
            }
        }
    }

    /// The file is cleared, the last program is run, and everybody is told.
    pub(super) async fn over(&mut self, report: Report, told: &Told) -> Report {
        if let Err(error) = self.journal.clear().await {
            warn!(error, "`failover.state` cannot be cleared");
        }
        conclude(&self.topology, &self.shared, &report);
        let mut told = told.clone();
        told.to = report.to.as_deref().map(str::to_owned);
        told.to_address = told.to.as_deref().and_then(|name| self.address(name));
        told.outcome = Some(report.outcome.word());
        if let Some(hook) = self.config.failover.after.clone() {
            told.hook = "after";
            tokio::spawn(async move {
                if let Err(error) = hooks::run(&hook, &told).await {
                    warn!(error, "the hook `after`");
                }
            });
        }
        report
    }

    pub(super) fn told(&self, course: &Course, kind: ReportKind) -> Told {
        let text = |name: &Option<Arc<str>>| name.as_deref().map(str::to_owned);
        let address = |name: &Option<Arc<str>>| name.as_deref().and_then(|name| self.address(name));
        Told {
            hook: "before",
            kind: kind.word(),
            from: text(&course.from),
            from_address: address(&course.from),
            to: text(&course.to),
            to_address: address(&course.to),
            epoch: course.epoch,
            outcome: None,
        }
    }

    /// Runs the program `before`, if there is one; answers why it failed.
    pub(super) async fn hook(&self, name: &'static str, told: &Told, steps: &Steps) -> Option<String> {
        let hook = self.config.failover.before.as_ref()?;
        let error = run_hook(hook, told, steps).await?;
        Some(format!("the hook `{name}` failed: {error}"))
    }

    fn address(&self, name: &str) -> Option<String> {
        let found = self.config.servers.get(self.config.place_of(name)?);
        found.map(|server| server.address.to_string())
    }

    pub(super) async fn write_down(&self, course: &Course, kind: journal::Kind, stage: Stage) {
        let text = |name: &Option<Arc<str>>| name.as_deref().map(str::to_owned);
        let entry = Entry {
            kind,
            stage,
            from: text(&course.from),
            to: text(&course.to),
            epoch: course.epoch,
        };
        let began = Instant::now();
        if let Err(error) = self.journal.write(&entry).await {
            course
                .steps
                .note(None, "what is under way is written down", began, Some(error));
        }
    }

    fn journal_kind(&self, course: &Course) -> journal::Kind {
        match course.kind {
            ReportKind::Switchover => journal::Kind::Switchover,
            _ => journal::Kind::Failover,
        }
    }
}

async fn run_hook(hook: &Hook, told: &Told, steps: &Steps) -> Option<String> {
    let began = Instant::now();
    let error = hooks::run(hook, told).await.err();
    steps.note(
        None,
        format!("the hook `{}` is run", told.hook),
        began,
        error.clone(),
    );
    error
}

/// One step after another on the candidate. Once all is applied there, the others may follow it: before that it
/// could lack what they have.
pub(super) async fn promote(
    hands: &Hands,
    sorted: &Sorted,
) -> Result<JoinSet<Option<(Step, super::control::Trouble)>>, String> {
    let mut followers = JoinSet::new();
    let mut followed = false;
    for step in &sorted.needed {
        let mut done = match &step.kind {
            StepKind::Drain { .. } => hands.drain(step).await,
            // Everything is there. To forget its source takes it long, and can wait until writes go on.
            StepKind::Detach { channel } => {
                if !std::mem::replace(&mut followed, true) {
                    followers = hands.spawn(&sorted.beside);
                }
                hands.perform(&stop_fetching(step, channel)).await
            }
            _ => hands.perform(step).await,
        };
        if step.kind == StepKind::Writable {
            for _ in 1..ATTEMPTS {
                if done.is_err() {
                    done = hands.perform(step).await;
                }
            }
        }
        if let Err(trouble) = done {
            if step.kind == StepKind::Writable {
                hands.perform(&read_only(step)).await.ok();
            }
            return Err(format!("{}: {}: {trouble}", step.name, step.sentence));
        }
    }
    if !followed {
        followers = hands.spawn(&sorted.beside);
    }
    Ok(followers)
}

fn stop_fetching(step: &Step, channel: &str) -> Step {
    Step {
        kind: StepKind::StopFetching {
            channel: channel.to_owned(),
            // What is lost was left before; this is a source that answers, or nothing.
            lost: false,
        },
        sentence: format!("{} fetches nothing more", step.name),
        ..step.clone()
    }
}

/// It was to take writes, and nobody knows whether it does.
fn read_only(step: &Step) -> Step {
    Step {
        kind: StepKind::ReadOnly,
        sentence: "it takes no writes after all".to_owned(),
        ..step.clone()
    }
}
