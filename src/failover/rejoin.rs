//! `REJOIN`: a server follows the primary because an operator says so. What it has and the primary lacks is first
//! saved, then thrown away, if the operator says that too.

use std::time::Duration;

use tokio::time::Instant;

use super::coordinator::{Coordinator, changed};
use super::course::Course;
use super::fleet::Hands;
use super::plan::Refusal;
use super::report::{Outcome, Report, ReportKind};
use super::scene::Scene;
use super::step::{Step, StepKind};
use super::surplus::surplus;
use super::tend::{follow, step};
use crate::topology::ThreadState;

/// How many `step_timeout`s a server gets to connect to the primary.
const PATIENCE: u32 = 5;

// === impl Coordinator ===

impl Coordinator {
    pub(super) async fn rejoin(&mut self, server: usize, discard: bool) -> Result<Report, Refusal> {
        let limit = self.config.failover.step_timeout;
        let all: Vec<_> = scene_servers(&self.scene(), server);
        let scene = self.fresh(&all, limit).await;
        let primary = scene
            .primary
            .ok_or_else(|| Refusal::of("there is no primary to follow"))?;
        let name = scene.name(server).to_owned();
        if server == primary {
            return Err(Refusal::of(format!("{name} is the primary")));
        }
        for index in [primary, server] {
            if !scene.members[index].is_answering() {
                return Err(Refusal::of(format!("{} does not answer", scene.name(index))));
            }
        }
        let extra = surplus(
            &scene.members[server].position(),
            &scene.members[primary].executed(),
            &self.reigns,
        );
        if !extra.is_empty() && !discard {
            let reason = format!(
                "{name} has transactions that the primary lacks: {extra}; `REJOIN {name} DISCARD` saves them \
                 to a file and throws them away"
            );
            return Err(Refusal::of(reason));
        }
        self.tending.stop();
        let mut course = Course::new(ReportKind::Rejoin, scene.epoch);
        course.from = Some(scene.members[server].name.clone());
        course.to = Some(scene.members[primary].name.clone());
        let done = if extra.is_empty() {
            self.come_behind(&scene, primary, server, &course).await
        } else {
            self.discard(&scene, primary, server, &extra, &course).await
        };
        let outcome = match done {
            Ok(()) => {
                self.topology.set_quarantine(server, None);
                Outcome::Done
            }
            Err(why) => Outcome::Failed(why),
        };
        let report = course.end(outcome);
        self.finished(&report);
        Ok(report)
    }

    /// It has nothing of its own: it follows, and is seen to.
    pub(super) async fn come_behind(
        &mut self,
        scene: &Scene,
        primary: usize,
        server: usize,
        course: &Course,
    ) -> Result<(), String> {
        let hands = Hands::new(&self.fleet, &course.steps, scene);
        let mut steps: Vec<Step> = vec![step(scene, server, StepKind::ReadOnly, "it takes no writes")];
        steps.extend(follow(scene, server, primary));
        for step in &steps {
            let done = hands.perform(step).await;
            done.map_err(|trouble| format!("{}: {trouble}", step.sentence))?;
        }
        self.wait_until_it_follows(primary, server).await
    }

    async fn wait_until_it_follows(&mut self, primary: usize, server: usize) -> Result<(), String> {
        let deadline = Instant::now() + self.config.failover.step_timeout * PATIENCE;
        let mut observed = self.topology.observed();
        loop {
            let scene = self.fresh(&[server], Duration::from_secs(1)).await;
            let Some(channel) = scene.channel(server, primary) else {
                return Err("it does not follow the primary".to_owned());
            };
            let is_running =
                channel.io.state == ThreadState::Running && channel.sql.state == ThreadState::Running;
            match channel.trouble() {
                _ if is_running => return Ok(()),
                Some(trouble) if channel.io.code != 0 && channel.io.state == ThreadState::Stopped => {
                    return Err(trouble);
                }
                trouble if Instant::now() >= deadline => {
                    return Err(trouble.unwrap_or_else(|| "it does not follow in time".to_owned()));
                }
                _ => drop(changed(&mut observed, deadline).await),
            }
        }
    }
}

fn scene_servers(scene: &Scene, server: usize) -> Vec<usize> {
    let mut servers: Vec<_> = scene.primary.into_iter().collect();
    servers.push(server);
    servers
}
