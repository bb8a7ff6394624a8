//! How a statement ended, and how it can break.

use std::io;
use std::time::Duration;

use super::evidence::Kept;
use crate::backend::BackendError;
use crate::session::Observation;
use crate::wire::framing::Prepared;

/// A response that reached the client whole.
#[derive(Debug, Default)]
pub struct Outcome {
    pub observed: Observation,
    /// The code of the last ERR packet.
    pub error: Option<u16>,
    pub prepared: Option<Prepared>,
    /// Something of the response has been sent.
    pub started: bool,
    /// Nothing was run, and nothing sent: another server may run it.
    pub refused: bool,
    /// What was answered to a write that is to be committed before the client hears of it.
    pub kept: Option<Box<Kept>>,
    /// How long the client waited for the first of it, where that is measured.
    pub answered_after: Option<Duration>,
    pub bytes: u64,
}

/// A statement that did not come to its end.
#[derive(Debug)]
pub enum Broken {
    /// There is nobody to tell.
    Client(io::Error),
    /// The client can be told, unless part of the response has been sent already.
    Server { error: BackendError, started: bool },
    /// The proxy is stopping, and the grace is over.
    Stopped { started: bool },
}

/// Why a client's connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client said goodbye.
    Quit,
    /// COMMIT RELEASE: the server has hung up, and so do we.
    Released,
    /// The client hung up without a word.
    Gone,
    /// A socket failed.
    Broken,
    /// What came is not the protocol.
    Malformed,
    Idle,
    Killed,
    ShuttingDown,
    /// The server connection went and took part of the session with it.
    ServerLost,
    LoginFailed,
    LoginTimeout,
}

// === impl End ===

impl End {
    /// The client has hung up, or said that it does.
    pub fn is_expected(self) -> bool {
        matches!(self, Self::Quit | Self::Gone | Self::Broken)
    }

    pub fn reason(self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::Released => "released",
            Self::Gone => "client closed the connection",
            Self::Broken => "client connection broke",
            Self::Malformed => "malformed packet",
            Self::Idle => "idle timeout",
            Self::Killed => "killed",
            Self::ShuttingDown => "shutdown",
            Self::ServerLost => "server connection lost",
            Self::LoginFailed => "login failed",
            Self::LoginTimeout => "login timeout",
        }
    }
}
