//! The statement under way: what is gathered from its beginning to its end, to be counted and perhaps logged.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::client::Client;
use super::digests::{Seen, Who};
use super::outcome::Outcome;
use super::spans::{self, Beginning};
use crate::config::{Literals, Log};
use crate::routing::Why;
use crate::sql::{Facts, Features, Flags, Verb};
use crate::util::clock;
use crate::util::stopwatch::Moment;

/// Filled in as things come to be known; empty between commands.
#[derive(Debug, Default)]
pub struct Underway {
    began: Moment,
    /// It is a statement, and this is what kind.
    statement: Option<Statement>,
    /// The kind of statement that is prepared, and not run.
    prepares: Option<Arc<[u8]>>,
    /// The last server that answered.
    pub server: Option<usize>,
    pub rows: u64,
    pub bytes: u64,
    /// Of the last error that the client was told.
    pub error: Option<u16>,
    pub why: Option<Why>,
    /// For time or a lock, as far as is known: its server ends it if the client leaves.
    pub waits: bool,
    /// Where it is traced.
    pub span: Option<Box<Beginning>>,
}

#[derive(Debug)]
pub struct Statement {
    pub digest: u64,
    pub shape: Arc<[u8]>,
    /// The beginning of its text, where the log shows literals.
    text: Box<[u8]>,
}

/// A statement's text in the log is cut at this length.
const LONGEST: usize = 4096;

// === impl Underway ===

impl Underway {
    /// What the statement has says whether it may do nothing but wait.
    pub fn note_waits(&mut self, features: &Features) {
        self.waits = features.has(Flags::SLEEP | Flags::GET_LOCK);
    }

    /// The command turns out to be this.
    pub fn is_statement(&mut self, log: &Log, facts: &Facts, text: &[u8]) {
        let is_logged = log.slow.threshold.is_some() || log.sample > 0;
        let wants_text = is_logged && log.slow.literals == Literals::Shown;
        self.statement = Some(Statement {
            digest: facts.digest,
            shape: facts.shape.clone(),
            text: if wants_text {
                shown(facts, text)
            } else {
                Box::default()
            },
        });
    }

    /// The command prepares this: it is no call of it.
    pub fn is_prepared(&mut self, facts: &Facts) {
        self.prepares = Some(facts.shape.clone());
    }

    /// Without literals; empty: there is no statement.
    pub fn shape(&self) -> &[u8] {
        let runs = self.statement.as_ref().map(|statement| &statement.shape);
        runs.or(self.prepares.as_ref()).map_or(&[], |shape| &**shape)
    }

    pub fn fails(&mut self, code: u16) {
        self.error = Some(code);
    }

    /// It goes to a server now, perhaps once more.
    pub fn is_sent(&mut self) {
        if let Some(span) = &mut self.span {
            span.sent = Some(Instant::now());
        }
    }

    pub fn goes(&mut self, why: Why) {
        self.why = Some(why);
    }

    fn is_answered(&mut self, server: Option<usize>, outcome: &Outcome) {
        self.server = server;
        let observed = &outcome.observed;
        self.rows = observed.rows.or(observed.affected).unwrap_or(0);
        self.bytes = outcome.bytes;
        self.error = outcome.error;
    }
}

/// What the log shows of a text: nothing that may be a password.
fn shown(facts: &Facts, text: &[u8]) -> Box<[u8]> {
    const SECRETIVE: [Verb; 5] = [Verb::Create, Verb::Alter, Verb::Set, Verb::Grant, Verb::Change];
    let says = |word: &str| {
        text.windows(word.len())
            .any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    let is_secretive = SECRETIVE.iter().any(|verb| facts.features.verbs.contains(*verb));
    if is_secretive || says("password") || says("identified") {
        return Box::default();
    }
    text[..text.len().min(LONGEST)].into()
}

// === impl Client ===

impl Client {
    /// A command has arrived.
    pub fn begin(&mut self) {
        self.underway.began = self.worker.stopwatch.now();
        self.underway.waits = false;
    }

    /// It executes what was prepared under this id.
    pub fn begin_execution(&mut self, id: u32) {
        if let Some(statement) = self.session.statements.get(id) {
            let (log, template) = (&self.settings.config.log, &statement.template);
            self.underway.is_statement(log, &template.facts, &template.text);
            self.signal.shows(&template.facts.shape);
            let (bytes, capabilities) = (self.link.inbox.bytes(), self.capabilities);
            let attributes = || spans::of_execution(bytes, statement, capabilities);
            self.underway.span = spans::begin(&self.worker, &template.text, attributes);
        }
    }

    /// The server at hand has answered.
    pub fn note_answer(&mut self, outcome: &Outcome) {
        let server = self.connection.as_ref().map(|connection| connection.server.index);
        self.underway.is_answered(server, outcome);
    }

    /// The command is over. What broke off has no answer.
    pub fn end(&mut self, broke_off: bool) {
        let mut underway = std::mem::take(&mut self.underway);
        let span = underway.span.take();
        let Some(statement) = &underway.statement else {
            return;
        };
        let taken = self.worker.stopwatch.since(underway.began);
        let who = Who {
            digest: statement.digest,
            shape: &statement.shape,
            user: &self.login.user,
            schema: self.session.state.schema.as_ref(),
            server: underway.server,
        };
        let primary = self.worker.shared.topology.primary();
        let seen = Seen {
            taken,
            rows: underway.rows,
            bytes: underway.bytes,
            failed: underway.error.is_some() || broke_off,
            on_primary: underway.server.map(|server| primary == Some(server)),
            now: clock::now(),
        };
        self.worker.digests.borrow_mut().count(who, &seen);
        if let Some(span) = span {
            self.end_span(*span, &underway, statement, broke_off);
        }
        let log = &self.settings.config.log;
        let is_slow = log.slow.threshold.is_some_and(|threshold| taken >= threshold);
        if is_slow || self.worker.lines.is_sampled(log.sample) {
            self.log(&underway, statement, &seen, is_slow);
        }
    }

    fn log(&self, underway: &Underway, statement: &Statement, seen: &Seen, is_slow: bool) {
        let counts = &self.worker.shared.logged;
        let count = if is_slow { &counts.slow } else { &counts.sampled };
        count.fetch_add(1, Ordering::Relaxed);
        let Some(left_out) = self.worker.lines.take() else {
            counts.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let text = match statement.text.is_empty() {
            true => &statement.shape[..],
            false => &statement.text[..],
        };
        let server = underway
            .server
            .and_then(|server| self.worker.shared.servers.get(server));
        let schema = self.session.state.schema.as_deref().unwrap_or_default();
        let reason = underway.why.map_or("".into(), |why| self.told(why));
        tracing::info!(
            client = self.id,
            user = &*String::from_utf8_lossy(&self.login.user),
            schema = &*String::from_utf8_lossy(schema),
            server = server.as_ref().map_or("", |server| server.name()),
            milliseconds = millis(seen.taken),
            rows = seen.rows,
            error = underway.error.unwrap_or(0),
            reason = &*reason,
            digest = format_args!("{:016x}", statement.digest),
            statement = &*String::from_utf8_lossy(text),
            left_out,
            "{}",
            if is_slow { "slow statement" } else { "statement" }
        );
    }
}

fn millis(taken: Duration) -> f64 {
    (taken.as_secs_f64() * 1e6).round() / 1e3
}
