//! A file that makes room for a new one when it is long enough: `audit.log`, `audit.log.1`, and so on, the oldest
//! with the highest number.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct Rotated {
    path: PathBuf,
    max_bytes: u64,
    keep: u32,
    /// `None` after an error: it is opened again for the next line.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
    inode: u64,
}

/// Nobody else needs to know who logs in.
const MODE: u32 = 0o600;

// === impl Rotated ===

impl Rotated {
    pub fn open(path: &Path, max_bytes: u64, keep: u32) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            max_bytes,
            keep,
            open: Some(Open::at(path)?),
        })
    }

    /// Appends whole lines.
    pub fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self.try_write(lines);
        if written.is_err() {
            self.open = None;
        }
        written
    }

    fn try_write(&mut self, lines: &[u8]) -> io::Result<()> {
        // Somebody else may have moved it away: then lines go to where people look for them.
        let inode = fs::metadata(&self.path).map(|found| found.ino()).ok();
        let mut open = match self.open.take() {
            Some(open) if Some(open.inode) == inode => open,
            _ => Open::at(&self.path)?,
        };
        if open.length > 0 && open.length + lines.len() as u64 > self.max_bytes {
            drop(open);
            self.rotate()?;
            open = Open::at(&self.path)?;
        }
        open.file.write_all(lines)?;
        open.length += lines.len() as u64;
        self.open = Some(open);
        Ok(())
    }

    fn rotate(&self) -> io::Result<()> {
        if self.keep == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.keep).rev() {
            match fs::rename(self.older(number), self.older(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, self.older(1))
    }

    fn older(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

// === impl Open ===

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(MODE)
            .open(path)?;
        let metadata = file.metadata()?;
        Ok(Self {
            length: metadata.len(),
            inode: metadata.ino(),
            file,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(folder: &tempfile::TempDir, name: &str) -> Option<String> {
        fs::read_to_string(folder.path().join(name)).ok()
    }

    #[test]
    fn the_oldest_goes_when_the_newest_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut file = Rotated::open(&path, 5, 2).unwrap();
        for line in ["aa\n", "bb\n", "cc\n", "dd\n", "longer than that\n"] {
            file.write(line.as_bytes()).unwrap();
        }
        assert_eq!(read(&folder, "log").as_deref(), Some("longer than that\n"));
        assert_eq!(read(&folder, "log.1").as_deref(), Some("dd\n"));
        assert_eq!(read(&folder, "log.2").as_deref(), Some("cc\n"));
        assert_eq!(read(&folder, "log.3"), None);
        // What is there when it is opened counts.
        let mut again = Rotated::open(&path, 5, 0).unwrap();
        again.write(b"ee\n").unwrap();
        assert_eq!(read(&folder, "log").as_deref(), Some("ee\n"));
        assert_eq!(read(&folder, "log.1").as_deref(), Some("dd\n"));
    }

    #[test]
    fn a_file_moved_away_is_made_anew_and_errors_pass() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("logs");
        fs::create_dir(&home).unwrap();
        let mut file = Rotated::open(&home.join("log"), 1_000, 2).unwrap();
        file.write(b"one\n").unwrap();
        fs::rename(home.join("log"), home.join("moved")).unwrap();
        file.write(b"two\n").unwrap();
        assert_eq!(read(&folder, "logs/log").as_deref(), Some("two\n"));
        fs::rename(&home, folder.path().join("gone")).unwrap();
        assert!(file.write(b"lost\n").is_err());
        fs::rename(folder.path().join("gone"), &home).unwrap();
        file.write(b"three\n").unwrap();
        assert_eq!(read(&folder, "logs/log").as_deref(), Some("two\nthree\n"));
    }
}
