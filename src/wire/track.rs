//! What a statement changed in the session, as the server itself reports it at the end of an OK packet.
//!
//! An entry of a kind unknown here, or of a known kind with contents that are not understood, comes out as
//! [`Change::Other`] and is passed on as it is: only entries that overrun their packet are an error.

use super::bytes::{Put, Reader, Result};

const SYSTEM_VARIABLES: u8 = 0;
const SCHEMA: u8 = 1;
const STATE_CHANGE: u8 = 2;
const GTIDS: u8 = 3;
const TRANSACTION_CHARACTERISTICS: u8 = 4;
const TRANSACTION_STATE: u8 = 5;

/// The only encoding of a GTID entry that has ever been defined: a text.
const GTIDS_AS_TEXT: u8 = 0;

/// One change of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    SystemVariable {
        name: &'a [u8],
        value: &'a [u8],
    },
    /// The current database, empty when there is none.
    Schema(&'a [u8]),
    /// Whether user variables, temporary tables or the like have changed.
    StateChange(bool),
    /// MySQL's GTID of what was just committed.
    Gtids(&'a [u8]),
    /// The statements that start a transaction like the present one.
    TransactionCharacteristics(&'a [u8]),
    /// Eight characters such as `T___W_S_`.
    TransactionState(&'a [u8]),
    Other {
        kind: u8,
        data: &'a [u8],
    },
}

/// Walks the raw entries of an OK packet. After an error there is nothing more.
#[derive(Debug, Clone)]
pub struct Changes<'a> {
    entries: Reader<'a>,
    /// Pairs not yet returned: MariaDB puts all variables that changed into one entry, MySQL one into each.
    variables: Reader<'a>,
}

// === impl Changes ===

impl<'a> Changes<'a> {
    pub fn new(track: &'a [u8]) -> Self {
        Self {
            entries: Reader::new(track),
            variables: Reader::new(&[]),
        }
    }

    fn entry(&mut self) -> Result<Change<'a>> {
        let kind = self.entries.u8()?;
        let data = self.entries.lenenc_bytes()?;
        if kind == SYSTEM_VARIABLES && are_pairs(data) {
            self.variables = Reader::new(data);
            return self.variable();
        }
        Ok(Change::parse(kind, data).unwrap_or(Change::Other { kind, data }))
    }

    fn variable(&mut self) -> Result<Change<'a>> {
        Ok(Change::SystemVariable {
            name: self.variables.lenenc_bytes()?,
            value: self.variables.lenenc_bytes()?,
        })
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = Result<Change<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.variables.is_empty() {
            return Some(self.variable());
        }
        if self.entries.is_empty() {
            return None;
        }
        let change = self.entry();
        if change.is_err() {
            self.entries.rest();
        }
        Some(change)
    }
}

/// Whether `data` is one or more names with their values, to the end.
fn are_pairs(data: &[u8]) -> bool {
    let mut reader = Reader::new(data);
    let mut strings = 0_usize;
    while !reader.is_empty() {
        if reader.lenenc_bytes().is_err() {
            return false;
        }
        strings += 1;
    }
    strings > 0 && strings.is_multiple_of(2)
}

// === impl Change ===

impl<'a> Change<'a> {
    /// The change that an entry of one of the simple kinds holds, if it is understood to its last byte.
    fn parse(kind: u8, data: &'a [u8]) -> Option<Self> {
        // The one kind whose text has no length of its own.
        if kind == STATE_CHANGE {
            return match data {
                b"0" => Some(Self::StateChange(false)),
                b"1" => Some(Self::StateChange(true)),
                _ => None,
            };
        }
        let mut reader = Reader::new(data);
        if kind == GTIDS && reader.u8() != Ok(GTIDS_AS_TEXT) {
            return None;
        }
        let text = reader.lenenc_bytes().ok().filter(|_| reader.is_empty())?;
        match (kind, text) {
            (SCHEMA, name) => Some(Self::Schema(name)),
            (GTIDS, gtids) => Some(Self::Gtids(gtids)),
            (TRANSACTION_CHARACTERISTICS, statements) => Some(Self::TransactionCharacteristics(statements)),
            (TRANSACTION_STATE, state) => Some(Self::TransactionState(state)),
            _ => None,
        }
    }

    /// Appends the change as an entry.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::SystemVariable { name, value } => {
                out.put_u8(SYSTEM_VARIABLES);
                out.put_lenenc(lenenc_bytes_length(name) + lenenc_bytes_length(value));
                out.put_lenenc_bytes(name);
                out.put_lenenc_bytes(value);
            }
            Self::Schema(name) => put_text(out, SCHEMA, name),
            Self::StateChange(changed) => {
                out.put_u8(STATE_CHANGE);
                out.put_lenenc_bytes(if changed { b"1" } else { b"0" });
            }
            Self::Gtids(gtids) => {
                out.put_u8(GTIDS);
                out.put_lenenc(1 + lenenc_bytes_length(gtids));
                out.put_u8(GTIDS_AS_TEXT);
                out.put_lenenc_bytes(gtids);
            }
            Self::TransactionCharacteristics(statements) => {
                put_text(out, TRANSACTION_CHARACTERISTICS, statements);
            }
            Self::TransactionState(state) => put_text(out, TRANSACTION_STATE, state),
            Self::Other { kind, data } => {
                out.put_u8(kind);
                out.put_lenenc_bytes(data);
            }
        }
    }
}

fn put_text(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.put_u8(kind);
    out.put_lenenc(lenenc_bytes_length(text));
    out.put_lenenc_bytes(text);
}

/// How many bytes [`Put::put_lenenc_bytes`] appends.
fn lenenc_bytes_length(bytes: &[u8]) -> u64 {
    let length = bytes.len() as u64;
    let prefix = match length {
        0..=0xfa => 1,
        0xfb..=0xffff => 3,
        0x1_0000..=0xff_ffff => 4,
        _ => 9,
    };
    prefix + length
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(track: &[u8]) -> Result<Vec<Change<'_>>> {
        Changes::new(track).collect()
    }

    #[test]
    fn what_mysql_sends_is_understood_and_written_back() -> Result<()> {
        const TRACK: &[u8] =
            b"\x03\x28\0\x26908089e9-e565-11f1-bf29-02fc00000001:3\x05\x09\x08________\x04\x01\0\
            \0\x17\x15character_set_results\0\x01\x04\x03app\x02\x01\x31";
        let changes = read(TRACK)?;
        assert_eq!(
            changes[1..],
            [
                Change::TransactionState(b"________"),
                Change::TransactionCharacteristics(b""),
                Change::SystemVariable {
                    name: b"character_set_results",
                    value: b""
                },
                Change::Schema(b"app"),
                Change::StateChange(true),
            ]
        );
        assert!(matches!(changes[0], Change::Gtids(gtids) if gtids.ends_with(b":3")));
        let mut out = Vec::new();
        read(TRACK)?.iter().for_each(|change| change.encode(&mut out));
        assert_eq!(out, TRACK);
        Ok(())
    }

    #[test]
    fn several_variables_in_one_entry() -> Result<()> {
        const TRACK: &[u8] = b"\0\x19\x0aautocommit\x03OFF\x05names\x03abc\x02\x01\x30";
        let changes = read(TRACK)?;
        assert_eq!(changes.len(), 3);
        assert_eq!(
            changes[1],
            Change::SystemVariable {
                name: b"names",
                value: b"abc"
            }
        );
        assert_eq!(changes[2], Change::StateChange(false));
        Ok(())
    }

    #[test]
    fn what_is_not_understood_is_passed_on_and_what_overruns_is_an_error() -> Result<()> {
        // An unknown kind, an odd string, a text cut short, an unknown form of GTIDs, an unknown state.
        const TRACK: &[u8] = b"\x09\x02hi\0\x02\x01a\x01\x02\x05a\x03\x03\x01\x01a\x02\x02\x01x\0\0";
        assert!(
            read(TRACK)?
                .iter()
                .all(|change| matches!(change, Change::Other { .. }))
        );
        let mut out = Vec::new();
        read(TRACK)?.iter().for_each(|change| change.encode(&mut out));
        assert_eq!(out, TRACK);

        const GOOD: &[u8] = b"\x01\x04\x03app\x02\x01\x31";
        for end in 0..GOOD.len() {
            assert_eq!(read(&GOOD[..end]).is_ok(), end == 0 || end == 6, "{end}");
        }
        assert_eq!(Changes::new(b"\x01\x04").count(), 1);
        Ok(())
    }

    fn change() -> impl Strategy<Value = (u8, Vec<u8>, Vec<u8>)> {
        let text = || proptest::collection::vec(any::<u8>(), 0..300);
        (0..8_u8, text(), text())
    }

    fn build<'a>(kind: u8, first: &'a [u8], second: &'a [u8]) -> Change<'a> {
        match kind {
            SYSTEM_VARIABLES => Change::SystemVariable {
                name: first,
                value: second,
            },
            SCHEMA => Change::Schema(first),
            STATE_CHANGE => Change::StateChange(first.len() % 2 == 1),
            GTIDS => Change::Gtids(first),
            TRANSACTION_CHARACTERISTICS => Change::TransactionCharacteristics(first),
            TRANSACTION_STATE => Change::TransactionState(first),
            kind => Change::Other { kind, data: first },
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(parts in proptest::collection::vec(change(), 0..6)) {
            let changes: Vec<_> = parts.iter().map(|(kind, a, b)| build(*kind, a, b)).collect();
            let mut out = Vec::new();
            for change in &changes {
                change.encode(&mut out);
            }
            let read_back = read(&out);
            prop_assert_eq!(read_back.as_ref(), Ok(&changes));
            let mut again = Vec::new();
            changes.iter().for_each(|change| change.encode(&mut again));
            prop_assert_eq!(again, out);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(Changes::new(&bytes).count() <= bytes.len());
        }
    }
}
