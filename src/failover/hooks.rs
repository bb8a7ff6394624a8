//! The operator's own programs at the steps of a change: what is done is told in the environment, and as JSON on
//! standard input. A program that takes too long is killed.

use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
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
    match timeout(hook.timeout, execute(hook, told)).await {
        Ok(done) => done,
        // Dropping the process has killed it.
        Err(_) => Err(late(hook.timeout)),
    }
}

fn late(limit: Duration) -> String {
    format!("the program was killed after {limit:?}")
}

async fn execute(hook: &Hook, told: &Told) -> Result<(), String> {
    let [program, arguments @ ..] = &hook.command[..] else {
        return Ok(());
    };
    let mut child = Command::new(program)
        .args(arguments)
        .envs(told.environment())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        let text = serde_json::to_vec(told).unwrap_or_default();
        // A program that does not read it has its reasons.
        let _ = input.write_all(&text).await;
    }
    let output = child
        .wait_with_output()
        .await
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: String = said.trim().chars().take(LONGEST).collect();
    Err(format!("{program} ended with {}: {said}", output.status))
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
        let mut slow = shell("sleep 60");
        slow.timeout = Duration::from_millis(50);
        assert!(run(&slow, &told()).await.unwrap_err().contains("killed"));
        let mut gone = shell("");
        gone.command = vec!["/no/such/program".to_owned()];
        assert!(run(&gone, &told()).await.is_err());
    }
}
