//! What a statement's text says beyond its features, read before it runs and believed once it has run.

use super::observation::Observation;
use super::session::Session;
use super::user_variables::Settings;
use crate::sql::{self, Features, Flags, UserAssignment, Verb};

#[derive(Debug)]
pub(super) struct Announced {
    /// Whose text it was: a statement that never ran leaves its announcement behind.
    features: Features,
    assignments: Vec<UserAssignment>,
}

/// With one of these the text is not all that happens.
const MORE: Flags = Flags::SEVERAL
    .union(Flags::BROKEN)
    .union(Flags::STORED_PROGRAM)
    .union(Flags::UNKNOWN_CALL)
    .union(Flags::SET_STATEMENT);

// === impl Session ===

impl Session {
    /// A QUERY with this text is about to run. Without the announcement the session holds its connection where it
    /// might have remembered what the statement did.
    pub fn announce(&mut self, text: &[u8], features: &Features) {
        self.announced = None;
        let assigns = features.verb == Verb::Set && features.has(Flags::ASSIGNS_USER_VARIABLE);
        if !assigns || features.has(MORE) {
            return;
        }
        self.announced = sql::user_assignments(text, self.dialect).map(|assignments| Announced {
            features: *features,
            assignments,
        });
    }

    /// Notes the values that user variables were set to. False when there are others, or too many.
    pub(super) fn carry_user_variables(&mut self, features: &Features, observed: &Observation) -> bool {
        let Some(announced) = self.announced.take() else {
            return false;
        };
        if announced.features != *features || observed.failed || observed.warnings > 0 {
            return false;
        }
        let settings = Settings {
            variables: &self.state.variables,
            dialect: self.dialect,
            is_unsure: self.is_unsure,
        };
        let Some(known) = self.state.user_variables.with(&announced.assignments, settings) else {
            return false;
        };
        self.state.user_variables = known;
        true
    }
}
