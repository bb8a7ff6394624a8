//! The sum of what a statement answered, for comparing it with another run of the same statement.
//!
//! Column definitions and rows count byte by byte, however they were cut on their way; of the packets that end a
//! result counts what a client would call the result: affected rows, insert id, error code. Status flags, warnings
//! and what is tracked of the session do not: they say where it ran.

use crate::wire::err::ErrPacket;
use crate::wire::framing::Kind;
use crate::wire::ok::OkPacket;
use crate::wire::{Capabilities, Malformed};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checksum {
    /// Words go to them in turn: a multiplication need not wait for the one before it.
    lanes: [u64; LANES],
    /// Bytes that do not fill a word yet.
    word: u64,
    length: u64,
}

const LANES: usize = 4;
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
const SEED: u64 = 0x2545_f491_4f6c_dd1d;

/// Every bit of the two counts in the answer.
fn fold(one: u64, two: u64) -> u64 {
    let product = u128::from(one) * u128::from(two);
    (product as u64) ^ ((product >> 64) as u64)
}

fn mixed(state: u64, word: u64) -> u64 {
    fold(state ^ word ^ SEED, FACTOR).wrapping_add(word)
}

/// Less than eight bytes as a number, by two loads that overlap.
fn part_of_word(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    if let (Some(low), Some(high)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let high = u64::from(u32::from_le_bytes(*high)) << (8 * (length - 4));
        return u64::from(u32::from_le_bytes(*low)) | high;
    }
    match *bytes {
        [] => 0,
        [one] => one.into(),
        [one, .., last] => {
            let middle = u64::from(bytes[length / 2]) << (8 * (length / 2));
            u64::from(one) | middle | u64::from(last) << (8 * (length - 1))
        }
    }
}

// === impl Checksum ===

impl Checksum {
    /// Bytes of the response that are passed on unseen.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let mut bytes = self.fill_word(bytes);
        while self.lane() != 0
            && let Some((word, rest)) = bytes.split_first_chunk::<8>()
        {
            self.word(u64::from_le_bytes(*word));
            bytes = rest;
        }
        if self.lane() == 0 {
            bytes = self.rounds(bytes);
        }
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            self.word |= part_of_word(rest);
            self.length += rest.len() as u64;
        }
    }

    /// What is left of the bytes once there is no word that is not full, or nothing.
    fn fill_word<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let place = self.length % 8;
        if place == 0 {
            return bytes;
        }
        let missing = (8 - place) as usize;
        let (part, rest) = bytes.split_at(bytes.len().min(missing));
        self.word |= part_of_word(part) << (8 * place);
        if part.len() < missing {
            self.length += part.len() as u64;
            return rest;
        }
        let word = std::mem::take(&mut self.word);
        // The word begins where its first byte was counted.
        self.length -= place;
        self.word(word);
        rest
    }

    /// A word for each lane at a time, from the first lane on; answers what is left.
    fn rounds<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let mut lanes = self.lanes;
        let (rounds, rest) = bytes.as_chunks::<{ 8 * LANES }>();
        for round in rounds {
            let (words, _) = round.as_chunks::<8>();
            for (lane, word) in lanes.iter_mut().zip(words) {
                *lane = mixed(*lane, u64::from_le_bytes(*word));
            }
        }
        self.lanes = lanes;
        self.length += (bytes.len() - rest.len()) as u64;
        rest
    }

    /// Where the next whole word goes.
    fn lane(&self) -> usize {
        (self.length / 8) as usize % LANES
    }

    fn word(&mut self, word: u64) {
        let lane = self.lane();
        self.length += 8;
        self.lanes[lane] = mixed(self.lanes[lane], word);
    }

    /// A number that is not part of the bytes.
    fn number(&mut self, number: u64) {
        let [first, ..] = &mut self.lanes;
        *first = fold(*first ^ number ^ FACTOR, SEED).wrapping_add(number);
    }

    /// A packet that is looked at.
    pub fn packet(
        &mut self,
        kind: Kind,
        payload: &[u8],
        capabilities: Capabilities,
    ) -> Result<(), Malformed> {
        match kind {
            Kind::Row => self.bytes(payload),
            Kind::Ok => {
                let ok = OkPacket::parse(payload, capabilities)?;
                self.number(1);
                self.number(ok.affected_rows);
                self.number(ok.last_insert_id);
            }
            Kind::End => self.number(2),
            Kind::Error => {
                self.number(3);
                self.number(ErrPacket::parse(payload)?.code.into());
            }
            Kind::ColumnsEnd | Kind::Progress | Kind::LocalInfile | Kind::Prepared => {}
        }
        Ok(())
    }

    pub fn sum(&self) -> u64 {
        let state = self.lanes.into_iter().fold(0, mixed);
        fold(state ^ self.word ^ SEED, FACTOR ^ self.length).wrapping_add(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(bytes: &[u8]) -> u64 {
        let mut checksum = Checksum::default();
        checksum.bytes(bytes);
        checksum.sum()
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_a_result_was_cut(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            cuts in proptest::collection::vec(0..200_usize, 0..6),
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let (mut checksum, mut from) = (Checksum::default(), 0);
            for cut in cuts {
                checksum.bytes(&bytes[from..cut]);
                from = cut;
            }
            checksum.bytes(&bytes[from..]);
            prop_assert_eq!(checksum.sum(), of(&bytes));
        }

        #[test]
        fn one_bit_is_a_difference(bytes in proptest::collection::vec(any::<u8>(), 1..64), bit in 0..512_usize) {
            let mut other = bytes.clone();
            let bit = bit % (bytes.len() * 8);
            other[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(of(&bytes), of(&other));
        }

        #[test]
        fn a_zero_at_the_end_counts(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut longer = bytes.clone();
            longer.push(0);
            prop_assert_ne!(of(&bytes), of(&longer));
        }
    }

    #[test]
    fn the_place_of_a_word_counts() {
        let words: Vec<u8> = (0..12_u64).flat_map(u64::to_le_bytes).collect();
        for (one, other) in [(0, 1), (0, 4), (3, 8), (10, 11)] {
            let mut swapped = words.clone();
            for byte in 0..8 {
                swapped.swap(8 * one + byte, 8 * other + byte);
            }
            assert_ne!(of(&words), of(&swapped), "{one} {other}");
        }
    }

    #[test]
    fn where_it_ran_makes_no_difference_and_what_it_did_does() {
        let ok = |affected_rows, last_insert_id, warnings| {
            let mut payload = Vec::new();
            let packet = OkPacket {
                affected_rows,
                last_insert_id,
                warnings,
                ..OkPacket::default()
            };
            packet.encode(&mut payload, Capabilities::PROTOCOL_41);
            let mut checksum = Checksum::default();
            let taken = checksum.packet(Kind::Ok, &payload, Capabilities::PROTOCOL_41);
            taken.unwrap();
            checksum.sum()
        };
        assert_eq!(ok(1, 7, 0), ok(1, 7, 2));
        assert_ne!(ok(1, 7, 0), ok(2, 7, 0));
        assert_ne!(ok(1, 7, 0), ok(1, 8, 0));
    }
}
