//! Counts instructions per call under callgrind, so that a regression shows on a noisy machine.
//!
//! `cargo bench --bench instructions` prints a table and keeps it in `target/instructions.txt`. With
//! `-- --against FILE` it compares with an older table and fails when a case needs 5% more; `-- NAME` picks
//! cases. Each case runs twice with different numbers of calls, and the difference leaves the start-up out.

#![allow(clippy::print_stdout)]

mod codec;
mod sql;
mod statistics;

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// A name as `group/what`, and what is counted.
pub type Case = (&'static str, fn());

const FEW: u64 = 100;
const MANY: u64 = 1_100;
const ALLOWED: f64 = 1.05;
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/instructions.txt");

fn cases() -> Vec<Case> {
    [sql::CASES, codec::CASES, statistics::CASES].concat()
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--run", name, times] => run(name, times.parse()?),
        ["--against", file] => compare(&count("")?, file),
        [] => count("").map(drop),
        [part] => count(part).map(drop),
        _ => bail!("usage: [NAME | --against FILE]"),
    }
}

/// The inner process, which callgrind watches.
fn run(name: &str, times: u64) -> Result<()> {
    let (_, call) = cases()
        .into_iter()
        .find(|(known, _)| *known == name)
        .context("no such case")?;
    for _ in 0..times {
        call();
    }
    Ok(())
}

fn count(part: &str) -> Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    let mut table = String::new();
    for (name, _) in cases().into_iter().filter(|(name, _)| name.contains(part)) {
        let (few, many) = (instructions(name, FEW)?, instructions(name, MANY)?);
        let each = many.saturating_sub(few) / (MANY - FEW);
        println!("{name:<40} {each:>9}");
        table.push_str(&format!("{name} {each}\n"));
        counts.insert(name.to_owned(), each);
    }
    ensure!(!counts.is_empty(), "no case has {part:?} in its name");
    if part.is_empty() {
        std::fs::write(KEPT, table).with_context(|| format!("cannot write {KEPT}"))?;
    }
    Ok(counts)
}

fn instructions(name: &str, times: u64) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--run", name, &times.to_string()])
        .output()
        .context("cannot start valgrind; install the package `valgrind`")?;
    let report = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {report}");
    let collected = report.lines().find_map(|line| line.split_once("Collected : "));
    let (_, number) = collected.context("callgrind did not say what it collected")?;
    Ok(number.trim().parse()?)
}

fn compare(counts: &BTreeMap<String, u64>, file: &str) -> Result<()> {
    let old = std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    let mut worse = Vec::new();
    for (name, count) in old.lines().filter_map(|line| line.rsplit_once(' ')) {
        let (Some(&now), Ok(before)) = (counts.get(name), count.parse::<u64>()) else {
            continue;
        };
        let ratio = now as f64 / before.max(1) as f64;
        println!("{name:<40} {ratio:>8.3} x");
        if ratio > ALLOWED {
            worse.push(name);
        }
    }
    ensure!(
        worse.is_empty(),
        "more instructions than in {file}: {}",
        worse.join(", ")
    );
    Ok(())
}
