//! What a statement's text says beyond its features, read before it runs and believed once it has run.

use std::sync::Arc;

use super::observation::Observation;
use super::session::Session;
use super::statements::Template;
use super::user_variables::{self, Settings};
use crate::sql::{self, Features, Flags, InsertedIds, LockCall, TableChange, UserAssignment, Verb};

#[derive(Debug)]
pub(super) struct Announced {
    /// Whose text it was: a statement that never ran leaves its announcement behind.
    features: Features,
    schema: Option<Arc<[u8]>>,
    pub meaning: Meaning,
}

#[derive(Debug)]
pub(super) enum Meaning {
    Assigns(Vec<UserAssignment>),
    /// Names these user variables and lets the server put what it knows into some of them.
    Reports(Vec<Box<[u8]>>),
    Changes(TableChange),
    Locks(LockCall),
}

/// With one of these the text is not all that happens.
const MORE: Flags = Flags::SEVERAL.union(Flags::BROKEN).union(Flags::STORED_PROGRAM);

// === impl Session: before a statement ===

impl Session {
    /// A QUERY with this text is about to run. Without the announcement the session holds its connection where it
    /// might have remembered what the statement did.
    pub fn announce(&mut self, text: &[u8], features: &Features) {
        self.inserting = sql::inserted_ids(text, features, self.dialect);
        self.announced = self.meaning(text, features).map(|meaning| Announced {
            features: *features,
            schema: self.state.schema.clone(),
            meaning,
        });
    }

    /// The same for a statement that was prepared earlier, where it is read as it would be now.
    pub fn announce_prepared(&mut self, template: &Template) {
        self.inserting = InsertedIds::ANY;
        let variables = &self.state.variables;
        let features = &template.facts.features;
        let reads_alike = || variables.reading_as(&template.state.variables).same_as(variables);
        self.announced = None;
        let inserts = matches!(features.verb, Verb::Insert | Verb::Replace);
        let says_more = inserts || concerns(features, !self.temporary.is_empty());
        if !says_more || !reads_alike() {
            return;
        }
        self.announce(&template.text, features);
        if let Some(announced) = &mut self.announced {
            announced.schema.clone_from(&template.state.schema);
        }
    }

    fn meaning(&self, text: &[u8], features: &Features) -> Option<Meaning> {
        if !concerns(features, !self.temporary.is_empty()) {
            return None;
        }
        if features.has(Flags::GET_LOCK | Flags::RELEASE_LOCK) {
            return sql::lock_call(text, self.dialect).map(Meaning::Locks);
        }
        if features.verb == Verb::Set
            && let Some(assigned) = sql::user_assignments(text, self.dialect)
        {
            return Some(Meaning::Assigns(assigned));
        }
        if reports(features) {
            return sql::user_variables(text, self.dialect).map(Meaning::Reports);
        }
        if features.verb == Verb::Set {
            return None;
        }
        sql::table_change(text, self.dialect).map(Meaning::Changes)
    }
}

/// Whether it asks for what the statement before left, and has it put into variables.
fn reports(features: &Features) -> bool {
    features.has(Flags::DIAGNOSTICS) && features.has(Flags::ASSIGNS_USER_VARIABLE)
}

/// Whether the text has to be read again: rarely, and so at leisure.
fn concerns(features: &Features, has_temporary: bool) -> bool {
    let assigns = features.verb == Verb::Set && features.has(Flags::ASSIGNS_USER_VARIABLE);
    let changes = matches!(features.verb, Verb::Drop | Verb::Alter | Verb::Rename) && has_temporary;
    let others = Flags::CREATE_TEMPORARY | Flags::GET_LOCK | Flags::RELEASE_LOCK;
    (assigns || reports(features) || changes || features.has(others))
        && !features.has(MORE | Flags::SET_STATEMENT)
}

// === impl Session: after a statement ===

impl Session {
    /// What was announced of the statement that has just ended.
    pub(super) fn take_announced(&mut self, features: &Features) -> Option<Announced> {
        self.announced
            .take()
            .filter(|announced| announced.features == *features)
    }

    /// Notes the values that user variables were set to. False when there are others, or too many.
    pub(super) fn carry_user_variables(&mut self, meaning: Option<&Meaning>, observed: &Observation) -> bool {
        let assignments = match meaning {
            Some(Meaning::Assigns(assignments)) => assignments,
            Some(Meaning::Reports(names)) => return self.note_reported(names),
            _ => return false,
        };
        if observed.failed || observed.warnings > 0 {
            return false;
        }
        self.learn_user_variables(assignments)
    }

    /// What is in these, the server is asked before its connection goes to others: not at once, for that would take
    /// the place of what the client may ask for next.
    fn note_reported(&mut self, names: &[Box<[u8]>]) -> bool {
        for name in names {
            if !self.reported.contains(name) {
                self.reported.push(name.clone());
            }
        }
        self.reported.len() <= user_variables::MAX_COUNT
    }

    /// These user variables have these values. False when that cannot be told elsewhere, or would be too much.
    pub fn learn_user_variables(&mut self, assignments: &[UserAssignment]) -> bool {
        let settings = Settings {
            variables: &self.state.variables,
            dialect: self.dialect,
            is_unsure: self.is_unsure,
        };
        let Some(known) = self.state.user_variables.with(assignments, settings) else {
            return false;
        };
        self.state.user_variables = known;
        true
    }

    /// Notes which temporary tables there are. True when the statement's change of state is explained by it.
    pub(super) fn note_tables(
        &mut self,
        features: &Features,
        observed: &Observation,
        announced: Option<&Announced>,
    ) -> bool {
        let creates = features.has(Flags::CREATE_TEMPORARY);
        let failed_alone = observed.failed && !features.has(MORE);
        if failed_alone {
            return false;
        }
        let renames = |verb| features.has(MORE) && features.verbs.contains(verb);
        let unread = [Verb::Execute, Verb::ExecuteImmediate]
            .into_iter()
            .any(|verb| features.verbs.contains(verb));
        let loses = unread || features.has(Flags::BROKEN) || renames(Verb::Alter) || renames(Verb::Rename);
        match announced.map(|announced| (&announced.meaning, announced)) {
            Some((Meaning::Changes(change), announced)) => {
                self.temporary.change(change, announced.schema.as_deref());
            }
            _ if creates || (loses && !self.temporary.is_empty()) => self.temporary.lose_track(),
            _ => {}
        }
        creates
    }

    /// Notes which named locks there are.
    pub(super) fn note_locks(
        &mut self,
        features: &Features,
        observed: &Observation,
        meaning: Option<&Meaning>,
    ) {
        let alone = !features.has(Flags::SEVERAL | Flags::BROKEN);
        let done = alone && !observed.failed;
        let single = done && features.has(Flags::SINGLE_LOCK_CALL);
        let call = match meaning {
            Some(Meaning::Locks(call)) => Some(call),
            _ => None,
        };
        let name = call.map(|call| &*call.name);
        if features.has(Flags::GET_LOCK) && !(alone && observed.failed) {
            match observed.first_row_is_one {
                Some(true) if single => self.locks.take(name),
                Some(false) if single => {}
                _ => self.locks.take_uncounted(),
            }
        } else if features.has(Flags::RELEASE_LOCK) && single && observed.first_row_is_one == Some(true) {
            self.locks.release(name);
        } else if let Some(call) = call.filter(|call| done && call.is_do) {
            self.locks.release_if_named(&call.name);
        }
        let releases = features.has(Flags::RELEASE_ALL_LOCKS) && !features.has(Flags::GET_LOCK);
        if done && releases {
            self.locks.release_all();
        }
    }
}
