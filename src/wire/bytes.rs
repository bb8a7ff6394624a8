//! The protocol's primitive types: fixed and length-encoded integers and strings.

use thiserror::Error;

/// A packet that does not say what the protocol lets it say at that place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("malformed packet: {0}")]
pub struct Malformed(pub &'static str);

pub type Result<T> = std::result::Result<T, Malformed>;

/// Reads the protocol's primitive types off the front of a slice.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

// === impl Reader ===

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that has not been read, leaving nothing.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (head, tail) = self
            .rest
            .split_at_checked(length)
            .ok_or(Malformed("it ends too early"))?;
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, tail) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(Malformed("it ends too early"))?;
        self.rest = tail;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u24(&mut self) -> Result<u32> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_le_bytes([a, b, c, 0]))
    }

    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A length-encoded integer. 0xfb (NULL) and 0xff (ERR) are not integers.
    pub fn lenenc(&mut self) -> Result<u64> {
        match self.u8()? {
            byte @ 0..=0xfa => Ok(u64::from(byte)),
            0xfc => Ok(u64::from(self.u16()?)),
            0xfd => Ok(u64::from(self.u24()?)),
            0xfe => self.u64(),
            0xfb | 0xff => Err(Malformed("a length-encoded integer starts with 0xfb or 0xff")),
        }
    }

    pub fn lenenc_bytes(&mut self) -> Result<&'a [u8]> {
        let length = usize::try_from(self.lenenc()?).map_err(|_| Malformed("a length does not fit"))?;
        self.bytes(length)
    }

    /// Bytes up to a zero, which is consumed and not returned.
    pub fn nul_bytes(&mut self) -> Result<&'a [u8]> {
        let end = self
            .rest
            .iter()
            .position(|&byte| byte == 0)
            .ok_or(Malformed("a string has no end"))?;
        let head = self.bytes(end)?;
        self.bytes(1)?;
        Ok(head)
    }

    /// Bytes up to a zero, or all that is left when there is none (old clients forget the last zero).
    pub fn nul_or_rest(&mut self) -> &'a [u8] {
        match self.nul_bytes() {
            Ok(head) => head,
            Err(_) => self.rest(),
        }
    }
}

// === writing ===

/// Appends the protocol's primitive types to a byte vector.
pub trait Put {
    fn put_bytes(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, value: u8) {
        self.put_bytes(&[value]);
    }

    fn put_u16(&mut self, value: u16) {
        self.put_bytes(&value.to_le_bytes());
    }

    fn put_u24(&mut self, value: u32) {
        self.put_bytes(&value.to_le_bytes()[..3]);
    }

    fn put_u32(&mut self, value: u32) {
        self.put_bytes(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.put_bytes(&value.to_le_bytes());
    }

    fn put_lenenc(&mut self, value: u64) {
        match value {
            0..=0xfa => self.put_u8(value as u8),
            0xfb..=0xffff => {
                self.put_u8(0xfc);
                self.put_u16(value as u16);
            }
            0x1_0000..=0xff_ffff => {
                self.put_u8(0xfd);
                self.put_u24(value as u32);
            }
            _ => {
                self.put_u8(0xfe);
                self.put_u64(value);
            }
        }
    }

    fn put_lenenc_bytes(&mut self, bytes: &[u8]) {
        self.put_lenenc(bytes.len() as u64);
        self.put_bytes(bytes);
    }

    fn put_nul_bytes(&mut self, bytes: &[u8]) {
        self.put_bytes(bytes);
        self.put_u8(0);
    }
}

impl Put for Vec<u8> {
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_is_read_back(number in any::<u64>(), text in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut bytes = Vec::new();
            bytes.put_lenenc(number);
            bytes.put_lenenc_bytes(&text);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.lenenc(), Ok(number));
            prop_assert_eq!(reader.lenenc_bytes(), Ok(&text[..]));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn a_length_beyond_the_end_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..9)) {
            let mut reader = Reader::new(&bytes);
            while reader.lenenc_bytes().is_ok() && !reader.is_empty() {}
        }
    }
}
