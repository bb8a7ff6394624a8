//! What `splitrail check` prints.

use std::io::{self, Write};
use std::path::Path;

use super::{Config, Role};

/// Exit code of a configuration that can be used.
const USABLE: u8 = 0;
/// Exit code of a configuration with problems.
const PROBLEMS: u8 = 2;

/// Reads the file, writes a line of praise with any warnings, or every problem to `output`, and answers the exit code.
pub fn check_command(path: &Path, output: &mut dyn Write) -> io::Result<u8> {
    match Config::load(path) {
        Ok(config) => {
            let primary = config.servers.iter().find(|server| server.role == Role::Primary);
            writeln!(
                output,
                "{}: no problem found ({}, {}, primary `{}`)",
                path.display(),
                plural(config.listeners.len(), "listener"),
                plural(config.servers.len(), "server"),
                primary.map_or("", |server| &server.name),
            )?;
            for warning in config.warnings(path) {
                writeln!(output, "warning: {warning}")?;
            }
            Ok(USABLE)
        }
        Err(problems) => {
            writeln!(output, "{problems}")?;
            writeln!(
                output,
                "{}: {} found",
                path.display(),
                plural(problems.0.len(), "problem")
            )?;
            Ok(PROBLEMS)
        }
    }
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}
