//! `REJOIN`: a server follows the primary because an operator says so. It takes as long as it takes, beside
//! everything else that the coordinator does.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::coordinator::{Coordinator, changed, conclude};
use super::course::Course;
use super::epoch::Epoch;
use super::fleet::{Fleet, Hands};
use super::plan::Refusal;
use super::report::{Outcome, Report, ReportKind};
use super::scene::{Member, Scene};
use super::shared::Shared;
use super::step::Step;
use super::surplus::surplus;
use super::tend::{follow, no_writes};
use super::watch::Watch;
use crate::config::Config;
use crate::gtid::Position;
use crate::topology::{ThreadState, Topology};

/// How many `step_timeout`s a server gets to connect to the primary.
const PATIENCE: u32 = 5;

/// One server on its way behind the primary.
pub(super) struct Rejoin {
    pub(super) config: Arc<Config>,
    pub(super) topology: Arc<Topology>,
    pub(super) fleet: Fleet,
    pub(super) shared: Arc<Shared>,
    pub(super) reigns: Vec<Epoch>,
    pub(super) watch: Watch,
    pub(super) scene: Scene,
    pub(super) primary: usize,
    pub(super) server: usize,
    /// What it has and the primary lacks.
    pub(super) extra: Position,
}

// === impl Coordinator ===

impl Coordinator {
    /// Whether it can be done, and what is to be run then.
    pub(super) async fn rejoin(&mut self, server: usize, discard: bool) -> Result<Rejoin, Refusal> {
        let mut asked: Vec<_> = self.scene().primary.into_iter().collect();
        asked.push(server);
        let scene = self.fresh(&asked, self.config.failover.step_timeout).await;
        let primary = scene
            .primary
            .ok_or_else(|| Refusal::of("there is no primary to follow"))?;
        let name = scene.name(server).to_owned();
        if server == primary {
            return Err(Refusal::of(format!("{name} is the primary")));
        }
        if self.tending.busy.contains(&server) {
            return Err(Refusal::of(format!("{name} is on its way already")));
        }
        for index in [primary, server] {
            if !scene.members[index].is_answering() {
                return Err(Refusal::of(format!("{} does not answer", scene.name(index))));
            }
        }
        let extra = surplus(
            &scene.members[server].begun(),
            &scene.members[primary].begun(),
            &self.reigns,
        );
        if !extra.is_empty() && !discard {
            let reason = format!(
                "{name} has transactions that the primary lacks: {extra}; `REJOIN {name} DISCARD` saves them \
                 to a file and throws them away"
            );
            return Err(Refusal::of(reason));
        }
        Ok(Rejoin {
            config: self.config.clone(),
            topology: self.topology.clone(),
            fleet: self.fleet.clone(),
            shared: self.shared.clone(),
            reigns: self.reigns.clone(),
            watch: Watch::new(&self.config),
            scene,
            primary,
            server,
            extra,
        })
    }
}

// === impl Rejoin ===

impl Rejoin {
    pub(super) async fn run(mut self) -> Report {
        let mut course = Course::new(ReportKind::Rejoin, self.scene.epoch);
        course.from = Some(self.scene.members[self.server].name.clone());
        course.to = Some(self.scene.members[self.primary].name.clone());
        let done = match self.stop_writes(&course).await {
            Ok(()) if self.extra.is_empty() => self.come_behind(&course).await,
            Ok(()) => self.discard(&course).await,
            Err(why) => Err(why),
        };
        let outcome = match done {
            Ok(()) => {
                self.topology.set_quarantine(self.server, None);
                Outcome::Done
            }
            Err(why) => Outcome::Failed(why),
        };
        let report = course.end(outcome);
        conclude(&self.topology, &self.shared, &report);
        report
    }

    /// What is being committed there comes to its end before anything else.
    pub(super) async fn stop_writes(&self, course: &Course) -> Result<(), String> {
        self.perform(&no_writes(&self.scene, self.server), course).await
    }

    /// It has nothing of its own: it follows, and is seen to.
    pub(super) async fn come_behind(&mut self, course: &Course) -> Result<(), String> {
        let steps = follow(&self.scene, self.server, self.primary);
        self.perform(&steps, course).await?;
        self.wait_until_it_follows().await
    }

    async fn perform(&self, steps: &[Step], course: &Course) -> Result<(), String> {
        let hands = Hands::new(&self.fleet, &course.steps, &self.scene);
        for step in steps {
            let done = hands.perform(step).await;
            done.map_err(|trouble| format!("{}: {trouble}", step.sentence))?;
        }
        Ok(())
    }

    async fn wait_until_it_follows(&mut self) -> Result<(), String> {
        let asked = Instant::now();
        let deadline = asked + self.config.failover.step_timeout * PATIENCE;
        let mut observed = self.topology.observed();
        loop {
            let scene = self.watch.look(&self.topology);
            let channel = scene.channel(self.server, self.primary);
            let member = &scene.members[self.server];
            let is_fresh = member.answered.is_some_and(|answered| answered >= asked);
            let running = channel
                .filter(|_| is_fresh)
                .map(|channel| (channel.io.state, channel.sql.state));
            if running == Some((ThreadState::Running, ThreadState::Running)) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let trouble = channel.and_then(|channel| channel.trouble());
                return Err(trouble.unwrap_or_else(|| "it does not follow the primary in time".to_owned()));
            }
            self.topology.hurry(self.server);
            changed(&mut observed, deadline).await;
        }
    }

    /// Until a process answers that began after `since`. The one before answers until its very end, and has the old
    /// data until then.
    pub(super) async fn wait_until_it_restarts(
        &mut self,
        since: Instant,
        limit: Duration,
    ) -> Result<(), String> {
        let asked = Instant::now();
        let mut observed = self.topology.observed();
        loop {
            let scene = self.watch.look(&self.topology);
            let member = &scene.members[self.server];
            if member.is_answering() && is_younger(member, since) {
                self.scene = scene;
                return Ok(());
            }
            if !changed(&mut observed, asked + limit).await && asked.elapsed() >= limit {
                return Err(format!("{} was not started again within {limit:?}", member.name));
            }
        }
    }
}

/// Whether a server's process began after a moment. Servers tell their age in whole seconds, rounded down.
fn is_younger(member: &Member, since: Instant) -> bool {
    let uptime = member.status.as_deref().and_then(|status| status.uptime);
    match (member.answered, uptime) {
        (Some(answered), Some(uptime)) => answered.saturating_duration_since(since) > uptime,
        _ => false,
    }
}
