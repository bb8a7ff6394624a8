//! Writes with autocommit on, with evidence: each is made a transaction of its own, begun in one go with it, and
//! committed by the call once the server has answered it. Until then the client hears nothing. A write whose server
//! is lost before that is not committed, and is run again; one whose commit is lost is asked for.

use super::kept::{Done, Failed, Kept};
use super::ledger::Token;
use super::settle::Found;
use crate::backend::BackendError;
use crate::frontend::client::{Client, FIRST};
use crate::frontend::elsewhere::{Request, SHUTDOWN};
use crate::frontend::outcome::{Broken, End, Outcome};
use crate::frontend::relay::Purpose;
use crate::frontend::replay::recover::Recovered;
use crate::frontend::reply;
use crate::session::{Hold, Holds, transcript};
use crate::sql::{Class, Facts, Verb};
use crate::wire::Status;
use crate::wire::err::ErrPacket;
use crate::wire::framing::Expect;
use crate::wire::packet::HEADER;

/// How one try ended.
enum Attempt {
    /// The client has its answer, or it is gone.
    Answered(Result<Outcome, Broken>),
    /// Nothing of it is committed, or will be.
    Undone(BackendError),
    /// Its commit was on its way, and left this.
    Open(Token, Done, BackendError),
    /// It may be committed, and nothing tells.
    Unknown(BackendError),
}

const WRITES: [Verb; 4] = [Verb::Insert, Verb::Update, Verb::Delete, Verb::Replace];
const RETURNING: &[u8] = b"returning";
/// In every dialect (`sql_mode=ORACLE` has another use for BEGIN).
const BEGIN: &[u8] = b"START TRANSACTION";

/// Whether it may answer with rows, which cannot be kept until they are committed.
fn returns_rows(text: &[u8]) -> bool {
    text.windows(RETURNING.len())
        .any(|word| word.eq_ignore_ascii_case(RETURNING))
}

// === impl Client: what is such a write ===

impl Client {
    /// Whether this is to leave evidence, on the connection at hand.
    pub fn leaves_evidence_alone(&self, request: Request<'_>, facts: &Facts) -> bool {
        WRITES.contains(&facts.features.verb)
            && self.settings.config.failover.commit_evidence
            && facts.class == Class::Write
            && transcript::obstacle(&facts.features).is_none()
            && self.session.status.has(Status::AUTOCOMMIT)
            && !self.session.in_transaction()
            && !self.session.holds.has(Hold::NextTransaction)
            && self.is_undisturbed()
            && !self.may_return_rows(request)
    }

    fn may_return_rows(&self, request: Request<'_>) -> bool {
        match request {
            Request::Front(header) => returns_rows(&self.link.inbox.bytes()[HEADER..header.total()]),
            Request::Payload(payload) => returns_rows(payload),
            Request::Execute(_, id) => self
                .template(id)
                .is_none_or(|template| returns_rows(&template.text)),
            Request::Prepare { .. } => true,
        }
    }
}

// === impl Client: to answer it ===

impl Client {
    /// Answers a write that leaves evidence.
    pub async fn write_with_evidence(&mut self, request: Request<'_>, facts: &Facts) -> Result<Outcome, End> {
        let answered = self.write_until_known(request, facts).await;
        if let Request::Front(header) | Request::Execute(header, _) = request {
            self.link.inbox.consume(header.total());
        }
        answered
    }

    async fn write_until_known(&mut self, request: Request<'_>, facts: &Facts) -> Result<Outcome, End> {
        let mut again = false;
        loop {
            let holds = self.session.holds;
            // Once: what takes its server down with it should not go through all of them.
            let may_repeat = !again && !holds.leave_traces();
            let mut warnings = Vec::new();
            let attempt = self.write_once(request, &mut warnings).await;
            self.evidence.is_to_say(None);
            let ready = match attempt {
                Attempt::Answered(answered) => {
                    let outcome = self.finish(answered, facts).await?;
                    self.evidence.keep_warnings(warnings);
                    return self.has_kept_all().map(|()| outcome);
                }
                Attempt::Undone(error) if may_repeat && error.is_lost() && !self.entry.is_dying() => {
                    self.start_over(&error, facts).await
                }
                Attempt::Undone(error) => {
                    self.leave_lost(&error);
                    return self.tell_loss(not_committed(error), holds).await;
                }
                Attempt::Unknown(error) => {
                    self.leave_lost(&error);
                    return self.tell_unknown(&error, holds).await;
                }
                Attempt::Open(token, done, error) => {
                    self.leave_lost(&error);
                    match self.find_out(token, &done, &error, holds).await {
                        None if may_repeat => self.ready(facts).await,
                        None => return self.tell_loss(not_committed(error), holds).await,
                        Some(Recovered::Answered(answered)) => {
                            let outcome = self.finish(answered, facts).await?;
                            self.evidence.keep_warnings(warnings);
                            return Ok(outcome);
                        }
                        Some(Recovered::Told(told)) => return told,
                    }
                }
            };
            if let Err(error) = ready {
                return self.refuse(error).await;
            }
            again = true;
            self.write_there();
            self.worker.shared.recovery.repeated.add(1);
        }
    }

    /// Another connection for a write whose server was lost.
    async fn start_over(&mut self, error: &BackendError, facts: &Facts) -> Result<(), BackendError> {
        if self.may_wait(error) {
            return Box::pin(self.prepare_again(error, facts, None)).await;
        }
        self.leave_lost(error);
        self.session.holds = Holds::default();
        self.ready(facts).await
    }

    /// Asks what became of a commit. `None`: nothing, and the write may be run again.
    async fn find_out(
        &mut self,
        token: Token,
        done: &Done,
        error: &BackendError,
        holds: Holds,
    ) -> Option<Recovered> {
        if self.entry.is_dying() {
            return Some(Recovered::Told(self.tell_unknown(error, holds).await));
        }
        self.session.holds = Holds::default();
        match self.settle(token, error).await {
            Found::Committed => {
                self.write_there();
                Some(self.tell_committed(holds, done).await)
            }
            Found::NotCommitted => {
                self.unbind();
                None
            }
            Found::Unknown => Some(Recovered::Told(self.tell_unknown(error, holds).await)),
        }
    }

    /// The server at hand is lost.
    fn leave_lost(&mut self, error: &BackendError) {
        self.connection = None;
        self.show_thread();
        self.blame(self.server.index, error);
        self.gateway.pass = None;
    }

    async fn write_once(&mut self, request: Request<'_>, warnings: &mut Vec<Vec<u8>>) -> Attempt {
        let (begun, mut written) = match self.write_in_transaction(request).await {
            Ok(answers) => answers,
            Err(attempt) => return attempt,
        };
        match written.kept.take().map(|kept| *kept) {
            Some(Kept::Done(done)) if begun && done.in_transaction => {
                if done.warnings > 0 {
                    match self.ask_for_warnings().await {
                        Ok(rows) => *warnings = rows,
                        Err(error) => return Attempt::Undone(error),
                    }
                }
                self.commit_write(done, written).await
            }
            // It has committed itself.
            Some(Kept::Done(done)) => {
                Attempt::Answered(self.tell_done(&done).await.map_err(gone).map(|told| Outcome {
                    observed: written.observed,
                    ..told
                }))
            }
            Some(Kept::Failed(failed)) if begun && failed.code == SHUTDOWN => {
                Attempt::Undone(self.server_lost("it is about to stop"))
            }
            Some(Kept::Failed(failed)) => {
                if begun {
                    *warnings = self.undo().await;
                }
                Attempt::Answered(self.tell_failure(&failed).await.map(|()| written))
            }
            // Rows, of which none were expected, have gone to the client.
            None => {
                let error = self.server_lost("it answered a write with rows");
                Attempt::Answered(Err(Broken::Server { error, started: true }))
            }
        }
    }

    /// Sends the write behind a BEGIN, and keeps what is answered. False: there is no transaction.
    async fn write_in_transaction(&mut self, request: Request<'_>) -> Result<(bool, Outcome), Attempt> {
        let mut out = Vec::new();
        match self.encode(request, &mut out).await {
            Ok(true) => {}
            Ok(false) => {
                let why = "it cannot be prepared on another server".to_owned();
                return Err(Attempt::Undone(BackendError::NotReplayed { why }));
            }
            Err(error) => return Err(Attempt::Undone(error)),
        }
        let is_limited = self.time_limit().is_some();
        let Some(connection) = &mut self.connection else {
            return Err(Attempt::Undone(BackendError::Stopping));
        };
        let begin = connection.as_payload(BEGIN);
        // Compressed packets are numbered from each command on, and a limit of time is for what runs alone.
        let at_once = connection.link.next_number().is_none() && !is_limited;
        if at_once {
            connection.link.hold_payload(0, &begin);
            self.send_request(&request, &out).await.map_err(Attempt::Undone)?;
        } else if let Err(error) = connection.link.send_payload(0, &begin).await {
            return Err(Attempt::Undone(connection.lost(error)));
        }
        let begun = self.hear().await.map_err(|broken| unanswered(broken, true))?;
        // That is told of a transaction that begins, too.
        self.session.holds.remove(Hold::NextTransaction);
        let begun = matches!(begun.kept.as_deref(), Some(Kept::Done(done)) if done.in_transaction);
        if !at_once {
            self.send_request(&request, &out).await.map_err(Attempt::Undone)?;
        }
        let written = self.hear().await.map_err(|broken| unanswered(broken, begun))?;
        Ok((begun, written))
    }

    /// One answer, kept from the client.
    async fn hear(&mut self) -> Result<Outcome, Broken> {
        self.relay_as(Expect::Results, None, Purpose::Keep).await
    }

    /// The answer to the commit is the client's answer to its write.
    async fn commit_write(&mut self, done: Done, written: Outcome) -> Attempt {
        // The call could not write, or would leave warnings of its own on MariaDB, where COMMIT leaves the write's.
        let plainly = done.reads_only || done.warnings > 0 && self.server.is_mariadb();
        self.evidence.is_to_say(Some(done.clone()));
        let called = if plainly {
            Ok(None)
        } else {
            self.call_commit().await
        };
        let answered = match called {
            Ok(Some(outcome)) => Ok(outcome),
            Ok(None) => self.commit_plainly().await,
            Err(broken) => Err(broken),
        };
        match answered {
            Ok(outcome) if outcome.error.is_none() => {
                let mut observed = written.observed;
                observed.ended(outcome.observed.status.unwrap_or_default(), done.warnings, true);
                Attempt::Answered(Ok(Outcome { observed, ..outcome }))
            }
            Err(Broken::Server {
                error,
                started: false,
            }) => match self.evidence.lose() {
                Some(token) => Attempt::Open(token, done, error),
                None => Attempt::Unknown(error),
            },
            answered => Attempt::Answered(answered),
        }
    }

    async fn commit_plainly(&mut self) -> Result<Outcome, Broken> {
        let mut payload = Vec::new();
        if let Some(connection) = &mut self.connection {
            payload = connection.as_payload(b"COMMIT");
            // ROW_COUNT() there is that of the COMMIT.
            connection.sessions.last = u64::MAX;
        }
        self.ask(&payload, Expect::Results, None).await
    }

    /// Ends the transaction of a write that failed. Answers what the server forgets thereby.
    async fn undo(&mut self) -> Vec<Vec<u8>> {
        let warnings = self.ask_for_warnings().await;
        let Some(connection) = &mut self.connection else {
            return Vec::new();
        };
        // ROW_COUNT() there is that of the ROLLBACK.
        connection.sessions.last = u64::MAX;
        let undone = match &warnings {
            Ok(_) => connection.execute(b"ROLLBACK").await.is_ok(),
            Err(_) => false,
        };
        if !undone {
            self.connection = None;
            self.show_thread();
        }
        warnings.unwrap_or_default()
    }

    async fn tell_failure(&mut self, failed: &Failed) -> Result<(), Broken> {
        let packet = ErrPacket {
            code: failed.code,
            sqlstate: failed.sqlstate,
            message: &failed.message,
        };
        let packet = reply::failure(FIRST, self.capabilities, &packet);
        self.link.send(&packet).await.map_err(Broken::Client)
    }
}

/// The client cannot be told.
fn gone(_: End) -> Broken {
    Broken::Client(std::io::ErrorKind::BrokenPipe.into())
}

/// A statement was not answered; `uncommitted`: its transaction is open.
fn unanswered(broken: Broken, uncommitted: bool) -> Attempt {
    match broken {
        Broken::Server {
            error,
            started: false,
        } if uncommitted => Attempt::Undone(error),
        Broken::Server {
            error,
            started: false,
        } => Attempt::Unknown(error),
        broken => Attempt::Answered(Err(broken)),
    }
}

/// What an application takes for an ordinary deadlock.
fn not_committed(error: BackendError) -> BackendError {
    if error.is_lost() {
        let why = format!("{error}, before it was committed");
        BackendError::NotReplayed { why }
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_answer_with_rows_is_told() {
        assert!(returns_rows(b"INSERT INTO t VALUES (1) Returning id"));
        assert!(!returns_rows(b"INSERT INTO t VALUES (1)"));
        assert!(!returns_rows(b"x"));
    }
}
