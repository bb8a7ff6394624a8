//! The arithmetic of authentication plugins: what to answer to a scramble, and whether an answer is right.
//!
//! Bytes in, bytes out; who talks to whom, and in which order, is the `accounts` module's affair. Comparisons of
//! secrets take the same time whatever differs.

pub mod clear;
pub mod crypt;
pub mod ed25519;
pub mod message;
pub mod native;
pub mod plugin;
pub mod rsa;
pub mod scramble;
pub mod sha2;

pub use plugin::Plugin;
pub use rsa::KeyPair;
pub use scramble::Scramble;

/// Whether two secrets are the same, in a time that depends only on their lengths.
fn equal(one: &[u8], other: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one, other).is_ok()
}

/// `one ^ other`, byte by byte, for digests of one length.
fn xor<const N: usize>(mut one: [u8; N], other: &[u8; N]) -> [u8; N] {
    one.iter_mut().zip(other).for_each(|(byte, with)| *byte ^= with);
    one
}
