//! What became of a COMMIT whose server was lost: the primary is asked for the row that it leaves, and to keep it out
//! from then on if it is not there. The question is a transaction of its own, which waits for whoever is at the row,
//! and is acknowledged like any other: what it answers stays so.

use tokio::time::{Instant, sleep};

use super::kept::Done;
use super::ledger::Token;
use crate::backend::BackendError;
use crate::backend::connection::Answer;
use crate::frontend::client::{Client, FIRST};
use crate::frontend::outcome::{End, Outcome};
use crate::frontend::replay::rebuild::is_lost_alone;
use crate::frontend::replay::recover::Recovered;
use crate::session::Holds;
use crate::sql::Facts;
use crate::wire::Status;
use crate::wire::command::Command;

/// What is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Committed,
    /// And it never will be.
    NotCommitted,
    Unknown,
}

/// Made by `splitrail setup`; it fails with this if there is no such commit.
pub const SETTLE: &str = "splitrail.settle";
pub const NOT_COMMITTED: &str = "splitrail: not committed";
/// A procedure's own error.
const SIGNAL: u16 = 1644;

/// Another answer may come later: somebody is at the row (deadlock, lock wait), the server stops or writes nothing now.
const PASSING: [u16; 6] = [1053, 1205, 1213, 1290, 1317, 1836];
/// Before it is asked again.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

// === impl Client ===

impl Client {
    /// Answers the COMMIT that left this, if anything is known of it.
    pub async fn settle_commit(&mut self, token: Token, error: BackendError, facts: &Facts) -> Recovered {
        let holds = std::mem::take(&mut self.session.holds);
        let status = self.session.status;
        self.session.status = status.without(Status::IN_TRANSACTION);
        match self.settle(token, &error).await {
            Found::Committed => self.tell_committed(holds, &Done::default()).await,
            Found::NotCommitted => {
                self.unbind();
                (self.session.holds, self.session.status) = (holds, status);
                match self.rebuild().await {
                    Ok(()) => Recovered::Answered(self.send_again(facts).await),
                    Err(error) => Recovered::Told(self.refuse(error).await),
                }
            }
            Found::Unknown => {
                (self.session.holds, self.session.status) = (holds, status);
                Recovered::Told(self.tell_unknown(&error, holds).await)
            }
        }
    }

    /// Finds out what became of it.
    pub async fn settle(&mut self, token: Token, error: &BackendError) -> Found {
        let found = self.look_for(token).await;
        tracing::warn!(client = self.id, %error, ?found, "a commit was not answered");
        let recovery = &self.worker.shared.recovery;
        match found {
            Found::Committed => recovery.committed.add(1),
            Found::NotCommitted => recovery.not_committed.add(1),
            Found::Unknown => {
                recovery.unsettled.add(1);
                self.connection = None;
            }
        }
        found
    }

    /// Asks until there is an answer, for as long as a statement waits for a primary.
    async fn look_for(&mut self, token: Token) -> Found {
        let until = Instant::now() + self.worker.shared.lot.patience();
        loop {
            match self.look_once(token).await {
                Ok(Answer::Ok) => return Found::Committed,
                Ok(Answer::Error {
                    code: SIGNAL,
                    message,
                    ..
                }) if message == NOT_COMMITTED => {
                    return Found::NotCommitted;
                }
                Ok(Answer::Error { code, .. }) if PASSING.contains(&code) => {}
                Ok(Answer::Error { code, message, .. }) => {
                    tracing::warn!(
                        client = self.id,
                        code,
                        said = %message,
                        "the evidence of a COMMIT cannot be read"
                    );
                    return Found::Unknown;
                }
                Err(error) if self.may_wait(&error) => {
                    self.connection = None;
                    if self.wait_for_primary(&error).await.is_err() {
                        return Found::Unknown;
                    }
                }
                Err(error @ BackendError::Silent { .. }) => {
                    tracing::debug!(client = self.id, %error, "the evidence of a COMMIT is waited for");
                }
                Err(error) if error.is_lost() => {}
                Err(_) => return Found::Unknown,
            }
            self.connection = None;
            if Instant::now() >= until {
                return Found::Unknown;
            }
            tokio::select! {
                () = self.signal.called_off() => return Found::Unknown,
                () = sleep(PAUSE) => {}
            }
        }
    }

    async fn look_once(&mut self, token: Token) -> Result<Answer, BackendError> {
        self.enter_gate().await?;
        self.take(self.server.index).await?;
        let Some(connection) = &mut self.connection else {
            return Err(BackendError::Stopping);
        };
        let sql = format!("CALL {SETTLE}({token})");
        let body = connection.as_query(sql.as_bytes());
        connection.run(Command::QUERY, &body).await
    }

    /// Which commit it was, the lost server would have told: here it is one of all that the primary has.
    async fn learn_position_there(&mut self) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let mariadb = connection.server.is_mariadb();
        let body = connection.as_query(if mariadb {
            b"SELECT 'has',@@GLOBAL.gtid_binlog_pos".as_slice()
        } else {
            b"SELECT 'has',@@GLOBAL.gtid_executed".as_slice()
        });
        if connection.run(Command::QUERY, &body).await.is_err() {
            self.connection = None;
            return;
        }
        if let Some(position) = connection.told.get(b"has") {
            self.session.remember_gtid(mariadb, position);
        }
        if let Some(position) = &self.session.gtid {
            self.worker.shared.topology.acknowledged().add(position);
        }
    }

    /// The client hears what the lost server would have said.
    pub async fn tell_committed(&mut self, holds: Holds, done: &Done) -> Recovered {
        self.learn_position_there().await;
        let told = match self.tell_done(done).await {
            Ok(told) => told,
            Err(end) => return Recovered::Told(Err(end)),
        };
        // What it wrote is before what this server shows now.
        let (home, topology) = (self.server.index, &self.worker.shared.topology);
        let begun = topology.probes_begun(home);
        self.session.seen.read(home, begun, true);
        if !is_lost_alone(holds) {
            self.forget_transaction(holds);
            return Recovered::Told(Err(End::ServerLost));
        }
        self.leave_id_there(done.last_insert_id).await;
        Recovered::Answered(Ok(told))
    }

    /// The connection at hand has not run the statement: it gets to know the id that this gave.
    async fn leave_id_there(&mut self, id: u64) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        connection.sessions.last = u64::MAX;
        let sql = format!("SET @@SESSION.last_insert_id={id}");
        if id != 0 && connection.execute(sql.as_bytes()).await.is_err() {
            self.connection = None;
        }
    }

    /// Tells the client that its statement is done.
    pub async fn tell_done(&mut self, done: &Done) -> Result<Outcome, End> {
        let packet = done.packet(FIRST, self.session.status, self.capabilities);
        self.link.send(&packet).await.map_err(|_| End::Broken)?;
        let mut outcome = Outcome {
            started: true,
            bytes: packet.len() as u64,
            ..Outcome::default()
        };
        let observed = &mut outcome.observed;
        observed.ended(self.session.status, done.warnings, true);
        observed.affected = Some(done.affected_rows);
        observed.insert_id = (done.last_insert_id != 0).then_some(done.last_insert_id);
        Ok(outcome)
    }
}
