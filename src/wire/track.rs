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
        let mut reader = Reader::new(data);
        if kind == GTIDS && reader.u8() != Ok(GTIDS_AS_TEXT) {
            return None;
        }
        let text = reader.lenenc_bytes().ok().filter(|_| reader.is_empty())?;
        match (kind, text) {
            (SCHEMA, name) => Some(Self::Schema(name)),
            (STATE_CHANGE, b"0") => Some(Self::StateChange(false)),
            (STATE_CHANGE, b"1") => Some(Self::StateChange(true)),
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
            Self::StateChange(changed) => put_text(out, STATE_CHANGE, if changed { b"1" } else { b"0" }),
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

/// Appends those entries of `track` that `wanted` holds for. On an error `out` has what came before it.
pub fn put_wanted(
    out: &mut Vec<u8>,
    track: &[u8],
    mut wanted: impl FnMut(&Change<'_>) -> bool,
) -> Result<()> {
    for change in Changes::new(track) {
        let change = change?;
        if wanted(&change) {
            change.encode(out);
        }
    }
    Ok(())
}
