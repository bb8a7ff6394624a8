//! The first half: checks, and how to stop the old primary and its replicas.

use super::{Refusal, Wish};
use crate::failover::scene::Scene;
use crate::failover::step::Step;

/// How everything is stopped before anybody is chosen.
#[derive(Debug, Clone)]
pub struct Preparation {
    /// The primary until now.
    pub from: Option<usize>,
    /// Who would be promoted as things stand. The choice is made anew on the frozen scene.
    pub expected: Option<usize>,
    /// On the old primary, each with a deadline.
    pub fence: Vec<Step>,
    /// On the replicas, all at once.
    pub freeze: Vec<Step>,
    /// What brings everything back to how it was, as long as nobody has been promoted.
    pub undo: Vec<Step>,
}

pub fn prepare(scene: &Scene, wish: &Wish) -> Result<Preparation, Refusal> {
    let _ = (scene, wish);
    Err(Refusal::of("nothing is planned yet"))
}
