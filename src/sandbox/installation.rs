//! Finds the servers of this machine: those unpacked by `scripts/servers.sh` first, because their version is
//! known, then those installed. A `mysqld` may be MariaDB under an old name, so each is asked who it is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Error;

/// Names the folder of unpacked servers; set by scripts, optional for people.
const SERVERS_VARIABLE: &str = "SPLITRAIL_SERVERS";
/// Where installed servers are, besides PATH: an unprivileged user's PATH often lacks `sbin`.
const INSTALLED: [&str; 4] = [
    "/usr/sbin",
    "/usr/local/sbin",
    "/usr/local/mysql/bin",
    "/usr/libexec",
];

/// Which family of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Flavour {
    #[value(name = "mysql")]
    MySql,
    #[value(name = "mariadb")]
    MariaDb,
}

/// A server's version, and the words it calls it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
    /// As the server prints it: `9.7.4-2`, `10.11.19-MariaDB-0+deb12u1`.
    pub text: String,
}

/// A server program that was found, and what it said it is.
#[derive(Clone, Debug)]
pub struct Installation {
    pub flavour: Flavour,
    pub version: Version,
    /// The server's program, or a wrapper that becomes it.
    pub program: PathBuf,
    /// Options that must come first.
    pub first_options: Vec<String>,
    /// Where initialised data directories may be kept.
    pub cache: PathBuf,
}

// === impl Flavour ===

impl Flavour {
    pub fn name(self) -> &'static str {
        match self {
            Flavour::MySql => "mysql",
            Flavour::MariaDb => "mariadb",
        }
    }

    /// What to tell a user who has no such server.
    pub fn how_to_install(self) -> &'static str {
        match self {
            Flavour::MySql => {
                "on Debian or Ubuntu run scripts/servers.sh, which unpacks MySQL 9 beside the build without \
                 installing it (SPLITRAIL_SERVERS says where it is, when not in target/servers); elsewhere install \
                 a MySQL 8.0.26 or newer server"
            }
            Flavour::MariaDb => {
                "install a MariaDB 10.11 or newer server (Debian, Ubuntu: apt-get install mariadb-server)"
            }
        }
    }

    fn program(self) -> &'static str {
        match self {
            Flavour::MySql => "mysqld",
            Flavour::MariaDb => "mariadbd",
        }
    }

    fn oldest(self) -> (u32, u32, u32) {
        match self {
            Flavour::MySql => (8, 0, 26),
            Flavour::MariaDb => (10, 11, 0),
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flavour::MySql => "MySQL",
            Flavour::MariaDb => "MariaDB",
        })
    }
}

// === impl Version ===

impl Version {
    /// Reads the line that `--version` prints: `... Ver 9.7.4-2 for Linux ...`.
    fn parse(line: &str) -> Option<(Flavour, Version)> {
        let text = line.split_once(" Ver ")?.1.split_whitespace().next()?;
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
        let mut next = || numbers.next()?.ok();
        let (major, minor, patch) = (next()?, next()?, next()?);
        let flavour = if line.contains("MariaDB") {
            Flavour::MariaDb
        } else {
            Flavour::MySql
        };
        Some((
            flavour,
            Version {
                major,
                minor,
                patch,
                text: text.to_owned(),
            },
        ))
    }

    fn numbers(&self) -> (u32, u32, u32) {
        (self.major, self.minor, self.patch)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

// === impl Installation ===

impl Installation {
    /// The first server of the flavour that is new enough.
    pub fn find(flavour: Flavour) -> Result<Installation, Error> {
        let mut found = String::new();
        for (program, unpacked) in candidates(flavour) {
            let Some((its_flavour, version)) = ask_version(&program) else {
                continue;
            };
            if its_flavour != flavour {
                continue;
            }
            if version.numbers() < flavour.oldest() {
                found = format!(" ({} is {version}, too old)", program.display());
                continue;
            }
            // An unpacked server's wrapper already says where everything is.
            let first_options = if unpacked.is_some() {
                vec![]
            } else {
                vec!["--no-defaults".to_owned()]
            };
            let cache = unpacked
                .or_else(|| servers_folders().into_iter().next())
                .unwrap_or_else(user_cache);
            return Ok(Installation {
                flavour,
                version,
                program,
                first_options,
                cache: cache.join("cache"),
            });
        }
        Err(Error::NotFound { flavour, found })
    }

    /// The command-line client of the same installation; installed ones are in PATH.
    pub fn client(&self) -> PathBuf {
        let unpacked = self.first_options.is_empty();
        let beside = self.program.with_file_name(self.flavour.name());
        if unpacked && beside.is_file() {
            beside
        } else {
            PathBuf::from(self.flavour.name())
        }
    }

    /// Another program of the same installation, if it is there.
    pub fn companion(&self, name: &str) -> Option<PathBuf> {
        if self.first_options.is_empty() {
            return Some(self.program.with_file_name(name)).filter(|path| path.is_file());
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut places = std::env::split_paths(&path).map(|folder| folder.join(name));
        places.find(|path| path.is_file())
    }
}

/// Programs to ask, best first, each with the folder of unpacked servers that it is from, if it is.
fn candidates(flavour: Flavour) -> Vec<(PathBuf, Option<PathBuf>)> {
    let name = flavour.program();
    let unpacked = servers_folders()
        .into_iter()
        .map(|folder| (folder.join(flavour.name()).join("bin").join(name), Some(folder)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed: Vec<PathBuf> = std::env::split_paths(&path)
        .chain(INSTALLED.map(PathBuf::from))
        .collect();
    let installed = installed.into_iter().map(|folder| (folder.join(name), None));
    unpacked
        .chain(installed)
        .filter(|(program, _)| program.is_file())
        .collect()
}

/// Folders of unpacked servers: the one that is named, else those beside a build above us.
fn servers_folders() -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os(SERVERS_VARIABLE) {
        return vec![PathBuf::from(named)];
    }
    let here = std::env::current_dir().ok();
    let program = std::env::current_exe().ok();
    let starts = [here, program].into_iter().flatten();
    let ancestors = starts.flat_map(|start| start.ancestors().map(Path::to_owned).collect::<Vec<_>>());
    ancestors
        .map(|folder| folder.join("target/servers"))
        .filter(|folder| folder.is_dir())
        .collect()
}

fn user_cache() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home);
    base.unwrap_or_else(std::env::temp_dir).join("splitrail")
}

fn ask_version(program: &Path) -> Option<(Flavour, Version)> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    Version::parse(&String::from_utf8_lossy(&output.stdout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_who_it_is() {
        let (flavour, version) =
            Version::parse("/x/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))").unwrap();
        assert_eq!(
            (flavour, version.numbers(), version.text.as_str()),
            (Flavour::MySql, (9, 7, 4), "9.7.4-2")
        );
        let line = "mysqld  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)";
        let (flavour, version) = Version::parse(line).unwrap();
        assert_eq!((flavour, version.numbers()), (Flavour::MariaDb, (10, 11, 19)));
        assert_eq!(version.text, "10.11.19-MariaDB-0+deb12u1");
        assert!(Version::parse("no such thing").is_none());
        assert!(Version::parse("x Ver x.y.z").is_none());
    }

    #[test]
    fn a_missing_server_says_what_to_install() {
        let error = Error::NotFound {
            flavour: Flavour::MariaDb,
            found: String::new(),
        };
        assert!(error.to_string().contains("apt-get install mariadb-server"));
    }
}
