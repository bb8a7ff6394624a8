//! The process, as the kernel sees it, under the names that all programs use; and the proxy's own memory.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use super::family::{Families, Name, Sample, number};
use crate::admin::State;
use crate::admin::catalog::process::owners;
use crate::net::buffer;

/// The kernel's page, and its clock's ticks a second: the same on every machine that this runs on, or near enough
/// for a figure that is looked at.
const TICKS: f64 = 100.0;

pub fn write(families: &mut Families<'_>, state: &State) -> fmt::Result {
    let one = |value: Option<f64>| value.map(Sample::new);
    families.gauge(
        Name::bytes("process_resident_memory", "Memory that the process has"),
        one(resident().map(number)),
    )?;
    families.gauge(
        Name::bytes("process_virtual_memory", "Memory that the process has asked for"),
        one(status("VmSize:").map(number)),
    )?;
    families.counter_f64(
        Name::seconds("process_cpu", "Processor time of all threads"),
        one(processor()),
    )?;
    families.gauge(
        Name::new("process_open_fds", "Open files, connections among them"),
        one(open_files().map(number)),
    )?;
    families.gauge(
        Name::new("process_max_fds", "Open files that there may be"),
        one(rustix::process::getrlimit(rustix::process::Resource::Nofile)
            .current
            .map(number)),
    )?;
    let started = state.started.duration_since(UNIX_EPOCH).unwrap_or_default();
    families.gauge(
        Name::seconds("process_start_time", "When the process began, since 1970"),
        [Sample::new(started.as_secs_f64())],
    )?;
    families.counter(
        Name::new(
            "splitrail_takeovers",
            "Processes before this one that each the next has replaced without a gap",
        ),
        [Sample::new(state.shared.takeovers.load(Ordering::Relaxed))],
    )?;
    families.gauge(
        Name::bytes("splitrail_buffers", "Of messages that are being passed on"),
        [Sample::new(number(buffer::lent()))],
    )?;
    families.gauge(
        Name::bytes(
            "splitrail_buffers_limit",
            "Of messages at which commands are refused: limits.buffer_memory",
        ),
        [Sample::new(number(
            state.shared.settings().config.limits.buffer_memory,
        ))],
    )?;
    memory(families, state)?;
    families.gauge(
        Name::new("splitrail_build_info", "Always 1; the version is a label"),
        [Sample::new(1.0).with("version", env!("CARGO_PKG_VERSION"))],
    )
}

fn memory(families: &mut Families<'_>, state: &State) -> fmt::Result {
    let owners = owners(state);
    let label = |name: &str| name.replace(' ', "_");
    families.gauge(
        Name::bytes("splitrail_memory", "Of what is counted, by whose it is"),
        owners
            .iter()
            .map(|owner| Sample::new(number(owner.bytes)).with("owner", &label(owner.name))),
    )?;
    families.gauge(
        Name::bytes("splitrail_memory_limit", "At which the owner takes no more"),
        owners
            .iter()
            .map(|owner| Sample::new(number(owner.limit)).with("owner", &label(owner.name))),
    )
}

pub fn resident() -> Option<u64> {
    status("VmRSS:")
}

fn status(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}

/// Without the one that it takes to look.
pub fn open_files() -> Option<usize> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    Some(entries.count().saturating_sub(1))
}

fn processor() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program may hold anything; what follows it does not.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}
