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

    /// Appends the payload in the form that `capabilities` ask for. When the status says that the session changed,
    /// and only then, the changes are written, if only to say that none is left of them.
    pub fn encode(&self, out: &mut Vec<u8>, capabilities: Capabilities) {
        let mut status = self.status;
        if !capabilities.has(Capabilities::SESSION_TRACK) {
            status = status.without(Status::SESSION_STATE_CHANGED);
        }
        let tracked = status.has(Status::SESSION_STATE_CHANGED);
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONE: Capabilities = Capabilities::NONE;
    const TRACKING: Capabilities = Capabilities::SESSION_TRACK;

    fn encoded(packet: &OkPacket<'_>, capabilities: Capabilities) -> Vec<u8> {
        let mut out = Vec::new();
        packet.encode(&mut out, capabilities);
        out
    }

    #[test]
    fn what_real_servers_send_is_understood_and_written_back() -> Result<()> {
        const UPDATE: &[u8] = b"\0\x02\0\x22\0\0\0\x28Rows matched: 2  Changed: 2  Warnings: 0";
        const USE: &[u8] = b"\0\0\0\x02\x40\0\0\0\x09\x01\x04\x03app\x02\x01\x31";
        const END: &[u8] = b"\xfe\0\0\x03\x60\0\0\0\x0b\x05\x09\x08T____S__";
        for (bytes, capabilities) in [
            (UPDATE, NONE),
            (UPDATE, TRACKING),
            (USE, TRACKING),
            (END, TRACKING),
        ] {
            let packet = OkPacket::parse(bytes, capabilities)?;
            assert_eq!(encoded(&packet, capabilities), bytes);
        }
        let update = OkPacket::parse(UPDATE, NONE)?;
        assert_eq!((update.affected_rows, update.info.len()), (2, 40));
        let changed = OkPacket::parse(USE, TRACKING)?;
        assert_eq!(changed.track, b"\x01\x04\x03app\x02\x01\x31");
        // A client without session tracking must not be told that there are changes to read.
        assert_eq!(encoded(&changed, NONE), b"\0\0\0\x02\0\0\0");
        assert!(OkPacket::parse(END, TRACKING)?.ends_rows && is_end_of_rows(END));
        Ok(())
    }

    #[test]
    fn info_without_a_length_is_understood() -> Result<()> {
        let packet = OkPacket::parse(b"\0\0\0\x02\0\0\0Hello there", NONE)?;
        assert_eq!(packet.info, b"Hello there");
        Ok(())
    }

    #[test]
    fn a_packet_cut_short_is_an_error() {
        const WHOLE: &[u8] = b"\0\xfc\x10\x27\0\x02\x40\0\0\x02hi\x05\x01\x03\x02db";
        for end in 0..WHOLE.len() {
            // Those that end where a field may be left out are whole.
            let whole = end == 9 || end == 12;
            assert_eq!(OkPacket::parse(&WHOLE[..end], TRACKING).is_ok(), whole, "{end}");
        }
    }

    #[test]
    fn a_row_with_a_very_long_first_column_is_not_the_end() {
        let mut row = vec![0; MAX_PAYLOAD];
        row[0] = 0xfe;
        assert!(!is_end_of_rows(&row));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            ends_rows in any::<bool>(),
            numbers in any::<(u64, u64, u16, u16)>(),
            info in proptest::collection::vec(any::<u8>(), 0..300),
            track in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let changed = if track.is_empty() { 0 } else { Status::SESSION_STATE_CHANGED.0 };
            let status = Status(numbers.2).without(Status::SESSION_STATE_CHANGED) | Status(changed);
            let packet = OkPacket {
                ends_rows,
                affected_rows: numbers.0,
                last_insert_id: numbers.1,
                status,
                warnings: numbers.3,
                info: &info,
                track: &track,
            };
            let bytes = encoded(&packet, TRACKING);
            prop_assert_eq!(OkPacket::parse(&bytes, TRACKING), Ok(packet));
            let untracked = OkPacket {
                status: status.without(Status::SESSION_STATE_CHANGED),
                track: &[],
                ..packet
            };
            let bytes = encoded(&packet, NONE);
            prop_assert_eq!(OkPacket::parse(&bytes, NONE), Ok(untracked));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = OkPacket::parse(&bytes, NONE);
            let _ = OkPacket::parse(&bytes, TRACKING);
        }
    }
}
