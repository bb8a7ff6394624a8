//! A packet's four-byte header, and what it means for a payload to be split over several packets.

use super::bytes::Put;

pub const HEADER: usize = 4;

/// A payload of exactly this length is continued in the next packet, be that an empty one.
pub const MAX_PAYLOAD: usize = 0xff_ffff;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub length: usize,
    pub sequence: u8,
}

// === impl Header ===

impl Header {
    /// `None` while fewer than four bytes are there.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[a, b, c, sequence] = bytes.first_chunk::<HEADER>()?;
        Some(Self {
            length: u32::from_le_bytes([a, b, c, 0]) as usize,
            sequence,
        })
    }

    pub fn encode(self) -> [u8; HEADER] {
        let [a, b, c, _] = (self.length as u32).to_le_bytes();
        [a, b, c, self.sequence]
    }

    /// Whether the payload goes on in the packet after this one.
    pub fn is_continued(self) -> bool {
        self.length == MAX_PAYLOAD
    }

    /// The length of the packet, header included.
    pub fn total(self) -> usize {
        HEADER + self.length
    }
}

/// Appends `payload` as one packet, or as many as it needs; returns the sequence number after the last.
pub fn put_packet(out: &mut Vec<u8>, mut sequence: u8, payload: &[u8]) -> u8 {
    let mut chunks = payload.chunks(MAX_PAYLOAD);
    loop {
        let chunk = chunks.next().unwrap_or_default();
        let header = Header {
            length: chunk.len(),
            sequence,
        };
        out.put_bytes(&header.encode());
        out.put_bytes(chunk);
        sequence = sequence.wrapping_add(1);
        if !header.is_continued() {
            return sequence;
        }
    }
}

/// Opens a packet at the end of `out`, lets `write` append its payload, and closes it.
/// Only for payloads known to be smaller than [`MAX_PAYLOAD`].
pub fn put_with(out: &mut Vec<u8>, sequence: u8, write: impl FnOnce(&mut Vec<u8>)) -> u8 {
    let start = out.len();
    out.put_bytes(&[0; HEADER]);
    write(out);
    let header = Header {
        length: out.len() - start - HEADER,
        sequence,
    };
    debug_assert!(header.length < MAX_PAYLOAD);
    out[start..start + HEADER].copy_from_slice(&header.encode());
    sequence.wrapping_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_of_the_maximum_is_followed_by_an_empty_packet() {
        for (length, packets) in [
            (0, 1),
            (1, 1),
            (MAX_PAYLOAD - 1, 1),
            (MAX_PAYLOAD, 2),
            (2 * MAX_PAYLOAD, 3),
        ] {
            let mut out = Vec::new();
            let next = put_packet(&mut out, 3, &vec![b'x'; length]);
            assert_eq!(next, 3 + packets as u8, "{length}");
            assert_eq!(out.len(), length + packets * HEADER);
        }
    }
}
