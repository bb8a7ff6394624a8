//! A folder with what somebody who tries things out wants at hand: the client, this program and the configuration
//! of the proxy, under short names that are the same each time. What was put there goes with the sandbox.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use super::report::Report;
use super::{Cluster, Error};

/// The folder, and the names of what was put there.
pub struct Tools {
    folder: PathBuf,
    put: Vec<PathBuf>,
}

/// Only for their owner: there are passwords in them.
const PRIVATE: u32 = 0o600;
const PROGRAM: u32 = 0o700;

// === impl Tools ===

impl Tools {
    /// The folder is made where it is not there. What an earlier sandbox left under the same names is replaced.
    pub fn prepare(folder: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(Error::path("create", folder))?;
        let folder = folder.canonicalize().map_err(Error::path("resolve", folder))?;
        let mut tools = Self {
            folder,
            put: Vec::new(),
        };
        let program = std::env::current_exe().map_err(Error::io("cannot find this program"))?;
        let link = tools.place("splitrail");
        symlink(program, &link).map_err(Error::path("create", &link))?;
        Ok(tools)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the proxy's configuration belongs: `splitrail` finds it there when it is run in the folder.
    pub fn configuration(&mut self) -> PathBuf {
        // A proxy that is killed leaves its socket beside its configuration.
        self.place("proxy.yaml.takeover");
        self.place("proxy.yaml")
    }

    /// Where the proxy's log belongs, so that it does not run through what a person reads.
    pub fn log(&mut self) -> Result<(PathBuf, std::fs::File), Error> {
        let path = self.place("proxy.log");
        let file = create(&path, PRIVATE)?;
        Ok((path, file))
    }

    /// The client, which needs no options to get to the proxy, and nobody's own settings.
    pub fn client(&mut self, cluster: &Cluster, report: &Report) -> Result<(), Error> {
        let options = self.place("client.cnf");
        let Report {
            host,
            port,
            user,
            password,
            database,
            ..
        } = report;
        let text = format!(
            "[client]\nhost={host}\nport={port}\nprotocol=tcp\nuser={user}\npassword={password}\n\n[mysql]\ndatabase={database}\n"
        );
        fill(&options, PRIVATE, &text)?;
        let script = format!(
            "#!/bin/sh\nexec {} --defaults-file={} \"$@\"\n",
            quoted(&cluster.client),
            quoted(&options)
        );
        let client = self.place("mysql");
        fill(&client, PROGRAM, &script)
    }

    /// The number of a server's process, for `kill`.
    pub fn process(&mut self, server: &str, pid: u32) -> Result<(), Error> {
        let path = self.place(&format!("{server}.pid"));
        fill(&path, PRIVATE, &format!("{pid}\n"))
    }

    /// A free place under this name.
    fn place(&mut self, name: &str) -> PathBuf {
        let path = self.folder.join(name);
        let _ = std::fs::remove_file(&path);
        if !self.put.contains(&path) {
            self.put.push(path.clone());
        }
        path
    }
}

impl Drop for Tools {
    fn drop(&mut self) {
        for path in &self.put {
            let _ = std::fs::remove_file(path);
        }
        // Unless somebody has put something of their own there.
        let _ = std::fs::remove_dir(&self.folder);
    }
}

fn fill(path: &Path, mode: u32, text: &str) -> Result<(), Error> {
    create(path, mode)?
        .write_all(text.as_bytes())
        .map_err(Error::path("write", path))
}

fn create(path: &Path, mode: u32) -> Result<std::fs::File, Error> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(Error::path("create", path))
}

/// As one word of the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_there_goes_and_what_others_put_stays() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("demo");
        let mut tools = Tools::prepare(&place).unwrap();
        tools.process("db1", 1).unwrap();
        tools.process("db1", 2).unwrap();
        assert_eq!(std::fs::read_to_string(place.join("db1.pid")).unwrap(), "2\n");
        drop(tools);
        assert!(!place.exists());
        let tools = Tools::prepare(&place).unwrap();
        std::fs::write(place.join("notes"), "mine").unwrap();
        drop(tools);
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 1);
    }

    #[test]
    fn a_path_is_one_word() {
        assert_eq!(quoted(Path::new("/a b/it's")), "'/a b/it'\\''s'");
    }
}
