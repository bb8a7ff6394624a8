//! How everybody else talks to the coordinator: commands that it executes one at a time, and what it knows.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

use super::coordinator::completed;
use super::plan::Refusal;
use super::report::Report;
use super::shared::{Counters, Shared, Turn};
use super::verdict::Analysis;
use crate::config::Config;

/// Cheap to clone. The coordinator ends with the process.
#[derive(Clone)]
pub struct Handle {
    pub(super) shared: Arc<Shared>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) configs: Arc<watch::Sender<Arc<Config>>>,
    pub(super) rests: mpsc::Sender<Rest>,
}

/// Somebody else is to decide from now on.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) answer: oneshot::Sender<Result<(), Refusal>>,
    /// Until this ends.
    pub(super) over: oneshot::Receiver<()>,
}

/// The coordinator does nothing for as long as this is kept.
#[derive(Debug)]
pub struct Resting(#[allow(dead_code)] oneshot::Sender<()>);

/// What somebody wants, and where the answer goes.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) wanted: Wanted,
    /// For a change of the primary.
    pub(super) turn: Option<Turn>,
    pub(super) answer: oneshot::Sender<Result<Report, Refusal>>,
}

#[derive(Debug, Clone)]
pub(super) enum Wanted {
    Switchover {
        to: Option<String>,
        timeout: Option<Duration>,
        force: bool,
    },
    Failover {
        to: Option<String>,
        force: bool,
    },
    Rejoin {
        server: String,
        discard: bool,
    },
}

/// What would be done now, or why nothing would.
#[derive(Debug, Clone, Default)]
pub struct Check {
    pub steps: Vec<CheckStep>,
    pub refusals: Vec<String>,
}

/// No secrets are in it.
#[derive(Debug, Clone)]
pub struct CheckStep {
    pub step: String,
    pub server: String,
    pub sql: String,
    pub note: String,
}

// === impl Handle ===

impl Handle {
    /// Another primary, in good order, unless a change is under way already. `to`: the best candidate unless given.
    /// `timeout`: `switchover.timeout` unless given. `force`: although a check advises against it.
    pub async fn switchover(
        &self,
        to: Option<&str>,
        timeout: Option<Duration>,
        force: bool,
    ) -> Result<Report, Refusal> {
        let to = to.map(str::to_owned);
        self.change(Wanted::Switchover { to, timeout, force }).await
    }

    /// Another primary because this one is lost, unless a change is under way already.
    pub async fn failover(&self, to: Option<&str>, force: bool) -> Result<Report, Refusal> {
        let to = to.map(str::to_owned);
        self.change(Wanted::Failover { to, force }).await
    }

    /// Makes a server follow the primary. `discard`: what it has and the primary lacks is saved and thrown away.
    pub async fn rejoin(&self, server: &str, discard: bool) -> Result<Report, Refusal> {
        let server = server.to_owned();
        self.ask(Wanted::Rejoin { server, discard }, None).await
    }

    /// Another configuration counts as soon as nothing is under way.
    pub fn configure(&self, config: &Config) {
        let config = Arc::new(completed(config.clone()));
        self.configs.send_replace(config);
    }

    /// What a change of the primary would do now, touching nothing.
    pub fn check(&self, to: Option<&str>) -> Check {
        self.shared.check(to)
    }

    /// What is judged of the primary now, and why.
    pub fn analysis(&self) -> Analysis {
        self.shared.analysis()
    }

    /// From now on nothing is promoted unless somebody says so.
    pub fn pause(&self) {
        self.shared.set_paused(true);
    }

    pub fn resume(&self) {
        self.shared.set_paused(false);
    }

    pub fn is_paused(&self) -> bool {
        self.shared.is_paused()
    }

    /// The latest changes, the newest first.
    pub fn history(&self) -> Vec<Arc<Report>> {
        self.shared.history()
    }

    /// A change that has not ended, as far as it is.
    pub fn under_way(&self) -> Option<Arc<Report>> {
        self.shared.under_way()
    }

    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// The coordinator ends what it is doing and does nothing more, so that another process may. Refused where that
    /// takes longer than `limit`, or a server is being rejoined.
    pub async fn stand_down(&self, limit: Duration) -> Result<Resting, Refusal> {
        let ((answer, answered), (resting, over)) = (oneshot::channel(), oneshot::channel());
        let busy = || Refusal::of("somebody else is about to take over already");
        self.rests.try_send(Rest { answer, over }).map_err(|_| busy())?;
        match tokio::time::timeout(limit, answered).await {
            Ok(Ok(answer)) => answer.map(|()| Resting(resting)),
            Ok(Err(_)) => Err(Refusal::of("the proxy is about to end")),
            Err(_) => Err(Refusal::of(format!(
                "a change of the primary is under way, and not over within {limit:?}"
            ))),
        }
    }

    async fn change(&self, wanted: Wanted) -> Result<Report, Refusal> {
        let turn = self.shared.take_turn()?;
        self.ask(wanted, Some(turn)).await
    }

    async fn ask(&self, wanted: Wanted, turn: Option<Turn>) -> Result<Report, Refusal> {
        let (answer, answered) = oneshot::channel();
        let command = Command { wanted, turn, answer };
        let gone = || Refusal::of("the proxy is about to end");
        self.commands.try_send(command).map_err(|error| match error {
            // The queue is short: who does not fit comes back when the others are done.
            TrySendError::Full(_) => Refusal::of("too many commands wait already"),
            TrySendError::Closed(_) => gone(),
        })?;
        answered.await.map_err(|_| gone())?
    }
}

// === impl Command ===

impl Command {
    /// Whoever hears the answer may give the next command at once.
    pub(super) fn reply(self, done: Result<Report, Refusal>) {
        drop(self.turn);
        // Nobody may be left who waits.
        let _ = self.answer.send(done);
    }
}
