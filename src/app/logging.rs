//! Where events go: one line each on standard error, as text or JSON, with a level for each target.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::line::Line;
use crate::config::{Log, LogFormat, LogLevel};

/// Takes effect once in a process; later calls change nothing.
pub fn start(log: &Log) {
    let targets = log
        .targets
        .iter()
        .map(|(target, level)| (target.clone(), filter(*level)));
    // The crates below speak up only when something is wrong, unless asked by name.
    let targets = Targets::new()
        .with_default(filter(log.level).min(LevelFilter::WARN))
        .with_target("splitrail", filter(log.level))
        .with_targets(targets);
    let registry = tracing_subscriber::registry().with(targets);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let _ = match log.format {
        LogFormat::Text => registry.with(layer.event_format(Line)).try_init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
