//! COMMIT with evidence: in its place goes one call that writes the session's row and commits. It is one statement,
//! so that nothing is committed when the row cannot be written, and it costs no round trip.

use std::rc::Rc;

use super::kept::Done;
use super::ledger::{Ledger, Slot, Token};
use crate::config::ListenerMode;
use crate::frontend::client::Client;
use crate::frontend::outcome::{Broken, End, Outcome};
use crate::frontend::relay::Purpose;
use crate::session::Hold;
use crate::sql::{Facts, Flags, Verb};
use crate::wire::Status;
use crate::wire::command::Command;
use crate::wire::framing::Expect;
use crate::wire::packet::{HEADER, Header};

/// What one session has of it; nothing until it commits with evidence.
#[derive(Debug, Default)]
pub struct Evidence(Option<Box<Own>>);

#[derive(Debug, Default)]
struct Own {
    /// Its row, from its first commit on.
    slot: Option<Slot>,
    /// What the commit under way leaves.
    sent: Option<Token>,
    /// What the client hears when it is answered.
    says: Option<Done>,
    /// Of the last write, where the server has forgotten them: rows of SHOW WARNINGS.
    warnings: Vec<Vec<u8>>,
}

/// Made by `splitrail setup`.
pub const COMMIT: &str = "splitrail.commit_as";

/// What the server says to the call before anything of it was run: no such database, table or procedure, no right to
/// it, no such definer, or tables are locked. A commit that fails says none of these.
const NEVER_RAN: [u16; 9] = [1044, 1049, 1100, 1142, 1143, 1146, 1305, 1370, 1449];

/// What the call may say although its transaction is committed: it was interrupted while it waited for somebody to
/// acknowledge that. The last ones are what a `timeout` of a rule makes of it.
const MAY_HAVE_RUN: [u16; 5] = [1053, 1317, 1927, 1969, 3024];

/// With these, what the client sees or has would be another than after its own COMMIT.
const DISTURBED: [Hold; 5] = [
    Hold::LockedTables,
    Hold::DistributedTransaction,
    Hold::BackupLock,
    Hold::Tracking,
    Hold::OneShot,
];

/// Whether a call that failed so has left the transaction as it was.
fn never_ran(code: u16) -> bool {
    NEVER_RAN.contains(&code)
}

/// Whether that a call failed so is not for the client.
pub fn is_kept(code: u16) -> bool {
    never_ran(code) || MAY_HAVE_RUN.contains(&code)
}

/// Whether this says COMMIT and no more.
fn is_plain(text: &[u8]) -> bool {
    let mut words = without_comments(text)
        .split(|byte| byte.is_ascii_whitespace() || *byte == b';')
        .filter(|word| !word.is_empty());
    let first = words
        .next()
        .is_some_and(|word| word.eq_ignore_ascii_case(b"commit"));
    let work = words.next().is_none_or(|word| word.eq_ignore_ascii_case(b"work"));
    first && work && words.next().is_none()
}

/// The text between a comment before it and one behind it. Those that a server runs stay.
fn without_comments(text: &[u8]) -> &[u8] {
    let mut text = text.trim_ascii();
    if text.starts_with(b"/*")
        && !matches!(text.get(2), Some(b'!' | b'M'))
        && let Some(end) = text.windows(2).skip(2).position(|pair| pair == b"*/")
    {
        text = text[end + 4..].trim_ascii();
    }
    if let Some(start) = text.windows(2).position(|pair| pair == b"/*")
        && !matches!(text.get(start + 2), Some(b'!' | b'M'))
        && text.ends_with(b"*/")
        && let Some(inner) = text.get(start + 2..text.len() - 2)
        && inner.windows(2).all(|pair| pair != b"*/")
    {
        text = &text[..start];
    }
    text
}

// === impl Evidence ===

impl Evidence {
    fn own(&mut self) -> &mut Own {
        self.0.get_or_insert_default()
    }

    /// What the next commit leaves.
    fn begin(&mut self, ledger: &Rc<Ledger>) -> Token {
        let own = self.own();
        let token = own.slot.get_or_insert_with(|| ledger.slot()).token();
        own.sent = Some(token);
        token
    }

    /// It has been answered.
    fn end(&mut self) {
        self.own().sent = None;
    }

    /// What the commit left whose answer did not come. Its row is not used again: the server may still be at it.
    pub fn lose(&mut self) -> Option<Token> {
        let own = self.0.as_mut()?;
        let sent = own.sent.take()?;
        own.retire();
        Some(sent)
    }

    /// What the client hears when the commit under way is answered.
    pub fn says(&self) -> Option<&Done> {
        self.0.as_ref()?.says.as_ref()
    }

    pub fn is_to_say(&mut self, says: Option<Done>) {
        if says.is_some() || self.0.is_some() {
            self.own().says = says;
        }
    }

    pub fn warnings(&self) -> &[Vec<u8>] {
        self.0.as_ref().map_or(&[], |own| &own.warnings)
    }

    pub fn keep_warnings(&mut self, warnings: Vec<Vec<u8>>) {
        if !(warnings.is_empty() && self.warnings().is_empty()) {
            self.own().warnings = warnings;
        }
    }
}

impl Own {
    fn retire(&mut self) {
        if let Some(mut slot) = self.slot.take() {
            slot.retire();
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if self.sent.is_some() {
            self.retire();
        }
    }
}

// === impl Client ===

impl Client {
    /// Whether the request at the front of the inbox, which is whole, is a COMMIT that leaves evidence.
    pub fn gives_evidence(&self, header: Header, facts: &Facts) -> bool {
        facts.features.verb == Verb::Commit
            && self.leaves_evidence(&self.link.inbox.bytes()[HEADER..header.total()], facts)
    }

    /// The same for its payload.
    pub fn leaves_evidence(&self, payload: &[u8], facts: &Facts) -> bool {
        if !self.settings.config.failover.commit_evidence {
            return false;
        }
        let is_query = payload.first() == Some(&Command::QUERY.0);
        let text = payload.get(self.text_offset(payload)..).unwrap_or_default();
        let several = facts
            .features
            .has(Flags::SEVERAL | Flags::BROKEN | Flags::ENDS_CONNECTION);
        is_query && !several && is_plain(text) && self.may_give_evidence()
    }

    /// Whether a COMMIT of this session would commit something, and nothing would be seen of the row.
    fn may_give_evidence(&self) -> bool {
        let session = &self.session;
        let writes = session.in_transaction() && !session.status.has(Status::IN_READ_ONLY_TRANSACTION);
        // MariaDB's COMMIT leaves the last warnings.
        let warned = session.holds.has(Hold::Diagnostics) && self.server.is_mariadb();
        let reads_so_far = self
            .replay
            .transcript
            .as_ref()
            .is_some_and(|transcript| transcript.only_reads());
        writes && !(reads_so_far || warned) && self.is_undisturbed()
    }

    /// Whether nothing of a row beside a transaction of this session would be seen, and it may be written.
    pub fn is_undisturbed(&self) -> bool {
        let session = &self.session;
        // What COMMIT makes of the transaction after it.
        let chains = session.state.variables.get(b"completion_type");
        let chains = chains.is_some_and(|value| value != b"NO_CHAIN" && value != b"0");
        let disturbed = DISTURBED.into_iter().any(|hold| session.holds.has(hold));
        let home = self.server.index;
        let is_home = self
            .connection
            .as_ref()
            .is_some_and(|connection| connection.server.index == home);
        is_home
            && self.mode != ListenerMode::Replica
            && !(chains || disturbed || self.is_visiting())
            && !self.worker.evidence.is_refused(&self.login.user)
    }

    /// Answers the COMMIT at the front of the inbox.
    pub async fn commit_with_evidence(&mut self, header: Header, facts: &Facts) -> Result<Outcome, End> {
        let plain = self.link.inbox.bytes()[HEADER..header.total()].to_vec();
        self.link.inbox.consume(header.total());
        let answered = self.ask_commit(&plain).await;
        let outcome = self.finish(answered, facts).await?;
        self.has_kept_all().map(|()| outcome)
    }

    /// A connection that was lost while a transaction was rolled back may have had more of the session.
    pub fn has_kept_all(&self) -> Result<(), End> {
        let has_lost = self.connection.is_none() && self.session.holds.leave_traces();
        if has_lost { Err(End::ServerLost) } else { Ok(()) }
    }

    /// Sends a COMMIT, once more if its server is another one by now. `plain`: as the client said it.
    pub async fn ask_commit(&mut self, plain: &[u8]) -> Result<Outcome, Broken> {
        if self.may_give_evidence() {
            self.evidence.is_to_say(Some(Done::default()));
            let called = self.call_commit().await;
            self.evidence.is_to_say(None);
            if let Some(outcome) = called? {
                return Ok(outcome);
            }
        }
        self.ask(plain, Expect::Results, None).await
    }

    /// Makes the call. `None`: it was refused, and the transaction is as it was.
    pub async fn call_commit(&mut self) -> Result<Option<Outcome>, Broken> {
        let Some(connection) = &self.connection else {
            return Ok(None);
        };
        let token = self.evidence.begin(&self.worker.evidence);
        let payload = connection.as_payload(format!("CALL {COMMIT}({token})").as_bytes());
        let outcome = self
            .ask_as(&payload, Expect::Results, None, Purpose::Evidence)
            .await?;
        if outcome.refused && outcome.error.is_none_or(|code| !never_ran(code)) {
            let error = self.server_lost("the commit was interrupted");
            return Err(Broken::Server {
                error,
                started: false,
            });
        }
        self.evidence.end();
        if outcome.refused {
            self.note_missing_evidence(outcome.error);
            return Ok(None);
        }
        self.after_call(&outcome).await;
        Ok(Some(outcome))
    }

    /// Puts the connection where a COMMIT would have left it.
    async fn after_call(&mut self, outcome: &Outcome) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        // ROW_COUNT() there is that of the call.
        connection.sessions.last = u64::MAX;
        if outcome.error.is_none() {
            return;
        }
        // A COMMIT that fails has ended the transaction; the call may have failed before it came to that.
        match connection.execute(b"ROLLBACK").await {
            Ok(()) => self.session.status = connection.status,
            Err(_) => self.connection = None,
        }
    }

    fn note_missing_evidence(&self, code: Option<u16>) {
        self.worker.shared.recovery.unproven.add(1);
        if self.worker.evidence.refuse(&self.login.user) {
            let user = String::from_utf8_lossy(&self.login.user);
            let server = self.server.name();
            tracing::warn!(
                %user,
                server,
                code,
                "commits of this account leave no evidence: `splitrail setup` says what is missing"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_commit_is_told_from_one_that_does_more() {
        for text in [
            "COMMIT",
            "commit work",
            " Commit ; ",
            "/* app:shop */ COMMIT",
            "COMMIT /* traceparent='00-1' */",
        ] {
            assert!(is_plain(text.as_bytes()), "{text}");
        }
        for text in [
            "COMMIT AND CHAIN",
            "COMMIT WORK RELEASE",
            "COMMIT AND NO CHAIN NO RELEASE",
            "COMMIT; SELECT 1",
            "COMMIT /*! AND CHAIN */",
            "/*! COMMIT */",
            "COMMIT /*M! AND CHAIN */",
            "COMMIT /* a */ AND CHAIN /* b */",
            "/* COMMIT",
            "COMMIT -- more",
            "COMMIT /*/",
            "/*/",
            "",
        ] {
            assert!(!is_plain(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_a_commit_may_say_is_never_taken_for_a_call_that_did_not_run() {
        // Read-only, deadlock, lock wait, error during COMMIT, a number kept out, XA.
        for code in [1290, 1836, 1213, 1205, 1180, 1048, 1399] {
            assert!(!never_ran(code));
        }
    }
}
