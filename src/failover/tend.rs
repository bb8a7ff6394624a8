//! Between changes: servers that are not as they should be behind their primary. One that takes writes is made
//! read-only, one that was left behind follows, one that has what the primary lacks is kept from all use.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::info;

use super::coordinator::Coordinator;
use super::course::Course;
use super::fleet::Hands;
use super::plan::{Choice, rejoin};
use super::report::ReportKind;
use super::scene::{Member, Scene};
use super::step::{Follow, Step, StepKind};
use super::surplus::surplus;
use super::verdict::Verdict;
use crate::config::FailoverMode;
use crate::topology::{Admin, Event, EventKind, ThreadState};

/// The same is not tried on a server again before.
const AGAIN: Duration = Duration::from_secs(3);

/// What is remembered between one look and the next.
#[derive(Default)]
pub(super) struct Tending {
    /// Once the primary, or following one that is: they follow the present one.
    pub(super) former: HashSet<usize>,
    /// Stopped by us, so that we start them.
    pub(super) frozen: HashSet<usize>,
    /// Commits are to wait for a replica as soon as there is one.
    pub(super) acks_later: bool,
    /// When a server was last touched.
    touched: HashMap<usize, Instant>,
    /// Servers with a command of their own under way.
    pub(super) busy: HashSet<usize>,
    tasks: JoinSet<()>,
}

/// One thing to do on one server.
#[derive(Debug)]
enum Chore {
    Do(Vec<Step>),
    Quarantine(String),
    Release,
}

// === impl Tending ===

impl Tending {
    /// Something greater begins.
    pub(super) fn stop(&mut self) {
        self.tasks.abort_all();
    }

    /// Another server is at this place.
    pub(super) fn forget(&mut self, server: usize) {
        self.former.remove(&server);
        self.frozen.remove(&server);
        self.touched.remove(&server);
    }

    /// Waits for what is under way, none of which takes long.
    pub(super) async fn finish(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    pub(super) fn promoted(&mut self, choice: &Choice) {
        self.former.extend(choice.from);
        self.former.remove(&choice.candidate);
        self.frozen.extend(choice.siblings.iter().copied());
        self.touched.clear();
    }

    fn may_touch(&self, server: usize) -> bool {
        let is_due = |moment: &Instant| moment.elapsed() >= AGAIN;
        !self.busy.contains(&server) && self.touched.get(&server).is_none_or(is_due)
    }
}

// === impl Coordinator ===

impl Coordinator {
    pub(super) fn tend(&mut self, scene: &Scene) {
        while self.tending.tasks.try_join_next().is_some() {}
        let Some(primary) = scene
            .primary
            .filter(|primary| scene.members[*primary].is_answering())
        else {
            return;
        };
        for (server, member) in scene.others() {
            if member.is_answering() && member.admin != Admin::Maintenance && self.tending.may_touch(server) {
                match self.chore(scene, primary, server) {
                    Some(Chore::Do(steps)) => self.touch(scene, steps),
                    Some(Chore::Quarantine(why)) => self.quarantine(member, server, why),
                    Some(Chore::Release) => self.topology.set_quarantine(server, None),
                    None => {}
                }
            }
        }
        self.turn_on_acks(scene, primary);
        self.forget_source(scene, primary);
        self.let_write_again(scene, primary);
    }

    /// A primary that died and is not replaced may be back any moment, and be read-only at first: whoever writes waits.
    pub(super) fn hold(&mut self, why: &str) {
        if self.config.failover.mode == FailoverMode::Automatic {
            self.is_held = true;
            if self.topology.gate().shut_because().is_none() {
                self.topology.gate().shut(why);
            }
        }
    }

    pub(super) fn hold_or_release(&mut self, scene: &Scene, verdict: Verdict) {
        let is_silent = matches!(
            verdict,
            Verdict::Dead | Verdict::Suspect { .. } | Verdict::Hung | Verdict::Severed | Verdict::CutOff
        );
        if scene.came_back && !scene.paused {
            if !self.is_held {
                self.hold("the primary was started anew, and is read-only");
            }
        } else if let (true, false, Some(primary)) = (self.is_held, is_silent, scene.primary) {
            self.is_held = false;
            self.topology.gate().open(primary);
        }
    }

    /// Servers start read-only, as they should: nobody else would let the primary write that was started anew before
    /// another was promoted. One that has lost in a crash what a replica has is for somebody to look at.
    fn let_write_again(&mut self, scene: &Scene, primary: usize) {
        let writes = |member: &Member| member.status.as_deref().is_some_and(|status| !status.read_only);
        let has = scene.members[primary].begun();
        let is_free = scene
            .others()
            .filter(|(_, other)| other.is_answering())
            .all(|(_, other)| !writes(other) && surplus(&other.position(), &has, &self.reigns).is_empty());
        if !scene.came_back || scene.paused || !is_free || !self.tending.may_touch(primary) {
            return;
        }
        let text = format!("{} takes writes again: it was started anew", scene.name(primary));
        self.touch(scene, vec![step(scene, primary, StepKind::Writable, &text)]);
    }

    /// The primary still knows whom it followed before it was promoted.
    fn forget_source(&mut self, scene: &Scene, primary: usize) {
        let takes_writes = |member: &Member| member.status.as_deref().is_some_and(|status| !status.read_only);
        if !takes_writes(&scene.members[primary]) || !self.tending.may_touch(primary) {
            return;
        }
        let former = self.tending.former.iter();
        let channel = former.filter_map(|source| scene.channel(primary, *source)).next();
        if let Some(channel) = channel.map(|channel| channel.name.clone()) {
            let text = format!("{} follows nobody any more", scene.name(primary));
            self.touch(
                scene,
                vec![step(scene, primary, StepKind::Detach { channel }, &text)],
            );
        }
    }

    /// The first thing that is wrong with a server.
    fn chore(&self, scene: &Scene, primary: usize, server: usize) -> Option<Chore> {
        let member = &scene.members[server];
        let status = member.status.as_deref()?;
        let settings = &self.config.failover;
        if !status.read_only && settings.enforce_read_only {
            return Some(Chore::Do(no_writes(scene, server)));
        }
        let follows_primary = scene.channel(server, primary);
        status.channels.as_ref()?;
        let is_ours = self.is_ours(scene, primary, server);
        if follows_primary.is_none() && !is_ours {
            return None;
        }
        let extra = surplus(&member.begun(), &scene.members[primary].begun(), &self.reigns);
        match (follows_primary, extra.is_empty()) {
            // What it applies would wait for an acknowledgement that nobody gives.
            (Some(_), true) if is_ours && status.semi_sync.source == Some(true) => {
                Some(Chore::Do(let_commits_go(scene, server)))
            }
            (Some(channel), true) => {
                let is_stopped = channel.io.state == ThreadState::Stopped && channel.io.code == 0;
                if is_stopped && self.tending.frozen.contains(&server) {
                    let channel = channel.name.clone();
                    let start = StepKind::StartFetching { channel };
                    return Some(Chore::Do(vec![step(
                        scene,
                        server,
                        start,
                        "it follows the primary again",
                    )]));
                }
                member.quarantined.as_ref().map(|_| Chore::Release)
            }
            // What others have of their own for long keeps them from being promoted, not from being read. A former
            // primary may have committed something at the last moment, when it was taken for one that had not.
            (Some(channel), false) if channel.io.state == ThreadState::Running && !is_ours => None,
            (_, false) if !self.is_newer(scene, primary, server) => {
                self.topology.hurry(primary);
                None
            }
            (_, false) => {
                let why = format!("it has transactions that the primary lacks: {extra}");
                let is_told = member.quarantined.as_deref() == Some(why.as_str());
                (!is_told).then_some(Chore::Quarantine(why))
            }
            (None, true) if settings.rejoin => Some(Chore::Do(follow(scene, server, primary))),
            (None, true) => None,
        }
    }

    /// Whether it was the primary, or follows one that was and has not come along.
    fn is_ours(&self, scene: &Scene, primary: usize, server: usize) -> bool {
        let former = &self.tending.former;
        former.contains(&server)
            || former
                .iter()
                .any(|source| *source != primary && scene.channel(server, *source).is_some())
    }

    /// Whether the primary was asked after the server had told what it has.
    fn is_newer(&self, scene: &Scene, primary: usize, server: usize) -> bool {
        let ended = |member: &Member| {
            let observation = member.observation.as_deref()?;
            Some((observation.began, observation.began + observation.took))
        };
        match (ended(&scene.members[primary]), ended(&scene.members[server])) {
            (Some((began, _)), Some((_, ended))) => began >= ended,
            _ => false,
        }
    }

    fn touch(&mut self, scene: &Scene, steps: Vec<Step>) {
        let Some(first) = steps.first() else {
            return;
        };
        self.tending.touched.insert(first.server, Instant::now());
        info!(server = &*first.name, "{}", first.sentence);
        let event = Event::new(EventKind::Rejoin, Some(&first.name), first.sentence.clone());
        self.topology.events().record(event);
        let course = Course::new(ReportKind::Rejoin, scene.epoch);
        let hands = Hands::new(&self.fleet, &course.steps, scene);
        let (topology, server) = (Arc::clone(&self.topology), first.server);
        self.tending.tasks.spawn(async move {
            hands.perform_beside(&steps).await;
            topology.hurry(server);
        });
    }

    fn quarantine(&mut self, member: &Member, server: usize, why: String) {
        let event = Event::new(EventKind::Quarantine, Some(&member.name), why.clone());
        self.topology.events().record(event);
        self.topology.set_quarantine(server, Some(why.into()));
    }

    fn turn_on_acks(&mut self, scene: &Scene, primary: usize) {
        let acknowledges = |server: usize| {
            let running = scene.channel(server, primary).map(|channel| channel.io.state);
            running == Some(ThreadState::Running)
        };
        if self.tending.acks_later && scene.others().any(|(server, _)| acknowledges(server)) {
            self.tending.acks_later = false;
            let sentence = "commits wait for a replica again";
            self.touch(
                scene,
                vec![step(scene, primary, StepKind::SemiSync { on: true }, sentence)],
            );
        }
    }
}

/// A server that is not the primary stops to take writes. Commits that wait there for an acknowledgement keep it from
/// becoming read-only, and nobody acknowledges them any more. They are let go only when nobody is left whom the
/// server could tell that they are done.
pub(super) fn no_writes(scene: &Scene, server: usize) -> Vec<Step> {
    let status = scene.members[server].status.as_deref();
    let waits = status.is_some_and(|status| status.semi_sync.source == Some(true));
    let mut steps = Vec::new();
    if waits {
        let text = "its clients are sent away: it is not the primary";
        steps.push(step(scene, server, StepKind::KillSessions, text));
        let text = "commits wait there for nobody";
        steps.push(step(scene, server, StepKind::SemiSync { on: false }, text));
    }
    let text = "it takes no writes: it is not the primary";
    steps.push(step(scene, server, StepKind::ReadOnly, text));
    steps
}

/// A server comes behind the primary: from another source, or from having been a primary itself.
pub(super) fn follow(scene: &Scene, server: usize, primary: usize) -> Vec<Step> {
    let member = &scene.members[server];
    let channels = member
        .status
        .as_deref()
        .and_then(|status| status.channels.as_deref());
    let like = rejoin(scene, primary);
    let text = format!("{} follows {}", member.name, like.source_name);
    if let Some(channel) = channels.and_then(<[_]>::first) {
        // One that was made anew after the last look has no account yet, and gets nowhere without.
        let has_account = !channel.user.is_empty();
        let follow = Follow {
            channel: channel.name.clone(),
            login: like.login.clone().filter(|_| !has_account),
            tls: like.tls.clone().filter(|_| !has_account),
            heartbeat: channel.heartbeat.or(like.heartbeat),
            demoted: false,
            ..like
        };
        return vec![step(scene, server, StepKind::Follow(follow), &text)];
    }
    let mut steps = Vec::new();
    let semi_sync = member
        .status
        .as_deref()
        .map(|status| status.semi_sync)
        .unwrap_or_default();
    if semi_sync.source.is_some() {
        steps = let_commits_go(scene, server);
    }
    steps.push(step(scene, server, StepKind::Follow(like), &text));
    steps
}

/// A server that is not the primary waits for no acknowledgement, and gives them.
fn let_commits_go(scene: &Scene, server: usize) -> Vec<Step> {
    let name = scene.name(server);
    let text = format!("commits on {name} wait for nobody");
    let release = step(scene, server, StepKind::SemiSync { on: false }, &text);
    let text = format!("{name} acknowledges what it fetches");
    vec![release, step(scene, server, StepKind::Acknowledge, &text)]
}

pub(super) fn step(scene: &Scene, server: usize, kind: StepKind, text: &str) -> Step {
    Step::new(scene, server, kind, false, text.to_owned())
}
