//! What operators have changed at run time, written back into the files of the configuration.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::reload::Reloader;
use crate::config::{Config, Role, Server, ServerState, Wanted, Written};
use crate::frontend::shared::Shared;
use crate::topology::{Admin, Snapshot};

/// What differs between the running proxy and what was read: `servers[db2].weight` with its new value.
pub fn differences(shared: &Shared) -> Vec<(String, Wanted)> {
    let (settings, snapshot) = (shared.settings().clone(), shared.topology.snapshot().clone());
    let mut all = Vec::new();
    for (index, server) in settings.config.servers.iter().enumerate() {
        if server.state == ServerState::Removed {
            continue;
        }
        let most = shared.servers.get(index).map(|server| server.slots.maximum());
        for (key, value) in of_server(server, index, &snapshot, most) {
            let path = format!("servers[{}].{key}", server.name);
            let rank = server.rank;
            all.push((path, Wanted { rank, key, value }));
        }
    }
    all
}

fn of_server(
    server: &Server,
    index: usize,
    snapshot: &Snapshot,
    most: Option<usize>,
) -> Vec<(&'static str, String)> {
    let Some(view) = snapshot.servers.get(index) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if view.weight != server.weight {
        found.push(("weight", view.weight.to_string()));
    }
    if view.admin != wanted_state(server) && view.is_configured() {
        found.push(("state", view.admin.word().to_owned()));
    }
    if let Some(most) = most.filter(|most| *most != server.max_connections as usize) {
        found.push(("max_connections", most.to_string()));
    }
    let is_primary = snapshot.primary == Some(index);
    if snapshot.primary.is_some() && is_primary != (server.role == Role::Primary) {
        let role = if is_primary { "primary" } else { "replica" };
        found.push(("role", role.to_owned()));
    }
    found
}

/// What the file wants of it.
pub(super) fn wanted_state(server: &Server) -> Admin {
    match server.state {
        ServerState::Drain => Admin::Drain,
        ServerState::Maintenance => Admin::Maintenance,
        _ => Admin::Online,
    }
}

// === impl Reloader ===

impl Reloader {
    /// Writes into the files that were read, or all of it into a new one. Answers what was done.
    pub async fn save(&self, to: Option<&Path>) -> Result<String, String> {
        let saved = self.try_save(to).await;
        match &saved {
            Ok(done) => tracing::info!("{done}"),
            Err(why) => tracing::error!(reason = why, "configuration not saved"),
        }
        saved
    }

    async fn try_save(&self, to: Option<&Path>) -> Result<String, String> {
        let mut written = self.written().await;
        let changed = differences(self.shared());
        let paused = self.paused();
        if changed.is_empty() && to.is_none() {
            return Ok(format!("nothing to save: the file says what is so{paused}"));
        }
        written.is_current().map_err(|path| {
            format!(
                "{} was changed since it was read: RELOAD CONFIG first",
                path.display()
            )
        })?;
        let wanted: Vec<_> = changed.iter().map(|(_, wanted)| wanted.clone()).collect();
        let edited = written.with(&wanted)?;
        let new = written.rewritten(&edited.texts);
        Config::of(&new).map_err(|problems| format!("it would not be usable: {problems}"))?;
        let names: Vec<_> = changed
            .iter()
            .map(|(path, wanted)| format!("{path}: {}", wanted.value))
            .collect();
        let left = edited.left.iter().map(|left| format!("; not saved: {left}"));
        let done = format!("{}{}{paused}", names.join("; "), left.collect::<String>());
        if let Some(to) = to {
            copy(&new, to)?;
            let done = if done.is_empty() {
                "as the file has it"
            } else {
                &done
            };
            return Ok(format!("saved to {}: {done}", to.display()));
        }
        replace_all(&edited.texts)?;
        *written = new;
        drop(written);
        // What was saved is what counts from now on, so that the next reload has nothing to undo.
        self.reload().await?;
        Ok(format!("saved: {done}"))
    }

    /// What is meant for a while, and that a file which is read at the next start had better not say.
    fn paused(&self) -> String {
        let settings = self.shared().settings();
        let listeners = settings.config.listeners.iter();
        let listeners = listeners.filter(|listener| self.shared().pauses.is_paused(&listener.address));
        let names = listeners.map(|listener| format!("listener {}", listener.name));
        let failover = self.failover().is_paused().then(|| "failover".to_owned());
        let all = names.chain(failover);
        all.map(|name| format!("; not saved: {name} is paused")).collect()
    }
}

fn copy(written: &Written, to: &Path) -> Result<(), String> {
    let text = written
        .only_text()
        .ok_or("the configuration has several files: save it in its place, without TO")?;
    let failed = |error: io::Error| format!("{} cannot be written: {error}", to.display());
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(failed)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed)
}

/// Each beside its place first, so that nothing is half done if one of them cannot be written.
fn replace_all(texts: &HashMap<PathBuf, Zeroizing<String>>) -> Result<(), String> {
    let mut prepared: Vec<Prepared> = Vec::new();
    for (path, text) in texts {
        let failed = |error| format!("{} cannot be written: {error}", path.display());
        prepared.push(Prepared::beside(path, text).map_err(failed)?);
    }
    for one in prepared {
        let place = one.place.clone();
        one.put()
            .map_err(|error| format!("{} cannot be replaced: {error}", place.display()))?;
    }
    Ok(())
}

/// A new text on disk, in the folder of the old one.
struct Prepared {
    place: PathBuf,
    temporary: PathBuf,
    is_put: bool,
}

// === impl Prepared ===

impl Prepared {
    fn beside(path: &Path, text: &str) -> io::Result<Self> {
        // A link stays a link.
        let place = std::fs::canonicalize(path)?;
        // Who may not write the file may not replace it either.
        let old = OpenOptions::new().write(true).open(&place)?.metadata()?;
        let mut name = std::ffi::OsString::from(".");
        name.push(place.file_name().unwrap_or_default());
        name.push(format!(".{}", std::process::id()));
        let temporary = place.with_file_name(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(old.mode() & 0o7777)
            .open(&temporary)?;
        let prepared = Self {
            place,
            temporary,
            is_put: false,
        };
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        // The mask may have taken some of it.
        file.set_permissions(old.permissions())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(prepared)
    }

    fn put(mut self) -> io::Result<()> {
        std::fs::rename(&self.temporary, &self.place)?;
        self.is_put = true;
        match self.place.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if !self.is_put {
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_with_its_mode_and_nothing_is_left_over() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.yaml"), folder.path().join("link.yaml"));
        std::fs::write(&real, "old").unwrap();
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        replace_all(&HashMap::from([(link.clone(), Zeroizing::new("new".to_owned()))])).unwrap();
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "new");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::metadata(&real).unwrap().mode() & 0o7777, 0o640);
        let texts = [(real.clone(), "newer"), (folder.path().join("none"), "x")];
        let texts = texts.map(|(path, text)| (path, Zeroizing::new(text.to_owned())));
        assert!(
            replace_all(&HashMap::from(texts))
                .unwrap_err()
                .contains("none cannot be written")
        );
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "new", "all or nothing");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
