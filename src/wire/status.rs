//! What the server says of the session at the end of every result.

use std::ops::{BitAnd, BitOr, Not};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status(pub u16);

// === impl Status ===

impl Status {
    pub const IN_TRANSACTION: Self = Self(1);
    pub const AUTOCOMMIT: Self = Self(2);
    pub const MORE_RESULTS: Self = Self(8);
    pub const NO_GOOD_INDEX: Self = Self(0x10);
    pub const NO_INDEX: Self = Self(0x20);
    pub const CURSOR_EXISTS: Self = Self(0x40);
    pub const LAST_ROW_SENT: Self = Self(0x80);
    pub const DATABASE_DROPPED: Self = Self(0x100);
    pub const NO_BACKSLASH_ESCAPES: Self = Self(0x200);
    pub const METADATA_CHANGED: Self = Self(0x400);
    pub const QUERY_SLOW: Self = Self(0x800);
    pub const PS_OUT_PARAMETERS: Self = Self(0x1000);
    pub const IN_READ_ONLY_TRANSACTION: Self = Self(0x2000);
    pub const SESSION_STATE_CHANGED: Self = Self(0x4000);
    /// MariaDB only.
    pub const ANSI_QUOTES: Self = Self(0x8000);

    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn without(self, other: Self) -> Self {
        self & !other
    }
}

impl BitOr for Status {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Status {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for Status {
    type Output = Self;
    fn not(self) -> Self {
        Self(!self.0)
    }
}
