//! What one response said of the session, gathered packet by packet and judged at its end.

use super::hold::Hold;
use super::tracked;
use super::{Holds, Session};
use crate::sql::{Features, Flags, Verb};
use crate::wire::Status;
use crate::wire::track::Change;

#[derive(Debug, Clone, Copy, Default)]
pub struct Observation {
    /// Of the last OK or EOF.
    pub status: Option<Status>,
    pub warnings: u16,
    pub failed: bool,
    /// An OK packet ended it, so that the server had the place to say what changed.
    pub could_tell: bool,
    state_changed: bool,
    explained: bool,
}

// === impl Observation ===

impl Observation {
    pub fn ended(&mut self, status: Status, warnings: u16, could_tell: bool) {
        self.status = Some(status);
        self.warnings = warnings;
        self.could_tell |= could_tell;
    }

    pub fn failed(&mut self) {
        self.failed = true;
        self.warnings = 1;
    }

    /// Takes in one entry of session tracking.
    pub fn changed(&mut self, session: &mut Session, change: &Change<'_>) {
        match change {
            Change::SystemVariable {
                name: b"last_gtid",
                value,
            } => session.remember_gtid(value),
            Change::SystemVariable { name, .. } if name.starts_with(b"session_track_") => {
                self.explained = true;
                session.holds.insert(Hold::Tracking);
            }
            Change::SystemVariable { name, .. } if tracked::is_transient(name) => {}
            Change::SystemVariable { name, value } => {
                self.explained = true;
                session.set_variable(name, value);
            }
            Change::Schema(name) => {
                self.explained = true;
                session.state.set_schema(name);
            }
            Change::StateChange(changed) => self.state_changed |= changed,
            Change::Gtids(gtids) => session.remember_gtid(gtids),
            Change::TransactionCharacteristics(sql) => {
                session.holds.set(Hold::NextTransaction, !sql.is_empty());
            }
            Change::TransactionState(_) | Change::Other { .. } => {}
        }
    }
}

/// What makes a change of state more than the variables that the server named with it.
const BEYOND_VARIABLES: Flags = Flags::ASSIGNS_USER_VARIABLE
    .union(Flags::CREATE_TEMPORARY)
    .union(Flags::TEXT_PREPARE)
    .union(Flags::UNKNOWN_CALL)
    .union(Flags::SEVERAL)
    .union(Flags::BROKEN)
    .union(Flags::STORED_PROGRAM);

// === impl Session ===

impl Session {
    /// Ends a statement: what does the session hold now, and why?
    pub fn settle(&mut self, features: &Features, observed: &Observation) {
        if let Some(status) = observed.status {
            self.status = status;
        }
        self.holds
            .set(Hold::Transaction, self.status.has(Status::IN_TRANSACTION));
        let explains_all = observed.explained && !features.flags.intersects(BEYOND_VARIABLES);
        if observed.state_changed && !explains_all {
            self.holds.insert(Hold::State);
        }
        let silent = !observed.could_tell && !observed.failed;
        if silent
            && features
                .flags
                .intersects(Flags::ASSIGNS_USER_VARIABLE | Flags::UNKNOWN_CALL)
        {
            self.holds.insert(Hold::State);
        }
        self.hold_for_locks(features, observed);
        let asked_for = features
            .flags
            .intersects(Flags::CALC_FOUND_ROWS | Flags::DIAGNOSTICS);
        self.holds
            .set(Hold::Diagnostics, observed.warnings > 0 || asked_for);
    }

    fn hold_for_locks(&mut self, features: &Features, observed: &Observation) {
        let holds = &mut self.holds;
        let mut on = |flags: Flags, hold: Hold| {
            if features.flags.intersects(flags) {
                holds.insert(hold);
            }
        };
        on(Flags::GET_LOCK, Hold::NamedLock);
        on(
            Flags::LOCK_TABLES | Flags::FLUSH_LOCK | Flags::BACKUP_LOCK,
            Hold::LockedTables,
        );
        on(Flags::HANDLER_OPEN, Hold::Handler);
        on(
            Flags::SETS_ONE_SHOT | Flags::ASSIGNS_LAST_INSERT_ID,
            Hold::OneShot,
        );
        on(Flags::SETS_SESSION_TRACK, Hold::Tracking);
        on(
            Flags::CREATE_TEMPORARY | Flags::TEXT_PREPARE | Flags::ASSIGNS_USER_VARIABLE,
            Hold::State,
        );
        on(Flags::SETS_NEXT_TRANSACTION, Hold::NextTransaction);
        if features.verbs.contains(Verb::Xa) {
            let open = self.status.has(Status::IN_TRANSACTION) || observed.failed;
            self.holds
                .set(Hold::DistributedTransaction, open || features.verb != Verb::Xa);
        }
        if observed.failed {
            return;
        }
        // A release on its own ends the hold; one among other statements may have come before a new lock.
        let alone = !features.flags.intersects(Flags::SEVERAL | Flags::BROKEN);
        if alone
            && features.flags.contains(Flags::RELEASE_ALL_LOCKS)
            && !features.flags.contains(Flags::GET_LOCK)
        {
            self.holds.remove(Hold::NamedLock);
        }
        if alone && features.flags.contains(Flags::UNLOCK_TABLES) {
            self.holds.remove(Hold::LockedTables);
        }
    }

    /// Whether another session may use the connection when this one is gone.
    pub fn leaves_clean(&self) -> bool {
        !Holds::leave_traces(self.holds)
    }
}
