//! The second half: from the choice to a new primary that everybody follows.

use super::Choice;
use crate::failover::scene::Scene;
use crate::failover::step::Step;

pub fn finish(scene: &Scene, choice: &Choice) -> Vec<Step> {
    let _ = (scene, choice);
    Vec::new()
}
