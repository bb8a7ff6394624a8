//! A proxy beside one that decides: it changes no server, and takes up what the other one has changed. Whoever makes
//! a server the primary writes a row there, the first of its reign; a server without a newer row is no successor,
//! however writable it is.

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tracing::info;

use super::coordinator::{Asked, Coordinator, TICK};
use super::epoch::Epoch;
use super::handle::Command;
use super::plan::Refusal;
use super::scene::{Member, Scene};
use super::settle::place;
use super::verdict::judge;
use crate::topology::{Event, EventKind};

const REFUSAL: &str = "`failover.mode` is follow: ask the proxy that decides";

// === impl Coordinator ===

impl Coordinator {
    pub(super) async fn follow(
        mut self,
        mut inbox: mpsc::Receiver<Command>,
        (mut configs, mut rests): Asked,
    ) {
        let mut observed = self.topology.observed();
        self.find_primary().await;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(command) => command.reply(Err(Refusal::of(REFUSAL))),
                    None => return,
                },
                Ok(()) = configs.changed() => self.adopt(configs.borrow_and_update().clone()),
                // It does nothing that another process could be in the way of.
                Some(rest) = rests.recv() => drop(rest.answer.send(Ok(()))),
                _ = observed.changed() => self.take_up().await,
                _ = ticks.tick() => self.take_up().await,
            }
        }
    }

    /// Takes up a newer reign as soon as its server takes writes. Until then nobody writes to a primary that is
    /// read-only: somebody is about to replace it.
    async fn take_up(&mut self) {
        let scene = self.scene();
        let analysis = judge(&scene);
        self.tell(&scene, &analysis);
        self.shared.publish(analysis, scene.clone());
        let Some(primary) = scene.primary else {
            return;
        };
        let old = scene.member(primary);
        let is_alone = !scene.others().any(|(_, member)| takes_writes(member));
        match old.is_some_and(takes_writes) {
            true if is_alone => return self.topology.gate().open(primary),
            true => {}
            // Nobody else could be it, and of one that is silent the others know nothing yet.
            false if is_alone => {
                if old.is_some_and(Member::is_answering) {
                    self.topology
                        .gate()
                        .shut("the primary takes no writes, and no other server does yet");
                }
                return;
            }
            false => {}
        }
        self.reigns = self.read_reigns(&scene).await;
        if let Some((server, number)) = successor(&scene, &self.reigns, primary) {
            self.change_to(&scene, primary, server, number);
        }
    }

    fn change_to(&self, scene: &Scene, old: usize, new: usize, epoch: u64) {
        self.topology.set_primary(new, epoch);
        self.topology.gate().open(new);
        info!(
            from = scene.name(old),
            to = scene.name(new),
            epoch,
            "another proxy has changed the primary"
        );
        let text = format!(
            "it is the primary instead of {}: so says its reign",
            scene.name(old)
        );
        let event = Event::new(EventKind::Failover, Some(scene.name(new)), text);
        self.topology.events().record(event);
        self.topology.hurry(new);
    }
}

fn takes_writes(member: &Member) -> bool {
    let status = member.status.as_deref();
    member.is_answering() && status.is_some_and(|status| !status.read_only)
}

/// The server of a reign that is newer than ours, if it takes writes.
fn successor(scene: &Scene, reigns: &[Epoch], primary: usize) -> Option<(usize, u64)> {
    let reign = reigns.first().filter(|reign| reign.number > scene.epoch)?;
    let server = place(scene, reign).filter(|server| *server != primary)?;
    scene
        .member(server)
        .is_some_and(takes_writes)
        .then_some((server, reign.number))
}
