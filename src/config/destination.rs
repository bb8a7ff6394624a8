//! Files and sockets that the proxy makes, and programs that it runs: looked at while the configuration is read, as
//! nobody sees one that is missing before the day on which it is needed.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::reader::Field;
use super::{Address, Config, Problem};

/// What is searched where no `PATH` is set.
const USUAL_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// Service managers make a service's folder there when they start it: a check before that finds none.
const RUNTIME: [&str; 2] = ["/run", "/var/run"];

/// Reports a file that could not be written.
pub(super) fn check_file(field: &Field<'_>, path: &Path) {
    if path.is_dir() {
        let message = format!("{} is a folder", path.display());
        return field.report(message, "give the path of a file in it");
    }
    if let Err(why) = folder_of(path) {
        field.report(
            format!("{} cannot be written: {why}", path.display()),
            "make the folder, or give a path in one that exists; it is taken from the folder of this file",
        );
    }
}

/// Reports a socket that could not be made.
pub(super) fn check_socket(field: &Field<'_>, path: &Path) {
    if path.as_os_str().len() > Address::LONGEST_UNIX_PATH {
        let help = format!("give a path of at most {} bytes", Address::LONGEST_UNIX_PATH);
        return field.report("this path is too long for a socket", help);
    }
    if !may_come(path) {
        check_file(field, path);
    }
}

/// The same for an address, which is no socket if it has a host.
pub(super) fn check_address(field: &Field<'_>, address: &Address) {
    if let Address::Unix(path) = address {
        check_socket(field, path);
    }
}

/// Sockets whose folder a service manager may make yet.
pub(super) fn warnings(config: &Config, file: &Path) -> Vec<Problem> {
    let listeners = config.listeners.iter().enumerate();
    let mut places: Vec<_> = listeners
        .map(|(place, each)| (format!("listeners[{place}].address"), Some(&each.address)))
        .collect();
    let admin = config.admin.address.as_ref().filter(|_| config.admin.is_open());
    places.push(("admin.address".to_owned(), admin));
    places.push(("http.address".to_owned(), config.http.address.as_ref()));
    let socket = |(key, address): (String, Option<&Address>)| match address {
        Some(Address::Unix(path)) => Some((key, path.clone())),
        _ => None,
    };
    let mut sockets: Vec<_> = places.into_iter().filter_map(socket).collect();
    let takeover = config.takeover.socket.clone();
    sockets.extend(takeover.map(|path| ("takeover.socket".to_owned(), path)));
    let warning = |(key, path): (String, PathBuf)| {
        let why = folder_of(&path).err().filter(|_| may_come(&path))?;
        Some(Problem {
            file: file.to_owned(),
            line: 0,
            key,
            message: format!("{} cannot be made yet: {why}", path.display()),
            help: "have the service manager make the folder, as systemd does with `RuntimeDirectory=`"
                .to_owned(),
        })
    };
    sockets.into_iter().filter_map(warning).collect()
}

fn may_come(path: &Path) -> bool {
    let is_missing = path.parent().is_some_and(|folder| !folder.exists());
    is_missing && RUNTIME.iter().any(|runtime| path.starts_with(runtime))
}

/// Whether there is a folder to write the file in, or why not.
fn folder_of(path: &Path) -> Result<(), String> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    match std::fs::metadata(folder) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(format!("{} is no folder", folder.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(format!("there is no folder {}", folder.display()))
        }
        Err(error) => Err(format!("{}: {error}", folder.display())),
    }
}

/// Reports a program that could not be run.
pub(super) fn check_program(field: &Field<'_>, program: &str) {
    if program.is_empty() {
        return field.report("the program has no name", "write its path, then its arguments");
    }
    let help = match program.contains(' ') {
        true => "write a list, `[program, argument]`: there is no shell that takes them apart",
        false => "give the absolute path of a program that the proxy's user may run",
    };
    if program.contains('/') {
        if let Err(why) = executable(Path::new(program)) {
            field.report(format!("{} cannot be run: {why}", field.quoted()), help);
        }
        return;
    }
    let path = (field.context.environment)("PATH");
    let mut folders = std::env::split_paths(path.as_deref().unwrap_or(USUAL_PATH));
    if !folders.any(|folder| executable(&folder.join(program)).is_ok()) {
        field.report(format!("{} is not found in PATH", field.quoted()), help);
    }
}

/// The bits of all users count: who checks a configuration need not be who runs it.
fn executable(path: &Path) -> Result<(), String> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => Err("it is no file".to_owned()),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => Err("it is not executable".to_owned()),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("there is no such file".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
