//! Keeps the transcript of a session's transaction while its statements go by.

use std::sync::Arc;

use crate::config::{Failover, FailoverMode};
use crate::frontend::client::Client;
use crate::frontend::elsewhere::Request;
use crate::session::{Budget, Checksum, Form, Hold, Session, Transcript, transcript};
use crate::sql::{Class, Facts, Features, Flags, Verb};
use crate::wire::Status;
use crate::wire::command::Command;
use crate::wire::framing::Expect;
use crate::wire::packet::{HEADER, Header};

/// What one session has for the loss of its server.
#[derive(Debug, Default)]
pub struct Replay {
    pub transcript: Option<Box<Transcript>>,
    /// Of what the statement under way answers.
    pub checksum: Checksum,
    /// The connection that the session held is gone, and with it what the session has there.
    pub severed: bool,
    /// What is gone cannot be brought back: the client is told, and let go.
    pub doomed: bool,
    was_in_transaction: bool,
}

const TOO_LONG: &str = "a statement of it is too long to be kept";

/// Whether transactions are kept at all.
pub fn is_enabled(settings: &Failover) -> bool {
    settings.replay.enabled && settings.mode != FailoverMode::Off
}

/// Whether a transaction can begin with this.
fn opens(session: &Session, facts: &Facts) -> bool {
    !session.in_transaction()
        && (matches!(facts.class, Class::Begin { .. })
            || !session.status.has(Status::AUTOCOMMIT)
            || facts.features.has(Flags::SETS_NEXT_TRANSACTION))
}

// === impl Replay ===

impl Replay {
    /// A statement is about to be sent. A `request` that is not at hand whole cannot be sent again.
    fn begin(
        &mut self,
        session: &Session,
        budget: Option<&Arc<Budget>>,
        facts: &Facts,
        request: Result<&[u8], &'static str>,
        form: Form,
    ) {
        let Some(budget) = budget else { return };
        if self.transcript.is_none() && !opens(session, facts) {
            return;
        }
        let fresh = || {
            let transcript = Transcript::new(session.state.clone(), session.insert_id, budget.clone());
            Box::new(transcript)
        };
        let transcript = self.transcript.get_or_insert_with(fresh);
        self.checksum = Checksum::default();
        self.was_in_transaction = session.in_transaction();
        if let Err(why) = request {
            transcript.break_off(why);
        }
        transcript.begin(facts, request.unwrap_or_default(), form);
    }

    /// Where the sum of what is answered goes, if it is wanted.
    pub fn checksum(&mut self) -> Option<&mut Checksum> {
        let wanted = self
            .transcript
            .as_ref()
            .is_some_and(|transcript| transcript.is_recording());
        wanted.then_some(&mut self.checksum)
    }

    /// The statement has been answered, and the session has learned from it.
    pub fn end(&mut self, session: &Session, features: &Features) {
        let Some(transcript) = &mut self.transcript else {
            return;
        };
        if !session.in_transaction() && !session.holds.has(Hold::NextTransaction) {
            self.transcript = None;
            return;
        }
        if !transcript.is_open() {
            return;
        }
        transcript.end(&self.checksum, features.verb, session.in_transaction());
        let begins = matches!(features.verb, Verb::Begin | Verb::StartTransaction);
        if begins && self.was_in_transaction {
            // The one before has been committed.
            transcript.restart(session.state.clone(), session.insert_id);
        }
    }

    /// Nothing of a transaction is left.
    pub fn forget(&mut self) {
        self.transcript = None;
        self.severed = false;
    }
}

// === impl Client ===

impl Client {
    /// Whether a request of which the beginning is in the inbox is to be read whole, for the transcript of its
    /// transaction. Others are passed on as they come.
    pub fn keeps_long(&self, header: Header, facts: &Facts) -> bool {
        let Some(budget) = self.worker.shared.replays.as_ref() else {
            return false;
        };
        let bytes = header.length as u64;
        let has_room = match &self.replay.transcript {
            Some(transcript) => transcript.has_room(bytes),
            None => self.wants_long(facts) && budget.has_room(0, bytes),
        };
        let is_whole = header.total() <= self.link.inbox.bytes().len();
        // What it is to the end will be seen when it is there.
        has_room
            && transcript::is_known(facts.features.verb)
            && !is_whole
            && !header.is_continued()
            && !self.is_visiting()
    }

    /// Whether it is for a transaction, the client's or one of its own.
    fn wants_long(&self, facts: &Facts) -> bool {
        opens(&self.session, facts) || self.leaves_evidence_alone(Request::Payload(&[]), facts)
    }

    /// The request at the front of the inbox is about to be sent to the server at hand.
    pub fn record_front(&mut self, header: Header, expect: Expect, facts: &Facts) {
        let bytes = self.link.inbox.bytes();
        let payload = bytes.get(HEADER..header.total());
        let command = Command(bytes.get(HEADER).copied().unwrap_or_default());
        let lasts = matches!(command, Command::QUERY | Command::INIT_DB) && expect == Expect::Results;
        if self.worker.shared.replays.is_none() || !lasts || self.is_visiting() {
            return;
        }
        let request = payload.ok_or(TOO_LONG);
        let budget = self.worker.shared.replays.as_ref();
        self.replay
            .begin(&self.session, budget, facts, request, Form::Command);
    }

    /// The same for a transaction that begins on a replica.
    pub fn record_elsewhere(&mut self, request: &Request<'_>, facts: &Facts, server: usize) {
        if !matches!(facts.class, Class::Begin { .. }) || self.is_visiting() {
            return;
        }
        let budget = self.worker.shared.replays.as_ref();
        let payload = match request {
            Request::Front(header) => self.link.inbox.bytes().get(HEADER..header.total()),
            Request::Payload(payload) => Some(*payload),
            Request::Prepare { .. } | Request::Execute(..) => None,
        };
        let request = payload.ok_or("its beginning was a prepared statement, on a replica");
        self.replay
            .begin(&self.session, budget, facts, request, Form::Command);
        if let Some(transcript) = &mut self.replay.transcript {
            transcript.replica = Some(server);
        }
    }

    /// The same for one that is not there whole.
    pub fn record_long(&mut self, facts: &Facts) {
        if !self.is_visiting() {
            let budget = self.worker.shared.replays.as_ref();
            let why = Err(TOO_LONG);
            self.replay
                .begin(&self.session, budget, facts, why, Form::Command);
        }
    }

    /// The same for a payload of the proxy's making.
    pub fn record_payload(&mut self, payload: &[u8], facts: &Facts) {
        if self.worker.shared.replays.is_some() && !self.is_visiting() {
            let budget = self.worker.shared.replays.as_ref();
            self.replay
                .begin(&self.session, budget, facts, Ok(payload), Form::Command);
        }
    }

    /// The same for an execution of this statement. `why` it cannot be repeated, if so.
    ///
    /// A `payload` has been read; without one it is at the front of the inbox.
    pub fn record_execution(
        &mut self,
        header: Header,
        payload: Option<&[u8]>,
        id: u32,
        why: Option<&'static str>,
        facts: &Facts,
    ) {
        let wanted = self.worker.shared.replays.is_some() && !self.is_visiting();
        if !wanted || self.replay.transcript.is_none() && !opens(&self.session, facts) {
            return;
        }
        let Some(statement) = self.session.statements.get(id) else {
            return;
        };
        let form = Form::Execution {
            template: statement.template.clone(),
            parameters: statement.parameters,
            types: statement.types.clone(),
        };
        let front = || self.link.inbox.bytes().get(HEADER..header.total());
        let request = payload.or_else(front).ok_or(TOO_LONG);
        let request = why.map_or(request, Err);
        let budget = self.worker.shared.replays.as_ref();
        self.replay.begin(&self.session, budget, facts, request, form);
    }
}
