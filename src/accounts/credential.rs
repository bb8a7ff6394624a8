//! What lets the proxy log in to servers as a client that has logged in to the proxy.

use crate::util::Secret;
use crate::wire::auth::native;

/// Learnt from the client's login or given in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    Password(Secret),
    /// SHA1(password): all that `mysql_native_password` shows, and all that it asks for.
    NativeHash(Secret),
    /// The account has no password.
    Empty,
}

// === impl Credential ===

impl Credential {
    /// An empty password is none.
    pub fn password(password: &[u8]) -> Self {
        match password {
            [] => Self::Empty,
            _ => Self::Password(Secret::from(password)),
        }
    }

    pub(super) fn native_hash(hash: &native::Stage1) -> Self {
        Self::NativeHash(Secret::from(&hash[..]))
    }
}
