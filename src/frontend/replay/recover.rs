//! What a session does when its server is lost: with nothing under way, or in the middle of a statement.

use super::rebuild::is_lost_alone;
use crate::backend::BackendError;
use crate::config::ListenerMode;
use crate::frontend::client::Client;
use crate::frontend::outcome::{Broken, End, Outcome};
use crate::session::{Hold, Holds};
use crate::sql::{Class, Facts};
use crate::wire::Status;

/// What became of a statement whose server was lost.
pub enum Recovered {
    /// It was sent again, and this is its answer.
    Answered(Result<Outcome, Broken>),
    /// The client has been told.
    Told(Result<Outcome, End>),
}

// === impl Client: with nothing under way ===

impl Client {
    /// The connection that the session held is gone.
    pub fn sever(&mut self) {
        self.gateway.pass = None;
        self.session.holds.remove(Hold::Diagnostics);
        self.replay.severed |= !self.session.holds.is_empty();
    }

    /// Looks whether the connection at hand still stands, before anything is sent there.
    pub fn notice_loss(&mut self) {
        self.drop_evicted();
        let ended = self.replay.transcript.is_some()
            && !self.is_visiting()
            && self
                .connection
                .as_ref()
                .is_some_and(|connection| connection.link.socket().has_ended());
        if ended {
            self.connection = None;
            self.show_thread();
            self.sever();
        }
    }

    /// Whether a request that changes nothing may be sent again on another connection.
    pub fn may_stand_up(&self, error: &BackendError) -> bool {
        let kept = self.replay.transcript.is_some() || !self.session.holds.leave_traces();
        kept && self.may_wait(error) && !self.is_visiting()
    }

    /// Gets that connection, with the session's transaction on it.
    pub async fn stand_up(&mut self, error: &BackendError, facts: &Facts) -> Result<(), BackendError> {
        self.connection = None;
        self.show_thread();
        if self.session.holds.leave_traces() {
            self.sever();
        } else {
            self.session.holds = Holds::default();
            self.wait_for_primary(error).await?;
        }
        self.ready(facts).await
    }

    /// The transaction is over, by no word of the client's. What else was on its connection is gone with it.
    pub fn forget_transaction(&mut self, holds: Holds) {
        self.replay.forget();
        self.session.holds = Holds::default();
        self.session.status = self
            .session
            .status
            .without(Status::IN_TRANSACTION | Status::IN_READ_ONLY_TRANSACTION);
        self.replay.doomed = !is_lost_alone(holds);
        self.end_write();
    }
}

// === impl Client: in the middle of a statement ===

impl Client {
    /// The server was lost before anything of the answer came. The connection is gone already.
    pub async fn recover(&mut self, error: BackendError, facts: &Facts) -> Recovered {
        let holds = self.session.holds;
        self.blame(self.server.index, &error);
        self.gateway.pass = None;
        if self.entry.is_dying() && error.is_lost() {
            // The server has said all that it had to say.
            return Recovered::Told(Err(End::Killed));
        }
        let open = |client: &Self| {
            client
                .replay
                .transcript
                .as_ref()
                .is_some_and(|transcript| transcript.is_open())
        };
        if !error.is_lost() || self.mode == ListenerMode::Replica && !open(self) {
            return Recovered::Told(self.tell_loss(error, holds).await);
        }
        if self.is_outcome_unknown(facts) {
            return match self.evidence.lose() {
                Some(token) => Box::pin(self.settle_commit(token, error, facts)).await,
                None => Recovered::Told(self.tell_unknown(&error, holds).await),
            };
        }
        if !open(self) && !self.session.in_transaction() {
            return Recovered::Told(self.tell_loss(error, holds).await);
        }
        tracing::info!(client = self.id, %error, "a transaction is run again");
        match self.rebuild().await {
            Ok(()) => Recovered::Answered(self.send_again(facts).await),
            Err(error) => Recovered::Told(self.refuse(error).await),
        }
    }

    /// Whether something may have been changed for good.
    fn is_outcome_unknown(&self, facts: &Facts) -> bool {
        let transcript = self
            .replay
            .transcript
            .as_ref()
            .filter(|transcript| transcript.is_open());
        let in_transaction = self.session.in_transaction();
        let writes = facts.class == Class::Write && !facts.only_asks();
        match transcript {
            Some(transcript) => transcript.is_ambiguous() && (in_transaction || writes),
            None if in_transaction => crate::session::transcript::may_commit(facts, b""),
            None => writes,
        }
    }

    /// It was sent, and nobody knows whether it was run. It is not sent again.
    pub async fn tell_unknown(&mut self, error: &BackendError, holds: Holds) -> Result<Outcome, End> {
        let shared = self.worker.shared.clone();
        shared.recovery.ambiguous.add(1);
        let server = self.server.name().to_owned();
        tracing::warn!(client = self.id, server, %error, "the outcome of a write is not known");
        self.forget_transaction(holds);
        self.refuse(BackendError::OutcomeUnknown { server }).await
    }

    pub async fn tell_loss(&mut self, error: BackendError, holds: Holds) -> Result<Outcome, End> {
        self.forget_transaction(holds);
        self.replay.doomed |= !holds.is_empty();
        self.refuse(error).await
    }
}
