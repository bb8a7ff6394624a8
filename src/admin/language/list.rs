//! All commands with one line each, for HELP, for suggestions and for the documentation.

/// The one database that there is.
pub const DATABASE: &str = "splitrail";

/// What is told of a table's columns; the last three only with SHOW FULL COLUMNS.
pub const DESCRIBED: [&str; 9] = [
    "Field",
    "Type",
    "Null",
    "Key",
    "Default",
    "Extra",
    "Collation",
    "Privileges",
    "Comment",
];

#[derive(Debug, Clone, Copy)]
pub struct Form {
    pub command: &'static str,
    pub about: &'static str,
    /// Whether it takes the role `operate`.
    pub operates: bool,
}

const fn reads(command: &'static str, about: &'static str) -> Form {
    Form {
        command,
        about,
        operates: false,
    }
}

const fn operates(command: &'static str, about: &'static str) -> Form {
    Form {
        command,
        about,
        operates: true,
    }
}

/// SHOW of each table comes beside these.
pub const COMMANDS: &[Form] = &[
    reads("HELP [word]", "this list, or what of it has the word"),
    reads(
        "SHOW table [LIKE 'pattern'] [WHERE ..] [ORDER BY ..] [LIMIT ..]",
        "a table, or part of it; SELECT .. FROM table works as well",
    ),
    reads("SHOW SESSION n", "all that is known of one session"),
    reads("SHOW TABLES", "the names of all tables"),
    reads("DESCRIBE table", "the columns of a table"),
    reads(
        "EXPLAIN ROUTE statement",
        "where a statement would go from a fresh session, and why",
    ),
    reads(
        "PROMOTE CHECK [server]",
        "what a change of the primary would do now, touching nothing",
    ),
    operates(
        "SWITCHOVER [TO server] [TIMEOUT duration] [FORCE]",
        "makes another server the primary, in good order",
    ),
    operates(
        "FAILOVER [TO server] [FORCE]",
        "makes another server the primary because this one is lost",
    ),
    operates(
        "REJOIN server [DISCARD]",
        "makes a server follow the primary; DISCARD saves and drops what only it has",
    ),
    operates("PAUSE FAILOVER", "nothing is promoted unless somebody says so"),
    operates(
        "RESUME FAILOVER",
        "the proxy promotes by itself again, as failover.mode says",
    ),
    operates(
        "SET SERVER server WEIGHT = n",
        "changes a server's share of the reads",
    ),
    operates(
        "SET SERVER server STATE = online | drain | maintenance",
        "what a server may be used for",
    ),
    operates(
        "SET SERVER server MAX_CONNECTIONS = n",
        "changes how many connections it may have",
    ),
    operates("DRAIN server", "nothing new goes there; what runs may end"),
    operates("MAINTENANCE server", "it is not used at all"),
    operates("RESUME server", "it is used again"),
    operates("KILL n", "ends a session"),
    operates("KILL QUERY n", "ends what a session runs"),
    operates(
        "PAUSE LISTENER listener",
        "it refuses new connections; those that stand stay",
    ),
    operates("RESUME LISTENER listener", "it takes new connections again"),
    operates(
        "RESET STATS",
        "counts digests, routes and latencies anew; what /metrics shows goes on",
    ),
    operates("RELOAD TLS", "loads the certificates for clients again"),
    operates(
        "RELOAD ACCOUNTS",
        "forgets what clients proved before: each proves it again at its next login",
    ),
    operates("RELOAD CONFIG", "reads the configuration again"),
    operates(
        "SAVE CONFIG [TO path]",
        "writes what was set at run time back into the file, or all into a new one",
    ),
];

/// What a command may begin with, for suggestions.
pub(super) const FIRST_WORDS: &[&str] = &[
    "help",
    "show",
    "select",
    "describe",
    "explain",
    "promote",
    "switchover",
    "failover",
    "rejoin",
    "pause",
    "resume",
    "set",
    "drain",
    "maintenance",
    "kill",
    "reset",
    "reload",
    "save",
];
