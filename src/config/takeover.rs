//! How a new process takes the listeners over from the one that runs.

use std::path::PathBuf;
use std::time::Duration;

use super::destination;
use super::reader::{Field, Section};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// Where the running process waits for the new one. `None`: nobody can take over.
    pub socket: Option<PathBuf>,
    /// How long the old process serves the clients that it has, before it ends as in a shutdown.
    pub linger: Duration,
}

/// What the service manager sets: the folder for sockets of the service.
const RUNTIME: &str = "RUNTIME_DIRECTORY";

// === impl Takeover ===

impl Takeover {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let socket = section.field("socket");
        let socket = match socket.literal() {
            Some("off") => None,
            _ if socket.is_given() => chosen(&socket),
            _ => Some(usual(section)),
        };
        let range = Duration::ZERO..=Duration::from_secs(24 * 3600);
        Self {
            socket,
            linger: section.field("linger").duration(range, Duration::from_secs(30)),
        }
    }
}

fn chosen(field: &Field<'_>) -> Option<PathBuf> {
    let path = field.path()?;
    destination::check_socket(field, &path);
    Some(path)
}

/// In the service's folder, or beside the configuration.
fn usual(section: &Section<'_>) -> PathBuf {
    let context = section.whole().context;
    let runtime = (context.environment)(RUNTIME).filter(|folder| !folder.is_empty());
    // There may be several.
    match runtime.as_deref().and_then(|folders| folders.split(':').next()) {
        Some(folder) => PathBuf::from(folder).join("takeover.sock"),
        None => {
            let mut path = context.sources.path(0).as_os_str().to_owned();
            path.push(".takeover");
            path.into()
        }
    }
}
