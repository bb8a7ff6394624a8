//! What is logged, and how it looks.

use std::collections::BTreeMap;
use std::time::Duration;

use super::choice::Choice;
use super::reader::{Field, Section};
use super::rules::share;

/// Logging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    pub format: LogFormat,
    pub level: LogLevel,
    /// Levels of single targets, e.g. `splitrail::frontend`.
    pub targets: BTreeMap<String, LogLevel>,
    pub slow: SlowLog,
    /// Of 10000 statements so many are logged.
    pub sample: u32,
}

/// Statements that take long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowLog {
    /// `None`: none of them are logged.
    pub threshold: Option<Duration>,
    /// Of sampled statements as well.
    pub literals: Literals,
}

/// What a statement's text shows in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literals {
    /// `?` in place of each literal.
    Masked,
    Shown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Choice for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

impl Choice for LogLevel {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("off", Self::Off),
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

impl Choice for Literals {
    const WORDS: &'static [(&'static str, Self)] = &[("masked", Self::Masked), ("shown", Self::Shown)];
}

// === impl LogLevel ===

impl LogLevel {
    /// The word that stands for it in the file, which is also what log filters call it.
    pub fn word(self) -> &'static str {
        Self::WORDS
            .iter()
            .find(|(_, level)| *level == self)
            .map_or("info", |(word, _)| word)
    }
}

// === impl Log ===

impl Log {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let mut targets = BTreeMap::new();
        for (target, level) in section.field("targets").entries() {
            let is_target = |each: char| each.is_ascii_alphanumeric() || each == '_' || each == ':';
            if target.is_empty() || target.len() > 200 || !target.chars().all(is_target) {
                level.report(
                    "this cannot be a log target",
                    "write a module such as `splitrail::frontend`",
                );
            }
            if let Some(level) = level.choice() {
                targets.insert(target.to_owned(), level);
            }
        }
        Self {
            format: section.field("format").choice_or(LogFormat::Text),
            level: section.field("level").choice_or(LogLevel::Info),
            targets,
            slow: SlowLog::read(&section.field("slow")),
            sample: sample(&section.field("sample")),
        }
    }
}

fn sample(field: &Field<'_>) -> u32 {
    let share = field.parse("write a share from 0.01% to 100%, or off", |text| match text {
        "off" => Ok(0),
        text => share(text),
    });
    share.unwrap_or(0)
}

// === impl SlowLog ===

impl SlowLog {
    /// A threshold alone stands for the section.
    fn read(field: &Field<'_>) -> Self {
        if field.is_scalar() {
            // So that the names of the settings are known.
            let default = field.nothing(Self::read_section);
            return Self {
                threshold: threshold(field),
                ..default
            };
        }
        field.section(Self::read_section)
    }

    fn read_section(section: &Section<'_>) -> Self {
        Self {
            threshold: threshold(&section.field("threshold")),
            literals: section.field("literals").choice_or(Literals::Masked),
        }
    }
}

fn threshold(field: &Field<'_>) -> Option<Duration> {
    let range = Duration::from_millis(1)..=Duration::from_secs(86_400);
    field.optional_duration(range, Some(Duration::from_secs(1)))
}
