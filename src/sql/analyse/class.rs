//! The class of a text. Statements that only read are told from all others by closed lists: of verbs, of flags
//! that do no harm, of functions and of kinds of SHOW.

use super::super::dialect::{Dialect, Flavour};
use super::super::facts::{Class, Name};
use super::super::features::Features;
use super::super::flags::Flags;
use super::super::lexer::TokenKind;
use super::super::reason::Reason;
use super::super::scan::{Notes, scan_noting};
use super::super::verb::Verb;
use super::head::Head;
use super::show;

pub(super) struct Verdict {
    pub features: Features,
    pub class: Class,
    pub reason: Reason,
    pub calls: Vec<Name>,
    /// It uses information_schema.
    pub information_schema: bool,
}

/// EXPLAIN may have a statement inside, and a text several; neither goes deeper than this.
const DEEPEST: u32 = 3;

/// More statements in one text are not looked at one by one.
const STATEMENTS: usize = 32;

/// What a statement that reads may have and still be a read.
const HARMLESS: Flags = Flags::READS_USER_VARIABLE
    .union(Flags::READS_SYSTEM_VARIABLE)
    .union(Flags::CALC_FOUND_ROWS)
    .union(Flags::CONNECTION_ID)
    .union(Flags::SLEEP)
    .union(Flags::COMMON_TABLE)
    .union(Flags::VERSION_COMMENT)
    .union(Flags::SET_STATEMENT)
    .union(Flags::UNKNOWN_CALL);

pub(super) fn of_text(text: &[u8], dialect: Dialect) -> Verdict {
    verdict(text, dialect, 0)
}

/// The code of a text that has comments which are code: everything else is blank, and every token where it was.
/// A part of the result means the same as it does in the whole.
pub(super) fn code(text: &[u8], dialect: Dialect) -> Vec<u8> {
    let mut code = vec![b' '; text.len()];
    let mut head = Head::new(text, dialect);
    while !head.is_end() {
        let token = head.token();
        if let Some(place) = code.get_mut(token.start..token.end) {
            place.copy_from_slice(head.bytes());
        }
        head.next();
    }
    code
}

fn verdict(text: &[u8], dialect: Dialect, depth: u32) -> Verdict {
    let mut notes = Notes::default();
    let features = scan_noting(text, dialect, &mut notes);
    let mut inner_calls = None;
    let (class, reason) = if depth > DEEPEST {
        (Class::Write, Reason::NotUnderstood)
    } else if features.has(Flags::BROKEN) {
        (Class::Write, Reason::Doubtful)
    } else if features.has(Flags::STORED_PROGRAM) {
        (Class::Write, Reason::StoredProgram)
    } else if features.has(Flags::SEVERAL) {
        several(text, dialect, depth)
    } else {
        let mut statement = Statement {
            text,
            dialect,
            depth,
            features: &features,
            notes: &notes,
            calls: None,
        };
        let found = statement.class();
        inner_calls = statement.calls;
        found
    };
    Verdict {
        features,
        class,
        reason,
        calls: inner_calls.unwrap_or(notes.calls),
        information_schema: notes.information_schema,
    }
}

/// A text of several statements is a read when all of them are, each seen alone.
fn several(text: &[u8], dialect: Dialect, depth: u32) -> (Class, Reason) {
    let mut found = Class::Read;
    let mut rest = text;
    for _ in 0..STATEMENTS {
        let mut head = Head::new(rest, dialect);
        while !head.is_end() && !head.is_symbol(b';') {
            head.next();
        }
        let end = head.token();
        let one = verdict(rest.get(..end.start).unwrap_or_default(), dialect, depth + 1);
        match one.class {
            Class::Read => {}
            Class::ReadIf => found = Class::ReadIf,
            _ if one.reason == Reason::Empty => {}
            _ => return (Class::Write, Reason::Several),
        }
        if end.kind == TokenKind::End {
            let reason = if found == Class::Read {
                Reason::OnlyReads
            } else {
                Reason::UnknownFunction
            };
            return (found, reason);
        }
        rest = rest.get(end.end..).unwrap_or_default();
    }
    (Class::Write, Reason::Several)
}

/// One statement, with what the scan says about it.
struct Statement<'a> {
    text: &'a [u8],
    dialect: Dialect,
    depth: u32,
    features: &'a Features,
    notes: &'a Notes,
    /// The calls of the statement inside, where there is one.
    calls: Option<Vec<Name>>,
}

// === impl Statement ===

impl Statement<'_> {
    fn class(&mut self) -> (Class, Reason) {
        match self.features.verb {
            Verb::Select | Verb::Table | Verb::Values => self.reading(),
            Verb::Show => self.behind(&["show"], Self::show),
            Verb::Explain => self.behind(&["explain", "describe", "desc"], Self::explain),
            Verb::Analyze => self.behind(&["analyze"], Self::analyze),
            Verb::Help => self.reading(),
            Verb::Begin | Verb::StartTransaction => self.behind(&["begin", "start"], Self::begin),
            Verb::Set => self.behind(&["set"], Self::set),
            Verb::Xa => self.behind(&["xa"], Self::xa),
            verb => self.rare(verb),
        }
    }

    /// Reads on behind the first word, which must be one of these: parentheses or SET STATEMENT before it make
    /// a statement that is not worth understanding.
    fn behind(
        &mut self,
        words: &[&str],
        class: fn(&mut Self, Head<'_>) -> (Class, Reason),
    ) -> (Class, Reason) {
        let mut head = Head::new(self.text, self.dialect);
        if head.skip_any(words) {
            class(self, head)
        } else {
            (Class::Write, Reason::NotUnderstood)
        }
    }

    fn show(&mut self, head: Head<'_>) -> (Class, Reason) {
        match show::class(head) {
            (Class::Read, _) => self.reading(),
            other => other,
        }
    }

    /// For a statement whose verb changes nothing.
    fn reading(&self) -> (Class, Reason) {
        let flags = self.features.flags;
        if let Some(reason) = self.writes() {
            return (Class::Write, reason);
        }
        let unknown = !self.notes.calls.is_empty();
        let session = self.session();
        let last = [
            (Flags::FOUND_ROWS, Reason::FoundRows),
            (Flags::ROW_COUNT, Reason::RowCount),
            (Flags::DIAGNOSTICS, Reason::Diagnostics),
        ];
        let last = last.into_iter().find(|(flag, _)| flags.intersects(*flag));
        // The number of warnings is a system variable itself.
        let is_number = |reason| {
            reason == Reason::SystemVariable && last.is_some_and(|(_, last)| last == Reason::Diagnostics)
        };
        match (session.filter(|reason| !is_number(*reason)), last) {
            (None, Some(_)) if unknown => return (Class::Write, Reason::UnknownFunction),
            (None, Some((_, reason))) => return (Class::Last, reason),
            _ => {}
        }
        match session {
            Some(_) if unknown => (Class::Write, Reason::UnknownFunction),
            Some(reason) => (Class::Session, reason),
            None if !flags.without(HARMLESS).is_empty() => (Class::Write, Reason::NotUnderstood),
            None if unknown => (Class::ReadIf, Reason::UnknownFunction),
            None if flags.contains(Flags::UNKNOWN_CALL) => (Class::Write, Reason::NotUnderstood),
            None => (Class::Read, Reason::OnlyReads),
        }
    }

    /// What must run on the primary.
    fn writes(&self) -> Option<Reason> {
        let (flags, notes) = (self.features.flags, self.notes);
        match () {
            () if flags.contains(Flags::LOCKING_READ) => Some(Reason::LockingRead),
            () if flags.contains(Flags::INTO_FILE) => Some(Reason::IntoFile),
            () if notes.sequence => Some(Reason::Sequence),
            () if notes.unnamed => Some(Reason::UnnamedFunction),
            () if notes.local_function => Some(Reason::ServerLocalFunction),
            () if notes.local_table || flags.contains(Flags::PROCESS_LIST) => Some(Reason::ServerLocalTable),
            () => None,
        }
    }

    /// What must run where the session is.
    fn session(&self) -> Option<Reason> {
        const LOCKS: Flags = Flags::GET_LOCK
            .union(Flags::RELEASE_LOCK)
            .union(Flags::RELEASE_ALL_LOCKS)
            .union(Flags::CHECKS_LOCK);
        const LAST_ID: Flags = Flags::LAST_INSERT_ID.union(Flags::ASSIGNS_LAST_INSERT_ID);
        let flags = self.features.flags;
        match () {
            () if flags.intersects(LOCKS) => Some(Reason::UserLock),
            () if self.notes.into => Some(Reason::IntoVariable),
            () if flags.contains(Flags::ASSIGNS_USER_VARIABLE) => Some(Reason::AssignsUserVariable),
            () if flags.intersects(LAST_ID) => Some(Reason::LastInsertId),
            () if self.notes.reads_variables() => Some(Reason::SystemVariable),
            () => None,
        }
    }
}

// === impl Statement: statements about statements ===

impl Statement<'_> {
    fn explain(&mut self, mut head: Head<'_>) -> (Class, Reason) {
        let runs = match explained(&mut head) {
            Explained::Statement { runs } => runs,
            Explained::Table => return self.reading(),
            Explained::Connection => return (Class::Write, Reason::ServerState),
        };
        let (class, reason) = self.inner(&head);
        match class {
            Class::Write if !runs && is_change(reason) => (Class::Write, Reason::ExplainsWrite),
            Class::Read | Class::ReadIf if self.notes.into => (Class::Session, Reason::IntoVariable),
            class => (class, reason),
        }
    }

    /// MariaDB's ANALYZE of a statement; of a table otherwise.
    fn analyze(&mut self, mut head: Head<'_>) -> (Class, Reason) {
        if self.dialect.flavour == Flavour::MySql {
            return (Class::Write, Reason::Administration);
        }
        if analyzed(&mut head) {
            return self.inner(&head);
        }
        (Class::Write, Reason::Administration)
    }

    fn inner(&mut self, head: &Head<'_>) -> (Class, Reason) {
        let inner = verdict(head.rest(), self.dialect, self.depth + 1);
        self.calls = Some(inner.calls);
        (inner.class, inner.reason)
    }
}

/// What stands behind EXPLAIN.
pub(super) enum Explained {
    /// The head is at its first token; with ANALYZE it runs.
    Statement {
        runs: bool,
    },
    /// The head is at the name of a table.
    Table,
    Connection,
}

/// Reads past the options behind EXPLAIN.
pub(super) fn explained(head: &mut Head<'_>) -> Explained {
    let mut runs = false;
    loop {
        match () {
            () if head.skip("analyze") => runs = true,
            () if head.skip_any(&["extended", "partitions"]) => {}
            () if head.skip("format") => {
                if !head.skip_symbol(b'=') {
                    return Explained::Table;
                }
                head.next();
            }
            () if head.skip("for") => {
                if !head.skip_any(&["schema", "database"]) {
                    return Explained::Connection;
                }
                head.next();
            }
            () if head.skip("into") => head.next(),
            () if starts_statement(head) => return Explained::Statement { runs },
            () => return Explained::Table,
        }
    }
}

/// Reads past the options behind ANALYZE, and says whether a statement follows.
pub(super) fn analyzed(head: &mut Head<'_>) -> bool {
    if head.skip("format") {
        head.skip_symbol(b'=');
        head.next();
    }
    starts_statement(head) && !head.is("table")
}

/// Whether a statement that can be explained starts here.
fn starts_statement(head: &Head<'_>) -> bool {
    head.is_symbol(b'(')
        || head.is_any(&[
            "select", "with", "table", "values", "insert", "replace", "update", "delete", "set", "alter",
        ])
}

fn is_change(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Data | Reason::LockingRead | Reason::IntoFile | Reason::Definition
    )
}

// === impl Statement: transactions and session ===

impl Statement<'_> {
    fn begin(&mut self, mut head: Head<'_>) -> (Class, Reason) {
        let mut read_only = None;
        let mut read = false;
        while !head.is_end() {
            match () {
                () if read && head.is("only") => read_only = Some(true),
                () if read && head.is("write") => read_only = Some(false),
                () => {}
            }
            read = head.is("read");
            head.next();
        }
        (Class::Begin { read_only }, Reason::Transaction)
    }

    fn set(&mut self, head: Head<'_>) -> (Class, Reason) {
        let accounts = head.is_any(&["password", "default"]);
        match self.writes() {
            Some(reason) => (Class::Write, reason),
            None if self.features.has(Flags::SETS_GLOBAL) => (Class::Write, Reason::GlobalVariable),
            None if accounts => (Class::Write, Reason::Administration),
            None if !self.notes.calls.is_empty() => (Class::Write, Reason::UnknownFunction),
            None => (Class::Session, Reason::Session),
        }
    }

    fn rare(&self, verb: Verb) -> (Class, Reason) {
        match verb {
            Verb::Empty => (Class::Write, Reason::Empty),
            Verb::Commit
            | Verb::Rollback
            | Verb::RollbackToSavepoint
            | Verb::Savepoint
            | Verb::ReleaseSavepoint => (Class::Session, Reason::Transaction),
            Verb::Use | Verb::Prepare | Verb::Deallocate | Verb::Handler | Verb::Signal => {
                (Class::Session, Reason::Session)
            }
            Verb::GetDiagnostics => (Class::Last, Reason::Diagnostics),
            Verb::Do => match self.writes() {
                None if self.notes.calls.is_empty() => (Class::Session, Reason::Session),
                reason => (Class::Write, reason.unwrap_or(Reason::UnknownFunction)),
            },
            Verb::Lock => (Class::Write, Reason::TableLock),
            Verb::Unlock => (Class::Session, Reason::TableLock),
            Verb::Insert | Verb::Update | Verb::Delete | Verb::Replace | Verb::Load | Verb::Truncate => {
                (Class::Write, Reason::Data)
            }
            Verb::Create | Verb::Alter | Verb::Drop | Verb::Rename => (Class::Write, Reason::Definition),
            Verb::Call | Verb::Compound => (Class::Write, Reason::StoredProgram),
            Verb::Execute | Verb::ExecuteImmediate => (Class::Write, Reason::PreparedText),
            Verb::Other | Verb::With => (Class::Write, Reason::NotUnderstood),
            _ => (Class::Write, Reason::Administration),
        }
    }

    /// What ends a prepared XA transaction, from whatever session, changes data.
    fn xa(&mut self, head: Head<'_>) -> (Class, Reason) {
        if head.is_any(&["start", "begin", "end"]) {
            (Class::Session, Reason::Transaction)
        } else if head.is("recover") {
            (Class::Write, Reason::ServerState)
        } else {
            (Class::Write, Reason::Transaction)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> String {
        let verdict = of_text(text.as_bytes(), Dialect::new(Flavour::MySql, 90_700));
        format!("{:?} {:?}", verdict.class, verdict.reason)
    }

    #[test]
    fn statements_about_statements() {
        assert_eq!(class("EXPLAIN SELECT 1"), "Read OnlyReads");
        assert_eq!(class("EXPLAIN DELETE FROM t"), "Write ExplainsWrite");
        assert_eq!(class("EXPLAIN ANALYZE SELECT f(1)"), "ReadIf UnknownFunction");
        assert_eq!(
            class("EXPLAIN FORMAT=JSON INTO @x SELECT 1"),
            "Session IntoVariable"
        );
        assert_eq!(class("DESC t"), "Read OnlyReads");
        assert_eq!(class("EXPLAIN FOR CONNECTION 5"), "Write ServerState");
        assert_eq!(class("(SHOW TABLES)"), "Write NotUnderstood");
        assert_eq!(class("SELECT 1; SELECT 2"), "Read OnlyReads");
        assert_eq!(class("SELECT 1; DELETE FROM t"), "Write Several");
    }

    #[test]
    fn reading_has_its_limits() {
        assert_eq!(class("SELECT @@server_id, @@global.hostname"), "Read OnlyReads");
        assert_eq!(class("SELECT @@session.sql_mode"), "Session SystemVariable");
        assert_eq!(class("SELECT a FROM t FOR UPDATE"), "Write LockingRead");
        assert_eq!(class("SELECT a INTO b FROM t"), "Session IntoVariable");
        assert_eq!(class("SELECT * FROM mysql.user"), "Write ServerLocalTable");
        assert_eq!(class("SELECT * FROM information_schema.tables"), "Read OnlyReads");
        assert_eq!(
            class("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"),
            "Begin { read_only: Some(true) } Transaction"
        );
    }
}
