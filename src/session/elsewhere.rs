use super::{Hold, Observation, Session};
use crate::sql::Features;
impl Hold {
    pub fn name(self) -> &'static str {
        "hold"
    }
    pub fn text(self) -> &'static str {
        "hold"
    }
}
impl Session {
    pub fn must_stay(&self, _features: &Features, _tables: Option<&[crate::sql::Table]>) -> Option<Hold> {
        self.holds.iter().find(|hold| *hold != Hold::Diagnostics)
    }
    pub fn settle_elsewhere(&mut self, _features: &Features, observed: &Observation) {
        self.holds.set(Hold::Diagnostics, observed.warnings > 0);
    }
}
