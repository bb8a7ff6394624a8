//! The authentication plugins by the names that client and server use for them.

/// What a client does to prove itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Plugin {
    Native,
    CachingSha2,
    /// What came before it: the password at every login. MySQL also names it for users that it does not have.
    Sha256,
    Ed25519,
    Clear,
}

// === impl Plugin ===

impl Plugin {
    /// The client's side of the plugin, as packets name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "mysql_native_password",
            Self::CachingSha2 => "caching_sha2_password",
            Self::Sha256 => "sha256_password",
            Self::Ed25519 => "client_ed25519",
            Self::Clear => "mysql_clear_password",
        }
    }

    /// `None` for a plugin that is not known here.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        const ALL: [Plugin; 5] = [
            Plugin::Native,
            Plugin::CachingSha2,
            Plugin::Sha256,
            Plugin::Ed25519,
            Plugin::Clear,
        ];
        ALL.into_iter().find(|plugin| plugin.name().as_bytes() == name)
    }
}
