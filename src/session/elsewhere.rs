use super::{Hold, Observation, Session};
use crate::sql::Features;
impl Session {
    pub fn settle_elsewhere(&mut self, _features: &Features, observed: &Observation) {
        self.holds.set(Hold::Diagnostics, observed.warnings > 0);
    }
}
