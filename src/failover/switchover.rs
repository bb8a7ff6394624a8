//! A switchover: everything that is slow comes before the gate is shut or after it is open again. Between the two
//! the old primary stops, the new one applies the last of it, and takes over. Until then all of it is undone if
//! anything fails.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::coordinator::Coordinator;
use super::course::Course;
use super::fleet::Hands;
use super::journal::{self, Stage};
use super::marker::Marker;
use super::plan::{By, Choice, Kind, Preparation, Refusal, Wish, choose, finish, prepare};
use super::promotion::{Promoted, Sorted, promote};
use super::report::{Outcome, Report, ReportKind};
use super::scene::Scene;
use super::step::{Follow, Step, StepKind};
use crate::gtid::Position;

/// A candidate that is further behind than this is waited for before anybody else has to wait.
const CLOSE: Duration = Duration::from_millis(100);
/// After their connections were closed, transactions get so long to be counted as ended.
const AFTER_EVICTION: Duration = Duration::from_secs(1);

/// What a switchover knows from its checks on.
struct Plan {
    preparation: Preparation,
    choice: Choice,
    sorted: Sorted,
    scene: Scene,
    from: usize,
    deadline: Instant,
}

// === impl Coordinator ===

impl Coordinator {
    pub(super) async fn switchover(
        &mut self,
        to: Option<usize>,
        timeout: Option<Duration>,
        force: bool,
    ) -> Result<Report, Refusal> {
        let limit = timeout.unwrap_or(self.config.switchover.timeout);
        let plan = self.check(to, force, Instant::now() + limit).await?;
        self.tending.stop();
        let from = plan.from;
        let mut course = self.course(ReportKind::Switchover, &plan.scene, &plan.preparation);
        course.to = Some(plan.scene.members[plan.choice.candidate].name.clone());
        let told = self.told(&course, ReportKind::Switchover);
        if let Some(why) = self.hook("before", &told, &course.steps).await {
            return Ok(self.over(course.end(Outcome::Undone(why)), &told).await);
        }
        let marker = match self.mark(&plan, &course).await {
            Ok(marker) => marker,
            Err(why) => return Ok(self.over(course.end(Outcome::Undone(why)), &told).await),
        };
        self.write_down(&course, journal::Kind::Switchover, Stage::Stopping)
            .await;
        let hands = Hands::new(&self.fleet, &course.steps, &plan.scene);
        let moved = self.approach(&plan, &hands).await;
        let done = match moved {
            Ok(()) => self.change_over(&plan, &hands, &mut course).await,
            Err(why) => Err(why),
        };
        let outcome = match done {
            Ok(followers) => {
                let promoted = Promoted {
                    choice: plan.choice,
                    sorted: plan.sorted,
                    scene: plan.scene,
                    followers,
                };
                self.crown(promoted, &mut course).await;
                Outcome::Done
            }
            Err(why) => {
                self.turn_back(&plan, &hands).await;
                self.topology.gate().open(plan.from);
                course.open();
                // Sessions wait no longer: now the replicas go back to where they were.
                hands.perform_beside(&plan.back()).await;
                self.unmark(from, &marker).await;
                Outcome::Undone(why)
            }
        };
        Marker::unlock(self.fleet.control(from)).await;
        Ok(self.over(course.end(outcome), &told).await)
    }

    /// So that whoever starts after this was cut short knows what it was. The change goes on without the row: the
    /// file of `failover.state` says as much.
    async fn mark(&self, plan: &Plan, course: &Course) -> Result<Marker, String> {
        let name = |name: &Option<std::sync::Arc<str>>| name.as_deref().unwrap_or_default().to_owned();
        let status = plan.scene.members[plan.from].status.as_deref();
        let marker = Marker {
            epoch: course.epoch,
            from_uuid: status.map(|status| status.uuid.clone()).unwrap_or_default(),
            from: name(&course.from),
            to: name(&course.to),
        };
        let (control, began) = (self.fleet.control(plan.from), Instant::now());
        let error = match Marker::lock(control).await {
            Ok(false) => return Err("another proxy is changing the primary".to_owned()),
            Ok(true) => marker.begin(control).await.err(),
            Err(trouble) => Some(trouble),
        };
        let error = error.map(|trouble| trouble.to_string());
        course
            .steps
            .note(course.from.as_ref(), "the change is announced", began, error);
        Ok(marker)
    }

    pub(super) async fn unmark(&self, from: usize, marker: &Marker) {
        if let Err(trouble) = marker.end(self.fleet.control(from)).await {
            warn!(%trouble, "that the change is undone cannot be written to `splitrail.changes`");
        }
    }

    async fn crown(&mut self, promoted: Promoted, course: &mut Course) {
        self.reign(&promoted, course, By::Operator);
        self.complete(promoted, course).await;
    }

    /// Whether it can be done at all, as things are now.
    async fn check(&mut self, to: Option<usize>, force: bool, deadline: Instant) -> Result<Plan, Refusal> {
        let all = self.present();
        let mut warming = self.fleet.warm(all.iter().copied());
        let scene = self.fresh(&all, self.config.failover.step_timeout).await;
        let wish = Wish {
            to,
            force,
            kind: Kind::Switchover,
            by: By::Operator,
            now: Instant::now(),
        };
        let preparation = prepare(&scene, &wish)?;
        let choice = choose(&scene, &wish)?;
        let from = preparation
            .from
            .ok_or_else(|| Refusal::of("there is no primary to switch from"))?;
        while warming.join_next().await.is_some() {}
        for server in [from, choice.candidate] {
            let tried = self.fleet.control(server).run("DO 0").await;
            tried.map_err(|trouble| Refusal::of(format!("{}: {trouble}", scene.name(server))))?;
        }
        Ok(Plan {
            sorted: Sorted::of(finish(&scene, &choice)),
            preparation,
            choice,
            scene,
            from,
            deadline,
        })
    }

    /// While everybody works on: the candidate catches up, and the other replicas follow it already, so that
    /// commits on it are acknowledged from the first one on.
    async fn approach(&self, plan: &Plan, hands: &Hands) -> Result<(), String> {
        hands.perform_beside(&plan.preparation.freeze).await;
        let position = plan.scene.members[plan.from].executed();
        plan.drain(hands, position, plan.deadline).await?;
        let siblings: Vec<_> = plan.siblings().cloned().collect();
        hands.perform_beside(&siblings).await;
        // What came meanwhile is little: the candidate is close behind.
        let position = self.position(plan, hands).await?;
        plan.drain(
            hands,
            position,
            plan.deadline
                .min(Instant::now() + CLOSE.max(self.config.failover.step_timeout)),
        )
        .await
    }

    /// All that the old primary has now.
    async fn position(&self, plan: &Plan, hands: &Hands) -> Result<Position, String> {
        let mariadb = hands.dialect(plan.from).is_some_and(|dialect| dialect.mariadb);
        let sql = if mariadb {
            "SELECT @@global.gtid_binlog_pos"
        } else {
            "SELECT @@global.gtid_executed"
        };
        let control = self.fleet.control(plan.from);
        let told = control.ask(sql, self.config.failover.step_timeout).await;
        let text = told.map_err(|trouble| trouble.to_string())?.unwrap_or_default();
        Position::parse(mariadb, text.as_bytes()).map_err(|error| error.to_string())
    }

    /// The gate is shut in here, and only in here.
    async fn change_over(
        &mut self,
        plan: &Plan,
        hands: &Hands,
        course: &mut Course,
    ) -> Result<tokio::task::JoinSet<Option<(Step, super::control::Trouble)>>, String> {
        self.write_down(course, journal::Kind::Switchover, Stage::Stopping)
            .await;
        let name = course.to.as_deref().unwrap_or_default();
        self.topology.gate().shut(&format!("switchover to {name}"));
        course.shut();
        self.wait_for_sessions(plan, course).await;
        for step in plan.preparation.fence.iter().filter(|step| step.needed) {
            let done = hands.perform(step).await;
            done.map_err(|trouble| format!("{}: {}: {trouble}", step.name, step.sentence))?;
        }
        let held = self.hold_commits(plan, hands).await;
        let position = self.position(plan, hands).await?;
        plan.drain(hands, position, plan.deadline).await?;
        if held {
            self.end_transactions(plan, hands).await;
        }
        self.write_down(course, journal::Kind::Switchover, Stage::Promoting)
            .await;
        let sorted = Sorted {
            needed: plan.sorted.needed.clone(),
            beside: plan.demotion().cloned().collect(),
            verify: None,
        };
        promote(hands, &sorted).await
    }

    /// MariaDB's read-only does not bind everybody: commits wait there until nothing is left that could commit.
    async fn hold_commits(&self, plan: &Plan, hands: &Hands) -> bool {
        if !hands.dialect(plan.from).is_some_and(|dialect| dialect.mariadb) {
            return false;
        }
        let began = Instant::now();
        let control = self.fleet.control(plan.from);
        let done = control.run("BACKUP STAGE START; BACKUP STAGE BLOCK_COMMIT").await;
        let error = done.as_ref().err().map(ToString::to_string);
        let (name, is_held) = (&plan.scene.members[plan.from].name, error.is_none());
        hands
            .steps
            .note(Some(name), format!("commits on {name} wait"), began, error);
        is_held
    }

    /// Of those that were open, none may be committed any more.
    async fn end_transactions(&self, plan: &Plan, hands: &Hands) {
        const OPEN: &str = "SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX \
            WHERE trx_mysql_thread_id NOT IN (0, CONNECTION_ID())";
        let began = Instant::now();
        let control = self.fleet.control(plan.from);
        let killed = hands.kill_sessions(control, OPEN).await;
        let released = control.run("BACKUP STAGE END").await;
        let error = killed.err().or(released.err()).map(|trouble| trouble.to_string());
        let name = &plan.scene.members[plan.from].name;
        let text = format!("transactions that are open on {name} end");
        hands.steps.note(Some(name), text, began, error);
    }

    /// Transactions get their time, and are then replayed or ended by whoever watches their connections.
    async fn wait_for_sessions(&self, plan: &Plan, course: &Course) {
        let (gate, began) = (self.topology.gate(), Instant::now());
        let grace = plan.deadline.min(began + self.config.switchover.grace);
        if timeout_at(grace, gate.idle(plan.from)).await.is_ok() {
            course
                .steps
                .note(None, "statements and transactions have ended", began, None);
            return;
        }
        let left = gate.busy(plan.from);
        gate.evict(plan.from);
        let ended = timeout_at(Instant::now() + AFTER_EVICTION, gate.idle(plan.from)).await;
        let error = ended.err().map(|_| "some are still counted".to_owned());
        let text = format!("{left} transactions are taken from their connections");
        course.steps.note(None, text, began, error);
    }

    /// Nobody has been promoted: the old primary takes writes again.
    async fn turn_back(&self, plan: &Plan, hands: &Hands) {
        if hands.dialect(plan.from).is_some_and(|dialect| dialect.mariadb) {
            // Ended before, it is an error that says nothing.
            let _ = self.fleet.control(plan.from).run("BACKUP STAGE END").await;
        }
        let (own, others): (Vec<_>, Vec<_>) = plan
            .preparation
            .undo
            .iter()
            .cloned()
            .partition(|step| step.server == plan.from);
        for step in &own {
            let _ = hands.perform(step).await;
        }
        hands.perform_beside(&others).await;
    }
}

// === impl Plan ===

impl Plan {
    /// The replicas that go over to the candidate.
    fn siblings(&self) -> impl Iterator<Item = &Step> {
        self.sorted.beside.iter().filter(|step| step.server != self.from)
    }

    /// The old primary that becomes a replica.
    fn demotion(&self) -> impl Iterator<Item = &Step> {
        self.sorted.beside.iter().filter(|step| step.server == self.from)
    }

    /// The replicas back to the old primary.
    fn back(&self) -> Vec<Step> {
        let old = &self.scene.members[self.from];
        let back = self.siblings().filter_map(|step| match &step.kind {
            StepKind::Follow(follow) => Some(Step {
                kind: StepKind::Follow(Follow {
                    source: old.address.clone(),
                    source_name: old.name.clone(),
                    ..follow.clone()
                }),
                sentence: format!("it follows {} again", old.name),
                ..step.clone()
            }),
            _ => None,
        });
        back.collect()
    }

    async fn drain(&self, hands: &Hands, position: Position, deadline: Instant) -> Result<(), String> {
        let candidate = &self.scene.members[self.choice.candidate];
        let timeout = deadline.saturating_duration_since(Instant::now());
        // MariaDB waits for ever for what the server wrote itself.
        let position = position.minus(&candidate.executed());
        if position.is_empty() {
            return Ok(());
        }
        let text = format!("{} applies what the primary has", candidate.name);
        let kind = StepKind::Drain { position, timeout };
        let step = Step::new(&self.scene, self.choice.candidate, kind, true, text);
        let done = hands.perform(&step).await;
        done.map_err(|trouble| format!("{} does not catch up: {trouble}", candidate.name))
    }
}
