//! What happens when the primary fails or is to change: who may be promoted, how often, and how long clients wait.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::Login;
use super::choice::Choice;
use super::destination;
use super::monitor;
use super::reader::{Field, Section};
use super::size;

/// Failover, switchover, and the primary's return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    pub mode: FailoverMode,
    /// Who changes servers; `None`: the monitor's account.
    pub login: Option<Login>,
    /// Who a demoted primary replicates as; `None`: the account that changes servers.
    pub replication: Option<Login>,
    /// Probes of the primary that fail in a row before it can be called dead.
    pub failures: u32,
    /// After a promotion, none follows by itself for this long.
    pub cooldown: Duration,
    /// Promotions by themselves in any hour.
    pub max_per_hour: u32,
    /// Transactions that the old primary is known to have had and the new one lacks: an automatic promotion may
    /// cross a gap of this many.
    pub max_gap: u64,
    /// How long a statement waits for a primary.
    pub park_timeout: Duration,
    /// Statements that wait at once.
    pub park_statements: u32,
    /// Bytes of all that wait.
    pub park_bytes: u64,
    /// For one statement on a server that is being fenced, repointed or promoted.
    pub step_timeout: Duration,
    /// Whether a returned primary that has nothing extra follows the new one by itself.
    pub rejoin: bool,
    /// Whether a writable server that is not the primary is set read-only.
    pub enforce_read_only: bool,
    pub fence: Option<Hook>,
    pub before: Option<Hook>,
    pub after: Option<Hook>,
    /// Copies another server's data over those of one whose surplus is thrown away.
    pub reclone: Option<Hook>,
    /// Where what is under way is written down, so that a restart completes or undoes it.
    pub state: Option<PathBuf>,
    /// Where the surplus of a discarded server is saved.
    pub salvage: PathBuf,
    pub replay: Replay,
    /// Whether commits leave a row by which it is known later that they were done.
    pub commit_evidence: bool,
}

/// Who decides that a replica is promoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailoverMode {
    /// The proxy, when the primary is dead.
    Automatic,
    /// The proxy says what it would do; an operator says when.
    Manual,
    /// Another proxy: what it changes is taken up here.
    Follow,
    /// Nobody: the primary is the one of the file.
    Off,
}

/// Whether a server may become the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promote {
    Prefer,
    Normal,
    Never,
}

/// A program that is run at a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The program and its arguments; no shell.
    pub command: Vec<String>,
    pub timeout: Duration,
}

/// Open transactions that are run again on a new primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    pub enabled: bool,
    /// Bytes of statements kept of one transaction.
    pub per_transaction: u64,
    /// Bytes of statements kept of all transactions.
    pub total: u64,
}

/// A planned change of the primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switchover {
    /// How long open transactions may take to end.
    pub grace: Duration,
    /// For the whole of it, up to the promotion; then it is undone.
    pub timeout: Duration,
}

impl FailoverMode {
    /// Whether a new primary comes without anybody's help.
    pub fn replaces_by_itself(self) -> bool {
        matches!(self, Self::Automatic | Self::Follow)
    }
}

impl Choice for FailoverMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("automatic", Self::Automatic),
        ("manual", Self::Manual),
        ("follow", Self::Follow),
        ("off", Self::Off),
    ];
}

impl Choice for Promote {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("prefer", Self::Prefer),
        ("normal", Self::Normal),
        ("never", Self::Never),
    ];
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

// === impl Failover ===

impl Failover {
    /// `is_monitored`: the monitor has an account, which is the one that changes servers unless another is given.
    pub(super) fn read(section: &Section<'_>, is_monitored: bool) -> Self {
        let millis = Duration::from_millis;
        let hour = Duration::from_secs(3600);
        let salvage = section.field("salvage");
        let has_account = is_monitored || section.field("user").is_given();
        Self {
            mode: mode(&section.field("mode"), has_account),
            login: monitor::login(section),
            replication: section.field("replication").section(monitor::login),
            failures: section.field("failures").count(1..=1000, 2),
            cooldown: section
                .field("cooldown")
                .duration(Duration::ZERO..=24 * hour, hour / 60),
            max_per_hour: section.field("max_per_hour").count(0..=1000, 5),
            max_gap: u64::from(section.field("max_gap").count(0..=u32::MAX, 0)),
            park_timeout: section
                .field("park_timeout")
                .duration(Duration::ZERO..=hour, millis(10_000)),
            park_statements: section.field("park_statements").count(0..=1_000_000, 10_000),
            park_bytes: section.field("park_bytes").size(0..=64 * GIB, 64 * MIB),
            step_timeout: section
                .field("step_timeout")
                .duration(millis(50)..=hour / 60, millis(1000)),
            rejoin: section.field("rejoin").choice_or(true),
            enforce_read_only: section.field("enforce_read_only").choice_or(true),
            fence: section.field("fence").section(Hook::read),
            before: section.field("before").section(Hook::read),
            after: section.field("after").section(Hook::read),
            reclone: section.field("reclone").section(Hook::read_long),
            state: state(&section.field("state")),
            salvage: salvage.path().unwrap_or_else(|| salvage.beside("salvage")),
            replay: section.field("replay").section(Replay::read),
            commit_evidence: section.field("commit_evidence").choice_or(false),
        }
    }
}

/// Whoever writes that it is automatic relies on it; as the default it is merely idle without an account.
fn mode(field: &Field<'_>, has_account: bool) -> FailoverMode {
    let chosen = field.choice();
    if chosen == Some(FailoverMode::Automatic) && !has_account {
        let help = "give `monitor: {user: .., password: ..}`, or remove `mode`";
        field.report("nobody can be promoted without an account at the servers", help);
    }
    chosen.unwrap_or(FailoverMode::Automatic)
}

fn state(field: &Field<'_>) -> Option<PathBuf> {
    let path = field.path()?;
    destination::check_file(field, &path);
    Some(path)
}

// === impl Hook ===

impl Hook {
    /// `command: [program, argument, ...]` or `command: program`.
    fn read(section: &Section<'_>) -> Option<Self> {
        Self::within(section, Duration::from_secs(600), Duration::from_secs(5))
    }

    /// One that takes as long as copying all data takes.
    fn read_long(section: &Section<'_>) -> Option<Self> {
        let hour = Duration::from_secs(3600);
        Self::within(section, 7 * 24 * hour, 6 * hour)
    }

    fn within(section: &Section<'_>, longest: Duration, usual: Duration) -> Option<Self> {
        let (command, limit) = (section.field("command"), section.field("timeout"));
        let range = Duration::from_millis(50)..=longest;
        let timeout = limit.duration(range, usual);
        if limit.is_given() && !command.is_given() {
            limit.report("there is no program that it counts for", "give `command` too");
        }
        let command = words(&command);
        (!command.is_empty()).then_some(Self { command, timeout })
    }
}

/// A program that can be run, and its arguments.
fn words(field: &Field<'_>) -> Vec<String> {
    let items = match field.is_list() {
        true => field.items(),
        false => vec![field.clone()],
    };
    let Some(program) = items.first() else {
        field.report("there is no program", "write its path, then its arguments");
        return Vec::new();
    };
    let words: Option<Vec<_>> = items.iter().map(|item| Some(item.text()?.to_string())).collect();
    let words = words.unwrap_or_default();
    if let Some(word) = words.first() {
        destination::check_program(program, word);
    }
    words
}

// === impl Replay ===

impl Replay {
    fn read(section: &Section<'_>) -> Self {
        let (one, all) = (section.field("per_transaction"), section.field("total"));
        let (per_transaction, total) = (one.size(KIB..=GIB, MIB), all.size(KIB..=64 * GIB, 64 * MIB));
        if per_transaction > total {
            let field = if one.is_given() { one } else { all };
            let help = format!(
                "lower `per_transaction` ({}), or raise `total` ({})",
                size::show(per_transaction),
                size::show(total)
            );
            field.report("one transaction may take more than all of them", help);
        }
        Self {
            enabled: section.field("enabled").choice_or(true),
            per_transaction,
            total,
        }
    }
}

// === impl Switchover ===

impl Switchover {
    /// What `switchover.timeout` may be, and a command that gives its own.
    pub const TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

    pub(super) fn read(section: &Section<'_>) -> Self {
        let second = Duration::from_secs(1);
        Self {
            grace: section
                .field("grace")
                .duration(Duration::ZERO..=3600 * second, 2 * second),
            timeout: section.field("timeout").duration(Self::TIMEOUT, 10 * second),
        }
    }
}
