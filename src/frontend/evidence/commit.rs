//! COMMIT with evidence: in its place goes one call that writes the session's row and commits. It is one statement,
//! so that nothing is committed when the row cannot be written, and it costs no round trip.

use super::ledger::{Slot, Token};
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

/// What one session has of it.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Its row, from its first commit on.
    slot: Option<Slot>,
    /// What the commit under way leaves.
    sent: Option<Token>,
}

/// Made by `splitrail setup`.
pub const COMMIT: &str = "splitrail.commit_as";

/// What the server says to the call before anything of it was run: no such database, table or procedure, no right to
/// it, no such definer, or tables are locked. A commit that fails says none of these.
const NEVER_RAN: [u16; 9] = [1044, 1049, 1100, 1142, 1143, 1146, 1305, 1370, 1449];

/// With these, what the client sees or has would be another than after its own COMMIT.
const DISTURBED: [Hold; 5] = [
    Hold::LockedTables,
    Hold::DistributedTransaction,
    Hold::BackupLock,
    Hold::Tracking,
    Hold::OneShot,
];

/// Whether a call that failed so has left the transaction as it was.
pub fn never_ran(code: u16) -> bool {
    NEVER_RAN.contains(&code)
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
    /// What the commit left whose answer did not come. Its row is not used again: the server may still be at it.
    pub fn lose(&mut self) -> Option<Token> {
        let sent = self.sent.take()?;
        self.retire();
        Some(sent)
    }

    fn retire(&mut self) {
        if let Some(mut slot) = self.slot.take() {
            slot.retire();
        }
    }
}

impl Drop for Evidence {
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
        let reads_so_far = self
            .replay
            .transcript
            .as_ref()
            .is_some_and(|transcript| transcript.only_reads());
        // What COMMIT makes of the transaction after it, and MariaDB's COMMIT leaves the last warnings.
        let chains = session.state.variables.get(b"completion_type");
        let chains = chains.is_some_and(|value| value != b"NO_CHAIN" && value != b"0");
        let warned = session.holds.has(Hold::Diagnostics) && self.server.is_mariadb();
        let disturbed = DISTURBED.into_iter().any(|hold| session.holds.has(hold));
        let home = self.server.index;
        let is_home = self
            .connection
            .as_ref()
            .is_some_and(|connection| connection.server.index == home);
        writes
            && is_home
            && self.mode != ListenerMode::Replica
            && !(reads_so_far || chains || warned || disturbed || self.is_visiting())
            && !self.worker.evidence.is_refused(&self.login.user)
    }

    /// Answers the COMMIT at the front of the inbox.
    pub async fn commit_with_evidence(&mut self, header: Header, facts: &Facts) -> Result<Outcome, End> {
        let plain = self.link.inbox.bytes()[HEADER..header.total()].to_vec();
        self.link.inbox.consume(header.total());
        let answered = self.ask_commit(&plain).await;
        self.finish(answered, facts).await
    }

    /// Sends a COMMIT, once more if its server is another one by now. `plain`: as the client said it.
    pub async fn ask_commit(&mut self, plain: &[u8]) -> Result<Outcome, Broken> {
        if !self.may_give_evidence() {
            return self.ask(plain, Expect::Results, None).await;
        }
        let ledger = &self.worker.evidence;
        let token = self.evidence.slot.get_or_insert_with(|| ledger.slot()).token();
        let Some(connection) = &self.connection else {
            return self.ask(plain, Expect::Results, None).await;
        };
        let mut payload = vec![Command::QUERY.0];
        payload.extend(connection.as_query(format!("CALL {COMMIT}({token})").as_bytes()));
        self.evidence.sent = Some(token);
        let outcome = self
            .ask_as(&payload, Expect::Results, None, Purpose::Evidence)
            .await?;
        self.evidence.sent = None;
        if outcome.refused {
            self.note_missing_evidence(outcome.error);
            return self.ask(plain, Expect::Results, None).await;
        }
        self.after_call(&outcome).await;
        Ok(outcome)
    }

    /// Puts the connection where a COMMIT would have left it.
    async fn after_call(&mut self, outcome: &Outcome) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        // ROW_COUNT() there is that of the call.
        connection.last_session = u64::MAX;
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
