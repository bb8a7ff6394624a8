//! Small things that know nothing of the domain.

pub mod clock;
pub mod secret;

pub use secret::Secret;
