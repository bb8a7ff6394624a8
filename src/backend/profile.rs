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

    /// The version as version comments write it: 90704, 101106; 0 when it does not begin with one.
    pub fn number(&self) -> u32 {
        let text = String::from_utf8_lossy(&self.version);
        // MariaDB before 11 pretends to be 5.5.5 to replicas of old.
        let text = text.strip_prefix("5.5.5-").unwrap_or(&text);
        let mut parts = text
            .split(|c: char| !c.is_ascii_digit())
            .map(|part| part.parse::<u32>().unwrap_or(0));
        let mut part = || parts.next().unwrap_or(0).min(99);
        part() * 10_000 + part() * 100 + part()
    }

    pub fn is_mariadb(&self) -> bool {
        self.version
            .windows(7)
            .any(|window| window.eq_ignore_ascii_case(b"mariadb"))
    }

    /// Whether clients that follow their session hear of transactions though they have not asked for it. Seen on
    /// MySQL 9; MariaDB tells those who asked.
    pub fn tells_transactions(&self) -> bool {
        !self.is_mariadb() && self.number() >= 90_000
    }
}
