//! What is under way, in a file: a proxy that is killed in the middle of a change completes or undoes it when it
//! is started again.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The file of `failover.state`; nothing is written without one.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    path: Option<PathBuf>,
}

/// A change that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) stage: Stage,
    /// Servers by their names in the configuration.
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    /// The one that begins with it.
    pub(super) epoch: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Failover,
    Switchover,
}

/// How far it has come at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stage {
    /// The old primary and replicas may have been stopped.
    Stopping,
    /// The new primary may be writable.
    Promoting,
    /// It is; others may not follow it yet.
    Promoted,
}

/// What no proxy wrote is not read.
const LONGEST: u64 = 1 << 16;

// === impl Journal ===

impl Journal {
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self { path }
    }

    /// Returns when the entry would survive a power cut.
    pub(super) async fn write(&self, entry: &Entry) -> Result<(), String> {
        let Some(path) = self.path.clone() else {
            return Ok(());
        };
        let text = serde_json::to_vec(entry).unwrap_or_default();
        Self::beside(move || replace(&path, &text)).await
    }

    /// It is over.
    pub(super) async fn clear(&self) -> Result<(), String> {
        let Some(path) = self.path.clone() else {
            return Ok(());
        };
        Self::beside(move || match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => sync_folder(&path),
        })
        .await
    }

    /// What was under way when the last proxy ended.
    pub(super) fn read(&self) -> Result<Option<Entry>, String> {
        let Some(path) = &self.path else {
            return Ok(None);
        };
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&error)),
            Ok(metadata) if metadata.len() > LONGEST => return Err(failed(&"not a state file")),
            Ok(_) => {}
        }
        let text = std::fs::read(path).map_err(|error| failed(&error))?;
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| failed(&error))
    }

    async fn beside(work: impl FnOnce() -> std::io::Result<()> + Send + 'static) -> Result<(), String> {
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())
    }
}

/// The old text or the new one, whatever happens.
fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = std::fs::File::create(&fresh)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    sync_folder(path)
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_is_read_until_it_is_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let journal = Journal::new(Some(path.clone()));
        assert_eq!(journal.read(), Ok(None));
        journal.clear().await.unwrap();
        let mut entry = Entry {
            kind: Kind::Failover,
            stage: Stage::Stopping,
            from: Some("db1".to_owned()),
            to: None,
            epoch: 2,
        };
        journal.write(&entry).await.unwrap();
        entry.stage = Stage::Promoted;
        journal.write(&entry).await.unwrap();
        assert_eq!(journal.read(), Ok(Some(entry)));
        journal.clear().await.unwrap();
        assert_eq!(journal.read(), Ok(None));
        std::fs::write(&path, "{").unwrap();
        assert!(journal.read().unwrap_err().contains("state.json"));
        assert!(Journal::new(None).read().unwrap().is_none());
    }
}
