//! At the start: who the primary is, and what became of a change that another process had begun. Until that is
//! known nobody writes: the file may name a server that was replaced long ago.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::coordinator::{Coordinator, changed};
use super::course::Course;
use super::epoch::Epoch;
use super::fleet::Hands;
use super::journal::{Entry, Kind, Stage};
use super::marker::Marker;
use super::report::ReportKind;
use super::scene::{Member, Scene};
use super::step::{Step, StepKind};
use crate::topology::{Event, EventKind};

/// Beyond the time in which every server has answered or failed.
const MARGIN: Duration = Duration::from_millis(500);
/// How much longer the server is waited for that a change had come to when its proxy ended.
const DOUBT: Duration = Duration::from_secs(10);
/// Reigns that are kept in mind.
const MOST_REIGNS: usize = 64;

/// A switchover that its proxy did not live to end, as the servers have it.
struct CutShort {
    scene: Scene,
    marker: Marker,
    entry: Entry,
    /// The latest that has begun.
    epoch: u64,
}

// === impl Coordinator ===

impl Coordinator {
    /// Finds the primary and opens the gate.
    pub(super) async fn settle(&mut self) {
        let entry = self.journal.read().unwrap_or_else(|error| {
            warn!(
                error,
                "what was under way when the last process ended cannot be read"
            );
            None
        });
        let doubtful = entry.as_ref().filter(|entry| entry.stage >= Stage::Promoting);
        let doubtful = doubtful.and_then(|entry| entry.to.as_deref());
        let mut scene = self.first_scene(doubtful).await;
        self.reigns = self.read_reigns(&scene).await;
        let configured = scene.primary;
        let mut found = of_reigns(&scene, &self.reigns).or(configured);
        let mut epoch = self.reigns.first().map_or(scene.epoch, |reign| reign.number);
        let mut marker = None;
        match (&entry, found) {
            (Some(entry), _) => (found, epoch) = self.resume(&scene, entry, found, epoch).await,
            (None, Some(from)) => {
                if let Some(cut) = self.cut_short(from, epoch).await {
                    (found, epoch) = self.resume(&cut.scene, &cut.entry, found, cut.epoch).await;
                    (scene, marker) = (cut.scene, Some((from, cut.marker)));
                }
            }
            (None, None) => {}
        }
        let Some(primary) = found.map(|server| source_of(&scene, reachable(&scene, server))) else {
            return;
        };
        if configured != Some(primary) || epoch != scene.epoch {
            self.topology.set_primary(primary, epoch.max(scene.epoch));
        }
        if configured != Some(primary) {
            let server = scene.name(primary);
            info!(server, epoch, "the primary is not the one of the file");
            let text = "the primary is not the one of the file";
            self.topology
                .events()
                .record(Event::new(EventKind::Failover, Some(server), text));
            self.tending.former.extend(configured);
        }
        for reign in &self.reigns {
            self.tending
                .former
                .extend(place(&scene, reign).filter(|server| *server != primary));
        }
        self.topology.gate().open(primary);
        if let Some((from, marker)) = marker {
            if from == primary {
                self.unmark(from, &marker).await;
            }
            Marker::unlock(self.fleet.control(from)).await;
        }
        if entry.is_some()
            && let Err(error) = self.journal.clear().await
        {
            warn!(error, "`failover.state` cannot be cleared");
        }
    }

    /// The same for a proxy that changes nothing, and has nothing to bring to its end.
    pub(super) async fn find_primary(&mut self) {
        let scene = self.first_scene(None).await;
        self.reigns = self.read_reigns(&scene).await;
        let Some(found) = of_reigns(&scene, &self.reigns).or(scene.primary) else {
            return;
        };
        let epoch = self.reigns.first().map_or(scene.epoch, |reign| reign.number);
        let primary = source_of(&scene, reachable(&scene, found));
        if scene.primary != Some(primary) || epoch != scene.epoch {
            self.topology.set_primary(primary, epoch.max(scene.epoch));
        }
        self.topology.gate().open(primary);
    }

    /// Every server has answered, or will not. Where none does it is this proxy that cannot see: nothing is decided
    /// before one does. `doubtful` is the server that may have been promoted; it is waited for longer.
    async fn first_scene(&mut self, doubtful: Option<&str>) -> Scene {
        let patience = self.config.monitor.timeout + MARGIN;
        let mut deadline = Instant::now() + patience;
        let mut observed = self.topology.observed();
        let mut was_blind = false;
        loop {
            let scene = self.scene();
            let is_seen = |member: &Member| member.observation.is_some() || member.is_gone();
            let in_doubt = |member: &Member| Some(&*member.name) == doubtful && !member.is_answering();
            let is_late = Instant::now() >= deadline;
            let all_seen = scene.members.iter().all(is_seen);
            if scene.members.iter().any(Member::is_answering) {
                let doubts = scene.members.iter().any(in_doubt) && Instant::now() < deadline + DOUBT;
                if !doubts && (is_late || all_seen && !was_blind) {
                    return scene;
                }
            } else if was_blind || is_late || all_seen {
                if !was_blind {
                    warn!("no server answers: who the primary is cannot be known, and nobody writes");
                }
                // Once one is heard, the others have their time to answer.
                (was_blind, deadline) = (true, Instant::now() + patience);
            }
            changed(&mut observed, Instant::now() + MARGIN).await;
        }
    }

    /// From all servers, as each may have missed the last one.
    pub(super) async fn read_reigns(&self, scene: &Scene) -> Vec<Epoch> {
        let mut tasks = tokio::task::JoinSet::new();
        for (server, member) in scene.members.iter().enumerate() {
            let Some(status) = member.status.as_deref() else {
                continue;
            };
            let (fleet, mariadb) = (self.fleet.clone(), status.mariadb);
            tasks.spawn(async move { Epoch::read(fleet.control(server), mariadb).await });
        }
        let mut reigns: Vec<Epoch> = Vec::new();
        while let Some(read) = tasks.join_next().await {
            match read {
                Ok(Ok(read)) => reigns.extend(read),
                Ok(Err(trouble)) => {
                    warn!(%trouble, "the account that changes servers does not get what it asks for")
                }
                Err(_) => {}
            }
        }
        reigns.sort_by_key(|reign| std::cmp::Reverse(reign.number));
        reigns.dedup_by_key(|reign| reign.number);
        reigns.truncate(MOST_REIGNS);
        reigns
    }

    /// A switchover from this server that another process began and did not end, by what it left there. It may still
    /// be at it: then it holds the lock, and nothing is touched. That somebody made the server read-only is no sign
    /// of a switchover: without its row it is left alone.
    async fn cut_short(&mut self, from: usize, epoch: u64) -> Option<CutShort> {
        if !self.scene().members[from].is_answering() {
            return None;
        }
        let fleet = self.fleet.clone();
        let control = fleet.control(from);
        let marker = Marker::read(control).await;
        let marker = marker
            .inspect_err(|trouble| warn!(%trouble, "`splitrail.changes` cannot be read"))
            .ok()??;
        if marker.epoch <= epoch {
            return None;
        }
        if !matches!(Marker::lock(control).await, Ok(true)) {
            warn!("another proxy is changing the primary");
            return None;
        }
        // It may have been finished until just now.
        let all: Vec<_> = (0..self.config.servers.len()).collect();
        let scene = self.fresh(&all, self.config.failover.step_timeout).await;
        self.reigns = self.read_reigns(&scene).await;
        let epoch = self.reigns.first().map_or(epoch, |reign| reign.number.max(epoch));
        let cut = CutShort::of(scene, marker, from, epoch);
        if cut.is_none() {
            Marker::unlock(control).await;
        }
        cut
    }

    /// Completes what had reached its end in all but name, and undoes the rest.
    async fn resume(
        &mut self,
        scene: &Scene,
        entry: &Entry,
        found: Option<usize>,
        epoch: u64,
    ) -> (Option<usize>, u64) {
        let named = |name: &Option<String>| {
            let name = name.as_deref()?;
            scene.named(name)
        };
        let (from, to) = (named(&entry.from), named(&entry.to));
        let is_writable = |server: usize| {
            let status = scene.member(server).and_then(|member| member.status.as_deref());
            status.is_some_and(|status| !status.read_only)
        };
        self.tending.frozen.extend(0..scene.members.len());
        // One that is silent may have taken writes, and nobody else must before that is known.
        let is_silent = |server: usize| !scene.members[server].is_answering();
        let may_have_written = |to: &usize| is_writable(*to) || is_silent(*to);
        if let Some(to) = to.filter(|to| entry.stage >= Stage::Promoting && may_have_written(to)) {
            info!(
                server = scene.name(to),
                epoch = entry.epoch,
                "a change that was under way is completed"
            );
            self.tending.former.extend(from);
            if epoch < entry.epoch {
                self.complete_reign(scene, to, entry.epoch).await;
            }
            return (Some(to), entry.epoch.max(epoch));
        }
        let from = from.or(found);
        // Servers may have been moved behind it already.
        self.tending.former.extend(to.filter(|to| Some(*to) != from));
        info!(
            server = from.map_or("", |from| scene.name(from)),
            "a change that was under way is undone"
        );
        if let Some(from) = from.filter(|from| entry.kind == Kind::Switchover && !is_writable(*from)) {
            let course = Course::new(ReportKind::Switchover, scene.epoch);
            let text = format!("{} takes writes again", scene.name(from));
            let step = Step::new(scene, from, StepKind::Writable, true, text);
            let _ = Hands::new(&self.fleet, &course.steps, scene).perform(&step).await;
        }
        (from, epoch)
    }

    async fn complete_reign(&mut self, scene: &Scene, to: usize, epoch: u64) {
        let member = &scene.members[to];
        let Some(status) = member.status.as_deref() else {
            return;
        };
        let reign = Epoch {
            number: epoch,
            uuid: status.uuid.clone(),
            server_id: status.server_id,
            name: member.name.clone(),
            fork: member.position(),
        };
        if let Err(trouble) = reign
            .write(self.fleet.control(to), self.config.failover.step_timeout)
            .await
        {
            warn!(%trouble, "the row of the new epoch cannot be written");
        }
        self.reigns.insert(0, reign);
    }
}

// === impl CutShort ===

impl CutShort {
    fn of(scene: Scene, marker: Marker, from: usize, epoch: u64) -> Option<Self> {
        let member = &scene.members[from];
        if marker.epoch <= epoch || !marker.is_from(member) || !member.is_answering() {
            return None;
        }
        let writable: Vec<_> = (0..scene.members.len())
            .filter(|server| takes_writes(&scene, *server))
            .collect();
        let to = scene.members.iter().position(|member| *member.name == *marker.to);
        // Only when the old primary was stopped can the new one have been let write.
        let stage = match writable[..] {
            [] => Stage::Stopping,
            [only] if only == from => Stage::Stopping,
            [only] if Some(only) == to => Stage::Promoting,
            _ => return None,
        };
        let entry = Entry {
            kind: Kind::Switchover,
            stage,
            from: Some(member.name.to_string()),
            to: Some(marker.to.clone()),
            epoch: marker.epoch,
        };
        Some(Self {
            scene,
            marker,
            entry,
            epoch,
        })
    }
}

fn takes_writes(scene: &Scene, server: usize) -> bool {
    let member = &scene.members[server];
    member.is_answering() && member.status.as_deref().is_some_and(|status| !status.read_only)
}

/// The server of the latest reign.
fn of_reigns(scene: &Scene, reigns: &[Epoch]) -> Option<usize> {
    place(scene, reigns.first()?)
}

/// By identity, and by name where nobody with that identity answers.
pub(super) fn place(scene: &Scene, reign: &Epoch) -> Option<usize> {
    let is = |member: &Member| {
        let status = member.status.as_deref();
        status.is_some_and(|status| !reign.uuid.is_empty() && status.uuid == reign.uuid)
    };
    let by_identity = scene.members.iter().position(is);
    by_identity.or_else(|| {
        let named =
            |member: &Member| member.status.is_none() && member.name == reign.name && !member.is_gone();
        scene.members.iter().position(named)
    })
}

/// One that does not answer, and that nobody follows, has been replaced by the one whom others follow.
fn reachable(scene: &Scene, server: usize) -> usize {
    let is_followed = |source: usize| !scene.replicas_of(source).is_empty();
    if scene.members[server].is_answering() || is_followed(server) {
        return server;
    }
    let mut others = scene.members.iter().enumerate();
    let found = others.find(|(index, member)| member.is_answering() && is_followed(*index));
    found.map_or(server, |(index, _)| index)
}

/// A server that was promoted and has not yet forgotten whom it followed: it takes writes, and the other does not.
fn has_taken_over(scene: &Scene, server: usize, source: usize) -> bool {
    takes_writes(scene, server) && !takes_writes(scene, source)
}

/// A primary that follows another server is none: whoever it follows in the end is.
fn source_of(scene: &Scene, server: usize) -> usize {
    let mut at = server;
    for _ in 0..scene.members.len() {
        let next =
            (0..scene.members.len()).find(|source| *source != at && scene.channel(at, *source).is_some());
        match next {
            Some(source) if !has_taken_over(scene, at, source) => at = source,
            _ => return at,
        }
    }
    // They follow each other in a ring.
    server
}
