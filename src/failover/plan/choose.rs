//! Who is promoted.

use super::{Kind, Refusal, Wish};
use crate::failover::scene::Scene;
use crate::gtid::Position;

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

pub fn choose(scene: &Scene, wish: &Wish) -> Result<Choice, Refusal> {
    let from = scene.primary;
    let replicas: Vec<_> = from.map(|from| scene.replicas_of(from)).unwrap_or_default();
    let replicas: Vec<_> = replicas
        .into_iter()
        .filter(|index| scene.members[*index].is_answering())
        .collect();
    let mut best: Option<usize> = wish.to;
    for index in &replicas {
        if wish.to.is_none()
            && best.is_none_or(|best| {
                !scene.members[best]
                    .position()
                    .contains(&scene.members[*index].position())
            })
        {
            best = Some(*index);
        }
    }
    let candidate = best.ok_or_else(|| Refusal::of("nobody"))?;
    let position = scene.members[candidate].position();
    let lost = if wish.kind == Kind::Failover {
        scene.last_seen.minus(&position)
    } else {
        Position::Empty
    };
    let gap = if wish.kind == Kind::Failover {
        scene.last_seen.ahead_of(&position)
    } else {
        0
    };
    Ok(Choice {
        kind: wish.kind,
        from,
        candidate,
        fetch: None,
        position,
        lost,
        gap,
        semi_sync: SemiSyncAfter::On,
        siblings: replicas.into_iter().filter(|index| *index != candidate).collect(),
        why: vec!["it has most".to_owned()],
    })
}
