//! What follows from the facts about a statement.

use std::sync::Arc;

use super::facts::{Class, Facts};
use super::features::Features;
use super::flags::Flags;
use super::hint::Hint;
use super::reason::Reason;
use super::verb::Verb;

// === impl Facts ===

impl Default for Facts {
    /// Of a command that is no statement: it concerns the session alone.
    fn default() -> Self {
        Self {
            features: Features::default(),
            class: Class::Session,
            reason: Reason::OnlyReads,
            tables: Some(Box::default()),
            calls: Box::default(),
            hint: Hint::default(),
            own: None,
            digest: 0,
            shape: Arc::default(),
        }
    }
}

impl Facts {
    /// Whether its result may show what is in tables, so that the session has seen that.
    pub fn may_read_tables(&self) -> bool {
        let names_none = self.tables.as_ref().is_some_and(|tables| tables.is_empty());
        let runs = [
            Verb::Call,
            Verb::Execute,
            Verb::ExecuteImmediate,
            Verb::Compound,
            Verb::Other,
        ];
        let shows = [
            Verb::Select,
            Verb::With,
            Verb::Table,
            Verb::Values,
            Verb::Handler,
            Verb::Checksum,
        ];
        let has = |verbs: &[Verb]| verbs.iter().any(|verb| self.features.verbs.contains(*verb));
        if self.features.has(Flags::BROKEN | Flags::UNKNOWN_CALL) || has(&runs) {
            return true;
        }
        (has(&shows) || self.class.is_read()) && !names_none
    }
}
