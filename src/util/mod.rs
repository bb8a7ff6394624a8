//! Small things that know nothing of the domain.

pub mod secret;

pub use secret::Secret;
