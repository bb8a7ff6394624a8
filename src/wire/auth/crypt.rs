//! What `caching_sha2_password` and `sha256_password` store: SHA-crypt with SHA-256 and a salt of twenty bytes, or
//! PBKDF2 with SHA-512 and such a salt.
//!
//! Checking a password costs some thousand hashes, by intent; see [`Stored::verify`].

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::equal;
use super::rsa::base64;
use super::sha2::LONGEST_PASSWORD;

const SALT: usize = 20;
const ENCODED: usize = 43;
/// Of PBKDF2's 64 bytes.
const ENCODED_LONG: usize = 88;
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The rounds of `sha256_password`, and of the other by default.
const ROUNDS: NonZeroU32 = NonZeroU32::new(5000).unwrap();

/// A stored password: `$A$005$`, with the rounds in thousands and in hexadecimal, or `$5$`, or `$B$00A$` for PBKDF2;
/// then salt and digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    rounds: NonZeroU32,
    salt: [u8; SALT],
    digest: Derived,
}

#[derive(Clone, PartialEq, Eq)]
enum Derived {
    Crypt([u8; ENCODED]),
    Pbkdf2(Box<[u8; ENCODED_LONG]>),
}

// === impl Stored ===

impl Stored {
    /// What `sha256_password` stores.
    pub fn parse_sha256(text: &[u8]) -> Option<Self> {
        let (salt, digest) = text.strip_prefix(b"$5$")?.split_first_chunk::<SALT>()?;
        Some(Self {
            rounds: ROUNDS,
            salt: *salt,
            digest: Derived::Crypt(digest.strip_prefix(b"$")?.try_into().ok()?),
        })
    }

    /// What `caching_sha2_password` stores. `None` for what a server would not accept either.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (&[b'$', kind, b'$'], rest) = text.split_first_chunk()? else {
            return None;
        };
        let (rounds, rest) = rest.split_first_chunk::<3>()?;
        let (salt, digest) = rest.strip_prefix(b"$")?.split_first_chunk::<SALT>()?;
        let rounds = u32::from_str_radix(std::str::from_utf8(rounds).ok()?, 16).ok()?;
        Some(Self {
            rounds: rounds.checked_mul(1000).and_then(NonZeroU32::new)?,
            salt: *salt,
            digest: match kind {
                b'A' => Derived::Crypt(digest.try_into().ok()?),
                b'B' => Derived::Pbkdf2(Box::new(digest.try_into().ok()?)),
                _ => return None,
            },
        })
    }

    /// One that no password is known to fit, for accounts that are not there: checking it takes as long.
    pub fn unknown() -> Self {
        Self {
            rounds: ROUNDS,
            salt: [b'-'; SALT],
            digest: Derived::Crypt([b'-'; ENCODED]),
        }
    }

    /// Takes a millisecond or so of processor time for each 5000 rounds.
    pub fn verify(&self, password: &[u8]) -> bool {
        if password.len() > LONGEST_PASSWORD {
            return false;
        }
        match &self.digest {
            Derived::Crypt(digest) => equal(&encode(&crypt(password, &self.salt, self.rounds.get())), digest),
            Derived::Pbkdf2(digest) => {
                let mut derived = Zeroizing::new([0; 64]);
                let algorithm = pbkdf2::PBKDF2_HMAC_SHA512;
                pbkdf2::derive(algorithm, self.rounds, &self.salt, password, &mut derived[..]);
                equal(base64(&derived[..]).as_bytes(), &digest[..])
            }
        }
    }
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("***")
    }
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().into()
}

/// The digest over and over, until it is as long as what it stands for.
fn stretched(digest: &[u8; 32], length: usize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(digest.iter().copied().cycle().take(length).collect())
}

fn crypt(password: &[u8], salt: &[u8], rounds: u32) -> [u8; 32] {
    let mut digest = first_digest(password, salt);
    let repeated = Zeroizing::new(password.repeat(password.len()));
    let password = stretched(&sha256(&[&repeated]), password.len());
    let salt = stretched(&sha256(&[&salt.repeat(16 + usize::from(digest[0]))]), salt.len());
    for round in 0..rounds {
        let odd = round % 2 == 1;
        let mut hash = Sha256::new();
        hash.update(if odd { &password[..] } else { &digest[..] });
        if round % 3 != 0 {
            hash.update(&salt[..]);
        }
        if round % 7 != 0 {
            hash.update(&password[..]);
        }
        hash.update(if odd { &digest[..] } else { &password[..] });
        digest = hash.finalize().into();
    }
    digest
}

fn first_digest(password: &[u8], salt: &[u8]) -> [u8; 32] {
    let alternate = sha256(&[password, salt, password]);
    let mut hash = Sha256::new();
    hash.update(password);
    hash.update(salt);
    hash.update(&stretched(&alternate, password.len())[..]);
    let mut bits = password.len();
    while bits > 0 {
        hash.update(if bits & 1 == 1 { &alternate[..] } else { password });
        bits >>= 1;
    }
    hash.finalize().into()
}

/// The digest in SHA-crypt's own base64: bytes of three places make four characters, lowest bits first.
fn encode(digest: &[u8; 32]) -> [u8; ENCODED] {
    let mut encoded = [0; ENCODED];
    let (groups, last) = encoded.split_at_mut(40);
    let (mut a, mut b, mut c) = (0, 10, 20);
    for group in groups.chunks_exact_mut(4) {
        put_bits(group, [digest[a], digest[b], digest[c]]);
        (a, b, c) = (c + 1, a + 1, b + 1);
    }
    put_bits(last, [0, digest[31], digest[30]]);
    encoded
}

fn put_bits(out: &mut [u8], [high, middle, low]: [u8; 3]) {
    let mut bits = u32::from_be_bytes([0, high, middle, low]);
    for place in out {
        *place = ALPHABET[(bits & 0x3f) as usize];
        bits >>= 6;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's own vector, whose salt is shorter than the servers'.
    #[test]
    fn agrees_with_the_specification() {
        let digest = crypt(b"Hello world!", b"saltstring", 5000);
        assert_eq!(
            &encode(&digest)[..],
            &b"5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"[..]
        );
        let digest = crypt(b"Hello world!", b"saltstringsaltst", 10000);
        assert_eq!(
            &encode(&digest)[..],
            &b"3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"[..]
        );
    }

    /// What MySQL stored for `identified with sha256_password by 'x'`.
    #[test]
    fn agrees_with_a_server() {
        let stored = b"$5$\"GVeD\x100?;}\x1c_n\x08%h\x7f>\n\x16$69W8CHPtRjAbTJXKjk8lEaQAovcxg0F0LbEeCa1fHNA";
        let stored = Stored::parse_sha256(stored).unwrap();
        assert!(stored.verify(b"x"));
        assert!(!stored.verify(b"y"));
    }

    /// What MySQL stored under `caching_sha2_password_storage_format = PBKDF2_SHA512`.
    #[test]
    fn agrees_with_a_server_on_the_longer_one() {
        let stored = b"$B$00A$1\x12^=)'*DSsDq8'\x0d\x52A)%\x1e\x39onIoCo8if1fgCPJOi09T38LstAvGBXOmMQwpxOH7ke3VBZD1r4PLLuZBSlhtRgeTH0X4iIoqv13VlVCLIlFcA==";
        let stored = Stored::parse(stored).unwrap();
        assert!(stored.verify(b"bb"));
        assert!(!stored.verify(b"bc"));
    }

    #[test]
    fn what_a_server_would_refuse_is_refused() {
        for wrong in [
            &b""[..],
            b"$A$",
            b"$A$005$",
            b"$A$000$aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
            b"$B$005$aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
            b"$A$005$aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        ] {
            assert_eq!(Stored::parse(wrong), None);
        }
        assert!(!Stored::unknown().verify(b""));
    }
}
