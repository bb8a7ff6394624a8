//! The three panels and their columns.

/// Which table is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Panel {
    Servers,
    Sessions,
    Digests,
}

/// A column of a panel. The last one of each takes the room that the others leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    /// Numbers stand at the right, and are sorted with the largest first.
    pub is_number: bool,
    /// Where there is no room for all, those with the highest go first.
    pub rank: u8,
}

const fn text(name: &'static str, rank: u8) -> Column {
    Column {
        name,
        is_number: false,
        rank,
    }
}

const fn number(name: &'static str, rank: u8) -> Column {
    Column {
        name,
        is_number: true,
        rank,
    }
}

const SERVERS: &[Column] = &[
    text("server", 0),
    text("role", 1),
    text("health", 0),
    text("state", 2),
    number("lag", 0),
    number("stmts/s", 0),
    number("reads", 4),
    number("err/s", 3),
    number("conns", 1),
    number("busy", 3),
    number("latency", 1),
    number("weight", 5),
    text("problem", 0),
];

const SESSIONS: &[Column] = &[
    number("id", 0),
    text("user", 2),
    text("address", 5),
    text("db", 4),
    text("state", 0),
    number("age", 0),
    text("server", 1),
    text("holds", 1),
    number("stmts", 3),
    text("statement", 0),
];

const DIGESTS: &[Column] = &[
    number("calls/s", 0),
    number("load", 0),
    number("mean", 1),
    number("p95", 2),
    number("calls", 2),
    number("errors", 3),
    text("server", 1),
    text("user", 4),
    text("schema", 5),
    text("statement", 0),
];

/// Where the column `load` of the digests is.
const LOAD: usize = 1;

// === impl Panel ===

impl Panel {
    pub const ALL: [Self; 3] = [Self::Servers, Self::Sessions, Self::Digests];

    pub fn place(self) -> usize {
        match self {
            Self::Servers => 0,
            Self::Sessions => 1,
            Self::Digests => 2,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Servers => "servers",
            Self::Sessions => "sessions",
            Self::Digests => "digests",
        }
    }

    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Servers => SERVERS,
            Self::Sessions => SESSIONS,
            Self::Digests => DIGESTS,
        }
    }

    /// What it is sorted by before anybody says; `None`: as the rows come.
    pub fn usual_order(self) -> Option<usize> {
        match self {
            Self::Servers | Self::Sessions => None,
            Self::Digests => Some(LOAD),
        }
    }

    /// How the rows come.
    pub fn own_order(self) -> &'static str {
        match self {
            Self::Servers => "configuration",
            Self::Sessions => "activity",
            Self::Digests => "total time",
        }
    }

    /// So many panels further, or back, in a circle.
    pub fn step(self, steps: usize) -> Self {
        Self::ALL[(self.place() + steps) % Self::ALL.len()]
    }
}
