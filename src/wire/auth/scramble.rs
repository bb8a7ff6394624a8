//! The random bytes that make every login's reply a different one.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;

/// The scramble of `mysql_native_password` and `caching_sha2_password`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scramble([u8; Self::LENGTH]);

/// `client_ed25519` signs this many bytes, of any value.
pub const ED25519_NONCE: usize = 32;

// === impl Scramble ===

impl Scramble {
    pub const LENGTH: usize = 20;

    /// New random bytes of 7 bits, none of them zero, which would end them, or `$`, which separates the
    /// parts of a stored password.
    pub fn generate() -> Result<Self, Unspecified> {
        let mut scramble = [0; Self::LENGTH];
        let mut filled = 0;
        while filled < Self::LENGTH {
            let mut random = [0; 2 * Self::LENGTH];
            rand::fill(&mut random)?;
            let usable = random
                .iter()
                .map(|byte| byte & 0x7f)
                .filter(|&byte| byte != 0 && byte != b'$');
            for (place, byte) in scramble[filled..].iter_mut().zip(usable) {
                *place = byte;
                filled += 1;
            }
        }
        Ok(Self(scramble))
    }

    /// The scramble in what a server sends: twenty bytes, with or without a zero after them.
    pub fn parse(data: &[u8]) -> Option<Self> {
        match data.split_first_chunk()? {
            (scramble, [] | [0]) => Some(Self(*scramble)),
            _ => None,
        }
    }

    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl From<[u8; Self::LENGTH]> for Scramble {
    fn from(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }
}

/// A fresh nonce for `client_ed25519`. Some clients take a zero at its end for the end of the packet's text and
/// sign one byte less, so there is none.
pub fn ed25519_nonce() -> Result<[u8; ED25519_NONCE], Unspecified> {
    let mut nonce = [0; ED25519_NONCE];
    while nonce[ED25519_NONCE - 1] == 0 {
        rand::fill(&mut nonce)?;
    }
    Ok(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_nonce_ends_in_zero() {
        for _ in 0..4_000 {
            assert_ne!(ed25519_nonce().unwrap().last(), Some(&0));
        }
    }

    #[test]
    fn no_byte_ends_or_separates_anything() {
        for _ in 0..500 {
            let scramble = Scramble::generate().unwrap();
            assert!(
                scramble
                    .as_bytes()
                    .iter()
                    .all(|byte| (1..128).contains(byte) && *byte != b'$')
            );
        }
        assert_ne!(Scramble::generate().unwrap(), Scramble::generate().unwrap());
    }

    #[test]
    fn a_scramble_may_end_with_a_zero() {
        assert!(Scramble::parse(&[b'a'; 20]).is_some());
        assert!(Scramble::parse(b"aaaaaaaaaaaaaaaaaaaa\0").is_some());
        assert!(Scramble::parse(&[b'a'; 21]).is_none());
        assert!(Scramble::parse(&[b'a'; 19]).is_none());
    }
}
