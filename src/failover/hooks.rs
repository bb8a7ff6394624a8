//! The operator's own programs at the steps of a change: what is done is told in the environment, and as JSON on
//! standard input. A program that takes too long is killed.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::config::Hook;

/// What a program is told.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Told {
    /// `before`, `after` or `fence`.
    pub(super) hook: &'static str,
    /// `failover` or `switchover`.
    pub(super) kind: &'static str,
    pub(super) from: Option<String>,
    pub(super) from_address: Option<String>,
    pub(super) to: Option<String>,
    pub(super) to_address: Option<String>,
    /// The one that begins.
    pub(super) epoch: u64,
    /// For `after`: `done`, `undone` or `failed`.
    pub(super) outcome: Option<&'static str>,
}

/// What it printed last is shown up to here.
const LONGEST: usize = 300;
/// And kept up to here.
const KEPT: usize = 16 << 10;
/// How long one that takes too long may take to clean up after itself.
const GRACE: Duration = Duration::from_secs(2);
/// How long what it printed last may take to arrive after its end.
const REST: Duration = Duration::from_secs(1);

// === impl Told ===

impl Told {
    fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        vec![
            ("SPLITRAIL_HOOK", self.hook.to_owned()),
            ("SPLITRAIL_KIND", self.kind.to_owned()),
            ("SPLITRAIL_FROM", text(&self.from)),
            ("SPLITRAIL_FROM_ADDRESS", text(&self.from_address)),
            ("SPLITRAIL_TO", text(&self.to)),
            ("SPLITRAIL_TO_ADDRESS", text(&self.to_address)),
            ("SPLITRAIL_EPOCH", self.epoch.to_string()),
            ("SPLITRAIL_OUTCOME", self.outcome.unwrap_or_default().to_owned()),
        ]
    }
}

/// Runs a program to its end, or says why it did not do its work.
pub(super) async fn run(hook: &Hook, told: &Told) -> Result<(), String> {
    let input = serde_json::to_vec(told).unwrap_or_default();
    ask(hook, told.environment(), &input).await.map(|_| ())
}

/// The same; answers what it printed last.
pub(super) async fn ask(
    hook: &Hook,
    environment: Vec<(&'static str, String)>,
    input: &[u8],
) -> Result<String, String> {
    let [program, arguments @ ..] = &hook.command[..] else {
        return Ok(String::new());
    };
    let mut child = Command::new(program)
        .args(arguments)
        .envs(environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    let group = Group::of(&child);
    if let Some(mut pipe) = child.stdin.take() {
        // A program that does not read it has its reasons.
        let _ = pipe.write_all(input).await;
    }
    let (mut said, mut complained) = (Vec::new(), Vec::new());
    let reading = {
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let (said, complained) = (&mut said, &mut complained);
        async move { tokio::join!(keep_last(output, said), keep_last(errors, complained)) }
    };
    let Ok(status) = timeout(hook.timeout, attend(&mut child, reading)).await else {
        group.signal(Signal::TERM);
        let _ = timeout(GRACE, child.wait()).await;
        return Err(format!("the program was killed after {:?}", hook.timeout));
    };
    let status = status.map_err(|error| error.to_string())?;
    group.leave();
    if status.success() {
        return Ok(String::from_utf8_lossy(&said).into_owned());
    }
    let complaint = String::from_utf8_lossy(&complained);
    let letters = complaint.trim().chars().rev().take(LONGEST);
    let complaint: String = letters.collect::<Vec<_>>().into_iter().rev().collect();
    Err(format!("{program} ended with {status}: {complaint}"))
}

/// Until it has ended. What it started and left behind may keep its pipes open for ever.
async fn attend(child: &mut Child, reading: impl Future) -> io::Result<ExitStatus> {
    tokio::pin!(reading);
    tokio::select! {
        _ = &mut reading => child.wait().await,
        status = child.wait() => {
            let _ = timeout(REST, reading).await;
            status
        }
    }
}

/// Reads a pipe to its end and keeps so much of it.
async fn keep_last(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else {
        return;
    };
    let mut part = [0; KEPT / 4];
    while let Ok(length @ 1..) = pipe.read(&mut part).await {
        kept.extend_from_slice(&part[..length]);
        let beyond = kept.len().saturating_sub(KEPT);
        kept.drain(..beyond);
    }
}

/// A program and what it starts, killed together when nobody waits for it any more.
struct Group(Option<Pid>);

// === impl Group ===

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, signal);
        }
    }

    /// It has ended by itself, and may have started what goes on.
    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        Told {
            hook: "before",
            kind: "failover",
            from: Some("db1".to_owned()),
            from_address: Some("db1:3306".to_owned()),
            to: None,
            to_address: None,
            epoch: 7,
            outcome: None,
        }
    }

    fn shell(script: &str) -> Hook {
        Hook {
            command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            timeout: Duration::from_millis(2000),
        }
    }

    #[tokio::test]
    async fn a_program_is_told_what_happens() {
        let script = r#"test "$SPLITRAIL_EPOCH $SPLITRAIL_FROM $SPLITRAIL_TO" = "7 db1 " && grep -q '"kind":"failover"'"#;
        assert_eq!(run(&shell(script), &told()).await, Ok(()));
    }

    #[tokio::test]
    async fn a_program_that_fails_says_why_and_one_that_hangs_is_killed() {
        let said = run(&shell("echo no way >&2; exit 3"), &told()).await.unwrap_err();
        assert!(said.contains("no way") && said.contains('3'), "{said}");
        let verbose = shell("yes far too much | head -c 100000 >&2; echo at last >&2; exit 3");
        assert!(run(&verbose, &told()).await.unwrap_err().ends_with("at last"));
        let mut slow = shell("sleep 60");
        slow.timeout = Duration::from_millis(50);
        assert!(run(&slow, &told()).await.unwrap_err().contains("killed"));
        let mut gone = shell("");
        gone.command = vec!["/no/such/program".to_owned()];
        assert!(run(&gone, &told()).await.is_err());
    }

    #[tokio::test]
    async fn what_a_program_started_is_killed_with_it_and_left_alone_without() {
        let folder = tempfile::tempdir().unwrap();
        let started = folder.path().join("started");
        let mut slow = shell(&format!("sleep 61 & echo $! > {}; wait", started.display()));
        slow.timeout = Duration::from_millis(300);
        assert!(run(&slow, &told()).await.is_err());
        let id = std::fs::read_to_string(&started).unwrap();
        let stat = std::path::PathBuf::from(format!("/proc/{}/stat", id.trim()));
        let lives = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        for _ in 0..200 {
            if !lives() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(!lives());
        // It has our pipes and ends much later.
        let asked = std::time::SystemTime::now();
        let said = ask(&shell("sleep 4 & echo done"), Vec::new(), b"").await;
        assert_eq!(said, Ok("done\n".to_owned()));
        assert!(asked.elapsed().unwrap() < Duration::from_secs(3));
    }
}
