//! What one response said of the session, gathered packet by packet and judged at its end.

use super::doubts::{Calling, Routine};
use super::hold::Hold;
use super::tracked;
use super::{Holds, Session};
use crate::sql::{Features, Flags, Flavour, InsertedIds, Verb};
use crate::wire::Status;
use crate::wire::track::Change;

#[derive(Debug, Clone, Copy, Default)]
pub struct Observation {
    /// Of the last OK or EOF.
    pub status: Option<Status>,
    pub warnings: u16,
    pub failed: bool,
    /// The server did not understand the statement, and had answered nothing before it said so.
    unparsed: bool,
    /// An OK packet ended it, so that the server had the place to say what changed.
    pub could_tell: bool,
    /// `LAST_INSERT_ID()` as the last OK says it, when it does.
    pub insert_id: Option<u64>,
    /// It was assigned, and is no value that a statement may have written itself.
    id_assigned: bool,
    /// What `ROW_COUNT()` is after this.
    pub affected: Option<u64>,
    /// Of the last result set.
    pub rows: Option<u64>,
    /// The first row of the result is the number one.
    pub first_row_is_one: Option<bool>,
    state_changed: bool,
    explained: bool,
    /// A character set was reported without the collation that goes with it.
    charset_alone: bool,
    collation_told: bool,
}

// === impl Observation ===

impl Observation {
    pub fn ended(&mut self, status: Status, warnings: u16, could_tell: bool) {
        self.status = Some(status);
        self.warnings = warnings;
        self.could_tell |= could_tell;
        self.collation_told = false;
    }

    pub fn failed(&mut self) {
        self.failed = true;
        self.warnings = 1;
    }

    /// As [`failed`](Self::failed), with what the server says.
    pub fn failed_with(&mut self, code: u16) {
        self.unparsed = code == SYNTAX_ERROR && self.status.is_none();
        self.failed();
    }

    /// Of a query that is not understood nothing runs, while a procedure may have got to such a statement.
    pub fn saw_nothing(&self, features: &Features) -> bool {
        self.unparsed && features.verb == Verb::Select
    }

    /// Takes in one entry of session tracking.
    pub fn changed(&mut self, session: &mut Session, change: &Change<'_>) {
        match change {
            Change::SystemVariable {
                name: b"last_gtid",
                value,
            } => session.remember_gtid(true, value),
            Change::SystemVariable { name, .. } if name.starts_with(b"session_track_") => {
                self.explained = true;
                session.holds.insert(Hold::Tracking);
            }
            Change::SystemVariable {
                name: b"last_insert_id" | b"identity",
                value,
            } => {
                (self.explained, self.id_assigned) = (true, true);
                self.insert_id = std::str::from_utf8(value)
                    .ok()
                    .and_then(|value| value.parse().ok());
            }
            Change::SystemVariable { name, .. } if tracked::is_transient(name) => {}
            // The collation was reported together with it, and says more.
            Change::SystemVariable {
                name: b"character_set_connection",
                ..
            } if self.collation_told => {}
            Change::SystemVariable { name, value } => {
                self.explained = true;
                self.charset_alone |= *name == b"character_set_connection";
                self.collation_told |= *name == b"collation_connection";
                session.set_variable(name, value);
            }
            Change::Schema(name) => {
                self.explained = true;
                session.state.set_schema(name);
            }
            Change::StateChange(changed) => self.state_changed |= changed,
            Change::Gtids(gtids) => session.remember_gtid(false, gtids),
            Change::TransactionCharacteristics(sql) => {
                session.holds.set(Hold::NextTransaction, !sql.is_empty());
            }
            Change::TransactionState(_) | Change::Other { .. } => {}
        }
    }
}

/// What makes a change of state more than the variables that the server named with it.
const BEYOND_VARIABLES: Flags = Flags::CREATE_TEMPORARY
    .union(Flags::TEXT_PREPARE)
    .union(Flags::UNKNOWN_CALL)
    .union(Flags::BROKEN);

/// `ER_PARSE_ERROR`
const SYNTAX_ERROR: u16 = 1064;

/// What may have done anything.
const UNFORESEEN: Flags = Flags::UNKNOWN_CALL
    .union(Flags::SEVERAL)
    .union(Flags::BROKEN)
    .union(Flags::STORED_PROGRAM);

/// Statements that run triggers.
const PROGRAMS: [Verb; 5] = [
    Verb::Insert,
    Verb::Replace,
    Verb::Update,
    Verb::Delete,
    Verb::Load,
];

/// Whether anything of the statement may be answered with an id that it wrote itself.
fn inserts(features: &Features) -> bool {
    let verbs = [Verb::Insert, Verb::Replace, Verb::Load, Verb::Call, Verb::Execute];
    let others = [Verb::ExecuteImmediate, Verb::Compound, Verb::Other];
    let has = |verb| features.verbs.contains(verb);
    features.has(Flags::BROKEN) || verbs.into_iter().chain(others).any(has)
}

// === impl Session ===

impl Session {
    /// Ends a statement: what does the session hold now, and why?
    pub fn settle(&mut self, features: &Features, observed: &Observation) {
        // What the text of a procedure would do is done when it is called.
        let only_defines = features.has(Flags::STORED_PROGRAM)
            && matches!(features.verb, Verb::Create | Verb::Alter)
            && !features.has(Flags::SEVERAL | Flags::BROKEN);
        if only_defines {
            return self.settle(&Features::default(), observed);
        }
        if let Some(status) = observed.status {
            self.status = status;
        }
        self.holds
            .set(Hold::Transaction, self.status.has(Status::IN_TRANSACTION));
        self.note_results(features, observed);
        let announced = self.take_announced(features);
        let meaning = announced.as_ref().map(|announced| &announced.meaning);
        let carried = self.carry_user_variables(meaning, observed);
        let created = self.note_tables(features, observed, announced.as_ref());
        self.hold_for_state(features, observed, carried, created);
        self.note_locks(features, observed, meaning);
        self.hold_for_locks(features, observed);
        self.hold_for_transactions(features, observed);
        self.hold_for_diagnostics(features, observed);
    }

    pub(super) fn hold_for_diagnostics(&mut self, features: &Features, observed: &Observation) {
        let asks = Flags::CALC_FOUND_ROWS | Flags::DIAGNOSTICS;
        self.asks_counts |= features.has(Flags::FOUND_ROWS | Flags::ROW_COUNT);
        self.counts_unsent = features.has(Flags::CALC_FOUND_ROWS) && !observed.failed;
        self.holds.set(
            Hold::Diagnostics,
            observed.warnings > 0 || features.has(asks) || self.asks_counts,
        );
    }

    pub(super) fn note_counts(&mut self, observed: &Observation) {
        self.row_count = match observed.affected {
            Some(affected) if !observed.failed => i64::try_from(affected).unwrap_or(-1),
            _ => -1,
        };
        if let Some(rows) = observed.rows {
            self.found_rows = rows;
        }
    }

    /// What later statements may ask of this one.
    fn note_results(&mut self, features: &Features, observed: &Observation) {
        self.note_counts(observed);
        self.note_insert_id(features, observed);
        let runs = [Verb::Call, Verb::Execute, Verb::ExecuteImmediate, Verb::Compound];
        let runs = runs.into_iter().any(|verb| features.verbs.contains(verb));
        self.is_unsure |=
            runs || (observed.insert_id.is_none() && features.has(Flags::ASSIGNS_LAST_INSERT_ID));
        self.is_unsure |= observed.charset_alone && features.has(Flags::SETS_COLLATION | UNFORESEEN);
    }

    /// An id that the client chose itself is in the response, too, but LAST_INSERT_ID() is what it was before.
    fn note_insert_id(&mut self, features: &Features, observed: &Observation) {
        let inserting = std::mem::take(&mut self.inserting);
        let doubtful = |id| !observed.id_assigned && inserts(features) && inserting.may_have(id);
        self.is_unsure |= observed.insert_id.is_some_and(doubtful);
        self.told_id = observed.insert_id.filter(|id| !doubtful(*id));
        if let Some(id) = self.told_id {
            self.insert_id = id;
        }
    }

    /// Whether the statement that was announced may be answered with this id without having made it; `None`: with
    /// any.
    pub fn may_insert(&self, features: &Features, id: Option<u64>) -> bool {
        let may_have = |id| self.inserting.may_have(id);
        inserts(features) && id.map_or(self.inserting != InsertedIds::NONE, may_have)
    }

    /// `carried`: the user variables that it assigns to are known with their values. `created`: that it made a
    /// temporary table is known.
    fn hold_for_state(&mut self, features: &Features, observed: &Observation, carried: bool, created: bool) {
        let assigns = features.has(Flags::ASSIGNS_USER_VARIABLE);
        let alone = !features.has(Flags::SEVERAL | Flags::BROKEN | Flags::STORED_PROGRAM);
        let done = alone && !observed.failed;
        let counted = self.count_state(features, done) || created;
        let explained = counted || observed.explained || (alone && (assigns || features.verb == Verb::Drop));
        let explains_all = explained && !features.has(BEYOND_VARIABLES.without(counted_flags(counted)));
        let calling = std::mem::take(&mut self.calling);
        let tidy = calling == Calling::Tidy && alone;
        let silent = !observed.could_tell && !observed.failed;
        // A procedure may have made a temporary table or set a user variable in a way that MySQL does not report
        // (CREATE .. AS SELECT, SELECT .. INTO), and nothing says so afterwards.
        let untold = features.verbs.contains(Verb::Call) || (silent && features.has(Flags::UNKNOWN_CALL));
        let doubtful = untold && !tidy;
        // MariaDB does not report `SET @@name`: it is rewritten where it was understood.
        let unseen = self.dialect.flavour == Flavour::MariaDb
            && features.verbs.contains(Verb::Set)
            && features.has(Flags::BROKEN | Flags::SPANS_OVERFLOW);
        let certain = (observed.state_changed && !explains_all)
            || unseen
            || features.verbs.contains(Verb::Compound)
            || features.has(Flags::SETS_ROLE)
            || (features.has(Flags::TEXT_PREPARE) && !alone);
        match calling {
            _ if certain => self.hold_state_for_good(),
            Calling::Unproven(routines) if doubtful && alone => {
                self.doubts.add(routines);
                self.holds.insert(Hold::State);
            }
            _ if doubtful => self.hold_state_for_good(),
            _ => {}
        }
        // A trigger or a function may assign by SELECT .. INTO, which no server reports.
        let unforeseen = features.has(UNFORESEEN.without(Flags::SEVERAL));
        let runs_programs = unforeseen || PROGRAMS.into_iter().any(|verb| features.verbs.contains(verb));
        let endangered = runs_programs && !self.state.user_variables.is_empty();
        if (assigns && !carried) || endangered {
            self.holds.insert(Hold::UserVariables);
        }
        let holds = &mut self.holds;
        if features.has(Flags::SETS_ONE_SHOT) {
            holds.insert(Hold::OneShot);
        }
        if features.has(Flags::SETS_SESSION_TRACK) {
            holds.insert(Hold::Tracking);
        }
    }

    /// The connection is this session's until that is reset.
    pub fn hold_state_for_good(&mut self) {
        self.doubts.settle_for_good();
        self.holds.insert(Hold::State);
    }

    /// Whether the session keeps its connection for routines of which nothing was known when they were called.
    pub fn has_doubts(&self) -> bool {
        self.holds.has(Hold::State) && self.doubts.are_open()
    }

    /// Lets go of the connection if all of these leave nothing.
    pub fn dispel_doubts(&mut self, is_tidy: impl Fn(&Routine) -> bool) {
        if self.doubts.dispel(is_tidy) {
            self.holds.remove(Hold::State);
        }
    }

    /// Counts what comes and goes by name. A count that is too high holds for too long, and harms nobody.
    fn count_state(&mut self, features: &Features, done: bool) -> bool {
        let counts = &mut self.counts;
        let before = counts.texts;
        let lasts = features.verb == Verb::Prepare;
        if done && lasts && features.has(Flags::TEXT_PREPARE) {
            counts.texts += 1;
        } else if done && features.has(Flags::TEXT_DEALLOCATE) {
            counts.texts = counts.texts.saturating_sub(1);
        }
        if done && features.has(Flags::HANDLER_OPEN) {
            counts.handlers += 1;
        } else if done && features.has(Flags::HANDLER_CLOSE) {
            counts.handlers = counts.handlers.saturating_sub(1);
        } else if features.has(Flags::HANDLER_OPEN | Flags::HANDLER_CLOSE) {
            counts.handlers += u32::from(features.has(Flags::HANDLER_OPEN));
        }
        self.holds.set(Hold::TemporaryTables, !self.temporary.is_empty());
        self.holds.set(Hold::TextPrepare, counts.texts > 0);
        self.holds.set(Hold::Handler, counts.handlers > 0);
        before != counts.texts
    }

    fn hold_for_locks(&mut self, features: &Features, observed: &Observation) {
        let alone = !features.has(Flags::SEVERAL | Flags::BROKEN);
        let failed_alone = alone && observed.failed;
        let done = alone && !observed.failed;
        self.holds.set(Hold::NamedLock, !self.locks.is_empty());
        // A release among other statements may have come before a new lock.
        let mut hold = |takes: Flags, gives: Flags, hold: Hold| {
            if features.has(takes) && !failed_alone {
                self.holds.insert(hold);
            } else if features.has(gives) && done {
                self.holds.remove(hold);
            }
        };
        hold(
            Flags::LOCK_TABLES | Flags::FLUSH_LOCK,
            Flags::UNLOCK_TABLES,
            Hold::LockedTables,
        );
        hold(Flags::BACKUP_LOCK, Flags::BACKUP_UNLOCK, Hold::BackupLock);
    }

    fn hold_for_transactions(&mut self, features: &Features, observed: &Observation) {
        if features.has(Flags::SETS_NEXT_TRANSACTION) {
            self.holds.insert(Hold::NextTransaction);
        }
        if self.in_transaction() {
            // The one that it was for has begun.
            self.holds.remove(Hold::NextTransaction);
        }
        if features.verbs.contains(Verb::Xa) {
            let open = self.status.has(Status::IN_TRANSACTION) || observed.failed;
            self.holds
                .set(Hold::DistributedTransaction, open || features.verb != Verb::Xa);
        }
        if observed.failed {
            let doubtful = features.has(UNFORESEEN)
                || features.verbs.contains(Verb::Set)
                || !self.status.has(Status::AUTOCOMMIT);
            if doubtful && !observed.saw_nothing(features) {
                self.holds.insert(Hold::Unsettled);
            }
        } else if observed.status.is_some() {
            self.holds.remove(Hold::Unsettled);
        }
    }

    /// Whether another session may use the connection when this one is gone.
    pub fn leaves_clean(&self) -> bool {
        !Holds::leave_traces(self.holds)
    }
}

/// Flags that need no further explanation when they have been counted.
fn counted_flags(counted: bool) -> Flags {
    if counted {
        Flags::CREATE_TEMPORARY | Flags::TEXT_PREPARE
    } else {
        Flags::EMPTY
    }
}
