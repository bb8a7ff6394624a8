//! What a client and a server can agree to do differently from the protocol of 1999.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Not};

/// Capability flags. The low 32 bits are the common ones; MariaDB's extended flags are the high 32.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Capabilities(pub u64);

// === impl Capabilities ===

macro_rules! flags {
    ($($name:ident = $bit:expr;)*) => {
        impl Capabilities {
            $(pub const $name: Self = Self(1 << $bit);)*
            const NAMES: &'static [(&'static str, Self)] = &[$((stringify!($name), Self::$name)),*];
        }
    };
}

flags! {
    // Also called CLIENT_MYSQL: MariaDB servers leave it out to say that the extended flags are there.
    LONG_PASSWORD = 0;
    FOUND_ROWS = 1;
    LONG_FLAG = 2;
    CONNECT_WITH_DB = 3;
    NO_SCHEMA = 4;
    COMPRESS = 5;
    ODBC = 6;
    LOCAL_FILES = 7;
    IGNORE_SPACE = 8;
    PROTOCOL_41 = 9;
    INTERACTIVE = 10;
    SSL = 11;
    IGNORE_SIGPIPE = 12;
    TRANSACTIONS = 13;
    RESERVED = 14;
    SECURE_CONNECTION = 15;
    MULTI_STATEMENTS = 16;
    MULTI_RESULTS = 17;
    PS_MULTI_RESULTS = 18;
    PLUGIN_AUTH = 19;
    CONNECT_ATTRS = 20;
    PLUGIN_AUTH_LENENC = 21;
    CAN_HANDLE_EXPIRED_PASSWORDS = 22;
    SESSION_TRACK = 23;
    DEPRECATE_EOF = 24;
    OPTIONAL_RESULTSET_METADATA = 25;
    ZSTD = 26;
    QUERY_ATTRIBUTES = 27;
    MULTI_FACTOR = 28;
    CAPABILITY_EXTENSION = 29;
    SSL_VERIFY_SERVER_CERT = 30;
    REMEMBER_OPTIONS = 31;
    MARIADB_PROGRESS = 32;
    MARIADB_COM_MULTI = 33;
    MARIADB_BULK = 34;
    MARIADB_EXTENDED_METADATA = 35;
    MARIADB_CACHE_METADATA = 36;
    MARIADB_BULK_UNIT_RESULTS = 37;
}

impl Capabilities {
    pub const NONE: Self = Self(0);

    /// The bits of the common 32 flags.
    pub fn low(self) -> u32 {
        self.0 as u32
    }

    /// The bits of MariaDB's extended flags.
    pub fn high(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub fn from_parts(low: u32, high: u32) -> Self {
        Self(u64::from(low) | u64::from(high) << 32)
    }

    /// Whether all of `other` are here.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is here.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn without(self, other: Self) -> Self {
        self & !other
    }
}

impl BitOr for Capabilities {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Capabilities {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Capabilities {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for Capabilities {
    type Output = Self;
    fn not(self) -> Self {
        Self(!self.0)
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::NAMES
            .iter()
            .filter(|(_, flag)| self.has(*flag))
            .map(|(name, _)| name);
        f.debug_set().entries(names).finish()
    }
}
