//! The README's tour, each command of it as it is written: what they print has to be what the page shows.
//!
//! Where a page cannot know (times, numbers, which of two equal replicas), anything of the kind will do. A command is
//! run again until its output fits, as somebody who looks again would: so all of them have to bear that.

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use splitrail::config::Config;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use crate::fixture::on_both_flavours;

/// How long a page may wait for what it shows.
const LIMIT: Duration = Duration::from_secs(60);

/// A command, and the lines that a page shows below it.
#[derive(Debug, PartialEq)]
struct Step {
    command: String,
    shown: Vec<String>,
}

fn page(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The blocks of one language of a page.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<Vec<&'a str>> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line == format!("```{language}") {
            found.push(lines.by_ref().take_while(|line| *line != "```").collect());
        } else if line.starts_with("```") {
            lines.by_ref().take_while(|line| *line != "```").for_each(drop);
        }
    }
    found
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in blocks(page, "console").into_iter().flatten() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                command: command.to_owned(),
                shown: Vec::new(),
            });
        } else if let Some(step) = steps.last_mut() {
            step.shown.push(line.to_owned());
        }
    }
    steps
}

/// A line without what may differ from one run to the next.
fn essence(line: &str) -> String {
    static VARIABLE: LazyLock<[(Regex, &str); 6]> = LazyLock::new(|| {
        [
            (r"\bdb[23]\b", "dbN"),
            // A replica's number alone in its column; the first server's is another.
            (r"^[23]\t", "N\t"),
            (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+", "TIME"),
            (r"\d+(\.\d+)? (ms|s|min)( \d+ s)?\b", "SPAN"),
            (
                r"\b\d+\.\d+(\.\d+)?\b|\b\d+/\d+\b|\b\d+ clients?\b|in flight \d+",
                "0",
            ),
            (r"[-+─]{2,}|[█·]{2,}", "BAR"),
        ]
        .map(|(pattern, instead)| (Regex::new(pattern).unwrap(), instead))
    });
    let plain = VARIABLE.iter().fold(line.to_owned(), |line, (pattern, instead)| {
        pattern.replace_all(&line, *instead).into_owned()
    });
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether this is what the page shows: line by line, where `...` stands for any lines, or for the end of one.
fn fits(shown: &[String], told: &str) -> bool {
    let mut told = told.lines().map(essence);
    let mut may_skip = false;
    for line in shown {
        if line == "..." {
            may_skip = true;
            continue;
        }
        let start = line.trim_end_matches("...");
        let matches = |told: &String| match essence(start) {
            wanted if start == line => *told == wanted,
            wanted => told.starts_with(&wanted),
        };
        let found = if may_skip {
            told.any(|told| matches(&told))
        } else {
            told.next().is_some_and(|told| matches(&told))
        };
        if !found {
            return false;
        }
        may_skip = false;
    }
    may_skip || told.next().is_none()
}

/// Runs a command until it succeeds with what the page shows, or until nobody would look again.
async fn follow(step: &Step, folder: &Path) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &step.command])
            .current_dir(folder)
            .kill_on_drop(true);
        let output: Output = timeout(LIMIT, shell.output()).await.unwrap().unwrap();
        let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        if output.status.success() && fits(&step.shown, &told) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{}\nshould print\n{}\nand prints\n{told}",
            step.command,
            step.shown.join("\n")
        );
        sleep(Duration::from_millis(200)).await;
    }
}

on_both_flavours! {
    async fn each_command_does_what_the_page_shows(flavour) {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("demo");
        let mut demo = Command::new(env!("CARGO_BIN_EXE_splitrail"))
            .args(["sandbox", "--flavour", flavour.name(), "--restart", "2s", "--tools"])
            .arg(&folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut told = BufReader::new(demo.stdout.take().unwrap()).lines();
        let ready = async {
            while let Some(line) = told.next_line().await.unwrap() {
                if line.contains("Ctrl-C") {
                    return;
                }
            }
            panic!("the demo has ended");
        };
        timeout(Duration::from_secs(120), ready).await.unwrap();
        let steps = steps(&page("README.md"));
        assert!(steps.len() >= 10);
        for step in steps.iter().filter(|step| !step.command.starts_with("cd ")) {
            follow(step, &folder).await;
        }
        let pid = demo.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
        assert!(timeout(LIMIT, demo.wait()).await.unwrap().unwrap().success());
        assert!(!folder.exists(), "the tools are still there");
    }
}

#[test]
fn the_demo_is_the_one_that_the_page_goes_through() {
    let recipe = page("Makefile");
    assert!(recipe.contains("--tools target/demo --restart 5s"));
    assert!(page("README.md").contains("cd target/demo"));
}

#[test]
fn configurations_of_the_pages_are_usable() {
    for path in ["README.md", "docs/getting-started.md"] {
        let page = page(path);
        let blocks = blocks(&page, "yaml");
        assert!(!blocks.is_empty(), "{path}");
        for block in blocks.iter().filter(|block| block[0] == "# proxy.yaml") {
            let text = block.join("\n").replace("${SPLITRAIL_PASSWORD}", "x");
            Config::parse(&text, Path::new(path)).unwrap_or_else(|problems| panic!("{problems}"));
        }
    }
}

/// As a page's headings are addressed: small letters, no marks, dashes for spaces.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.collect::<String>().replace(' ', "-")
}

#[test]
fn links_of_the_pages_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    let pages = docs.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let link = Regex::new(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)").unwrap();
    let mut broken = Vec::new();
    for page in pages.chain([root.join("README.md"), root.join("CONTRIBUTING.md")]) {
        let text = std::fs::read_to_string(&page).unwrap();
        for found in link
            .captures_iter(&text)
            .filter(|found| !found[1].contains("://"))
        {
            let target = match &found[1] {
                "" => page.clone(),
                path => page.parent().unwrap().join(path),
            };
            let is_there = match found.get(2) {
                None => target.exists(),
                Some(wanted) => std::fs::read_to_string(&target).is_ok_and(|text| {
                    let headings = text.lines().filter(|line| line.starts_with('#'));
                    headings.into_iter().any(|line| anchor(line) == wanted.as_str())
                }),
            };
            if !is_there {
                broken.push(format!("{}: {}", page.display(), &found[0]));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn what_differs_is_noticed() {
    let shown = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    assert!(fits(&shown("a 1.5\nb"), "a   2.5\nb\n"));
    assert!(!fits(&shown("a\nb"), "a\nb\nc"));
    assert!(!fits(&shown("a\nb"), "a"));
    assert!(!fits(&shown("COUNT(*)\n2"), "COUNT(*)\n1"));
    assert!(!fits(&shown("@@server_id\n2\tbook"), "@@server_id\n1\tbook"));
    assert!(fits(&shown("@@server_id\n2\tbook"), "@@server_id\n3\tbook"));
    assert!(!fits(&shown("| target | db1 |"), "| target | db2 |"));
    assert!(fits(&shown("a\n...\nd"), "a\nb\nc\nd"));
    assert!(!fits(&shown("a\n...\nd"), "a\nb\nc"));
    assert!(fits(&shown("a ...\n..."), "a b\nc"));
    assert!(!fits(&shown("lag unknown"), "lag 3 ms"));
}
