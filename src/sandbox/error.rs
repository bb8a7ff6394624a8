//! What can go wrong when servers are found, started and joined. A message says what to do where the user can
//! do something: install a server, read a log, give an empty folder.

use std::path::{Path, PathBuf};

use super::Flavour;

/// Why a sandbox could not be started or one of its servers not be handled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no usable {flavour} server on this machine{found}; {}", .flavour.how_to_install())]
    NotFound { flavour: Flavour, found: String },
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    #[error("{} is not empty: give an empty folder, or one that is not there yet", .0.display())]
    FolderInUse(PathBuf),
    #[error("{name} did not start: {reason}\n{log}")]
    NotStarted {
        name: String,
        reason: String,
        log: String,
    },
    #[error("{name}: {source}")]
    Sql {
        name: String,
        source: mysql_async::Error,
    },
    #[error("{name}: no answer within {seconds} s to: {what}")]
    Timeout {
        name: String,
        what: String,
        seconds: u64,
    },
    #[error("{name} does not replicate: {state}")]
    NotReplicating { name: String, state: String },
    #[error("no server is called {0}")]
    NoSuchServer(String),
    #[error("certificates: {0}")]
    Certificates(#[from] rcgen::Error),
    #[error("the proxy did not become ready: {0}")]
    Proxy(String),
    #[error("the proxy is gone: {0}")]
    ProxyEnded(String),
}

impl Error {
    /// For `map_err`: names the file or the step that an I/O error is about.
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
        let what = what.into();
        move |source| Error::Io { what, source }
    }

    pub(super) fn path(doing: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        Error::io(format!("cannot {doing} {}", path.display()))
    }
}
