//! What a server says of itself in its greeting, which is what clients are told in ours.

use crate::wire::greeting::Greeting;
use crate::wire::{Capabilities, Status};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub version: Vec<u8>,
    pub capabilities: Capabilities,
    pub collation: u8,
    pub status: Status,
    pub plugin: Vec<u8>,
}

// === impl Profile ===

impl Profile {
    pub fn of(greeting: &Greeting) -> Self {
        Self {
            version: greeting.server_version.clone(),
            capabilities: greeting.capabilities,
            collation: greeting.collation,
            status: greeting.status,
            plugin: greeting.plugin.clone(),
        }
    }

    pub fn is_mariadb(&self) -> bool {
        self.version.windows(7).any(|window| window.eq_ignore_ascii_case(b"mariadb"))
    }
}
