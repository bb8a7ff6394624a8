//! What a client is told of its session's changes: what the server would have told it by itself. The proxy has had
//! the server tell more, for its own use.

use crate::session::tracked::{self, NO_TRANSACTION, ToldState};
use crate::wire::eof::EofPacket;
use crate::wire::err::ErrPacket;
use crate::wire::ok::OkPacket;
use crate::wire::track::{Change, Changes};
use crate::wire::{Capabilities, Malformed, Status};

const SERVER_READ_ONLY: u16 = 1290;
const TRANSACTION_READ_ONLY: u16 = 1792;

/// For whom an OK is.
pub struct Audience<'a> {
    pub capabilities: Capabilities,
    /// Whether its server tells every tracking client of transactions that begin and end.
    pub hears_transactions: bool,
    pub told: &'a mut ToldState,
    /// Autocommit is on for this read, and off in the session.
    pub reads_alone: bool,
}

/// What is left of the entries of one OK.
struct Visible {
    track: Vec<u8>,
    /// The server says that something changed, if only by changing back.
    changed: bool,
}

/// An EOF has no room for the session's changes. That there are any, MariaDB says here all the same: of those
/// that only this proxy asked for.
pub fn eof(eof: &EofPacket, reads_alone: bool) -> Option<Vec<u8>> {
    if !eof.status.has(Status::SESSION_STATE_CHANGED) && !reads_alone {
        return None;
    }
    let mut payload = Vec::with_capacity(5);
    EofPacket {
        status: own(eof.status, reads_alone).without(Status::SESSION_STATE_CHANGED),
        ..*eof
    }
    .encode(&mut payload);
    Some(payload)
}

/// A replica refuses a write in a transaction that only reads because the server does; the primary would refuse it
/// because the transaction does.
pub fn read_only(code: u16, mariadb: bool) -> Option<(u16, Vec<u8>)> {
    if code != SERVER_READ_ONLY {
        return None;
    }
    let message: &[u8] = b"Cannot execute statement in a READ ONLY transaction.";
    let error = ErrPacket {
        code: TRANSACTION_READ_ONLY,
        sqlstate: *b"25006",
        message: if mariadb {
            &message[..message.len() - 1]
        } else {
            message
        },
    };
    let mut payload = Vec::new();
    error.encode(&mut payload);
    Some((TRANSACTION_READ_ONLY, payload))
}

/// The status as it is in the session.
fn own(status: Status, reads_alone: bool) -> Status {
    if reads_alone {
        status.without(Status::AUTOCOMMIT)
    } else {
        status
    }
}

/// The OK that the client gets in place of this one, if not this one.
pub fn ok(ok: &OkPacket<'_>, audience: Audience<'_>) -> Result<Option<Vec<u8>>, Malformed> {
    let reads_alone = audience.reads_alone;
    if !ok.status.has(Status::SESSION_STATE_CHANGED) && !reads_alone {
        return Ok(None);
    }
    let client = audience.capabilities;
    let mut visible = Visible {
        track: Vec::new(),
        changed: false,
    };
    if client.has(Capabilities::SESSION_TRACK) {
        visible.gather(ok.track, audience)?;
    }
    let mut status = own(ok.status, reads_alone).without(Status::SESSION_STATE_CHANGED);
    if visible.changed {
        status = status | Status::SESSION_STATE_CHANGED;
    }
    let mut payload = Vec::with_capacity(16 + ok.info.len() + visible.track.len());
    OkPacket {
        track: &visible.track,
        status,
        ..*ok
    }
    .encode(&mut payload, client);
    Ok(Some(payload))
}

// === impl Visible ===

impl Visible {
    fn gather(&mut self, track: &[u8], audience: Audience<'_>) -> Result<(), Malformed> {
        let (mut state, mut characteristics) = (None, None);
        for change in Changes::new(track) {
            match change? {
                Change::TransactionState(told) => state = Some(told),
                Change::TransactionCharacteristics(told) => characteristics = Some(told),
                change if tracked::is_told_by_default(&change) => {
                    change.encode(&mut self.track);
                    self.changed = true;
                }
                _ => {}
            }
        }
        // Without being asked, MySQL tells when transactions begin and end and nothing of what they do. With
        // being asked, it names their characteristics then and only then, or when these are set.
        if let Some(characteristics) = characteristics.filter(|_| audience.hears_transactions) {
            self.transaction(state, characteristics, audience.told);
        }
        Ok(())
    }

    fn transaction(&mut self, state: Option<&[u8]>, characteristics: &[u8], told: &mut ToldState) {
        let Some(state) = state else {
            // One has ended and another one like it has begun.
            self.changed |= names(characteristics, b"START");
            return;
        };
        let now = match state.first() {
            Some(b'T') if names(characteristics, b"SNAPSHOT") => *b"T_R",
            Some(b'T') => *b"T__",
            _ => NO_TRANSACTION,
        };
        self.changed |= now != NO_TRANSACTION;
        if now != *told {
            *told = now;
            self.changed = true;
            let mut state = *b"________";
            state[..now.len()].copy_from_slice(&now);
            Change::TransactionState(&state).encode(&mut self.track);
        }
    }
}

fn names(characteristics: &[u8], word: &[u8]) -> bool {
    characteristics.windows(word.len()).any(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The state that a client is told, and whether it is told that something changed.
    fn told(
        state: Option<&str>,
        characteristics: Option<&str>,
        told: &mut ToldState,
    ) -> (Option<String>, bool) {
        let mut track = Vec::new();
        Change::Gtids(b"1-2-3").encode(&mut track);
        if let Some(state) = state {
            Change::TransactionState(state.as_bytes()).encode(&mut track);
        }
        if let Some(sql) = characteristics {
            Change::TransactionCharacteristics(sql.as_bytes()).encode(&mut track);
        }
        let packet = OkPacket {
            status: Status::SESSION_STATE_CHANGED,
            track: &track,
            ..OkPacket::default()
        };
        let capabilities = Capabilities::SESSION_TRACK;
        let audience = Audience {
            capabilities,
            hears_transactions: true,
            told,
            reads_alone: false,
        };
        let payload = ok(&packet, audience).unwrap().unwrap();
        let shown = OkPacket::parse(&payload, capabilities).unwrap();
        let mut changes = Changes::new(shown.track).map(Result::unwrap);
        let state = changes.next().map(|change| match change {
            Change::TransactionState(state) => String::from_utf8(state.to_vec()).unwrap(),
            change => panic!("{change:?}"),
        });
        assert!(changes.next().is_none());
        (state, shown.status.has(Status::SESSION_STATE_CHANGED))
    }

    #[test]
    fn a_client_hears_of_transactions_what_a_server_tells_unasked() {
        let mut last = NO_TRANSACTION;
        let mut see = |state, characteristics| {
            let (state, changed) = told(state, characteristics, &mut last);
            (state.unwrap_or_default(), changed)
        };
        let says = |state: &str| (state.to_owned(), true);
        let nothing = (String::new(), false);
        assert_eq!(
            see(Some("T_______"), Some("START TRANSACTION;")),
            says("T_______")
        );
        assert_eq!(see(Some("T___W___"), None), nothing);
        assert_eq!(see(None, Some("START TRANSACTION;")), says(""), "AND CHAIN");
        assert_eq!(
            see(Some("T_______"), Some("START TRANSACTION;")),
            says(""),
            "BEGIN again"
        );
        assert_eq!(see(Some("________"), Some("")), says("________"));
        assert_eq!(see(Some("I_R_W_S_"), None), nothing, "autocommit is off");
        assert_eq!(see(Some("_______L"), Some("")), nothing, "LOCK TABLES");
        assert_eq!(see(None, Some("SET TRANSACTION READ ONLY;")), nothing);
        let chained = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; START TRANSACTION;";
        assert_eq!(see(None, Some(chained)), says(""));
        let snapshot = "START TRANSACTION WITH CONSISTENT SNAPSHOT;";
        assert_eq!(see(Some("T_R_____"), Some(snapshot)), says("T_R_____"));
        assert_eq!(see(Some("________"), Some("")), says("________"));
    }
}
