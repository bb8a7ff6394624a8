//! What is logged, and how it looks.

use std::collections::BTreeMap;

use super::choice::Choice;
use super::reader::Section;

/// Logging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    pub format: LogFormat,
    pub level: LogLevel,
    /// Levels of single targets, e.g. `splitrail::frontend`.
    pub targets: BTreeMap<String, LogLevel>,
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
        }
    }
}
