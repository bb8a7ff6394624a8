//! What a server has of its own is saved to a file and thrown away, so that it can follow the primary again.

use super::coordinator::Coordinator;
use super::course::Course;
use super::scene::Scene;
use crate::gtid::Position;

// === impl Coordinator ===

impl Coordinator {
    pub(super) async fn discard(
        &mut self,
        _scene: &Scene,
        _primary: usize,
        _server: usize,
        _extra: &Position,
        _course: &Course,
    ) -> Result<(), String> {
        Err("not yet".to_owned())
    }
}
