//! `splitrail top` in a real terminal (tmux): what is shown, what the keys do, and what is left of it at the end.

use std::path::{Path, PathBuf};
use std::process::Command;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::time::timeout;

use crate::fixture::proxy::{PATIENCE, wait_for};
use crate::fixture::{Cluster, Flavour, Proxy, on_both_flavours};

/// A tmux server of its own with one window.
struct Terminal {
    folder: PathBuf,
}

/// Says so when it is not there; where everything has to be tried, that is a failure.
#[allow(clippy::print_stderr)]
fn has_tmux() -> bool {
    let is_there = Command::new("tmux").arg("-V").output().is_ok();
    if !is_there {
        assert!(std::env::var_os("CI").is_none(), "tmux is not installed");
        eprintln!("SKIPPED: splitrail top is not tried, because tmux is not installed");
    }
    is_there
}

// === impl Terminal ===

impl Terminal {
    /// Runs a script in a window of this size; the terminal's settings before and after are kept.
    fn run(folder: &Path, size: (u16, u16), script: &str) -> Self {
        let whole = format!(
            "cd {0:?}\nstty -g > before\n{script}\necho code $?\nstty -g > after\nexec sleep 600\n",
            folder
        );
        let file = folder.join("script");
        std::fs::write(&file, whole).unwrap();
        let terminal = Self {
            folder: folder.to_owned(),
        };
        let (columns, rows) = (size.0.to_string(), size.1.to_string());
        let command = format!("sh {:?}", file);
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &columns,
            "-y",
            &rows,
            &command,
        ]);
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .arg("-S")
            .arg(self.folder.join("tmux"))
            .args(arguments)
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn shown(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    async fn wait(&self, what: &str, is_shown: impl Fn(&str) -> bool) -> String {
        wait_for(what, async || {
            let shown = self.shown();
            is_shown(&shown).then_some(shown)
        })
        .await
    }

    /// The program has ended with this code, and the terminal is what it was before.
    async fn is_restored(&self, code: u8) -> String {
        let last = format!("code {code}");
        let shown = self.wait(&last, |shown| shown.contains(&last)).await;
        let settings = |name: &str| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        wait_for("the settings", async || {
            (!settings("after").is_empty()).then_some(())
        })
        .await;
        assert_eq!(settings("before"), settings("after"));
        let flags = self.tmux(&[
            "display-message",
            "-p",
            "#{alternate_on} #{cursor_flag} #{wrap_flag}",
        ]);
        assert_eq!(flags.trim(), "0 1 1", "{shown}");
        shown
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let socket = self.folder.join("tmux");
        let _ = Command::new("tmux")
            .arg("-S")
            .arg(socket)
            .arg("kill-server")
            .output();
    }
}

fn top(proxy: &Proxy<'_>, options: &str) -> String {
    let config = proxy.folder().join("proxy.yaml");
    format!(
        "{} top -c {config:?} --interval 200ms {options}",
        env!("CARGO_BIN_EXE_splitrail")
    )
}

/// Runs something long until somebody ends it.
async fn sleeper(proxy: &Proxy<'_>) -> (u32, tokio::task::JoinHandle<Conn>) {
    let mut client = proxy.client().await;
    let id: u32 = client
        .query_first("SELECT CONNECTION_ID()")
        .await
        .unwrap()
        .unwrap();
    let running = tokio::spawn(async move {
        let _ = client.query_drop("DO SLEEP(600)").await;
        client
    });
    (id, running)
}

on_both_flavours! {
    async fn servers_sessions_and_digests_are_watched_and_steered(flavour) {
        if !has_tmux() {
            return;
        }
        let cluster = Cluster::shared(flavour).await;
        let (user, password) = (&cluster.user, &cluster.password);
        let failover = format!("failover: {{mode: off, user: {user}, password: {password}}}");
        let proxy = Proxy::before(cluster).with(failover).admin().start().await;
        let (id, running) = sleeper(&proxy).await;
        let terminal = Terminal::run(proxy.folder(), (80, 24), &top(&proxy, ""));
        let is_server = |line: &str, name: &str| line.starts_with(name) && line.contains(" up ");
        let shown = terminal.wait("the servers", |shown| {
            ["db1", "db2"].iter().all(|name| shown.lines().any(|line| is_server(line, name)))
        }).await;
        assert!(shown.contains("primary") && shown.contains("q quit"), "{shown}");

        // Sorting: by name, turned round.
        terminal.keys(&["s", "S"]);
        let place = |shown: &str, name: &str| shown.lines().position(|line| line.starts_with(name));
        terminal.wait("the other order", |shown| {
            shown.contains("by server, turned round") && place(shown, "db2") < place(shown, "db1")
        }).await;

        terminal.keys(&["2"]);
        let id_text = id.to_string();
        terminal.wait("the session", |shown| {
            shown.lines().any(|line| line.contains(&id_text) && line.contains("DO SLEEP(?)"))
        }).await;
        terminal.keys(&["/", "n", "o", "b", "o", "d", "y", "Enter"]);
        terminal.wait("nothing", |shown| !shown.contains("SLEEP") && shown.contains("none like that")).await;
        terminal.keys(&["Escape"]);
        terminal.wait("the session again", |shown| shown.contains(&id_text)).await;

        // Its statement, then the session itself.
        wait_for("the statement's end", async || {
            // One that comes before the statement has reached the server stops nothing.
            terminal.keys(&["k"]);
            let question = format!("end what session {id} of");
            terminal.wait("the question", |shown| shown.contains(&question)).await;
            terminal.keys(&["y"]);
            let told = terminal.wait("an answer", |shown| {
                shown.contains("runs nothing") || shown.contains(&format!("what session {id} ran"))
            }).await;
            drop(told);
            running.is_finished().then_some(())
        }).await;
        let mut client = timeout(PATIENCE, running).await.unwrap().unwrap();
        client.query_drop("SELECT 1").await.unwrap();
        terminal.keys(&["K"]);
        terminal.wait("the question", |shown| shown.contains(&format!("end session {id} of"))).await;
        terminal.keys(&["y"]);
        terminal.wait("the session's end", |shown| shown.contains(&format!("session {id} ends"))).await;
        wait_for("the client's end", async || client.query_drop("SELECT 1").await.is_err().then_some(())).await;

        terminal.keys(&["3"]);
        terminal.wait("the digests", |shown| shown.contains("DO SLEEP(?)") && shown.contains("calls/s")).await;
        terminal.keys(&["p"]);
        terminal.wait("the pause", |shown| shown.contains("paused")).await;
        terminal.keys(&["h"]);
        terminal.wait("the help", |shown| shown.contains("KILL QUERY")).await;
        // Any key ends the help, the second one the program.
        terminal.keys(&["q", "q"]);
        let left = terminal.is_restored(0).await;
        assert!(!left.contains("calls/s"), "{left}");
    }

    async fn one_frame_is_for_scripts(flavour) {
        let proxy = Proxy::before(Cluster::shared(flavour).await).admin().start().await;
        let mut client = proxy.client().await;
        client.query_drop("SELECT 'x' FROM DUAL WHERE 77 = 77").await.unwrap();
        let run = |options: &str| {
            let output = Command::new("sh").arg("-c").arg(top(&proxy, options)).env("COLUMNS", "120").output().unwrap();
            (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
        };
        let (code, text) = run("--once");
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains("db1") && text.contains("stmts/s") && !text.contains('\u{1b}'), "{text}");
        let (code, text) = run("--once --panel digests --sort calls --filter dual");
        assert!(code == Some(0) && text.contains("SELECT ? FROM DUAL WHERE ? = ?"), "{text}");
        let (code, text) = run("--once --panel sessions");
        assert!(code == Some(0) && text.contains("idle"), "{text}");
        let (code, text) = run("--once --sort nothing");
        assert!(code == Some(2) && text.contains("there are server, role"), "{text}");
        // Standard output is no terminal here.
        let (code, text) = run("");
        assert!(code == Some(2) && text.contains("--once"), "{text}");
        proxy.kill();
        assert_eq!(run("--once").0, Some(2));
    }
}

#[tokio::test]
async fn the_terminal_is_given_back_whatever_the_end() {
    if !has_tmux() {
        return;
    }
    let proxy = Proxy::before(Cluster::shared(Flavour::MariaDb).await)
        .admin()
        .start()
        .await;
    for signal in ["TERM", "INT", "HUP"] {
        let folder = tempfile::tempdir().unwrap();
        // The shell of the script waits for it; its number is in a file.
        let script = format!("sh -c 'echo $$ > pid; exec {}'", top(&proxy, ""));
        let terminal = Terminal::run(folder.path(), (80, 24), &script);
        terminal.wait("the servers", |shown| shown.contains("db1")).await;
        let pid = std::fs::read_to_string(folder.path().join("pid")).unwrap();
        let killed = Command::new("kill")
            .args([&format!("-{signal}"), pid.trim()])
            .status()
            .unwrap();
        assert!(killed.success());
        terminal.is_restored(0).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let terminal = Terminal::run(folder.path(), (80, 24), &top(&proxy, ""));
    terminal.wait("the servers", |shown| shown.contains("db1")).await;
    terminal.keys(&["C-c"]);
    terminal.is_restored(0).await;
}

#[tokio::test]
async fn it_follows_the_terminals_size_and_the_proxys_comings_and_goings() {
    if !has_tmux() {
        return;
    }
    let mut proxy = Proxy::before(Cluster::shared(Flavour::MariaDb).await)
        .admin()
        .start()
        .await;
    let folder = tempfile::tempdir().unwrap();
    let terminal = Terminal::run(
        folder.path(),
        (80, 24),
        &format!("NO_COLOR=1 {}", top(&proxy, "")),
    );
    terminal.wait("the servers", |shown| shown.contains("db1")).await;
    let coloured = terminal.tmux(&["capture-pane", "-p", "-e"]);
    for colour in 30..38 {
        assert!(!coloured.contains(&format!("\u{1b}[{colour}m")), "{coloured}");
    }
    terminal.tmux(&["resize-window", "-x", "140", "-y", "10"]);
    terminal
        .wait("a wide and low screen", |shown| {
            shown.lines().nth(9).is_some_and(|line| line.contains("q quit")) && shown.contains("weight")
        })
        .await;
    terminal.tmux(&["resize-window", "-x", "30", "-y", "5"]);
    terminal
        .wait("a small one", |shown| {
            shown.contains("health") && !shown.contains("weight")
        })
        .await;
    terminal.tmux(&["resize-window", "-x", "100", "-y", "20"]);
    proxy.kill();
    terminal
        .wait("the loss", |shown| shown.contains("trying again"))
        .await;
    proxy.start_again().await;
    terminal
        .wait("the return", |shown| {
            shown.contains("db1") && !shown.contains("trying again")
        })
        .await;
    terminal.keys(&["q"]);
    terminal.is_restored(0).await;
}

#[tokio::test]
async fn a_panic_is_told_on_the_screen_that_stays() {
    if !has_tmux() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    let script =
        format!("RUST_BACKTRACE=0 TOP_PANICS=1 {this:?} --ignored --exact --nocapture top::draws_and_panics");
    let terminal = Terminal::run(folder.path(), (100, 30), &script);
    let shown = terminal.is_restored(101).await;
    assert!(
        shown.contains("on purpose") && !shown.contains("drawn"),
        "{shown}"
    );
}

/// Run by the test before it, in a terminal.
#[tokio::test]
#[ignore = "another test runs it"]
async fn draws_and_panics() {
    if std::env::var_os("TOP_PANICS").is_none() {
        return;
    }
    let terminal = splitrail::admin::client::top::Terminal::open().unwrap();
    terminal.write("drawn".to_owned()).await.unwrap();
    panic!("on purpose");
}
