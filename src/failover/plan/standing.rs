//! Where each server stands: what it has, what it can come to have by itself, and what it should not have.

use crate::failover::scene::{Member, Scene};
use crate::gtid::Position;
use crate::topology::{Channel, Status, Thread, ThreadState};

/// One server that answers and is not the primary.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) index: usize,
    /// What it has in any form, but for what is errant.
    pub(super) holds: Position,
    /// What it has once it has applied all that it can.
    pub(super) drained: Position,
    /// What it has applied already.
    pub(super) executed: Position,
    /// What it has and the primary never had.
    pub(super) errant: Position,
    /// It follows the primary.
    pub(super) follows: bool,
    pub(super) filtered: bool,
    pub(super) delayed: bool,
    /// Its SQL thread stopped with an error, and this much stays unapplied.
    pub(super) stuck: Option<String>,
}

/// All of them that can be taken into account.
pub(super) fn standings(scene: &Scene) -> Vec<Standing> {
    let usable = |member: &Member| member.is_answering() && member.quarantined.is_none();
    let others = scene.others().filter(|(_, member)| usable(member));
    others
        .filter_map(|(index, member)| Some(Standing::of(scene, index, member, member.status.as_deref()?)))
        .collect()
}

/// All that any of them has.
pub(super) fn known(standings: &[Standing]) -> Position {
    let mut known = Position::Empty;
    for standing in standings {
        known.merge(&standing.holds);
    }
    known
}

/// What one server has once it has applied all that it can.
pub(super) fn drained(scene: &Scene, index: usize) -> Position {
    let standing = standings(scene)
        .into_iter()
        .find(|standing| standing.index == index);
    standing.map(|standing| standing.drained).unwrap_or_default()
}

// === impl Standing ===

impl Standing {
    fn of(scene: &Scene, index: usize, member: &Member, status: &Status) -> Self {
        let channel = scene.primary.and_then(|primary| scene.channel(index, primary));
        let errant = errant(scene, index, member, status, channel);
        let mut holds = Position::Empty;
        for part in parts(status) {
            holds.merge(&without(part, &errant));
        }
        let executed = member.executed();
        let drained = if channel.is_some_and(|channel| can_drain(status, channel)) {
            member.position()
        } else {
            executed.clone()
        };
        let stuck = channel
            .filter(|channel| has_failed(&channel.sql))
            .map(|channel| format!("{} {}", channel.sql.code, channel.sql.message));
        Self {
            index,
            holds,
            drained,
            executed,
            errant,
            follows: channel.is_some(),
            filtered: channel.is_some_and(|channel| channel.filtered),
            delayed: channel.is_some_and(|channel| !channel.delay.is_zero()),
            stuck,
        }
    }
}

/// Everything that a server says of what it has.
fn parts(status: &Status) -> impl Iterator<Item = &Position> {
    let channels = status.channels.as_deref().unwrap_or_default();
    let fetched = channels.iter().filter(|channel| channel.by_gtid);
    [&status.executed]
        .into_iter()
        .chain(&status.applied)
        .chain(fetched.map(|channel| &channel.retrieved))
}

/// MariaDB's positions name the last transaction of each domain: what stands before an errant one is not errant.
fn without(part: &Position, errant: &Position) -> Position {
    match (part, errant) {
        (Position::MariaDb(part), Position::MariaDb(errant)) => part.unlike(errant).into(),
        (part, errant) => part.minus(errant),
    }
}

/// Whether what it has fetched can be applied without asking anybody.
fn can_drain(status: &Status, channel: &Channel) -> bool {
    let stopped = |thread: &Thread| thread.state == ThreadState::Stopped;
    // MariaDB throws away what was fetched when it starts with both threads stopped, and to change the delay
    // both have to be.
    let thrown_away = status.mariadb && stopped(&channel.sql) && stopped(&channel.io);
    let waits = status.mariadb && !channel.delay.is_zero();
    channel.by_gtid && !has_failed(&channel.sql) && !thrown_away && !waits
}

pub(super) fn has_failed(thread: &Thread) -> bool {
    thread.state == ThreadState::Stopped && thread.code != 0
}

/// What a server has that did not come from the primary: written there by somebody, or left from the time when it
/// was the primary itself.
///
/// What the primary is not known to have had is its own as long as the primary wrote it. On MariaDB, where a
/// position names but the last transaction of each domain, that holds for the last of them; a write of the
/// server's own beyond what it has replicated is told by `gtid_current_pos`, whatever its number.
fn errant(
    scene: &Scene,
    index: usize,
    member: &Member,
    status: &Status,
    channel: Option<&Channel>,
) -> Position {
    let last_seen = &scene.last_seen;
    let mut errant = own_writes(status, last_seen);
    if last_seen.is_empty() {
        // Nothing is known of the primary: what the server wrote itself and another one lacks is suspect.
        let written = member.position().written_by(&status.uuid, status.server_id);
        for (_, other) in scene.others().filter(|(other, _)| *other != index) {
            if other.is_answering() && !status.mariadb {
                errant.merge(&written.minus(&other.position()));
            }
        }
        return errant;
    }
    let primary = scene
        .primary
        .and_then(|primary| scene.member(primary)?.status.as_deref());
    let (uuid, id) = match (primary, channel) {
        (Some(primary), _) => (primary.uuid.as_str(), primary.server_id),
        (None, Some(channel)) => (channel.source_uuid.as_str(), channel.source_id),
        (None, None) => ("", 0),
    };
    for part in parts(status) {
        let surplus = part.minus(last_seen);
        errant.merge(&surplus.minus(&surplus.written_by(uuid, id)));
        if let (Position::MariaDb(part), Position::MariaDb(last_seen)) = (part, last_seen) {
            errant.merge(&part.conflicts(last_seen).into());
        }
    }
    errant
}

/// MariaDB: what the server wrote itself after all that it has replicated, and the primary does not name.
fn own_writes(status: &Status, last_seen: &Position) -> Position {
    let Some(applied) = &status.applied else {
        return Position::Empty;
    };
    let own = status
        .executed
        .minus(applied)
        .written_by(&status.uuid, status.server_id);
    match (own, last_seen) {
        (Position::MariaDb(own), Position::MariaDb(last_seen)) => own.unlike(last_seen).into(),
        (own, _) => own,
    }
}
