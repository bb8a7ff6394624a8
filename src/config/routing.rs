//! Where reads go: the balancing algorithm, and what happens when no replica is fit.

use std::time::Duration;

use super::choice::Choice;
use super::reader::Section;

/// How a server is chosen for a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    pub balance: Balance,
    pub reads_from_primary: ReadsFromPrimary,
    pub when_all_lag: WhenAllLag,
    /// How long a server that has just become usable takes to reach its full weight; `None`: no time.
    pub slow_start: Option<Duration>,
    pub autocommit_off_reads: AutocommitOffReads,
    /// Comments and query attributes of statements may say where they go.
    pub hints: bool,
    /// Statements, literals left out, that each worker remembers what they do.
    pub digests: u32,
    /// Bytes of results that rules have kept.
    pub result_cache: u64,
}

/// Which of several servers that would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Fewest statements in progress, by weight.
    LeastConnections,
    /// In turn, by weight.
    RoundRobin,
    /// The faster of two drawn at random.
    LeastLatency,
    /// At random, by weight.
    Random,
    /// The same server for the same client address, by weight.
    SourceHash,
    /// The first in the order of the file.
    First,
}

/// Whether the primary serves reads that a replica could serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadsFromPrimary {
    /// Not even when no replica is left.
    Never,
    /// When no replica is fit.
    Fallback,
    /// As one among the replicas, by its weight.
    Share,
}

/// What becomes of a read when every usable replica lags too far behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenAllLag {
    Primary,
    Error,
    /// The replica that lags least serves it all the same.
    Stale,
}

/// Where reads go in a session that has switched autocommit off, which makes each of them open a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutocommitOffReads {
    Primary,
    Replica,
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

impl Choice for Balance {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("least_connections", Self::LeastConnections),
        ("round_robin", Self::RoundRobin),
        ("least_latency", Self::LeastLatency),
        ("random", Self::Random),
        ("source_hash", Self::SourceHash),
        ("first", Self::First),
    ];
}

impl Choice for ReadsFromPrimary {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("never", Self::Never),
        ("fallback", Self::Fallback),
        ("share", Self::Share),
    ];
}

impl Choice for WhenAllLag {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("primary", Self::Primary),
        ("error", Self::Error),
        ("stale", Self::Stale),
    ];
}

impl Choice for AutocommitOffReads {
    const WORDS: &'static [(&'static str, Self)] = &[("primary", Self::Primary), ("replica", Self::Replica)];
}

// === impl Routing ===

impl Routing {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let slow_start = Duration::from_millis(100)..=Duration::from_secs(3600);
        let reads_from_primary = section
            .field("reads_from_primary")
            .choice_or(ReadsFromPrimary::Fallback);
        Self {
            balance: section.field("balance").choice_or(Balance::LeastConnections),
            reads_from_primary,
            when_all_lag: WhenAllLag::read(section, reads_from_primary),
            slow_start: section.field("slow_start").optional_duration(slow_start, None),
            autocommit_off_reads: section
                .field("autocommit_off_reads")
                .choice_or(AutocommitOffReads::Primary),
            hints: section.field("hints").choice_or(true),
            digests: section.field("digests").count(1..=1_000_000, 10_000),
            result_cache: section.field("result_cache").size(MIB..=64 * GIB, 64 * MIB),
        }
    }
}

// === impl WhenAllLag ===

impl WhenAllLag {
    /// The primary, unless it never serves reads.
    fn read(section: &Section<'_>, reads_from_primary: ReadsFromPrimary) -> Self {
        let field = section.field("when_all_lag");
        if reads_from_primary != ReadsFromPrimary::Never {
            return field.choice_or(Self::Primary);
        }
        let given = field.choice_or(Self::Error);
        if given == Self::Primary {
            let help = "set it to error or stale, or `routing.reads_from_primary: fallback`";
            field.report("the primary never serves reads", help);
        }
        given
    }
}
