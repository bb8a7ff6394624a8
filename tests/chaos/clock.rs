//! Clocks of single processes that jump: each reads from a file how far it is off, by a library that is preloaded. It
//! is built here, of a few lines of C; where there is no compiler, whoever runs the tests is told.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Of servers: in their data, which is where they work.
pub const OF_A_SERVER: &str = "clock";

/// What every process started with it reads its clock through.
fn library() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chaos/clock.c");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clock.so");
        let mut compiler = Command::new("cc");
        compiler
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(source);
        let built = compiler.arg("-ldl").status();
        built.is_ok_and(|status| status.success()).then_some(library)
    });
    library.as_deref()
}

/// Why clocks cannot jump here.
pub fn obstacle() -> Option<&'static str> {
    library().is_none().then_some("there is no C compiler")
}

/// For a process whose clock is to follow the file. Timers go on as they were: only the time of day jumps.
pub fn environment(file: &str) -> Vec<(&'static str, String)> {
    let library = library().unwrap_or(Path::new(""));
    vec![
        ("LD_PRELOAD", library.display().to_string()),
        ("CLOCK_FILE", file.to_owned()),
    ]
}

/// How many seconds the clock is ahead from now on.
pub fn jump(file: &Path, seconds: i64) {
    // Read by others at any moment: the old text or the new one.
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, format!("{seconds:+}\n")).unwrap();
    std::fs::rename(&fresh, file).unwrap();
}
