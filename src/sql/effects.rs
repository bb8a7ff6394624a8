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
    /// Whether its result, or a variable that it sets, may show what is in tables, so that the session has seen that.
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
        let keeps = self.features.has(Flags::ASSIGNS_USER_VARIABLE);
        (has(&shows) || self.class.is_read() || keeps) && !names_none
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, analyse};

    #[test]
    fn what_names_no_table_has_seen_nothing() {
        let reads = |text: &str| analyse(text.as_bytes(), Dialect::default()).may_read_tables();
        for text in [
            "SELECT a FROM t",
            "SELECT f()",
            "SELECT a FROM t FOR UPDATE",
            "DO f()",
            "DO @a := (SELECT MAX(a) FROM t)",
            "SET @a = (SELECT MAX(a) FROM t)",
            "SELECT MAX(a) FROM t INTO @a",
            "CALL p()",
            "EXECUTE s",
            "CHECKSUM TABLE t",
        ] {
            assert!(reads(text), "{text}");
        }
        for text in [
            "DO 0",
            "DO SLEEP(1), RELEASE_ALL_LOCKS()",
            "SELECT SLEEP(1)",
            "SELECT @@server_id",
            "SET @a = 1",
            "SET NAMES utf8mb4",
            "USE other",
            "BEGIN",
            "COMMIT",
            "UPDATE t SET a = 1",
        ] {
            assert!(!reads(text), "{text}");
        }
    }
}
