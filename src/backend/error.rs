//! What can go wrong on the way to a server, and what a client is told of it.

use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::wire::Malformed;

#[derive(Debug, Error)]
pub enum BackendError {
    #[error("cannot connect to server '{server}': {source}")]
    Connect { server: String, source: io::Error },
    #[error("connecting to server '{server}' took longer than {limit:?}")]
    ConnectTimeout { server: String, limit: Duration },
    /// The server's own words, to be passed on.
    #[error("server '{server}' refused the login: {code} {message}")]
    Refused {
        server: String,
        code: u16,
        sqlstate: [u8; 5],
        message: String,
    },
    #[error("cannot log in to server '{server}': {reason}")]
    Login { server: String, reason: String },
    #[error("TLS with server '{server}' failed: {reason}")]
    Tls { server: String, reason: String },
    #[error("no connection to server '{server}' became free within {limit:?}: all {maximum} are in use")]
    PoolTimeout {
        server: String,
        limit: Duration,
        maximum: usize,
    },
    #[error("too many statements are waiting for a connection to server '{server}' already")]
    PoolQueueFull { server: String },
    #[error("the client hung up before a connection to server '{server}' became free")]
    ClientLeft { server: String },
    #[error("Server shutdown in progress")]
    Stopping,
    #[error("lost connection to server '{server}': {source}")]
    Lost { server: String, source: io::Error },
    /// It did not answer a statement of our own.
    #[error("server '{server}' did not put the session in place within {limit:?}")]
    Silent { server: String, limit: Duration },
    #[error("server '{server}' sent what is not the protocol: {source}")]
    Protocol { server: String, source: Malformed },
    /// Nobody takes writes, and this one has not been sent.
    #[error(
        "no server took this statement as the primary: {how} ({why}). It has not been run; try restarting transaction"
    )]
    NoPrimary { why: String, how: String },
    #[error(
        "the transaction was rolled back because its server was lost, and could not be run again: {why}; try restarting transaction"
    )]
    NotReplayed { why: String },
    #[error(
        "the transaction was rolled back because its server was lost, and could not be run again: \
         its statement {number} was answered otherwise than before; try restarting transaction"
    )]
    Different { number: usize },
    #[error("server '{server}' was lost, and with it what the session had there: {why}")]
    SessionLost { server: String, why: String },
    #[error(
        "server '{server}' was lost before it answered: it is not known whether the statement took effect"
    )]
    OutcomeUnknown { server: String },
    /// Somebody killed the statement before it was sent.
    #[error("Query execution was interrupted")]
    Interrupted,
    /// Nothing of the statement has been sent, and the client is told no more.
    #[error("the session was killed")]
    Killed,
    /// The server did not take the session's state; the connection is closed.
    #[error("server '{server}' did not restore the session: {code} {message}")]
    Restore {
        server: String,
        code: u16,
        sqlstate: [u8; 5],
        message: String,
    },
}

// === impl BackendError ===

impl BackendError {
    /// The server does not have the session's schema, or not for this account.
    pub fn lacks_schema(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: 1044 | 1049,
                ..
            } | Self::Restore {
                code: 1044 | 1049,
                ..
            }
        )
    }

    /// Whether it speaks against the server's health: it could not be reached, or went away.
    pub fn is_lost(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. }
                | Self::ConnectTimeout { .. }
                | Self::Lost { .. }
                | Self::Refused { code: 1053, .. }
        )
    }

    /// Whether the server hung up on a connection: it may have gone, or somebody has killed just this one.
    pub fn is_hang_up(&self) -> bool {
        matches!(self, Self::Lost { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof)
    }

    /// Code, SQLSTATE and text for the client.
    pub fn for_client(&self) -> (u16, [u8; 5], String) {
        match self {
            Self::Refused {
                code,
                sqlstate,
                message,
                ..
            }
            | Self::Restore {
                code,
                sqlstate,
                message,
                ..
            } => (*code, *sqlstate, message.clone()),
            Self::PoolTimeout { .. } | Self::PoolQueueFull { .. } => (1040, *b"08004", self.to_string()),
            // Codes from 2000 on are the clients' own: MariaDB's library takes one from a server for a broken packet.
            Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Tls { .. }
            | Self::Lost { .. }
            | Self::SessionLost { .. }
            | Self::Silent { .. }
            | Self::ClientLeft { .. } => (1158, *b"08S01", self.to_string()),
            // What applications take for an ordinary deadlock: nothing of it has been done, and it may be done again.
            Self::NoPrimary { .. } | Self::NotReplayed { .. } | Self::Different { .. } => {
                (1213, *b"40001", self.to_string())
            }
            // "Got error during COMMIT", "transaction resolution unknown".
            Self::OutcomeUnknown { .. } => (1180, *b"08007", self.to_string()),
            Self::Interrupted | Self::Killed => (1317, *b"70100", self.to_string()),
            Self::Stopping => (1053, *b"08S01", self.to_string()),
            Self::Login { .. } => (1045, *b"28000", self.to_string()),
            Self::Protocol { .. } => (1835, *b"HY000", self.to_string()),
        }
    }
}
