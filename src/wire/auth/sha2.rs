//! The fast exchange of `caching_sha2_password`: a scramble answered with SHA256, as the server has cached it.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Scramble, equal, xor};

pub const LENGTH: usize = 32;

/// The client asks for the server's public key, in `caching_sha2_password`.
pub const REQUEST_PUBLIC_KEY: u8 = 2;
/// The fast exchange was enough.
pub const FAST_OK: u8 = 3;
/// The server wants the password itself.
pub const FULL: u8 = 4;

/// The same in `sha256_password`.
pub const SHA256_REQUEST_PUBLIC_KEY: u8 = 1;

/// Servers refuse a longer password when it is set, so no right one is longer.
pub const LONGEST_PASSWORD: usize = 256;

/// SHA256(password): enough for fast exchanges, not for full ones.
pub type Stage1 = Zeroizing<[u8; LENGTH]>;

/// SHA256(SHA256(password)): what a server keeps in memory.
pub type Stage2 = [u8; LENGTH];

fn sha256(parts: &[&[u8]]) -> [u8; LENGTH] {
    let mut digest = Sha256::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().into()
}

pub fn stage1(password: &[u8]) -> Stage1 {
    Zeroizing::new(sha256(&[password]))
}

pub fn stage2(stage1: &[u8; LENGTH]) -> Stage2 {
    sha256(&[stage1])
}

/// The reply of a client that has a password. Without one the reply is empty.
pub fn reply(stage1: &[u8; LENGTH], scramble: &Scramble) -> [u8; LENGTH] {
    xor(*stage1, &sha256(&[&stage2(stage1), scramble.as_bytes()]))
}

/// What the client hashed its password to, when the reply is right.
pub fn verify(reply: &[u8], scramble: &Scramble, expected: &Stage2) -> Option<Stage1> {
    let reply: &[u8; LENGTH] = reply.try_into().ok()?;
    let stage1 = Zeroizing::new(xor(*reply, &sha256(&[expected, scramble.as_bytes()])));
    equal(&stage2(&stage1), expected).then_some(stage1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_reply_shows_the_hash_of_the_password() {
        let scramble = Scramble::from(*b"abcdefghij0123456789");
        let expected = stage2(&stage1(b"secret"));
        let right = reply(&stage1(b"secret"), &scramble);
        assert_eq!(verify(&right, &scramble, &expected), Some(stage1(b"secret")));
        assert_eq!(
            verify(&reply(&stage1(b"secre"), &scramble), &scramble, &expected),
            None
        );
        assert_eq!(verify(&right[1..], &scramble, &expected), None);
        assert_eq!(verify(b"", &scramble, &expected), None);
    }

    #[test]
    fn agrees_with_an_independent_implementation() {
        let scramble = Scramble::from(*b"abcdefghij0123456789");
        let theirs = mysql_common::scramble::scramble_sha256(scramble.as_bytes(), b"secret");
        assert_eq!(theirs, Some(reply(&stage1(b"secret"), &scramble)));
    }
}
