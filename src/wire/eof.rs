//! The packet that ends column definitions and rows for clients without DEPRECATE_EOF.

use super::bytes::{Malformed, Put, Reader, Result};
use super::status::Status;

const EOF: u8 = 0xfe;

/// From this length on, a packet that starts with 0xfe is a row whose first column is very long.
const TOO_LONG: usize = 9;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EofPacket {
    pub warnings: u16,
    pub status: Status,
}

pub fn is_eof(payload: &[u8]) -> bool {
    payload.first() == Some(&EOF) && payload.len() < TOO_LONG
}

// === impl EofPacket ===

impl EofPacket {
    pub fn parse(payload: &[u8]) -> Result<Self> {
        if !is_eof(payload) {
            return Err(Malformed("an EOF packet is not one"));
        }
        let mut reader = Reader::new(payload);
        reader.u8()?;
        Ok(Self {
            warnings: reader.u16()?,
            status: Status(reader.u16()?),
        })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(EOF);
        out.put_u16(self.warnings);
        out.put_u16(self.status.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_and_written_back() -> Result<()> {
        const BYTES: &[u8] = b"\xfe\x01\0\x22\0";
        let packet = EofPacket::parse(BYTES)?;
        assert_eq!((packet.warnings, packet.status), (1, Status(0x22)));
        let mut out = Vec::new();
        packet.encode(&mut out);
        assert_eq!(out, BYTES);
        for end in 0..BYTES.len() {
            assert!(EofPacket::parse(&BYTES[..end]).is_err());
        }
        assert!(!is_eof(b"\xfe12345678"));
        Ok(())
    }
}
