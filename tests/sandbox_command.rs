//! `splitrail sandbox` as scripts use it: one line of JSON, everything in it true, and nothing left at the end.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use crate::fixture::{Flavour, on_both_flavours};

/// A running `splitrail sandbox --json` and what it printed.
struct Sandbox {
    child: Child,
    output: BufReader<ChildStdout>,
    report: Value,
}

impl Sandbox {
    async fn start(flavour: Flavour, arguments: &[&str]) -> Sandbox {
        let mut child = Command::new(env!("CARGO_BIN_EXE_splitrail"))
            .args(["sandbox", "--json", "--flavour", flavour.name()])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        timeout(Duration::from_secs(120), output.read_line(&mut line))
            .await
            .unwrap()
            .unwrap();
        let report = serde_json::from_str(&line).unwrap();
        Sandbox {
            child,
            output,
            report,
        }
    }

    fn pids(&self) -> Vec<u64> {
        let servers = self.report["servers"].as_array().unwrap().iter();
        let pids = servers.map(|server| server["pid"].as_u64().unwrap());
        pids.chain(self.report["proxy_pid"].as_u64()).collect()
    }

    async fn signal(&self, signal: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .await
                .unwrap()
                .success()
        );
    }

    /// Another process takes over from the proxy: one that was started, or one that the proxy starts when it is asked
    /// to. The report says from now on which.
    async fn takes_over(&mut self, tools: &Path, started: Option<u32>) {
        let before = self.report["proxy_pid"].as_u64().unwrap();
        if started.is_none() {
            let proxy = before.to_string();
            let sent = Command::new("kill")
                .args(["-USR2", &proxy])
                .status()
                .await
                .unwrap();
            assert!(sent.success());
        }
        let file = tools.join("proxy.pid");
        let taken_over = async {
            loop {
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                match text.trim().parse() {
                    Ok(pid) if pid != before => break pid,
                    _ => sleep(Duration::from_millis(20)).await,
                }
            }
        };
        let pid: u64 = timeout(Duration::from_secs(60), taken_over).await.unwrap();
        if let Some(started) = started {
            assert_eq!(pid, u64::from(started));
        }
        self.report["proxy_pid"] = pid.into();
        let old_one_gone = async {
            while is_running(before) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(60), old_one_gone).await.unwrap();
    }

    /// Waits for the end of the process and of everything that it started.
    async fn ends(mut self) {
        let pids = self.pids();
        let socket = self.report["servers"][0]["socket"].as_str().unwrap().to_owned();
        let mut rest = String::new();
        timeout(Duration::from_secs(60), self.child.wait())
            .await
            .unwrap()
            .unwrap();
        self.output.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "", "one line on standard output, no more");
        let folder = Path::new(&socket).parent().unwrap();
        let all_gone = async {
            while folder.exists() || pids.iter().any(|pid| is_running(*pid)) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(20), all_gone).await.unwrap();
    }
}

/// A process that has ended but was not waited for (here by an init that does not care) counts as gone.
fn is_running(pid: u64) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .any(|line| line.starts_with("State:") && !line.contains('Z'))
}

async fn connect(place: &Value, report: &Value) -> Conn {
    let text = |key: &str| report[key].as_str().unwrap().to_owned();
    let options = OptsBuilder::default()
        .ip_or_hostname(place["host"].as_str().unwrap())
        .tcp_port(u16::try_from(place["port"].as_u64().unwrap()).unwrap())
        .user(Some(text("user")))
        .pass(Some(text("password")))
        .db_name(Some(text("database")))
        .prefer_socket(false);
    timeout(Duration::from_secs(20), Conn::new(options))
        .await
        .unwrap()
        .unwrap()
}

on_both_flavours! {
    async fn the_line_of_json_is_true_and_sigterm_ends_everything(flavour) {
        let folder = tempfile::tempdir().unwrap();
        let more = folder.path().join("more.yaml");
        std::fs::write(&more, "consistency: {level: strong}\n").unwrap();
        let sandbox = Sandbox::start(flavour, &["--replicas", "1", "--include", more.to_str().unwrap()]).await;
        let report = &sandbox.report;
        assert_eq!(report["flavour"], flavour.name());
        assert!(report.as_object().unwrap().contains_key("http_port"));
        let admin = OptsBuilder::default()
            .ip_or_hostname(report["host"].as_str().unwrap())
            .tcp_port(u16::try_from(report["admin_port"].as_u64().unwrap()).unwrap())
            .user(report["admin_user"].as_str())
            .pass(report["admin_password"].as_str())
            .prefer_socket(false);
        let mut admin = Conn::new(admin).await.unwrap();
        let names: Vec<String> = admin.query("SELECT server FROM servers").await.unwrap();
        assert_eq!(names, ["db1", "db2"]);
        drop(admin);
        let roles: Vec<&Value> = report["servers"].as_array().unwrap().iter().map(|server| &server["role"]).collect();
        assert_eq!(roles, ["primary", "replica"]);
        for server in report["servers"].as_array().unwrap() {
            let mut direct = connect(server, report).await;
            let port: Option<u64> = direct.query_first("SELECT @@port").await.unwrap();
            assert_eq!(port, server["port"].as_u64());
            assert!(Path::new(server["datadir"].as_str().unwrap()).is_dir());
        }
        let socket = OptsBuilder::default()
            .socket(Some(report["socket"].as_str().unwrap()))
            .user(report["user"].as_str())
            .pass(report["password"].as_str());
        Conn::new(socket).await.unwrap().disconnect().await.unwrap();
        let mut proxied = connect(report, report).await;
        proxied.query_drop("CREATE TABLE t (id INT PRIMARY KEY)").await.unwrap();
        let session: Vec<(String, String, Option<String>)> = proxied.query("SHOW SPLITRAIL SESSION").await.unwrap();
        let level = session.iter().find(|row| row.0 == "consistency").unwrap();
        assert_eq!(level.1, "strong", "the file's");
        drop(proxied);
        sandbox.signal("-TERM").await;
        sandbox.ends().await;
    }

    async fn even_a_killed_sandbox_leaves_nothing(flavour) {
        let folder = tempfile::tempdir().unwrap();
        let tools = folder.path().join("tools");
        let mut sandbox = Sandbox::start(flavour, &["--replicas", "0", "--tools", tools.to_str().unwrap()]).await;
        sandbox.takes_over(&tools, None).await;
        sandbox.signal("-KILL").await;
        sandbox.ends().await;
    }

    async fn it_follows_whoever_takes_over_from_its_proxy(flavour) {
        let folder = tempfile::tempdir().unwrap();
        let tools = folder.path().join("tools");
        let mut sandbox = Sandbox::start(flavour, &["--replicas", "0", "--tools", tools.to_str().unwrap()]).await;
        sandbox.takes_over(&tools, None).await;
        // One that somebody starts by hand is nobody's child here, and its successor knows whom to tell all the same.
        let by_hand = Command::new(env!("CARGO_BIN_EXE_splitrail"))
            .args(["run", "--takeover", "-c"])
            .arg(tools.join("proxy.yaml"))
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        sandbox.takes_over(&tools, by_hand.id()).await;
        sandbox.takes_over(&tools, None).await;
        let mut proxied = connect(&sandbox.report, &sandbox.report).await;
        assert_eq!(proxied.query_first("SELECT 1").await.unwrap(), Some(1));
        drop(proxied);
        // Its proxy's end is its own.
        let proxy = sandbox.report["proxy_pid"].to_string();
        assert!(Command::new("kill").args(["-KILL", &proxy]).status().await.unwrap().success());
        sandbox.ends().await;
        drop(by_hand);
    }

    async fn what_is_kept_stays(flavour) {
        let folder = tempfile::tempdir().unwrap();
        let keep = folder.path().join("kept");
        let sandbox = Sandbox::start(flavour, &["--replicas", "0", "--keep", keep.to_str().unwrap()]).await;
        sandbox.signal("-INT").await;
        sandbox.ends().await;
        assert!(keep.join("db1/data").is_dir());
        assert!(keep.join("db1/error.log").is_file());
    }
}
