//! A tiny shell that holds the other end of a pipe. When its owner ends, however it ends (panic, `kill -9`,
//! a static that is never dropped), the pipe closes, and the watchdog kills what is left and removes the folder.
//! A death signal set by `prctl` would be tied to one thread and would leave the folder.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::Error;

/// Reads `add PID` and `remove PID`; at the end of input kills those left and removes the folder `$1`.
/// It ignores the terminal's signals: they are for the owner, whose end it waits for.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
pids=' '
while read -r verb pid; do
    case $verb in
    add) pids="$pids$pid " ;;
    remove) case $pids in *" $pid "*) pids="${pids%% $pid *} ${pids#* $pid }" ;; esac ;;
    esac
done
for pid in $pids; do kill -KILL "$pid" 2>/dev/null; done
for attempt in 1 2 3 4 5; do
    rm -rf "$1" 2>/dev/null && exit 0
    sleep 0.2
done
"#;

/// Cleans up after its owner. Dropping it closes the pipe and waits until everything is gone.
pub struct Watchdog {
    /// None only while it is dropped.
    pipe: Mutex<Option<ChildStdin>>,
    shell: Mutex<Child>,
}

// === impl Watchdog ===

impl Watchdog {
    pub fn over(folder: &Path) -> Result<Watchdog, Error> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "splitrail-watchdog"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .spawn()
            .map_err(Error::io("cannot start the watchdog"))?;
        let pipe = Mutex::new(shell.stdin.take());
        Ok(Watchdog {
            pipe,
            shell: Mutex::new(shell),
        })
    }

    /// From now on `pid` dies with the owner.
    pub fn add(&self, pid: u32) {
        self.tell("add", pid);
    }

    /// `pid` has ended and was waited for: its number may be given to another process.
    pub fn remove(&self, pid: u32) {
        self.tell("remove", pid);
    }

    fn tell(&self, verb: &str, pid: u32) {
        let mut line = String::new();
        let _ = writeln!(line, "{verb} {pid}");
        if let Some(pipe) = self.pipe.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            // A watchdog that somebody killed is no reason to fail: dropping the owner cleans up as well.
            let _ = pipe.write_all(line.as_bytes());
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take());
        let _ = self.shell.lock().unwrap_or_else(PoisonError::into_inner).wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").spawn().unwrap()
    }

    #[test]
    fn kills_what_is_left_and_removes_the_folder() {
        let folder = tempfile::tempdir().unwrap().keep();
        std::fs::write(folder.join("file"), "x").unwrap();
        let (mut first, mut second, mut third) = (sleeper(), sleeper(), sleeper());
        let watchdog = Watchdog::over(&folder).unwrap();
        watchdog.add(first.id());
        watchdog.add(second.id());
        watchdog.add(third.id());
        watchdog.remove(second.id());
        drop(watchdog);
        assert!(!folder.exists());
        assert!(!first.wait().unwrap().success());
        assert!(!third.wait().unwrap().success());
        assert!(
            second.try_wait().unwrap().is_none(),
            "a removed process is left alone"
        );
        second.kill().unwrap();
        second.wait().unwrap();
    }
}
