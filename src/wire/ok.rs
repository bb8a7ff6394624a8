//! The packet that says a statement is done, and what it did to the session.
//!
//! It comes in two forms: after a statement without rows (first byte 0x00), and with DEPRECATE_EOF after the
//! last row (first byte 0xfe).

use super::bytes::{Malformed, Put, Reader, Result};
use super::capability::Capabilities;
use super::packet::MAX_PAYLOAD;
use super::status::Status;

const OK: u8 = 0x00;
const END_OF_ROWS: u8 = 0xfe;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OkPacket<'a> {
    /// Whether it stands where an EOF packet would, at the end of the rows.
    pub ends_rows: bool,
    pub affected_rows: u64,
    pub last_insert_id: u64,
    pub status: Status,
    pub warnings: u16,
    /// Text for people, such as "Rows matched: 1  Changed: 1  Warnings: 0".
    pub info: &'a [u8],
    /// Raw entries of what changed in the session: read them with [`Changes`](super::track::Changes).
    pub track: &'a [u8],
}

/// Whether a payload is an OK (and not a row) where rows may come. A row may start with 0xfe too, but only
/// when its first column is so long that the packet is a full one.
pub fn is_end_of_rows(payload: &[u8]) -> bool {
    payload.first() == Some(&END_OF_ROWS) && payload.len() < MAX_PAYLOAD
}

// === impl OkPacket ===

impl<'a> OkPacket<'a> {
    pub fn parse(payload: &'a [u8], capabilities: Capabilities) -> Result<Self> {
        let mut reader = Reader::new(payload);
        let ends_rows = match reader.u8()? {
            OK => false,
            END_OF_ROWS => true,
            _ => return Err(Malformed("an OK packet starts with neither 0x00 nor 0xfe")),
        };
        let affected_rows = reader.lenenc()?;
        let last_insert_id = reader.lenenc()?;
        let status = Status(reader.u16()?);
        let warnings = reader.u16()?;
        let mut packet = Self {
            ends_rows,
            affected_rows,
            last_insert_id,
            status,
            warnings,
            info: &[],
            track: &[],
        };
        if !capabilities.has(Capabilities::SESSION_TRACK) {
            packet.info = whole_info(reader);
        } else if !reader.is_empty() {
            packet.info = reader.lenenc_bytes()?;
            if status.has(Status::SESSION_STATE_CHANGED) && !reader.is_empty() {
                packet.track = reader.lenenc_bytes()?;
            }
        }
        Ok(packet)
    }

    /// Appends the payload in the form that `capabilities` ask for. The status says that the session changed
    /// when, and only when, the changes are written.
    pub fn encode(&self, out: &mut Vec<u8>, capabilities: Capabilities) {
        let tracked = capabilities.has(Capabilities::SESSION_TRACK) && !self.track.is_empty();
        let mut status = self.status.without(Status::SESSION_STATE_CHANGED);
        if tracked {
            status = status | Status::SESSION_STATE_CHANGED;
        }
        out.put_u8(if self.ends_rows { END_OF_ROWS } else { OK });
        out.put_lenenc(self.affected_rows);
        out.put_lenenc(self.last_insert_id);
        out.put_u16(status.0);
        out.put_u16(self.warnings);
        if tracked || !self.info.is_empty() {
            out.put_lenenc_bytes(self.info);
        }
        if tracked {
            out.put_lenenc_bytes(self.track);
        }
    }
}

/// The info of a packet without session tracking. The documentation says that it fills the rest of the packet;
/// servers have always written its length first. Both are understood.
fn whole_info(mut reader: Reader<'_>) -> &[u8] {
    let mut with_length = reader;
    match with_length.lenenc_bytes() {
        Ok(info) if with_length.is_empty() => info,
        _ => reader.rest(),
    }
}
