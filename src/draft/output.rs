//! Where a draft goes: standard output, or a file that is not written over unasked.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, bail};

/// Only its owner reads it: drafts may hold passwords that the other proxy's file held.
const PRIVATE: u32 = 0o600;
const ORDINARY: u32 = 0o644;

/// Writes the draft; `-` is standard output.
pub fn write(path: &Path, text: &str, force: bool, is_secret: bool) -> anyhow::Result<()> {
    if path == Path::new("-") {
        return Ok(io::stdout().lock().write_all(text.as_bytes())?);
    }
    let mut options = OpenOptions::new();
    options
        .write(true)
        .mode(if is_secret { PRIVATE } else { ORDINARY });
    match force {
        true => options.create(true).truncate(true),
        false => options.create_new(true),
    };
    let mut file = match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!(
                "{} exists already: --force writes over it, --output names another file",
                path.display()
            );
        }
        opened => opened.with_context(|| format!("writing {}", path.display()))?,
    };
    if is_secret && file.metadata()?.is_file() {
        // The file may be an older one, with other permissions.
        file.set_permissions(Permissions::from_mode(PRIVATE))?;
    }
    file.write_all(text.as_bytes())
        .with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_over_only_by_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proxy.yaml");
        write(&path, "one", false, false).unwrap();
        assert!(write(&path, "two", false, false).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        write(&path, "3", true, true).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "3");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, PRIVATE);
    }
}
