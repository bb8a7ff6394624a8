//! The second half: from the choice to a new primary that everybody follows.

use std::time::Duration;

use super::standing::drained;
use super::{Choice, Kind, SemiSyncAfter};
use crate::failover::scene::Scene;
use crate::failover::step::{Follow, Step, StepKind};
use crate::gtid::Position;
use crate::topology::ChannelTls;

/// What a replica is told whose source's rhythm is not known: rarer heartbeats make silent losses slow to notice.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// For one wait until everything is applied. Whoever executes it waits again while there is progress.
const DRAIN: Duration = Duration::from_secs(10);

/// The steps, in order; those in a row that are not needed may be done at once.
pub fn finish(scene: &Scene, choice: &Choice) -> Vec<Step> {
    let mut steps = catch_up(scene, choice);
    let candidate = choice.candidate;
    let name = scene.name(candidate);
    for sibling in &choice.siblings {
        let text = format!("{} follows {name}", scene.name(*sibling));
        let follow = follow(scene, choice, *sibling, candidate);
        steps.push(Step::new(scene, *sibling, StepKind::Follow(follow), false, text));
    }
    let channel = channel_name(scene, choice, candidate);
    let mut push = |kind, needed, text: String| steps.push(Step::new(scene, candidate, kind, needed, text));
    push(
        StepKind::Detach { channel },
        true,
        format!("{name} follows nobody any more"),
    );
    if choice.semi_sync == SemiSyncAfter::On {
        let text = format!("commits on {name} wait for a replica, as they did on the old primary");
        push(StepKind::SemiSync { on: true }, true, text);
    }
    push(StepKind::Writable, true, format!("{name} takes writes"));
    let on = choice.siblings.first().copied();
    push(
        StepKind::Verify { on },
        false,
        format!("a row written on {name} arrives on a replica"),
    );
    if choice.kind == Kind::Switchover {
        steps.extend(demote(scene, choice));
    }
    steps
}

/// The candidate gets and applies what it lacks.
fn catch_up(scene: &Scene, choice: &Choice) -> Vec<Step> {
    let mut steps = Vec::new();
    let (candidate, name) = (choice.candidate, scene.name(choice.candidate));
    let mut push = |server, kind, text: String| steps.push(Step::new(scene, server, kind, true, text));
    let drain = |position| StepKind::Drain {
        position,
        timeout: DRAIN,
    };
    if let Some(donor) = choice.fetch {
        let donor_name = scene.name(donor);
        let position = left(scene, donor, &drained(scene, donor));
        if !position.is_empty() {
            push(
                donor,
                drain(position),
                format!("{donor_name} applies what it has fetched"),
            );
        }
        let follow = follow(scene, choice, candidate, donor);
        let text = format!("{name} fetches from {donor_name} what it lacks");
        push(candidate, StepKind::Follow(follow), text);
    }
    let position = left(scene, candidate, &choice.position);
    if !position.is_empty() {
        push(
            candidate,
            drain(position),
            format!("{name} applies all that it is to have"),
        );
    }
    steps
}

/// What a server has yet to apply. MariaDB waits for what was replicated alone, and for ever for what the server
/// wrote itself.
fn left(scene: &Scene, index: usize, position: &Position) -> Position {
    let Some(member) = scene.member(index) else {
        return Position::Empty;
    };
    position.minus(&member.executed())
}

fn channel_name(scene: &Scene, choice: &Choice, replica: usize) -> String {
    let channel = choice.from.and_then(|from| scene.channel(replica, from));
    channel.map(|channel| channel.name.clone()).unwrap_or_default()
}

fn follow(scene: &Scene, choice: &Choice, replica: usize, source: usize) -> Follow {
    let channel = choice.from.and_then(|from| scene.channel(replica, from));
    Follow {
        source: address(scene, source),
        source_name: scene.name(source).into(),
        channel: channel_name(scene, choice, replica),
        login: None,
        tls: None,
        heartbeat: channel.and_then(|channel| channel.heartbeat).or(Some(HEARTBEAT)),
        demoted: false,
    }
}

fn address(scene: &Scene, index: usize) -> crate::config::Address {
    match scene.member(index) {
        Some(member) => member.address.clone(),
        None => crate::config::Address::Unix(std::path::PathBuf::new()),
    }
}

/// The old primary follows the new one, as the new one followed it.
fn demote(scene: &Scene, choice: &Choice) -> Vec<Step> {
    let Some(from) = choice.from else {
        return Vec::new();
    };
    let (old, new) = (scene.name(from), scene.name(choice.candidate));
    let mut steps = Vec::new();
    let mut push = |kind, text: String| steps.push(Step::new(scene, from, kind, false, text));
    let is_semi_sync = choice.semi_sync != SemiSyncAfter::Off;
    if is_semi_sync {
        push(
            StepKind::Acknowledge,
            format!("{old} acknowledges what it fetches"),
        );
    }
    let text = format!("{old} follows {new}");
    push(StepKind::Follow(rejoin(scene, choice.candidate)), text);
    if is_semi_sync {
        // Takes MySQL up to a second, for which nobody has to wait: what is fetched is acknowledged meanwhile,
        // though the old primary applies nothing before.
        let text = format!("commits on {old} wait for nobody");
        push(StepKind::SemiSync { on: false }, text);
    }
    steps
}

/// How a server that was the primary follows the one that is: with the account of the configuration, and TLS and
/// heartbeats as the new primary had them when it was a replica.
pub fn rejoin(scene: &Scene, primary: usize) -> Follow {
    let channels = |index: usize| scene.member(index)?.status.as_ref()?.channels.as_deref();
    let mut examples = channels(primary).into_iter().flatten();
    let others = scene.others().filter_map(|(index, _)| channels(index)?.first());
    let example = examples.next().or_else(|| others.into_iter().next());
    Follow {
        source: address(scene, primary),
        source_name: scene.name(primary).into(),
        channel: String::new(),
        login: scene.settings.replication.clone(),
        tls: Some(example.map_or_else(ChannelTls::default, |channel| channel.tls.clone())),
        heartbeat: example.and_then(|channel| channel.heartbeat).or(Some(HEARTBEAT)),
        demoted: true,
    }
}
