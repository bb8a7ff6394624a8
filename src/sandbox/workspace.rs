//! The folder in which one sandbox lives. Socket paths must stay under 108 bytes, so it is made in a folder with
//! a short name; data that the user wants to keep lives in a folder of theirs instead.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Error;
use super::watchdog::Watchdog;

/// Longest temporary folder that leaves room for a socket's name in it.
const LONGEST_TEMPORARY: usize = 60;

/// The folders of one sandbox and the watchdog over them.
pub struct Workspace {
    /// Sockets, certificates and, unless kept, data. Removed at the end.
    run: PathBuf,
    /// Where data and logs are; `run` itself unless the user wants to keep them.
    data: PathBuf,
    watchdog: Arc<Watchdog>,
}

// === impl Workspace ===

impl Workspace {
    pub fn create(keep: Option<&Path>) -> Result<Workspace, Error> {
        let run = create_run_folder()?;
        let watchdog = Arc::new(Watchdog::over(&run)?);
        let data = match keep {
            Some(folder) => prepare_kept(folder)?,
            None => run.clone(),
        };
        Ok(Workspace { run, data, watchdog })
    }

    pub fn run(&self) -> &Path {
        &self.run
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn watchdog(&self) -> &Arc<Watchdog> {
        &self.watchdog
    }

    pub fn is_kept(&self) -> bool {
        self.data != self.run
    }
}

fn create_run_folder() -> Result<PathBuf, Error> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let mut parent = std::env::temp_dir();
    if parent.as_os_str().len() > LONGEST_TEMPORARY {
        parent = PathBuf::from("/tmp");
    }
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let run = parent.join(format!(
        "splitrail-{}-{number}-{:04x}",
        std::process::id(),
        super::server::dice(u16::MAX)
    ));
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&run)
        .map_err(Error::path("create", &run))?;
    Ok(run)
}

fn prepare_kept(folder: &Path) -> Result<PathBuf, Error> {
    std::fs::create_dir_all(folder).map_err(Error::path("create", folder))?;
    let mut entries = std::fs::read_dir(folder).map_err(Error::path("read", folder))?;
    if entries.next().is_some() {
        return Err(Error::FolderInUse(folder.to_owned()));
    }
    let owner_only = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(folder, owner_only).map_err(Error::path("restrict", folder))?;
    folder.canonicalize().map_err(Error::path("resolve", folder))
}
