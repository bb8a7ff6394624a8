//! Clocks of single processes that jump, by `libfaketime`: each reads from a file how far it is off. Where that
//! library is not installed, whoever runs the tests is told.

use std::path::{Path, PathBuf};

/// Of servers: in their data, which is where they work.
pub const OF_A_SERVER: &str = "clock";
/// What every process started with it reads its clock through.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";
const FOLDERS: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib",
];

fn library() -> Option<PathBuf> {
    let paths = FOLDERS.iter().map(|folder| Path::new(folder).join(LIBRARY));
    paths.into_iter().find(|path| path.exists())
}

/// Why clocks cannot jump here.
pub fn obstacle() -> Option<&'static str> {
    library()
        .is_none()
        .then_some("libfaketime is not installed (apt-get install libfaketime)")
}

/// For a process whose clock is to follow the file. Timers go on as they were: only the time of day jumps.
pub fn environment(file: &str) -> Vec<(&'static str, String)> {
    let library = library().unwrap_or_default();
    vec![
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", file.to_owned()),
        ("FAKETIME_CACHE_DURATION", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("FAKETIME_DONT_RESET", "1".to_owned()),
    ]
}

/// How many seconds the clock is ahead from now on.
pub fn jump(file: &Path, seconds: i64) {
    // Read by others at any moment: the old text or the new one.
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, format!("{seconds:+}\n")).unwrap();
    std::fs::rename(&fresh, file).unwrap();
}
