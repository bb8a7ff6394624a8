//! One client after its login: who it is, its session, and the server connection that it may be holding.

use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use super::binding::Seat;
use super::caching::Caching;
use super::deadline::{Deadline, Stopped};
use super::elsewhere::Request;
use super::evidence::Evidence;
use super::gateway::Gateway;
use super::outcome::{Broken, End, Outcome};
use super::registry::{Aim, Entry, Place};
use super::relay::{Purpose, Relay};
use super::replay::Replay;
use super::replay::recover::Recovered;
use super::reply;
use super::request;
use super::rows::{OwnStatus, Rows, Speaks};
use super::rules::Steering;
use super::settings::Settings;
use super::trace::Trace;
use super::underway::Underway;
use super::worker::Worker;
use crate::backend::{BackendError, Connection, Key, Server};
use crate::config::{ConsistencyLevel, ListenerMode};
use crate::net::{Link, Signal};
use crate::routing::Policy;
use crate::session::{Hold, Session};
use crate::sql::{Class, Facts, Features, Flags, Verb};
use crate::wire::Capabilities;
use crate::wire::framing::Expect;

/// How the client came in; the same until it changes its user.
#[derive(Debug)]
pub struct Login {
    pub key: Key,
    pub user: Vec<u8>,
    /// The client's connection attributes, passed on to the server connections opened for it.
    pub attributes: Box<[u8]>,
    pub filler: [u8; crate::wire::login::FILLER],
    /// That of its greeting, which some proofs of a CHANGE_USER are made with, too.
    pub scramble: [u8; 20],
    /// CHANGE_USER in vain, so far.
    pub failed_changes: u8,
}

pub struct Client {
    pub link: Link,
    pub worker: Rc<Worker>,
    pub signal: Rc<Signal>,
    /// Counts against the limits for as long as the client is here.
    pub place: Place,
    /// The client's connection id, its own for as long as it is here.
    pub id: u32,
    pub capabilities: Capabilities,
    /// Where everything runs that is no read: it has the session's own connection.
    pub server: Arc<Server>,
    pub login: Login,
    pub session: Session,
    pub entry: Arc<Entry>,
    /// Of the KILL under way, if it is one of another client.
    pub aim: Option<Box<Aim>>,
    /// The servers that the session has used.
    pub seats: Vec<Seat>,
    /// Held between statements only while the session has a reason; always given back or closed by this client.
    pub connection: Option<Box<Connection>>,
    /// The connection that the session holds, while `connection` is another one for reads elsewhere.
    pub aside: Option<Box<Connection>>,
    /// The connection that ran this session's last statement, by its serial number.
    pub ran_last: Option<u64>,
    /// The one that ran its last statement with rows: FOUND_ROWS() outlives others.
    pub counted_at: Option<u64>,
    pub statements: u64,
    /// What the listener does with statements.
    pub mode: ListenerMode,
    /// What this client's reads may miss.
    pub policy: Policy,
    /// The same before the session had settings of its own.
    pub configured_policy: Policy,
    /// The level that the account asks for.
    pub account_level: Option<ConsistencyLevel>,
    /// As of the statement under way.
    pub settings: Arc<Settings>,
    pub steering: Steering,
    pub caching: Caching,
    /// Stands for where it comes from.
    pub source: u64,
    pub speaks: Speaks,
    pub trace: Trace,
    pub underway: Underway,
    /// What it has of the gate before the primary.
    pub gateway: Gateway,
    pub replay: Replay,
    pub evidence: Evidence,
    /// The name of the listener that it came in by.
    pub listener: String,
    /// Where it comes from, by its own word or by that of a trusted balancer; `None` for a Unix socket.
    pub address: Option<std::net::SocketAddr>,
    /// Why it is disconnected, where there is more to say than the [`End`] does.
    pub why: Option<String>,
}

/// The sequence number of a response's first packet.
pub const FIRST: u8 = 1;
/// Error 1053.
pub const STOPPING: &str = "Server shutdown in progress";

// === impl Client ===

impl Client {
    /// Before a client's first own word on session tracking, the proxy takes back what it asked for: from here on
    /// the client gets what the server tells, and keeps the connection.
    pub async fn hand_over_tracking(&mut self, features: &Features) -> Result<(), BackendError> {
        if !features.has(Flags::SETS_SESSION_TRACK) || self.session.holds.has(Hold::Tracking) {
            return Ok(());
        }
        self.bind().await?;
        if let Some(connection) = &mut self.connection {
            let untracked = connection.untrack().await;
            if untracked.is_err() {
                self.connection = None;
            }
            untracked?;
            self.session.holds.insert(Hold::Tracking);
        }
        Ok(())
    }

    /// Whether the statement that ran last on the connection at hand is not the one that this session ran last.
    pub fn has_foreign_results(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| {
            connection.sessions.last != self.session.serial
                || self.ran_last.is_some_and(|last| last != connection.serial)
        })
    }

    /// Makes sure that the connection at hand answers as this session's own where the statement asks for what the
    /// statements before it left.
    pub async fn adopt(&mut self, features: &Features) -> Result<(), BackendError> {
        let own = self.session.serial;
        if let Some(connection) = &mut self.connection
            && std::mem::replace(&mut connection.sessions.last, own) != own
        {
            connection.sessions.rows = 0;
        }
        let mut asks = self.asks_of_connection(features);
        if asks != (false, false) && self.session.is_unsure && !self.is_visiting() {
            self.ask_now().await?;
            asks = self.asks_of_connection(features);
        }
        let (asks_id, asks_warnings) = asks;
        let id = self.session.insert_id;
        let Some(connection) = self.connection.as_mut().filter(|_| asks_id || asks_warnings) else {
            return Ok(());
        };
        connection.insert_id = Some(id);
        let sql = if asks_warnings {
            connection.sessions.warned = 0;
            // A statement that reads something like a table empties the list of warnings, too.
            format!("SET @@SESSION.last_insert_id=(SELECT {id} FROM (SELECT 1) AS one)")
        } else {
            format!("SET @@SESSION.last_insert_id={id}")
        };
        let adopted = connection.execute(sql.as_bytes()).await;
        if adopted.is_err() {
            self.connection = None;
        }
        adopted
    }

    /// Whether the statement is about an id, and about warnings, where the connection at hand has another session's.
    pub fn asks_of_connection(&self, features: &Features) -> (bool, bool) {
        let Some(connection) = &self.connection else {
            return (false, false);
        };
        let reads_id = Flags::LAST_INSERT_ID | Flags::ASSIGNS_LAST_INSERT_ID | Flags::UNKNOWN_CALL;
        // An id that the statement may write itself could not be told from the one that is there.
        let about_id = features.has(reads_id) || self.session.may_insert(features, connection.insert_id);
        let knows_id = connection.insert_id == Some(self.session.insert_id);
        // Warnings that are the session's own may be those of a statement before the last.
        let settled = connection.sessions.warned == 0
            || connection.sessions.warned == self.session.serial && self.ran_last == Some(connection.serial);
        (
            about_id && !knows_id,
            features.has(Flags::DIAGNOSTICS) && !settled,
        )
    }

    /// Makes the client known to the other threads.
    pub fn enlist(&mut self) {
        let (worker, user) = (self.worker.index, self.login.user.clone());
        let entry = Entry::new(worker, user, self.login.key.clone());
        self.entry = Arc::new(entry.by(&self.listener, self.address));
        self.worker.shared.registry.insert(self.id, self.entry.clone());
    }

    /// Where the session's own statements run: the connection at hand, if that ran the last one and this one asks
    /// for what it left; or the one that the session holds; or one at home.
    pub async fn ready(&mut self, facts: &Facts) -> Result<(), BackendError> {
        self.ready_at(facts).await?;
        self.adopt(&facts.features).await
    }

    /// The same, without what the session's statements before left there. Waits for a primary where that helps, and
    /// brings back a transaction that was lost with its server.
    pub async fn ready_at(&mut self, facts: &Facts) -> Result<(), BackendError> {
        if self.is_ready(facts) {
            return Ok(());
        }
        // Boxed, so that a client that waits for nothing has no room for it.
        Box::pin(self.ready_at_leisure(facts)).await
    }

    async fn ready_at_leisure(&mut self, facts: &Facts) -> Result<(), BackendError> {
        loop {
            self.notice_loss();
            if self.replay.severed {
                self.rebuild().await?;
            }
            if self.may_write(facts)
                && let Err(error) = self.enter_gate().await
            {
                if !error.is_lost() {
                    return Err(error);
                }
                self.connection = None;
                self.sever();
                continue;
            }
            match self.at_hand(facts).await {
                Err(error) if self.may_wait(&error) && !self.session.holds.leave_traces() => {
                    self.wait_for_primary(&error).await?;
                }
                found => {
                    if found.is_ok() && self.gateway.turn.is_some() {
                        self.worker.shared.lot.works(self.server.index);
                    }
                    return found;
                }
            }
        }
    }

    /// Whether the ordinary case is at hand, in which there is nothing to wait for. In all others everything is asked
    /// at leisure, once more.
    fn is_ready(&mut self, facts: &Facts) -> bool {
        self.notice_loss();
        self.follow_primary();
        let rare = Flags::SETS_SESSION_TRACK;
        let plain = !self.replay.severed
            && self.gateway.turn.is_none()
            && facts.class != Class::Last
            && facts.features.kill.is_none()
            && !facts.features.has(rare)
            && !self.session.seen.is_ahead_of_primary();
        plain && (!self.may_write(facts) || matches!(self.passes_gate(), Ok(true))) && self.is_at_home()
    }

    fn is_for_last(&self, facts: &Facts) -> bool {
        let stays = |session: &Session| {
            session
                .must_stay(&facts.features, facts.tables.as_deref())
                .is_some()
        };
        facts.class == Class::Last && facts.is_for_last(stays(&self.session))
    }

    async fn at_hand(&mut self, facts: &Facts) -> Result<(), BackendError> {
        self.hand_over_tracking(&facts.features).await?;
        self.relocate_for(facts).await?;
        match &facts.features.kill {
            Some(kill) => self.bind_for_kill(kill).await,
            None if self.is_for_last(facts) && self.connection.is_some() => Ok(()),
            None => {
                self.bind().await?;
                self.catch_up_at_home(facts).await
            }
        }
    }

    /// Sends a request that was rewritten, and forwards its response.
    pub async fn pass_payload(
        &mut self,
        payload: &[u8],
        expect: Expect,
        facts: &Facts,
    ) -> Result<Outcome, End> {
        if let Err(error) = self.ready(facts).await {
            return self.refuse(error).await;
        }
        self.pass_ready(payload, expect, facts).await
    }

    /// The same where the connection at hand is ready for it.
    pub async fn pass_ready(
        &mut self,
        payload: &[u8],
        expect: Expect,
        facts: &Facts,
    ) -> Result<Outcome, End> {
        self.record_payload(payload, facts);
        let request = Request::Payload(payload);
        if self.leaves_evidence_alone(request, facts) {
            return Box::pin(self.write_with_evidence(request, facts)).await;
        }
        let answered = self.ask(payload, expect, None).await;
        self.finish(answered, facts).await
    }

    pub async fn ask(
        &mut self,
        payload: &[u8],
        expect: Expect,
        statement: Option<u32>,
    ) -> Result<Outcome, Broken> {
        self.ask_as(payload, expect, statement, Purpose::Plain).await
    }

    pub async fn ask_as(
        &mut self,
        payload: &[u8],
        expect: Expect,
        statement: Option<u32>,
        purpose: Purpose,
    ) -> Result<Outcome, Broken> {
        let Some(connection) = &mut self.connection else {
            return Err(Broken::Client(std::io::ErrorKind::NotConnected.into()));
        };
        if let Err(error) = connection.link.send_payload(0, payload).await {
            let error = connection.lost(error);
            return Err(Broken::Server {
                error,
                started: false,
            });
        }
        self.relay_as(expect, statement, purpose).await
    }

    pub async fn relay(&mut self, expect: Expect, statement: Option<u32>) -> Result<Outcome, Broken> {
        self.relay_as(expect, statement, Purpose::Plain).await
    }

    /// The same, but an answer that lets the statement run on another server is kept from the client.
    pub async fn relay_unless_refused(
        &mut self,
        expect: Expect,
        statement: Option<u32>,
    ) -> Result<Outcome, Broken> {
        self.relay_as(expect, statement, Purpose::Visit).await
    }

    pub async fn relay_as(
        &mut self,
        expect: Expect,
        statement: Option<u32>,
        purpose: Purpose,
    ) -> Result<Outcome, Broken> {
        let limit = self.time_limit();
        self.underway.is_sent();
        let worker = self.worker.clone();
        let Some(connection) = &mut self.connection else {
            return Err(Broken::Client(std::io::ErrorKind::NotConnected.into()));
        };
        // A read elsewhere has been counted since it was decided on.
        let load = worker.shared.topology.load(connection.server.index);
        let _underway = (purpose != Purpose::Visit).then(|| load.enter(worker.index));
        let deadline = limit.map(|limit| Deadline::new(limit, connection));
        let stopped = Stopped::default();
        let rows = match std::mem::take(&mut self.speaks) {
            Speaks::OfNone => None,
            Speaks::OfProcesses => Some(Rows::Processes {
                registry: &self.worker.shared.registry,
                server: connection.server.index,
            }),
            Speaks::OfWarnings => Some(Rows::More(self.evidence.rows_of_warnings(&self.trace))),
            Speaks::OfErrors => Some(Rows::More(self.evidence.rows_of_errors())),
            Speaks::OfStatus => Some(Rows::Status(OwnStatus::new(&self.link, &worker.shared.accounts))),
        };
        let relay = Relay {
            client: &mut self.link,
            connection,
            signal: &self.signal,
            session: &mut self.session,
            capabilities: self.capabilities,
            statement,
            purpose,
            says: self.evidence.says(),
            aim: self.aim.as_deref(),
            watches: self.underway.waits,
            max_packet: self.settings.config.limits.max_allowed_packet,
            since: self.settings.measures_latency().then(Instant::now),
            acknowledged: worker.shared.topology.acknowledged(),
            numbers: None,
            rows,
            stopped: &stopped,
            recording: self.caching.recording.as_mut(),
            checksum: self.replay.checksum(),
        };
        let Some(deadline) = deadline else {
            return relay.run(expect).await;
        };
        // Rare, and larger than all else that a session may have to wait for: every client would have room for it.
        let answered = Box::pin(deadline.over(relay.run(expect), &stopped)).await;
        if stopped.get() && answered.is_ok() {
            self.clear_stop().await;
        }
        answered
    }

    /// A statement was stopped for taking too long: whatever is left of that order is met before the next one.
    async fn clear_stop(&mut self) {
        if let Some(connection) = &mut self.connection {
            super::rules::count(&self.worker.shared.ruled.timed_out);
            let _ = connection.execute(b"DO 0").await;
        }
    }

    /// Draws the conclusions from a response, or tells the client why there is none.
    pub async fn finish(
        &mut self,
        mut answered: Result<Outcome, Broken>,
        facts: &Facts,
    ) -> Result<Outcome, End> {
        loop {
            match answered {
                Err(Broken::Server {
                    error,
                    started: false,
                }) if !self.is_visiting() => {
                    self.connection = None;
                    self.show_thread();
                    tracing::warn!(client = self.id, %error, "statement lost");
                    match Box::pin(self.recover(error, facts)).await {
                        Recovered::Answered(again) => answered = again,
                        Recovered::Told(told) => return told,
                    }
                }
                answered => return self.conclude_answer(answered, facts).await,
            }
        }
    }

    async fn conclude_answer(
        &mut self,
        answered: Result<Outcome, Broken>,
        facts: &Facts,
    ) -> Result<Outcome, End> {
        let features = &facts.features;
        self.conclude_trace(facts);
        match answered {
            Ok(outcome) => {
                if self.is_visiting() {
                    self.session.settle_elsewhere(features, &outcome.observed);
                } else {
                    self.session.settle(features, &outcome.observed);
                    self.replay.end(&self.session, features);
                    self.leave_gate();
                }
                self.forget_warnings(features);
                self.signal.idle_limit.set(self.session.idle_limit);
                self.notice_procedures(features);
                if features.has(Flags::ENDS_CONNECTION) && outcome.error.is_none() {
                    self.connection = None;
                    return Err(End::Released);
                }
                self.mark_connection(&outcome);
                self.ran_last = self.connection.as_ref().map(|connection| connection.serial);
                self.note_latency(facts, &outcome);
                self.note_answer(&outcome);
                self.note_seen(facts, &outcome);
                self.keep_result(&outcome);
                self.end_write();
                self.let_go_after_statement().await;
                Ok(outcome)
            }
            Err(Broken::Client(_)) => {
                // Half a response is still on its way: nobody can use the connection after this.
                self.connection = None;
                Err(End::Gone)
            }
            Err(Broken::Stopped { started }) => {
                self.connection = None;
                if !started {
                    self.error(1053, b"08S01", STOPPING).await?;
                }
                Err(End::ShuttingDown)
            }
            Err(Broken::Server { error, started }) => {
                self.connection = None;
                self.show_thread();
                tracing::warn!(client = self.id, %error, "statement lost");
                if started {
                    return Err(End::ServerLost);
                }
                // What the session holds is on another connection.
                self.refuse(error).await
            }
        }
    }

    /// The statement may have made a procedure, or another one of the same name.
    fn notice_procedures(&self, features: &Features) {
        let program = Flags::STORED_PROGRAM | Flags::BROKEN;
        if features.verbs.contains(Verb::Create) && features.has(program) {
            self.worker.shared.topology.forget_procedures();
        }
    }

    /// Notes how soon the server at hand answered a read. What failed, failed soon, and says nothing of it.
    fn note_latency(&self, facts: &Facts, outcome: &Outcome) {
        if let Some(connection) = &self.connection {
            let (is_read, failed) = (facts.class.is_read(), outcome.error.is_some());
            let traffic = self.worker.traffic();
            traffic.answered(connection.server.index, is_read, failed, outcome.bytes);
        }
        let measured = outcome
            .answered_after
            .filter(|_| facts.class.is_read() && outcome.error.is_none());
        if let (Some(taken), Some(connection)) = (measured, &self.connection) {
            let load = self.worker.shared.topology.load(connection.server.index);
            load.answered(taken);
        }
    }

    /// Notes whose the things are that the statement left on the server.
    fn mark_connection(&mut self, outcome: &Outcome) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        if outcome.observed.warnings > 0 {
            connection.sessions.warned = self.session.serial;
        }
        if outcome.observed.rows.is_some() {
            connection.sessions.rows = self.session.serial;
            self.counted_at = Some(connection.serial);
        }
        let is_away = connection.reads_alone || self.aside.is_some();
        match self.session.told_id.take() {
            Some(id) => connection.insert_id = Some(id),
            None if is_away && outcome.observed.insert_id.is_some() => connection.insert_id = None,
            None => {}
        }
    }

    /// Tells the client what went wrong on the way to the server. If the connection went that the session held, so
    /// did part of the session, and it ends.
    pub async fn refuse(&mut self, error: BackendError) -> Result<Outcome, End> {
        self.leave_gate();
        if matches!(error, BackendError::Killed) {
            return Err(End::Killed);
        }
        let (code, sqlstate, message) = error.for_client();
        self.error(code, &sqlstate, &message).await?;
        if self.has_lost_its_hold() {
            return Err(End::ServerLost);
        }
        let mut outcome = Outcome {
            error: Some(code),
            ..Outcome::default()
        };
        outcome.observed.failed();
        if std::mem::take(&mut self.replay.doomed) {
            return Err(End::ServerLost);
        }
        Ok(outcome)
    }

    pub async fn error(&mut self, code: u16, sqlstate: &[u8; 5], message: &str) -> Result<(), End> {
        self.worker.traffic().own_errors.add(1);
        self.underway.fails(code);
        let packet = reply::error(FIRST, self.capabilities, code, sqlstate, message);
        self.link.send(&packet).await.map_err(|_| End::Broken)
    }

    pub async fn ok(&mut self) -> Result<(), End> {
        let packet = reply::ok(FIRST, self.session.status);
        self.link.send(&packet).await.map_err(|_| End::Broken)
    }

    /// Throws the request at the front of the inbox away.
    pub async fn skip(&mut self) -> Result<(), End> {
        request::skip_packet(&mut self.link).await.map_err(|_| End::Gone)
    }

    /// The request could not be read to its end.
    pub async fn client_failed(&mut self, error: &std::io::Error) -> End {
        self.connection = None;
        if error.kind() == std::io::ErrorKind::InvalidData {
            let text = "Got a packet bigger than 'max_allowed_packet' bytes";
            let _ = self.error(1153, b"08S01", text).await;
            return End::Malformed;
        }
        End::Gone
    }
}
