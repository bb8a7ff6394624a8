//! Who is promoted.

use std::cmp::Reverse;

use super::standing::{Standing, known, standings};
use super::{Kind, Refusal, Wish};
use crate::config::{Address, Promote};
use crate::failover::scene::{Scene, is_connected};
use crate::failover::step::Dialect;
use crate::gtid::Position;
use crate::topology::Admin;

/// Who is promoted, and at what price.
#[derive(Debug, Clone)]
pub struct Choice {
    pub kind: Kind,
    pub from: Option<usize>,
    pub candidate: usize,
    /// Who has what the candidate lacks, and hands it over first.
    pub fetch: Option<usize>,
    /// What the candidate has to have applied before it is promoted.
    pub position: Position,
    /// Transactions that somebody is known to have had and that are lost with this choice.
    pub lost: Position,
    /// How many those are.
    pub gap: u64,
    pub semi_sync: SemiSyncAfter,
    /// The reachable servers that follow the new primary.
    pub siblings: Vec<usize>,
    /// The reachable servers that cannot, for what they have and the primary never had.
    pub diverged: Vec<(usize, Position)>,
    /// Why this one, a line each.
    pub why: Vec<String>,
}

/// Whether commits on the new primary wait for a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SemiSyncAfter {
    Off,
    On,
    /// As soon as a replica follows: nobody is left to acknowledge now.
    Later,
}

/// One that may be promoted, and what that would take. The least is the best.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Prospect {
    standing: usize,
    donor: Option<usize>,
    position: Position,
    lost: Position,
    gap: u64,
    rank: Rank,
}

/// In the order in which they count: first what is lost and what has to be fetched from others, and only among
/// those that are equal in that, what the operator prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    gap: u64,
    missing: u64,
    delayed: bool,
    newer: bool,
    preferred: Reverse<u8>,
    elsewhere: bool,
    unapplied: u64,
    index: usize,
}

/// Chooses on the scene as it is: for a failover, after everything has been frozen.
pub fn choose(scene: &Scene, wish: &Wish) -> Result<Choice, Refusal> {
    let standings = standings(scene);
    let able = able(scene, wish, &standings)?;
    let options = able.iter().map(|place| weigh(scene, wish, &standings, *place));
    let Some(best) = options.min_by_key(|option| option.rank) else {
        return Err(Refusal::of("there is nobody to promote"));
    };
    let mut reasons = Vec::new();
    // Where commits wait for a replica and every such replica answers, what the primary alone has was never
    // acknowledged to anybody: it is told, and is no loss. But for what clients of this proxy were told of.
    let counts = if commits_wait(scene) {
        let mut known = known(&standings);
        known.extend(&scene.acknowledged);
        known.ahead_of(&best.position)
    } else {
        best.gap
    };
    if counts > scene.settings.max_gap && !wish.force {
        reasons.push(format!(
            "promoting {} would lose {} transactions ({}), and `failover.max_gap` is {}; FORCE loses them",
            scene.name(standings[best.standing].index),
            best.gap,
            best.lost,
            scene.settings.max_gap
        ));
    }
    if wish.kind == Kind::Failover && !wish.force {
        reasons.extend(unaccounted(scene));
    }
    if !reasons.is_empty() {
        return Err(Refusal { reasons });
    }
    Ok(decided(scene, wish, &standings, best))
}

/// Those that may be promoted, as places among the standings; or why nobody may.
pub(super) fn able(scene: &Scene, wish: &Wish, standings: &[Standing]) -> Result<Vec<usize>, Refusal> {
    let (mut able, mut reasons) = (Vec::new(), Vec::new());
    if wish.to.is_some_and(|to| Some(to) == scene.primary) {
        return Err(Refusal::of("it is the primary already"));
    }
    for (index, member) in scene.others() {
        if wish.to.is_some_and(|to| to != index) {
            continue;
        }
        let standing = standings.iter().position(|standing| standing.index == index);
        let mut objections = Vec::new();
        if let Some(why) = &member.quarantined {
            objections.push(format!("it is quarantined: {why}"));
        } else if standing.is_none() {
            objections.push("it does not answer the monitor in full".to_owned());
        }
        objections.extend(by_will(member.promote, member.admin).map(str::to_owned));
        if let Some(standing) = standing.map(|place| &standings[place]) {
            objections.extend(by_kind(scene, index, wish.kind));
            if !(wish.force && wish.to == Some(index)) {
                objections.extend(by_state(standing));
            }
        }
        match standing {
            Some(place) if objections.is_empty() => able.push(place),
            _ => reasons.push(format!("{}: {}", member.name, objections.join(", "))),
        }
    }
    if able.is_empty() {
        if reasons.is_empty() {
            reasons.push("there is no other server".to_owned());
        }
        return Err(Refusal { reasons });
    }
    Ok(able)
}

/// What the operator has said of it before.
fn by_will(promote: Promote, admin: Admin) -> impl Iterator<Item = &'static str> {
    let never = (promote == Promote::Never).then_some("it has `promote: never`");
    let maintenance = (admin == Admin::Maintenance).then_some("it is in maintenance");
    never.into_iter().chain(maintenance)
}

/// What no force overcomes.
fn by_kind(scene: &Scene, index: usize, kind: Kind) -> Vec<String> {
    let mut all = Vec::new();
    let Some(member) = scene.member(index) else {
        return all;
    };
    let flavour = |index: usize| scene.member(index)?.status.as_ref().map(|status| status.mariadb);
    let primary = scene.primary.and_then(flavour);
    if primary.is_some_and(|primary| Some(primary) != flavour(index)) {
        all.push("it is of the other flavour than the primary".to_owned());
    }
    let has_siblings = scene.others().any(|(other, _)| other != index);
    if has_siblings && matches!(member.address, Address::Unix(_)) {
        all.push("others cannot follow it: its address is a Unix socket".to_owned());
    }
    if kind == Kind::Switchover {
        let channel = scene.primary.and_then(|primary| scene.channel(index, primary));
        if !channel.is_some_and(|channel| is_connected(channel) && channel.by_gtid) {
            all.push("it is not connected to the primary, or not by GTID".to_owned());
        }
    }
    all
}

/// What an operator who names this server may overcome by force.
fn by_state(standing: &Standing) -> Vec<String> {
    let mut all = Vec::new();
    if !standing.follows {
        all.push("it does not follow the primary".to_owned());
    }
    if !standing.errant.is_empty() {
        // A former primary that has just come back wrote all that it has: whether the present one has it is seen later.
        let has = if standing.follows { "has" } else { "may have" };
        all.push(format!(
            "it {has} what the primary never had: {}",
            standing.errant
        ));
    }
    if standing.filtered {
        all.push("it leaves out some of what the primary sends".to_owned());
    }
    if let Some(why) = &standing.stuck {
        all.push(format!("its SQL thread has failed: {why}"));
    }
    all
}

/// What promoting one would take.
fn weigh(scene: &Scene, wish: &Wish, standings: &[Standing], place: usize) -> Prospect {
    let standing = &standings[place];
    let mut all = known(standings);
    all.merge(&scene.last_seen);
    let own = match wish.kind {
        // The primary is there and sends what is missing.
        Kind::Switchover => {
            let mut own = standing.drained.clone();
            own.merge(&scene.last_seen);
            own
        }
        Kind::Failover => standing.drained.clone(),
    };
    let missing = known(standings).ahead_of(&own);
    let donor = if missing == 0 {
        None
    } else {
        donor(scene, standings, place, &all, &own)
    };
    let mut position = own;
    if let Some(donor) = donor.and_then(|donor| standings.iter().find(|one| one.index == donor)) {
        position.merge(&donor.drained);
    }
    let lost = all.minus(&position);
    let gap = all.ahead_of(&position);
    let unapplied = position.ahead_of(&standing.executed);
    Prospect {
        standing: place,
        donor,
        rank: rank(scene, standing, gap, missing, unapplied),
        position,
        lost,
        gap,
    }
}

/// Who can hand over the most of what this one lacks.
fn donor(
    scene: &Scene,
    standings: &[Standing],
    place: usize,
    all: &Position,
    own: &Position,
) -> Option<usize> {
    let can_give = |standing: &&Standing| {
        let address = scene.member(standing.index).map(|member| &member.address);
        // Whoever has something errant would hand that over too.
        standing.index != standings[place].index
            && standing.errant.is_empty()
            && !standing.filtered
            && matches!(address, Some(Address::Tcp { .. }))
    };
    let left = |standing: &Standing| {
        let mut together = own.clone();
        together.merge(&standing.drained);
        all.ahead_of(&together)
    };
    let best = standings.iter().filter(can_give).min_by_key(|one| left(one))?;
    (left(best) < all.ahead_of(own)).then_some(best.index)
}

fn rank(scene: &Scene, standing: &Standing, gap: u64, missing: u64, unapplied: u64) -> Rank {
    let member = scene.member(standing.index);
    let place = |index: usize| scene.member(index)?.data_center.clone();
    let home = scene.primary.and_then(place);
    let promote = member.map_or(Promote::Normal, |member| member.promote);
    Rank {
        gap,
        missing,
        delayed: standing.delayed,
        newer: is_newer(scene, standing.index),
        preferred: Reverse(u8::from(promote == Promote::Prefer)),
        elsewhere: home.is_some() && place(standing.index) != home,
        unapplied,
        index: standing.index,
    }
}

/// Whether another server would have to follow a newer series than its own.
fn is_newer(scene: &Scene, index: usize) -> bool {
    let series = |index: usize| {
        let status = scene.member(index)?.status.as_deref()?;
        let (major, minor, _) = Dialect::of(status).version;
        Some((major, minor))
    };
    let own = series(index);
    let mut others = scene.others().filter(|(other, _)| *other != index);
    others.any(|(other, _)| series(other).is_some_and(|other| own > Some(other)))
}

/// Whether the primary's commits waited for replicas when it answered last, and all those are here.
fn commits_wait(scene: &Scene) -> bool {
    let status = scene
        .primary
        .and_then(|primary| scene.member(primary)?.status.as_ref());
    let waits =
        status.is_some_and(|status| status.semi_sync.source == Some(true) && status.semi_sync.clients > 0);
    waits && unaccounted(scene).is_none()
}

/// Replicas that cannot be reached, while the primary's commits waited for any one of them.
fn unaccounted(scene: &Scene) -> Option<String> {
    let primary = scene.primary?;
    let semi_sync = scene.member(primary)?.status.as_ref()?.semi_sync;
    if semi_sync.source != Some(true) {
        return None;
    }
    let here = scene.replicas_of(primary).into_iter().filter(|index| {
        let member = scene.member(*index);
        member.is_some_and(|member| {
            let acknowledges = member
                .status
                .as_ref()
                .is_some_and(|status| status.semi_sync.replica.is_some());
            member.is_answering() && acknowledges
        })
    });
    let here = here.count();
    let were = usize::try_from(semi_sync.clients).unwrap_or(usize::MAX);
    (here < were).then(|| {
        format!(
            "{were} replicas acknowledged the primary's commits and {here} of them answer: another may alone have \
             a commit that a client was told of; FORCE goes without it"
        )
    })
}

fn decided(scene: &Scene, wish: &Wish, standings: &[Standing], best: Prospect) -> Choice {
    let candidate = standings[best.standing].index;
    let errant = |standing: &&Standing| !standing.errant.is_empty() && standing.index != candidate;
    let diverged = standings.iter().filter(errant);
    let diverged: Vec<_> = diverged.map(|one| (one.index, one.errant.clone())).collect();
    let follows =
        |standing: &&Standing| standing.index != candidate && standing.errant.is_empty() && standing.follows;
    let siblings: Vec<_> = standings.iter().filter(follows).map(|one| one.index).collect();
    let why = reasons(scene, standings, &best, &diverged);
    Choice {
        kind: wish.kind,
        from: scene.primary,
        candidate,
        fetch: best.donor,
        semi_sync: semi_sync(scene, wish, candidate, &siblings),
        position: best.position,
        lost: best.lost,
        gap: best.gap,
        siblings,
        diverged,
        why,
    }
}

fn semi_sync(scene: &Scene, wish: &Wish, candidate: usize, siblings: &[usize]) -> SemiSyncAfter {
    let of = |index: usize| Some(scene.member(index)?.status.as_ref()?.semi_sync);
    let was_on = scene
        .primary
        .and_then(of)
        .is_some_and(|semi_sync| semi_sync.source == Some(true) || semi_sync.clients > 0);
    let can = of(candidate).is_some_and(|semi_sync| semi_sync.source.is_some());
    let acknowledges = |index: usize| of(index).is_some_and(|semi_sync| semi_sync.replica.is_some());
    let demoted = scene.primary.filter(|_| wish.kind == Kind::Switchover);
    let somebody = siblings.iter().copied().chain(demoted).any(acknowledges);
    match (was_on && can, somebody) {
        (false, _) => SemiSyncAfter::Off,
        (true, true) => SemiSyncAfter::On,
        (true, false) => SemiSyncAfter::Later,
    }
}

fn reasons(
    scene: &Scene,
    standings: &[Standing],
    best: &Prospect,
    diverged: &[(usize, Position)],
) -> Vec<String> {
    let standing = &standings[best.standing];
    let name = scene.name(standing.index);
    let mut why = Vec::new();
    match best.donor {
        None if best.rank.missing == 0 => why.push(format!("{name} has all that any reachable server has")),
        None => why.push(format!("{name} has the most that can be had")),
        Some(donor) => {
            let (donor, missing) = (scene.name(donor), best.rank.missing);
            why.push(format!(
                "{name} fetches {missing} transactions from {donor} first"
            ));
        }
    }
    if best.rank.unapplied > 0 {
        why.push(format!(
            "{} transactions are still to be applied there",
            best.rank.unapplied
        ));
    }
    if best.gap > 0 {
        why.push(format!("{} transactions are lost: {}", best.gap, best.lost));
    }
    if best.rank.preferred == Reverse(1) {
        why.push(format!("{name} has `promote: prefer`"));
    }
    for (index, errant) in diverged {
        why.push(format!(
            "{} is left out: it has what the primary never had: {errant}",
            scene.name(*index)
        ));
    }
    why
}
