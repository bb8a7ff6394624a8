//! What a series of rounds comes to: a table with a row for each, how long writes paused, and what clients were told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::fault::Fault;
use super::round::Report;
use super::stage::Stage;
use crate::fixture::Flavour;

const HEADER: &str = "| seed | fault | another primary | next write ms | longest pause ms | acknowledged | errors | \
                      unknown | violations |\n|---|---|---|---|---|---|---|---|---|\n";

pub struct Summary {
    pub flavour: Flavour,
    pub semi_sync: bool,
    reports: Vec<Report>,
    folder: PathBuf,
}

/// A kind of fault, as the targets divide them.
type Kind = (&'static str, fn(Fault) -> bool);

const KINDS: [Kind; 3] = [
    ("kill -9, to the next write", Fault::is_loud),
    ("silent loss, to the next write", Fault::is_silent),
    ("switchover, longest pause", |fault| fault == Fault::Switchover),
];

// === impl Summary ===

impl Summary {
    pub fn new(flavour: Flavour, semi_sync: bool) -> Summary {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("chaos");
        std::fs::create_dir_all(&folder).unwrap();
        let summary = Summary {
            flavour,
            semi_sync,
            reports: vec![],
            folder,
        };
        let title = format!("\n# {flavour}, {}\n\n{HEADER}", summary.mode());
        summary.say(&title);
        summary
    }

    fn mode(&self) -> &'static str {
        if self.semi_sync {
            "semi-synchronous"
        } else {
            "asynchronous"
        }
    }

    /// One more row. Whatever was broken is kept with the proxy's log.
    #[allow(clippy::print_stdout)]
    pub fn add(&mut self, report: Report, stage: &Stage<'_>) {
        self.say(&format!("{}\n", Summary::row(&report)));
        println!("{}", Summary::details(&report));
        let is_odd = report.notes.iter().any(|note| note.starts_with("expected"));
        if !report.violations.is_empty() || is_odd {
            let name = format!("{}-{}.log", self.flavour.name(), report.seed);
            let text = format!("{}\n{}", Summary::details(&report), stage.proxy.log());
            std::fs::write(self.folder.join(name), text).unwrap();
        }
        self.reports.push(report);
    }

    /// Tells how it went; returns how many promises were broken.
    pub fn finish(self) -> usize {
        let mut text = "\n".to_owned();
        for (name, is_of_kind) in KINDS {
            let of_kind = self.reports.iter().filter(|report| is_of_kind(report.fault));
            let mut times: Vec<Duration> = of_kind
                .filter_map(|report| match report.fault {
                    Fault::Switchover => Some(report.pause),
                    _ => report.next,
                })
                .collect();
            times.sort();
            let _ = writeln!(text, "- {name}: {}", distribution(&times));
        }
        let mut errors: BTreeMap<&str, usize> = BTreeMap::new();
        for (kind, count) in self.reports.iter().flat_map(|report| &report.errors) {
            *errors.entry(kind).or_default() += count;
        }
        for (kind, count) in errors {
            let _ = writeln!(text, "- {count} x {kind}");
        }
        let sum = |of: fn(&Report) -> usize| self.reports.iter().map(of).sum::<usize>();
        let violations = sum(|report| report.violations.len());
        let _ = writeln!(
            text,
            "- {} rounds, {} acknowledged writes, {} of unknown outcome, {violations} violations",
            self.reports.len(),
            sum(|report| report.acknowledged),
            sum(|report| report.unknown),
        );
        self.say(&text);
        violations
    }

    pub fn row(report: &Report) -> String {
        let next = report
            .next
            .map_or("-".to_owned(), |next| next.as_millis().to_string());
        format!(
            "| {} | {} | {} | {next} | {} | {} | {} | {} | {} |",
            report.seed,
            report.fault,
            if report.promoted { "yes" } else { "no" },
            report.pause.as_millis(),
            report.acknowledged,
            report.errors.values().sum::<usize>(),
            report.unknown,
            report.violations.len(),
        )
    }

    pub fn details(report: &Report) -> String {
        let mut text = String::new();
        for (kind, count) in &report.errors {
            let _ = writeln!(text, "    {count} x {kind}");
        }
        for note in &report.notes {
            let _ = writeln!(text, "    {note}");
        }
        for violation in &report.violations {
            let _ = writeln!(text, "    BROKEN {violation}");
        }
        text
    }

    /// To the terminal and to the file of all runs.
    #[allow(clippy::print_stdout)]
    fn say(&self, text: &str) {
        print!("{text}");
        let file = self.folder.join("runs.md");
        let mut file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(file)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
}

fn distribution(times: &[Duration]) -> String {
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_millis();
    match times.len() {
        0 => "none".to_owned(),
        count => format!(
            "{count} times; least {} ms, median {} ms, 90 % {} ms, most {} ms",
            at(0),
            at(50),
            at(90),
            at(100)
        ),
    }
}
