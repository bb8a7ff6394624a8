//! All servers' control connections, and steps carried out through them.

use std::sync::Arc;
use std::time::Duration;

use mysql_async::Row;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::control::{Control, Trouble};
use super::course::Steps;
use super::scene::Scene;
use super::step::{Dialect, Step, StepKind};
use crate::config::Config;

/// In the order of the configuration.
#[derive(Clone)]
pub(super) struct Fleet {
    controls: Arc<[Control]>,
}

/// Carries out steps on the servers as a scene has them, and writes them down.
#[derive(Clone)]
pub(super) struct Hands {
    pub(super) fleet: Fleet,
    pub(super) steps: Steps,
    /// What each server understands; `None`: it has never answered.
    dialects: Arc<[Option<Dialect>]>,
}

/// For what a step does beyond waiting: the answer has to come back.
const MARGIN: Duration = Duration::from_millis(500);
/// Sessions that are killed at most.
const MOST_SESSIONS: usize = 10_000;

/// MySQL looks every two seconds only whether a thread has ended that was connecting to a host that is gone, and the
/// thread that receives acknowledgements looks every second whether it is to end.
const STOPPING: Duration = Duration::from_millis(2_500);

// === impl Fleet ===

impl Fleet {
    pub(super) fn new(config: &Config) -> Self {
        let controls = config.servers.iter().map(|server| Control::new(config, server));
        Self {
            controls: controls.collect(),
        }
    }

    pub(super) fn control(&self, server: usize) -> &Control {
        &self.controls[server]
    }

    /// Logs in where nobody has, beside everything else.
    pub(super) fn warm(&self, servers: impl Iterator<Item = usize>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for server in servers {
            let fleet = self.clone();
            tasks.spawn(async move {
                if let Err(error) = fleet.control(server).warm().await {
                    tracing::debug!(server, %error, "no control connection");
                }
            });
        }
        tasks
    }
}

// === impl Hands ===

impl Hands {
    pub(super) fn new(fleet: &Fleet, steps: &Steps, scene: &Scene) -> Self {
        let dialects = scene.members.iter();
        Self {
            fleet: fleet.clone(),
            steps: steps.clone(),
            dialects: dialects
                .map(|member| member.status.as_deref().map(Dialect::of))
                .collect(),
        }
    }

    pub(super) fn dialect(&self, server: usize) -> Option<Dialect> {
        self.dialects.get(server).copied().flatten()
    }

    pub(super) async fn perform(&self, step: &Step) -> Result<(), Trouble> {
        let began = Instant::now();
        let done = self.attempt(step).await;
        let error = done.as_ref().err().map(Trouble::to_string);
        self.steps.note(Some(&step.name), &step.sentence, began, error);
        done
    }

    /// Waits for as long as the server gets on with it.
    pub(super) async fn drain(&self, step: &Step) -> Result<(), Trouble> {
        let control = self.fleet.control(step.server);
        let mariadb = self.dialect(step.server).is_some_and(|dialect| dialect.mariadb);
        let applied = if mariadb {
            "SELECT @@global.gtid_slave_pos"
        } else {
            "SELECT @@global.gtid_executed"
        };
        let mut before = None;
        loop {
            let done = self.perform(step).await;
            let Err(Trouble::Late(_)) = done else {
                return done;
            };
            let now = control.ask(applied, MARGIN).await?;
            if before.replace(now.clone()) == Some(now) {
                return done;
            }
        }
    }

    /// Those of one server in their order, the servers beside each other. Answers what did not work.
    pub(super) async fn perform_beside(&self, steps: &[Step]) -> Vec<(Step, Trouble)> {
        let mut tasks = self.spawn(steps);
        let mut failed = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            failed.extend(ended.ok().flatten());
        }
        failed
    }

    /// As [`Hands::perform_beside`], without waiting. Each server's task answers its first step that failed.
    pub(super) fn spawn(&self, steps: &[Step]) -> JoinSet<Option<(Step, Trouble)>> {
        let mut tasks = JoinSet::new();
        let mut servers: Vec<_> = steps.iter().map(|step| step.server).collect();
        servers.sort_unstable();
        servers.dedup();
        for server in servers {
            let own = steps.iter().filter(|step| step.server == server);
            let (hands, own) = (self.clone(), own.cloned().collect::<Vec<_>>());
            tasks.spawn(async move {
                for step in own {
                    if let Err(trouble) = hands.perform(&step).await {
                        return Some((step, trouble));
                    }
                }
                None
            });
        }
        tasks
    }

    async fn attempt(&self, step: &Step) -> Result<(), Trouble> {
        let unknown = || Trouble::Lost("it has never answered".to_owned());
        let dialect = self.dialect(step.server).ok_or_else(unknown)?;
        let statements = step.sql(dialect);
        let shown: Vec<_> = statements.iter().map(ToString::to_string).collect();
        tracing::debug!(server = &*step.name, sql = shown.join("; "), "{}", step.sentence);
        let texts: Vec<_> = statements.iter().map(|sql| sql.expose()).collect();
        let (text, control) = (texts.join("; "), self.fleet.control(step.server));
        if text.is_empty() {
            return Ok(());
        }
        match &step.kind {
            StepKind::KillSessions => self.kill_sessions(control, &text).await,
            StepKind::Drain { timeout, .. } => match control.ask(&text, *timeout + MARGIN).await? {
                Some(answer) if answer == "0" => Ok(()),
                _ => Err(Trouble::Late(*timeout)),
            },
            kind if stops_a_thread(kind) => control.run_patiently(&text, STOPPING).await.map(|_| ()),
            _ => control.run(&text).await.map(|_| ()),
        }
    }

    pub(super) async fn kill_sessions(&self, control: &Control, list: &str) -> Result<(), Trouble> {
        let sets = control.run(list).await?;
        for row in sets.iter().flatten().take(MOST_SESSIONS) {
            let Some(id) = number(row) else {
                continue;
            };
            match control.run(&format!("KILL {id}")).await {
                // It went by itself.
                Err(trouble) if trouble.code() == Some(1094) => {}
                other => drop(other?),
            }
        }
        Ok(())
    }
}

/// Whether a thread of the server has to end before the statements are done.
fn stops_a_thread(kind: &StepKind) -> bool {
    matches!(
        kind,
        StepKind::StopFetching { .. }
            | StepKind::Reconnect { .. }
            | StepKind::Follow(_)
            | StepKind::Detach { .. }
            | StepKind::SemiSync { on: false }
    )
}

/// The row's first field.
pub(super) fn number(row: &Row) -> Option<u64> {
    let text: Option<String> = row.get_opt(0).and_then(Result::ok)?;
    text?.parse().ok()
}
