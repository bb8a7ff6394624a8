//! What a statement touches, as a set of bits: cheap to carry with a statement and to test all at once.
//! A bit that is set may be too careful; a bit that is not set is a promise.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Not};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(u64);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal,)*) => {
        impl Flags {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*
            const NAMES: &'static [(&'static str, Self)] = &[$((stringify!($name), Self::$name)),*];
        }
    };
}

flags! {
    /// The server may read this text otherwise than we did, or not at all. Trust nothing else said here.
    BROKEN = 0,
    /// More than one statement, or a comment behind the last semicolon, which gets an answer of its own.
    /// Everything said is then the union over all of them.
    SEVERAL = 1,
    /// Code that depends on the version or flavour of the server that reads it.
    VERSION_COMMENT = 2,
    /// The text defines a stored program, or is a compound statement: a `;` inside it parts nothing.
    STORED_PROGRAM = 3,
    /// A function, procedure or prepared text runs that may do anything.
    UNKNOWN_CALL = 4,
    ASSIGNS_USER_VARIABLE = 5,
    READS_USER_VARIABLE = 6,
    /// Reads any `@@variable`.
    READS_SYSTEM_VARIABLE = 7,
    GET_LOCK = 8,
    RELEASE_LOCK = 9,
    RELEASE_ALL_LOCKS = 10,
    /// IS_FREE_LOCK or IS_USED_LOCK.
    CHECKS_LOCK = 11,
    LOCK_TABLES = 12,
    UNLOCK_TABLES = 13,
    /// FLUSH TABLES .. WITH READ LOCK or FOR EXPORT; UNLOCK TABLES ends it.
    FLUSH_LOCK = 14,
    /// LOCK INSTANCE FOR BACKUP, MariaDB's BACKUP STAGE and BACKUP LOCK.
    BACKUP_LOCK = 15,
    BACKUP_UNLOCK = 16,
    CREATE_TEMPORARY = 17,
    DROP_TEMPORARY = 18,
    HANDLER_OPEN = 19,
    HANDLER_CLOSE = 20,
    /// PREPARE name FROM text.
    TEXT_PREPARE = 21,
    TEXT_DEALLOCATE = 22,
    /// Reads LAST_INSERT_ID(), @@last_insert_id or @@identity.
    LAST_INSERT_ID = 23,
    /// LAST_INSERT_ID(value).
    ASSIGNS_LAST_INSERT_ID = 24,
    FOUND_ROWS = 25,
    CALC_FOUND_ROWS = 26,
    ROW_COUNT = 27,
    /// Reads what the statement before left: SHOW WARNINGS, GET DIAGNOSTICS, @@warning_count and the like.
    DIAGNOSTICS = 28,
    /// CONNECTION_ID() or @@pseudo_thread_id.
    CONNECTION_ID = 29,
    /// Sets a variable for the next statement only, or one that the server does not report well.
    SETS_ONE_SHOT = 30,
    /// SET TRANSACTION, or `SET @@transaction_isolation`, without a scope.
    SETS_NEXT_TRANSACTION = 31,
    SETS_SESSION_TRACK = 32,
    /// SET GLOBAL or PERSIST, by any spelling.
    SETS_GLOBAL = 33,
    /// Changes how later text is read: sql_mode or the client character set.
    SETS_DIALECT = 34,
    LOAD_LOCAL = 35,
    /// SHOW PROCESSLIST or a table that lists connections by id.
    PROCESS_LIST = 36,
    BINLOG = 37,
    SLEEP = 38,
    /// FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE.
    LOCKING_READ = 39,
    /// INTO OUTFILE or DUMPFILE.
    INTO_FILE = 40,
    /// COMMIT RELEASE and ROLLBACK RELEASE: the server closes the connection afterwards.
    ENDS_CONNECTION = 41,
    /// More calls worth rewriting than [`Features`](super::Features) has room for.
    SPANS_OVERFLOW = 42,
    /// The statement has a WITH clause in front.
    COMMON_TABLE = 43,
    /// MariaDB's SET STATEMENT .. FOR; the verb is that of the inner statement.
    SET_STATEMENT = 44,
    /// SET NAMES or CHARACTER SET in a form whose collation the server does not report.
    SETS_COLLATION = 45,
    /// SET ROLE or SET RESOURCE GROUP: a change that MySQL does not report.
    SETS_ROLE = 46,
    /// Nothing but one call of GET_LOCK or RELEASE_LOCK with plain arguments: its result says what it did.
    SINGLE_LOCK_CALL = 47,
}

// === impl Flags ===

impl Flags {
    pub const EMPTY: Self = Self(0);

    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    /// The names of the bits that are set, for logs and for explaining a decision.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .iter()
            .filter(move |(_, flag)| self.contains(*flag))
            .map(|(name, _)| *name)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.insert(other);
    }
}

impl BitAnd for Flags {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for Flags {
    type Output = Self;

    fn not(self) -> Self {
        Self(!self.0)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for name in self.names() {
            write!(formatter, "{separator}{name}")?;
            separator = " | ";
        }
        if self.is_empty() {
            formatter.write_str("-")
        } else {
            Ok(())
        }
    }
}
