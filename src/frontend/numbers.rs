//! The sequence numbers of a response's packets, where one of the two sides compresses.
//!
//! Under compression a server numbers the packets of each result from where the compressed packets have come to,
//! and some clients check that. So the numbers of one side mean nothing to the other, and are counted anew.

#[derive(Debug, Clone, Copy)]
pub struct Numbers {
    /// What the client is to see on the next packet.
    pub next: u8,
    /// What the server wrote on the last one.
    pub last_of_server: u8,
    /// Bytes of the current packet's payload that have not passed yet.
    left: usize,
}

const HEADER: usize = crate::wire::packet::HEADER;

// === impl Numbers ===

impl Numbers {
    pub fn new(next: u8) -> Self {
        Self {
            next,
            last_of_server: 0,
            left: 0,
        }
    }

    /// Writes our numbers into the headers of what is about to be sent. Headers come whole, payloads in pieces.
    pub fn apply(&mut self, mut bytes: &mut [u8]) {
        loop {
            let passed = self.left.min(bytes.len());
            self.left -= passed;
            bytes = &mut bytes[passed..];
            let Some(header) = bytes.first_chunk_mut::<HEADER>() else {
                return;
            };
            self.left = HEADER + u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
            self.last_of_server = header[3];
            header[3] = self.next;
            self.next = self.next.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::packet::put_packet;

    #[test]
    fn packets_are_counted_anew_however_they_are_cut() {
        let (mut wanted, mut bytes, mut sequence, mut own) = (Vec::new(), Vec::new(), 250, 9);
        for length in [0, 1, 7, 300] {
            let payload = vec![7; length];
            sequence = put_packet(&mut bytes, sequence, &payload);
            own = put_packet(&mut wanted, own, &payload);
        }
        // Cuts in payloads only: the framer passes headers on whole.
        for cut in [4, 9, 16, 20, 100] {
            let mut bytes = bytes.clone();
            let mut numbers = Numbers::new(9);
            let (head, tail) = bytes.split_at_mut(cut);
            numbers.apply(head);
            numbers.apply(tail);
            assert_eq!(bytes, wanted, "{cut}");
            assert_eq!(
                (numbers.next, numbers.last_of_server),
                (own, sequence.wrapping_sub(1))
            );
        }
    }
}
