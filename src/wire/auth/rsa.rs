//! The RSA part of full `caching_sha2_password`: passwords on a channel that others may read.
//!
//! The password and a zero are masked with the scramble and encrypted with OAEP (SHA-1). The proxy has a key pair
//! of its own for its clients, and encrypts with a server's key towards that server.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use zeroize::{Zeroize, Zeroizing};

use super::{Scramble, clear};

/// Characters in a line of PEM.
const PEM_LINE: usize = 64;

/// A longer public key is not looked at: servers use 2048 bits, which take some 450 characters.
const LONGEST_PEM: usize = 8192;

/// The proxy's own keys, made when it starts and forgotten when it ends.
#[derive(Debug)]
pub struct KeyPair {
    private: OaepPrivateDecryptingKey,
    public_pem: String,
}

// === impl KeyPair ===

impl KeyPair {
    /// Takes some tenths of a second.
    pub fn generate() -> Result<Self, Unspecified> {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048)?;
        let public: PublicKeyX509Der<'_> = private.public_key().as_der()?;
        Ok(Self {
            public_pem: pem(public.as_ref()),
            private: OaepPrivateDecryptingKey::new(private)?,
        })
    }

    /// What a client that asks for the key is given.
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// The password that a client encrypted for us, if that is what this is.
    pub fn decrypt(&self, cipher: &[u8], scramble: &Scramble) -> Option<Zeroizing<Vec<u8>>> {
        if cipher.len() != self.private.key_size_bytes() {
            return None;
        }
        let mut buffer = Zeroizing::new(vec![0; self.private.min_output_size()]);
        let plain = self
            .private
            .decrypt(&OAEP_SHA1_MGF1SHA1, cipher, &mut buffer, None)
            .ok()?;
        mask(plain, scramble);
        clear::password(plain).map(|password| Zeroizing::new(password.to_vec()))
    }
}

/// The password as only the owner of the key can read it. `None` when the key is none, or too small for it.
pub fn encrypt(password: &[u8], scramble: &Scramble, public_pem: &[u8]) -> Option<Vec<u8>> {
    if public_pem.len() > LONGEST_PEM {
        return None;
    }
    let der = SubjectPublicKeyInfoDer::from_pem_slice(public_pem).ok()?;
    let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&der).ok()?).ok()?;
    let mut plain = clear::reply(password);
    mask(&mut plain, scramble);
    let mut cipher = vec![0; key.ciphertext_size()];
    let length = key
        .encrypt(&OAEP_SHA1_MGF1SHA1, &plain, &mut cipher, None)
        .map(|cipher| cipher.len());
    plain.zeroize();
    cipher.truncate(length.ok()?);
    Some(cipher)
}

fn mask(bytes: &mut [u8], scramble: &Scramble) {
    let pattern = scramble.as_bytes().iter().cycle();
    bytes
        .iter_mut()
        .zip(pattern)
        .for_each(|(byte, with)| *byte ^= with);
}

fn pem(der: &[u8]) -> String {
    let encoded = base64(der);
    let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    pem
}

pub(super) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            match place <= chunk.len() {
                true => text.push(char::from(ALPHABET[(bits >> (18 - 6 * place) & 0x3f) as usize])),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_usual_one() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn only_the_owner_of_the_key_reads_the_password() {
        let keys = KeyPair::generate().unwrap();
        let scramble = Scramble::generate().unwrap();
        for password in [&b""[..], b"secret", &[b'x'; 200]] {
            let cipher = encrypt(password, &scramble, keys.public_pem().as_bytes()).unwrap();
            assert_eq!(keys.decrypt(&cipher, &scramble).unwrap().as_slice(), password);
            assert!(keys.decrypt(&cipher[1..], &scramble).is_none());
            let mut broken = cipher.clone();
            broken[100] ^= 1;
            assert!(keys.decrypt(&broken, &scramble).is_none());
        }
        assert!(encrypt(&[b'x'; 230], &scramble, keys.public_pem().as_bytes()).is_none());
        assert!(
            encrypt(
                b"secret",
                &scramble,
                b"-----BEGIN PUBLIC KEY-----\nZm9v\n-----END PUBLIC KEY-----\n"
            )
            .is_none()
        );
        assert!(encrypt(b"secret", &scramble, b"").is_none());
    }
}
