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
    let _ = (scene, wish);
    Err(Refusal::of("nothing is planned yet"))
}
