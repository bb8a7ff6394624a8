//! The task that decides and acts: it looks at every new observation, and carries out one change at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tracing::{info, warn};

use super::course::Course;
use super::epoch::Epoch;
use super::fleet::{Fleet, Hands};
use super::handle::{Command, Handle, Rest, Wanted};
use super::journal::Journal;
use super::plan::{By, Refusal};
use super::rejoin::Rejoin;
use super::report::{Outcome, Report, ReportKind};
use super::scene::Scene;
use super::shared::Shared;
use super::step::{Step, StepKind};
use super::tend::Tending;
use super::verdict::{Action, Analysis, judge};
use super::watch::Watch;
use crate::config::{Config, FailoverMode, ServerState};
use crate::topology::{Event, EventKind, Topology};

/// Commands that wait for the one before.
const QUEUE: usize = 8;
/// How often connections are kept open and servers are tended, whatever is observed.
pub(super) const TICK: Duration = Duration::from_secs(1);
/// After a failover that did not succeed, the next one by itself waits for so long.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

pub(super) struct Coordinator {
    pub(super) config: Arc<Config>,
    pub(super) topology: Arc<Topology>,
    pub(super) fleet: Fleet,
    pub(super) shared: Arc<Shared>,
    pub(super) watch: Watch,
    pub(super) journal: Journal,
    /// By the proxy itself.
    pub(super) promotions: Vec<Instant>,
    reconnected: Option<Instant>,
    /// Known reigns, the latest first.
    pub(super) reigns: Vec<Epoch>,
    pub(super) tending: Tending,
    /// Servers on their way behind the primary by an operator's word; each answers its index.
    rejoins: JoinSet<usize>,
    /// No failover by itself before.
    not_before: Option<Instant>,
    /// Writes wait for the primary to return, as nobody is promoted.
    pub(super) is_held: bool,
    told: Told,
}

/// What the log has said.
#[derive(Default)]
struct Told {
    verdict: Option<&'static str>,
    refusal: Option<String>,
}

/// What comes beside commands: another configuration, and a wish to be left alone.
pub(super) type Asked = (watch::Receiver<Arc<Config>>, mpsc::Receiver<Rest>);

/// The handle, and the task behind it, which somebody has to run. Until that task knows who the primary is, the
/// gate is shut.
pub fn start(config: &Config, topology: Arc<Topology>) -> (Handle, impl Future<Output = ()> + use<>) {
    let (commands, inbox) = mpsc::channel(QUEUE);
    let (rests, rest) = mpsc::channel(1);
    let shared = Arc::new(Shared::new(config.clone()));
    let acts = config.failover.mode != FailoverMode::Off && has_account(config);
    let mode = config.failover.mode;
    if acts {
        topology.gate().shut("the primary is being looked for");
    }
    let config = completed(config.clone());
    let (sender, configs) = watch::channel(Arc::new(config.clone()));
    let coordinator = Coordinator {
        fleet: Fleet::new(&config),
        watch: Watch::new(&config),
        journal: Journal::new(config.failover.state.clone()),
        config: Arc::new(config),
        topology,
        shared: shared.clone(),
        promotions: Vec::new(),
        reconnected: None,
        reigns: Vec::new(),
        tending: Tending::default(),
        rejoins: JoinSet::new(),
        not_before: None,
        is_held: false,
        told: Told::default(),
    };
    let task = async move {
        match mode {
            FailoverMode::Follow if acts => coordinator.follow(inbox, (configs, rest)).await,
            _ if acts => coordinator.run(inbox, (configs, rest)).await,
            _ => coordinator.refuse(inbox, (configs, rest)).await,
        }
    };
    let handle = Handle {
        shared,
        commands,
        configs: Arc::new(sender),
        rests,
    };
    (handle, task)
}

/// As the reference says: the account that changes servers, or the monitor's.
pub(super) fn completed(mut config: Config) -> Config {
    let failover = &mut config.failover;
    if failover.replication.is_none() {
        failover.replication = failover.login.clone().or_else(|| config.monitor.login.clone());
    }
    config
}

fn has_account(config: &Config) -> bool {
    config.monitor.login.is_some()
}

// === impl Coordinator ===

impl Coordinator {
    async fn run(mut self, mut inbox: mpsc::Receiver<Command>, (mut configs, mut rests): Asked) {
        let mut observed = self.topology.observed();
        self.settle().await;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(command) => self.execute(command).await,
                    None => return,
                },
                Ok(()) = configs.changed() => self.adopt(configs.borrow_and_update().clone()),
                Some(rest) = rests.recv() => self.stand_down(rest).await,
                Some(ended) = self.rejoins.join_next() => {
                    if let Ok(server) = ended {
                        self.tending.busy.remove(&server);
                    }
                }
                _ = observed.changed() => self.look().await,
                _ = ticks.tick() => {
                    self.keep_warm();
                    self.look().await;
                }
            }
        }
    }

    /// Nothing is changed by this proxy: it only says why, and judges for whoever asks.
    async fn refuse(mut self, mut inbox: mpsc::Receiver<Command>, (mut configs, mut rests): Asked) {
        let why = if has_account(&self.config) {
            "`failover.mode` is off"
        } else {
            "the monitor has no account: give `monitor.user` and `monitor.password`"
        };
        let mut observed = self.topology.observed();
        loop {
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(command) => command.reply(Err(Refusal::of(why))),
                    None => return,
                },
                Ok(()) = configs.changed() => self.adopt(configs.borrow_and_update().clone()),
                // There is nothing to stop.
                Some(rest) = rests.recv() => drop(rest.answer.send(Ok(()))),
                _ = observed.changed() => {
                    let scene = self.scene();
                    self.shared.publish(judge(&scene), scene);
                }
            }
        }
    }

    async fn execute(&mut self, command: Command) {
        if let Some(Err(refusal)) = command.turn.as_ref().map(|turn| self.shared.still_allows(turn)) {
            info!(wanted = ?command.wanted, %refusal, "refused");
            return command.reply(Err(refusal));
        }
        let named = |name: &Option<String>| match name {
            None => Ok(None),
            Some(name) => self.server(name).map(Some),
        };
        let done = match &command.wanted {
            Wanted::Switchover { to, timeout, force } => match named(to) {
                Ok(to) => self.switchover(to, *timeout, *force).await,
                Err(refusal) => Err(refusal),
            },
            Wanted::Failover { to, force } => match named(to) {
                Ok(to) => self.failover(to, *force, By::Operator).await,
                Err(refusal) => Err(refusal),
            },
            Wanted::Rejoin { server, discard } => match self.begin_rejoin(server, *discard).await {
                Ok(rejoin) => {
                    let (server, answer) = (rejoin.server, command.answer);
                    self.tending.busy.insert(server);
                    self.rejoins.spawn(async move {
                        let _ = answer.send(Ok(rejoin.run().await));
                        server
                    });
                    return;
                }
                Err(refusal) => Err(refusal),
            },
        };
        if let Err(refusal) = &done {
            info!(wanted = ?command.wanted, %refusal, "refused");
        }
        command.reply(done);
    }

    /// Another process decides until it is over. What was begun on servers ends first.
    async fn stand_down(&mut self, rest: Rest) {
        if !self.rejoins.is_empty() {
            let _ = rest.answer.send(Err(Refusal::of("a server is being rejoined")));
            return;
        }
        self.tending.finish().await;
        if rest.answer.send(Ok(())).is_ok() {
            info!("standing down: another process decides about the primary");
            let _ = rest.over.await;
            info!("deciding about the primary again");
        }
    }

    async fn begin_rejoin(&mut self, server: &str, discard: bool) -> Result<Rejoin, Refusal> {
        let server = self.server(server)?;
        self.rejoin(server, discard).await
    }

    fn server(&self, name: &str) -> Result<usize, Refusal> {
        let found = self.config.place_of(name);
        found.ok_or_else(|| Refusal::of(format!("there is no server '{name}'")))
    }

    /// Judges what is known now, and acts.
    async fn look(&mut self) {
        let scene = self.scene();
        let analysis = judge(&scene);
        self.tell(&scene, &analysis);
        self.shared.publish(analysis.clone(), scene.clone());
        self.hold_or_release(&scene, analysis.verdict);
        match analysis.action {
            Action::Nothing | Action::Report => self.tend(&scene),
            Action::Ask(servers) => servers.iter().for_each(|server| self.topology.hurry(*server)),
            Action::Reconnect(servers) => self.reconnect(&scene, &servers),
            Action::Promote => self.promote_by_itself().await,
        }
    }

    async fn promote_by_itself(&mut self) {
        if self.not_before.is_some_and(|moment| Instant::now() < moment) {
            return;
        }
        match self.failover(None, false, By::Proxy).await {
            Ok(report) if report.outcome == Outcome::Done => self.not_before = None,
            Ok(_) => self.not_before = Some(Instant::now() + AFTER_FAILURE),
            Err(refusal) => {
                let refusal = refusal.to_string();
                self.hold(&format!("nobody is promoted: {refusal}"));
                // Times pass in it; that is no news.
                let shape = refusal.replace(|letter: char| letter.is_ascii_digit(), "");
                if self.told.refusal.as_ref() != Some(&shape) {
                    warn!(reason = %refusal, "nobody is promoted");
                    let event = Event::new(
                        EventKind::Failover,
                        None,
                        format!("nobody is promoted: {refusal}"),
                    );
                    self.topology.events().record(event);
                    self.told.refusal = Some(shape);
                }
            }
        }
    }

    /// One line for each change of mind.
    pub(super) fn tell(&mut self, scene: &Scene, analysis: &Analysis) {
        let word = analysis.verdict.word();
        let was = self.told.verdict.replace(word);
        if was == Some(word) {
            return;
        }
        self.told.refusal = None;
        let server = scene.primary.map_or("", |primary| scene.name(primary));
        let findings = analysis.findings.join("; ");
        let is_fine = matches!(analysis.action, Action::Nothing);
        match was {
            None if is_fine => {}
            _ if is_fine => info!(
                server,
                verdict = word,
                rule = analysis.rule,
                findings,
                "the primary"
            ),
            _ => warn!(
                server,
                verdict = word,
                rule = analysis.rule,
                findings,
                "the primary"
            ),
        }
        let text = format!("the primary is {word}: {}", analysis.rule);
        let mut event = Event::new(EventKind::Verdict, Some(server), text);
        event.details = analysis
            .findings
            .iter()
            .map(|finding| ("finding".to_owned(), finding.clone()))
            .collect();
        self.topology.events().record(event);
    }

    /// Whether replicas can connect to the primary tells whether it lives.
    fn reconnect(&mut self, scene: &Scene, servers: &[usize]) {
        self.reconnected = Some(Instant::now());
        let step = |server: &usize| {
            let channel = scene.channel(*server, scene.primary?)?.name.clone();
            let text = format!("{} connects to the primary anew, if it can", scene.name(*server));
            Some(Step::new(
                scene,
                *server,
                StepKind::Reconnect { channel },
                false,
                text,
            ))
        };
        let steps: Vec<_> = servers.iter().filter_map(step).collect();
        let course = Course::new(ReportKind::Failover, scene.epoch);
        Hands::new(&self.fleet, &course.steps, scene)
            .spawn(&steps)
            .detach_all();
        servers.iter().for_each(|server| self.topology.hurry(*server));
    }

    fn keep_warm(&self) {
        self.fleet.warm(self.present().into_iter()).detach_all();
    }

    /// The places of the servers that are configured.
    pub(super) fn present(&self) -> Vec<usize> {
        let servers = self.config.servers.iter().enumerate();
        let present = servers.filter(|(_, server)| server.state != ServerState::Removed);
        present.map(|(index, _)| index).collect()
    }

    /// The configuration was read again: between two changes, so that no plan is carried out by halves.
    pub(super) fn adopt(&mut self, config: Arc<Config>) {
        let changed = self.watch.configure(&config);
        changed.into_iter().for_each(|server| self.tending.forget(server));
        let reached_by = |config: &Config| {
            let of = |server: &crate::config::Server| (server.address.clone(), server.tls.clone());
            let servers: Vec<_> = config.servers.iter().map(of).collect();
            let failover = &config.failover;
            (
                servers,
                failover.login.clone(),
                failover.step_timeout,
                config.monitor.login.clone(),
            )
        };
        if reached_by(&self.config) != reached_by(&config) {
            self.fleet = Fleet::new(&config);
        }
        if self.config.failover.state != config.failover.state {
            self.journal = Journal::new(config.failover.state.clone());
        }
        self.shared.config.store(config.clone());
        self.config = config;
    }

    /// The servers as they are now.
    pub(super) fn scene(&mut self) -> Scene {
        let mut scene = self.watch.look(&self.topology);
        let hour = Duration::from_secs(3600).max(self.config.failover.cooldown);
        self.promotions.retain(|moment| moment.elapsed() <= hour);
        scene.promotions.clone_from(&self.promotions);
        scene.paused = self.shared.is_paused();
        scene.reconnected = self.reconnected;
        scene
    }

    /// The servers by probes that have begun after now, as far as they come in time.
    pub(super) async fn fresh(&mut self, servers: &[usize], limit: Duration) -> Scene {
        let (asked, mut observed) = (Instant::now(), self.topology.observed());
        servers.iter().for_each(|server| self.topology.hurry(*server));
        let is_fresh = |scene: &Scene, server: usize| {
            let observation = scene
                .member(server)
                .and_then(|member| member.observation.as_ref());
            observation.is_some_and(|observation| observation.began >= asked)
        };
        loop {
            let scene = self.scene();
            if servers.iter().all(|server| is_fresh(&scene, *server)) {
                return scene;
            }
            if !changed(&mut observed, asked + limit).await {
                return scene;
            }
        }
    }
}

/// It is over: into the history, the log, the events.
pub(super) fn conclude(topology: &Topology, shared: &Shared, report: &Report) {
    let (kind, outcome) = (report.kind.word(), report.outcome.word());
    let (from, to) = (
        report.from.as_deref().unwrap_or(""),
        report.to.as_deref().unwrap_or(""),
    );
    let (took, pause, epoch) = (report.took, report.pause, report.epoch);
    match report.outcome.why() {
        None => info!(kind, from, to, epoch, ?took, ?pause, "{kind} done"),
        Some(why) => warn!(
            kind,
            from,
            to,
            epoch,
            ?took,
            ?pause,
            reason = why,
            "{kind} {outcome}"
        ),
    }
    let event_kind = match report.kind {
        ReportKind::Failover => EventKind::Failover,
        ReportKind::Switchover => EventKind::Switchover,
        ReportKind::Rejoin => EventKind::Rejoin,
    };
    let why = report
        .outcome
        .why()
        .map(|why| format!(": {why}"))
        .unwrap_or_default();
    let text = format!("{kind} {outcome}{why}");
    let mut event = Event::new(event_kind, Some(to), text)
        .with("from", from)
        .with("epoch", epoch)
        .with("took_ms", took.as_millis());
    if let Some(pause) = pause {
        event = event.with("pause_ms", pause.as_millis());
    }
    if let Some(gap) = &report.gap {
        event = event.with("lost", gap.transactions).with("gap", &gap.text);
    }
    topology.events().record(event);
    shared.record(report);
}

/// Waits for the next probe of any server; not so long: false.
pub(super) async fn changed(observed: &mut watch::Receiver<u64>, deadline: Instant) -> bool {
    matches!(timeout_at(deadline, observed.changed()).await, Ok(Ok(())))
}
