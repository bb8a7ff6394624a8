//! Reads on another server while the session holds its connection: which of them may go, and what they leave.

use super::announced::Meaning;
use super::hold::Hold;
use super::observation::Observation;
use super::session::Session;
use crate::sql::{Features, Flags, Table};

/// What may read a user variable, or run something that does.
const MAY_READ_USER_VARIABLES: Flags = Flags::READS_USER_VARIABLE
    .union(Flags::ASSIGNS_USER_VARIABLE)
    .union(Flags::UNKNOWN_CALL)
    .union(Flags::BROKEN);

// === impl Session ===

impl Session {
    /// The first reason for which a read has to run on the connection that the session holds; `None`: it may run
    /// elsewhere. What asks for the results of the statement before is not asked here: that is no plain read.
    pub fn must_stay(&self, features: &Features, tables: Option<&[Table]>) -> Option<Hold> {
        self.holds.iter().find(|hold| self.keeps(*hold, features, tables))
    }

    fn keeps(&self, hold: Hold, features: &Features, tables: Option<&[Table]>) -> bool {
        match hold {
            Hold::Transaction
            | Hold::NextTransaction
            | Hold::LockedTables
            | Hold::DistributedTransaction
            | Hold::OneShot
            | Hold::Tracking
            | Hold::Unsettled
            | Hold::PasswordExpired
            | Hold::State => true,
            // The read may be an execution of that very statement.
            Hold::Cursor | Hold::LongData => true,
            // Whoever takes a lock wants to see what the last one wrote who had it.
            Hold::NamedLock => true,
            Hold::TemporaryTables => self.touches_temporary(tables),
            Hold::UserVariables => features.has(MAY_READ_USER_VARIABLES),
            Hold::TextPrepare => features.has(Flags::UNKNOWN_CALL | Flags::BROKEN),
            Hold::BackupLock | Hold::Handler | Hold::Diagnostics => false,
        }
    }

    /// Whether a statement that names these tables, or `None` if that is not known, may mean a temporary one.
    pub fn touches_temporary(&self, tables: Option<&[Table]>) -> bool {
        self.temporary.are_touched_by(tables)
    }

    /// Ends a read on another connection than the one that the session holds. That one, its transaction and all
    /// other holds are as they were.
    pub fn settle_elsewhere(&mut self, features: &Features, observed: &Observation) {
        let announced = self.take_announced(features);
        let meaning = announced.as_ref().map(|announced| &announced.meaning);
        if matches!(meaning, Some(Meaning::Reports(_))) {
            self.carry_user_variables(meaning, observed);
        }
        self.told_id = None;
        self.note_counts(observed);
        self.hold_for_diagnostics(features, observed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Dialect, analyse};
    use crate::wire::Status;

    fn session(holds: &[Hold]) -> Session {
        let mut session = Session::new(Dialect::default());
        for hold in holds {
            session.holds.insert(*hold);
        }
        session
    }

    fn stays(session: &Session, sql: &str) -> Option<Hold> {
        let facts = analyse(sql.as_bytes(), Dialect::default());
        session.must_stay(&facts.features, facts.tables.as_deref())
    }

    fn run(session: &mut Session, sql: &str) {
        let facts = analyse(sql.as_bytes(), Dialect::default());
        session.announce(sql.as_bytes(), &facts.features);
        let mut observed = Observation::default();
        observed.ended(Status::AUTOCOMMIT, 0, true);
        session.settle(&facts.features, &observed);
    }

    #[test]
    fn what_was_not_understood_has_done_nothing() {
        // A client of version 9 asks for this when it connects, to learn what the server takes.
        for (sql, code, doubtful) in [
            ("select $$", 1064, false),
            ("SELECT f(1), '", 1064, false),
            ("SELECT f(1)", 1048, true),
            ("CALL p()", 1064, true),
        ] {
            let mut session = session(&[]);
            session.status = Status::AUTOCOMMIT;
            let facts = analyse(sql.as_bytes(), Dialect::default());
            let mut observed = Observation::default();
            observed.failed_with(code);
            session.settle(&facts.features, &observed);
            assert_eq!(session.holds.has(Hold::Unsettled), doubtful, "{sql}");
        }
        let mut observed = Observation::default();
        observed.ended(Status::AUTOCOMMIT, 0, true);
        observed.failed_with(1064);
        let facts = analyse(b"SELECT 1; SELEC", Dialect::default());
        assert!(!observed.saw_nothing(&facts.features), "the first was understood");
    }

    #[test]
    fn a_read_goes_elsewhere_unless_a_hold_concerns_it() {
        assert_eq!(stays(&session(&[]), "SELECT @a"), None);
        for hold in [Hold::Transaction, Hold::State, Hold::Tracking, Hold::NamedLock] {
            assert_eq!(
                stays(&session(&[Hold::Diagnostics, hold]), "SELECT 1"),
                Some(hold)
            );
        }
        let others = [
            Hold::Handler,
            Hold::TextPrepare,
            Hold::BackupLock,
            Hold::Diagnostics,
        ];
        assert_eq!(stays(&session(&others), "SELECT * FROM t"), None);
    }

    #[test]
    fn user_variables_keep_those_who_read_them() {
        let session = session(&[Hold::UserVariables]);
        assert_eq!(stays(&session, "SELECT a FROM t"), None);
        for sql in [
            "SELECT @a",
            "SELECT a FROM t WHERE b > @b",
            "SELECT own(a) FROM t",
        ] {
            assert_eq!(stays(&session, sql), Some(Hold::UserVariables), "{sql}");
        }
    }

    #[test]
    fn temporary_tables_keep_those_who_name_them() {
        let mut session = session(&[]);
        let reads = |session: &Session, name: &str| {
            let table = Table {
                schema: None,
                name: name.as_bytes().into(),
            };
            session.must_stay(&Features::default(), Some(&[table]))
        };
        run(&mut session, "CREATE TEMPORARY TABLE tt (a INT)");
        assert!(session.holds.has(Hold::TemporaryTables));
        assert_eq!(reads(&session, "t"), None);
        assert_eq!(reads(&session, "TT"), Some(Hold::TemporaryTables));
        assert_eq!(
            session.must_stay(&Features::default(), None),
            Some(Hold::TemporaryTables)
        );
        run(&mut session, "DROP TABLE tt");
        assert!(session.holds.is_empty());
        run(&mut session, "CREATE TEMPORARY TABLE tt (a INT); SELECT 1");
        assert_eq!(reads(&session, "t"), Some(Hold::TemporaryTables));
    }

    #[test]
    fn a_read_elsewhere_leaves_counts_and_warnings_and_nothing_else() {
        let mut session = session(&[Hold::UserVariables]);
        (session.insert_id, session.status) = (7, Status::AUTOCOMMIT);
        let facts = analyse(b"SELECT 1", Dialect::default());
        let mut observed = Observation::default();
        (observed.rows, observed.insert_id) = (Some(3), Some(9));
        observed.ended(Status::IN_TRANSACTION, 1, true);
        session.settle_elsewhere(&facts.features, &observed);
        assert_eq!(
            (session.found_rows, session.row_count, session.insert_id),
            (3, -1, 7)
        );
        assert!(session.holds.has(Hold::Diagnostics) && !session.holds.has(Hold::Transaction));
        assert!(!session.in_transaction());
        observed.warnings = 0;
        session.settle_elsewhere(&facts.features, &observed);
        assert!(!session.holds.has(Hold::Diagnostics) && session.holds.has(Hold::UserVariables));
    }
}
