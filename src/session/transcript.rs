//! What a session has said in its open transaction, and the sums of what it was answered: enough to run it again
//! on another server and to know whether it came out the same.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::checksum::Checksum;
use super::hold::{Hold, Holds};
use super::state::State;
use super::statements::Template;
use crate::sql::{Facts, Features, Flags, Verb};

/// How much all transcripts may be, and are.
#[derive(Debug)]
pub struct Budget {
    per_transaction: u64,
    total: u64,
    used: AtomicU64,
}

#[derive(Debug)]
pub struct Transcript {
    /// What the session was before.
    pub state: State,
    pub insert_id: u64,
    /// Begun with START TRANSACTION READ ONLY on this replica.
    pub replica: Option<usize>,
    entries: Vec<Entry>,
    /// The requests, one after the other.
    requests: Vec<u8>,
    /// The last statement is under way.
    is_open: bool,
    /// Something in it may have changed data.
    wrote: bool,
    /// Why it cannot be run again.
    broken: Option<Cow<'static, str>>,
    budget: Arc<Budget>,
    /// Bytes of it ...
    kept: u64,
    /// ... and those reserved for it, which are some more.
    reserved: u64,
}

#[derive(Debug, Clone)]
pub struct Entry {
    request: Range<usize>,
    pub form: Form,
    pub sum: u64,
    /// It may have ended the transaction, if its outcome is not known.
    may_commit: bool,
    /// It begins a transaction or ends one, and does no more.
    is_bound: bool,
}

#[derive(Debug, Clone)]
pub enum Form {
    /// A command with its body.
    Command,
    /// An execution of this statement, with the types of its parameters where they are known.
    Execution {
        template: Arc<Template>,
        parameters: u16,
        types: Option<Arc<[u8]>>,
    },
}

/// What a statement costs beside its text.
const OVERHEAD: u64 = size_of::<Entry>() as u64;
/// So much is reserved at a time: all threads count in one place, and would wait for each other at every statement.
const GRAIN: u64 = 1 << 10;

/// A transcript brings these back, or does without.
const CARRIED: [Hold; 4] = [
    Hold::Transaction,
    Hold::NextTransaction,
    Hold::Diagnostics,
    Hold::Unsettled,
];

/// Whether a session that held its connection for this alone has lost nothing else with it than a transaction.
pub fn is_carried(hold: Hold) -> bool {
    CARRIED.contains(&hold)
}

/// With these it is not known what else has happened.
const OBSCURE: Flags = Flags::SEVERAL
    .union(Flags::BROKEN)
    .union(Flags::STORED_PROGRAM)
    .union(Flags::LOAD_LOCAL)
    .union(Flags::INTO_FILE)
    .union(Flags::ENDS_CONNECTION);

/// Statements that neither end a transaction nor do anything outside of it.
const HARMLESS: [Verb; 20] = [
    Verb::Empty,
    Verb::Delete,
    Verb::Do,
    Verb::Explain,
    Verb::GetDiagnostics,
    Verb::Help,
    Verb::Insert,
    Verb::ReleaseSavepoint,
    Verb::Replace,
    Verb::RollbackToSavepoint,
    Verb::Savepoint,
    Verb::Select,
    Verb::Set,
    Verb::Show,
    Verb::Table,
    Verb::Update,
    Verb::Use,
    Verb::Values,
    Verb::With,
    Verb::Checksum,
];

/// Statements that begin a transaction, or end one.
const BOUNDS: [Verb; 4] = [Verb::Begin, Verb::StartTransaction, Verb::Commit, Verb::Rollback];

/// Why a statement is no part of a transcript.
pub fn obstacle(features: &Features) -> Option<&'static str> {
    if features.has(OBSCURE) {
        return Some("a statement of it was not understood, or was more than one");
    }
    (!is_known(features.verb)).then_some("a statement of it may do more than change data")
}

/// Whether statements that begin so may be part of a transcript.
pub fn is_known(verb: Verb) -> bool {
    HARMLESS.contains(&verb) || BOUNDS.contains(&verb)
}

/// Whether a statement whose outcome is not known may have ended a transaction.
pub fn may_commit(facts: &Facts, text: &[u8]) -> bool {
    let features = &facts.features;
    match features.verb {
        Verb::Set => names_autocommit(text),
        Verb::Rollback => false,
        verb => !HARMLESS.contains(&verb) || features.has(OBSCURE),
    }
}

fn names_autocommit(text: &[u8]) -> bool {
    const NAME: &[u8] = b"autocommit";
    text.windows(NAME.len())
        .any(|window| window.eq_ignore_ascii_case(NAME))
}

// === impl Budget ===

impl Budget {
    pub fn new(per_transaction: u64, total: u64) -> Arc<Self> {
        Arc::new(Self {
            per_transaction,
            total,
            used: AtomicU64::new(0),
        })
    }

    /// Bytes of all transcripts.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether a transaction of which so many bytes are kept may have so many more.
    pub fn has_room(&self, kept: u64, more: u64) -> bool {
        let more = more.saturating_add(OVERHEAD);
        kept.saturating_add(more) <= self.per_transaction && self.used().saturating_add(more) <= self.total
    }

    /// Bytes that there may be.
    pub fn total(&self) -> u64 {
        self.total
    }

    fn reserve(&self, bytes: u64) -> bool {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.total;
        if !fits {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }
}

// === impl Transcript ===

impl Transcript {
    pub fn new(state: State, insert_id: u64, budget: Arc<Budget>) -> Self {
        Self {
            state,
            insert_id,
            replica: None,
            entries: Vec::new(),
            requests: Vec::new(),
            is_open: false,
            wrote: false,
            broken: None,
            budget,
            kept: 0,
            reserved: 0,
        }
    }

    /// A statement is about to be sent; `request` is its payload. It takes the place of one that was sent to
    /// another server and not run there.
    pub fn begin(&mut self, facts: &Facts, request: &[u8], form: Form) {
        if std::mem::replace(&mut self.is_open, true)
            && let Some(last) = self.entries.pop()
        {
            self.requests.truncate(last.request.start);
            self.replica = None;
        }
        if self.broken.is_some() {
            return;
        }
        if let Some(why) = obstacle(&facts.features) {
            return self.break_off(why);
        }
        let bytes = request.len() as u64 + OVERHEAD;
        if self.kept + bytes > self.budget.per_transaction {
            return self.break_off("it is longer than failover.replay.per_transaction");
        }
        let lacks = (self.kept + bytes)
            .saturating_sub(self.reserved)
            .next_multiple_of(GRAIN);
        if lacks > 0 && !self.budget.reserve(lacks) {
            return self.break_off("all transactions are longer than failover.replay.total");
        }
        self.kept += bytes;
        self.reserved += lacks;
        let start = self.requests.len();
        self.requests.extend_from_slice(request);
        let text = match &form {
            Form::Command => request,
            Form::Execution { template, .. } => &template.text,
        };
        self.entries.push(Entry {
            request: start..self.requests.len(),
            may_commit: may_commit(facts, text),
            is_bound: BOUNDS.contains(&facts.features.verb),
            form,
            sum: 0,
        });
        let reads = facts.class.is_read() && !facts.features.has(Flags::LOCKING_READ);
        let begins = matches!(facts.class, crate::sql::Class::Begin { .. });
        self.wrote |= !(reads || begins || BOUNDS.contains(&facts.features.verb));
    }

    /// The statement under way has been answered. `goes_on`: the transaction is open after it.
    pub fn end(&mut self, checksum: &Checksum, verb: Verb, goes_on: bool) {
        self.is_open = false;
        if let Some(entry) = self.entries.last_mut() {
            entry.sum = checksum.sum();
        }
        if goes_on && matches!(verb, Verb::Commit | Verb::Rollback) {
            self.break_off("it was begun by the end of the one before");
        }
    }

    /// The last statement has ended the transaction and begun another one.
    pub fn restart(&mut self, state: State, insert_id: u64) {
        (self.state, self.insert_id, self.wrote) = (state, insert_id, false);
        let first = self.entries.len().saturating_sub(1);
        self.entries.drain(..first);
    }

    /// Whether a request of so many bytes may be added.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.broken.is_none() && self.budget.has_room(self.kept, bytes)
    }

    /// It cannot be run again from here on.
    pub fn break_off(&mut self, why: impl Into<Cow<'static, str>>) {
        self.broken.get_or_insert(why.into());
        self.entries = Vec::new();
        self.requests = Vec::new();
        self.give_back();
    }

    fn give_back(&mut self) {
        self.kept = 0;
        let reserved = std::mem::take(&mut self.reserved);
        self.budget.used.fetch_sub(reserved, Ordering::Relaxed);
    }

    /// Why it cannot be run again, if it cannot, for a session with these holds.
    pub fn obstacle(&self, holds: Holds) -> Option<Cow<'static, str>> {
        if let Some(why) = &self.broken {
            return Some(why.clone());
        }
        let hold = holds.iter().find(|hold| !is_carried(*hold))?;
        Some(hold.text().into())
    }

    /// Whether nothing in it may have changed data, as far as is known.
    pub fn only_reads(&self) -> bool {
        self.broken.is_none() && !self.wrote
    }

    /// Whether the answer to the statement under way is wanted.
    pub fn is_recording(&self) -> bool {
        self.is_open && self.broken.is_none()
    }

    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether what is under way may have ended the transaction, with a difference to anybody.
    pub fn is_ambiguous(&self) -> bool {
        let last = self.entries.last().filter(|_| self.is_open);
        match last {
            // Where nothing was changed it does not matter whether a COMMIT arrived.
            Some(last) => last.may_commit && (self.wrote || !last.is_bound),
            None => self.is_open,
        }
    }

    /// The statements that were answered.
    pub fn answered(&self) -> impl Iterator<Item = (&Entry, &[u8])> {
        let count = self.entries.len() - usize::from(self.is_open && !self.entries.is_empty());
        let entries = self.entries[..count].iter();
        entries.map(|entry| (entry, &self.requests[entry.request.clone()]))
    }

    /// Those that were prepared.
    pub fn templates(&self) -> impl Iterator<Item = &Arc<Template>> {
        self.entries.iter().filter_map(|entry| match &entry.form {
            Form::Execution { template, .. } => Some(template),
            Form::Command => None,
        })
    }

    /// The statement under way.
    pub fn open(&self) -> Option<(&Entry, &[u8])> {
        let last = self.entries.last().filter(|_| self.is_open)?;
        Some((last, &self.requests[last.request.clone()]))
    }
}

impl Drop for Transcript {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Dialect, analyse};

    fn budget() -> Arc<Budget> {
        Budget::new(4096, 6000)
    }

    fn transcript(budget: &Arc<Budget>) -> Transcript {
        Transcript::new(State::default(), 0, budget.clone())
    }

    fn say(transcript: &mut Transcript, sql: &str) {
        let facts = analyse(sql.as_bytes(), Dialect::default());
        let request = [b"\x03", sql.as_bytes()].concat();
        transcript.begin(&facts, &request, Form::Command);
    }

    fn run(transcript: &mut Transcript, sql: &str) {
        say(transcript, sql);
        let verb = analyse(sql.as_bytes(), Dialect::default()).features.verb;
        transcript.end(&Checksum::default(), verb, true);
    }

    #[test]
    fn it_has_what_was_said_and_gives_its_memory_back() {
        let budget = budget();
        let mut one = transcript(&budget);
        for sql in ["BEGIN", "SELECT 1", "UPDATE t SET a = 1"] {
            run(&mut one, sql);
        }
        say(&mut one, "SELECT 2");
        let said: Vec<_> = one.answered().map(|(_, request)| request).collect();
        assert_eq!(
            said,
            [&b"\x03BEGIN"[..], b"\x03SELECT 1", b"\x03UPDATE t SET a = 1"]
        );
        assert_eq!(one.open().unwrap().1, b"\x03SELECT 2");
        assert!(!one.is_ambiguous() && one.obstacle(Holds::default()).is_none());
        assert!(budget.used() > 0);
        drop(one);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_may_have_ended_it_is_ambiguous_unless_it_changed_nothing() {
        let ambiguous = |before: &[&str], last: &str| {
            let mut transcript = transcript(&budget());
            run(&mut transcript, "BEGIN");
            for sql in before {
                run(&mut transcript, sql);
            }
            say(&mut transcript, last);
            transcript.is_ambiguous()
        };
        let wrote = ["UPDATE t SET a = 1"];
        for last in [
            "COMMIT",
            "BEGIN",
            "SET autocommit = 1",
            "CREATE TABLE t (a INT)",
            "CALL p()",
        ] {
            assert!(ambiguous(&wrote, last), "{last}");
        }
        for last in [
            "ROLLBACK",
            "SELECT 1",
            "INSERT INTO t VALUES (1)",
            "SAVEPOINT s",
            "SET @a = 1",
        ] {
            assert!(!ambiguous(&wrote, last), "{last}");
        }
        assert!(!ambiguous(&["SELECT 1"], "COMMIT"));
        assert!(ambiguous(&["SELECT a FROM t FOR UPDATE"], "COMMIT"));
        assert!(ambiguous(&["SELECT 1"], "DROP TABLE t"));
    }

    #[test]
    fn what_is_not_understood_breaks_it_off() {
        for sql in [
            "SELECT 1; SELECT 2",
            "CALL p()",
            "LOAD DATA LOCAL INFILE 'f' INTO TABLE t",
            "XA START 'x'",
        ] {
            let mut transcript = transcript(&budget());
            run(&mut transcript, "BEGIN");
            run(&mut transcript, sql);
            assert!(transcript.obstacle(Holds::default()).is_some(), "{sql}");
        }
        let mut chained = transcript(&budget());
        run(&mut chained, "BEGIN");
        run(&mut chained, "COMMIT AND CHAIN");
        assert!(chained.obstacle(Holds::default()).is_some());
    }

    #[test]
    fn what_a_transcript_cannot_bring_back_is_an_obstacle_while_it_is_there() {
        let mut transcript = transcript(&budget());
        run(&mut transcript, "BEGIN");
        let mut holds = Holds::default();
        holds.insert(Hold::Transaction);
        holds.insert(Hold::Diagnostics);
        assert_eq!(transcript.obstacle(holds), None);
        holds.insert(Hold::TemporaryTables);
        assert!(transcript.obstacle(holds).unwrap().contains("temporary"));
    }

    #[test]
    fn its_length_is_bounded_alone_and_together() {
        let budget = budget();
        let long = format!("SELECT '{}'", "x".repeat(3000));
        let (mut one, mut two) = (transcript(&budget), transcript(&budget));
        assert!(one.has_room(3000) && !one.has_room(5000));
        run(&mut one, &long);
        assert!(!one.has_room(3000) && !two.has_room(3000) && two.has_room(1000));
        run(&mut two, &long);
        let why = |transcript: &Transcript| transcript.obstacle(Holds::default()).unwrap_or_default();
        assert_eq!(why(&one), "");
        assert!(why(&two).contains("replay.total"));
        run(&mut one, &long);
        assert!(why(&one).contains("per_transaction"));
        assert_eq!(budget.used(), 0);
    }
}
