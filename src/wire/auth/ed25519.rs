//! MariaDB's `ed25519`: an Ed25519 signature whose private key is a password of any length.
//!
//! Where Ed25519 hashes a seed of 32 bytes, this hashes the password; from there on, keys and signatures are the
//! usual ones, so that any verifier of signatures will do.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use curve25519_dalek::{EdwardsPoint, Scalar, scalar::clamp_integer};
use sha2::{Digest, Sha512};
use zeroize::Zeroize;

use super::scramble::ED25519_NONCE;

pub const SIGNATURE: usize = 64;

pub type PublicKey = [u8; 32];

/// The reply to the server's nonce.
pub fn reply(password: &[u8], nonce: &[u8; ED25519_NONCE]) -> [u8; SIGNATURE] {
    mysql_common::scramble::create_response_for_ed25519(password, nonce)
}

/// What a server stores for a password.
pub fn public_key(password: &[u8]) -> PublicKey {
    let mut hash: [u8; 64] = Sha512::digest(password).into();
    let mut low = [0; 32];
    low.copy_from_slice(&hash[..32]);
    let key = EdwardsPoint::mul_base(&Scalar::from_bytes_mod_order(clamp_integer(low)));
    hash.zeroize();
    low.zeroize();
    key.compress().to_bytes()
}

/// Whether the reply was made with the password of this public key.
pub fn verify(reply: &[u8], nonce: &[u8; ED25519_NONCE], key: &PublicKey) -> bool {
    reply.len() == SIGNATURE && UnparsedPublicKey::new(&ED25519, key).verify(nonce, reply).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What MariaDB stores for `identified via ed25519 using password('secret')`, out of its base64.
    #[test]
    fn agrees_with_a_server() {
        let stored: String = public_key(b"secret")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            stored,
            "648814444520e4f56043a2ec9215e63be7992d2d270bc6dee873e36164786096"
        );
    }

    #[test]
    fn a_signature_is_of_its_password_and_nonce() {
        let key = public_key(b"secret");
        let right = reply(b"secret", &[7; 32]);
        assert!(verify(&right, &[7; 32], &key));
        assert!(!verify(&right, &[8; 32], &key));
        assert!(!verify(&reply(b"Secret", &[7; 32]), &[7; 32], &key));
        assert!(!verify(&right[..63], &[7; 32], &key));
        assert!(!verify(b"", &[7; 32], &key));
        let long = [b'x'; 300];
        assert!(verify(&reply(&long, &[7; 32]), &[7; 32], &public_key(&long)));
    }
}
