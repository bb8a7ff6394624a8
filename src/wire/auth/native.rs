//! `mysql_native_password`: the server stores SHA1(SHA1(password)), and a right reply shows it SHA1(password).
//!
//! SHA1(password) is all that is needed to answer another server's scramble, so whoever verifies a client can
//! log in as that client.

use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use super::{Scramble, equal, xor};

pub const LENGTH: usize = 20;

/// SHA1(password): as good as the password, for this plugin.
pub type Stage1 = Zeroizing<[u8; LENGTH]>;

/// SHA1(SHA1(password)): what servers store.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored([u8; LENGTH]);

// === impl Stored ===

impl Stored {
    /// Reads `*` and forty hexadecimal digits, as the servers store it.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits = text
            .strip_prefix(b"*")
            .filter(|digits| digits.len() == 2 * LENGTH)?;
        let mut stored = [0; LENGTH];
        for (byte, pair) in stored.iter_mut().zip(digits.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = (high << 4 | low) as u8;
        }
        Some(Self(stored))
    }
}

impl From<[u8; LENGTH]> for Stored {
    fn from(bytes: [u8; LENGTH]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("***")
    }
}

fn sha1(parts: &[&[u8]]) -> [u8; LENGTH] {
    let mut digest = Sha1::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().into()
}

pub fn stage1(password: &[u8]) -> Stage1 {
    Zeroizing::new(sha1(&[password]))
}

pub fn stored(stage1: &[u8; LENGTH]) -> Stored {
    Stored(sha1(&[stage1]))
}

/// The reply of a client that has a password. Without one the reply is empty.
pub fn reply(stage1: &[u8; LENGTH], scramble: &Scramble) -> [u8; LENGTH] {
    xor(*stage1, &sha1(&[scramble.as_bytes(), &stored(stage1).0]))
}

/// What the client hashed its password to, when the reply is right.
pub fn verify(reply: &[u8], scramble: &Scramble, expected: &Stored) -> Option<Stage1> {
    let reply: &[u8; LENGTH] = reply.try_into().ok()?;
    let stage1 = Zeroizing::new(xor(*reply, &sha1(&[scramble.as_bytes(), &expected.0])));
    equal(&stored(&stage1).0, &expected.0).then_some(stage1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRAMBLE: &[u8; 20] = b"abcdefghij0123456789";

    /// What `select password('secret')` says on MariaDB.
    const STORED: &[u8] = b"*14E65567ABDB5135D0CFD9A70B3032C179A49EE7";

    #[test]
    fn agrees_with_a_server() {
        assert_eq!(Stored::parse(STORED), Some(stored(&stage1(b"secret"))));
    }

    #[test]
    fn a_right_reply_shows_the_hash_of_the_password() {
        let scramble = Scramble::from(*SCRAMBLE);
        let expected = Stored::parse(STORED).unwrap();
        let right = reply(&stage1(b"secret"), &scramble);
        assert_eq!(verify(&right, &scramble, &expected), Some(stage1(b"secret")));
        assert_eq!(
            verify(&reply(&stage1(b"Secret"), &scramble), &scramble, &expected),
            None
        );
        assert_eq!(verify(&right[..19], &scramble, &expected), None);
        assert_eq!(verify(&right, &Scramble::from([b'x'; 20]), &expected), None);
    }

    #[test]
    fn only_a_whole_hash_is_one() {
        for wrong in [
            &b""[..],
            b"*",
            b"invalid",
            &STORED[1..],
            &STORED[..40],
            b"*zzE65567ABDB5135D0CFD9A70B3032C179A49EE7",
        ] {
            assert_eq!(Stored::parse(wrong), None);
        }
    }
}
