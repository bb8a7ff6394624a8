//! `splitrail convert`: another proxy's configuration as one of ours, with what is different told line by line.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::plan::Plan;
use super::{libconfig, maxscale, output, proxysql};
use crate::config::Config;

#[derive(Debug, Args)]
pub struct Options {
    /// proxysql.cnf or maxscale.cnf; which of them it is, its text tells
    file: PathBuf,
    /// The file to write; - for standard output
    #[arg(short, long, default_value = "-")]
    output: PathBuf,
    /// Write over a file that exists
    #[arg(long)]
    force: bool,
}

/// Larger files are none that people write.
const LARGEST: u64 = 4 << 20;

/// Converts, writes, and tells what to look at.
pub fn convert(options: &Options) -> anyhow::Result<()> {
    let name = options.file.display().to_string();
    let text = read(&options.file).with_context(|| format!("reading {name}"))?;
    let plan = plan(&text).map_err(|(line, what)| anyhow::anyhow!("{name}:{line}: {what}"))?;
    let yaml = plan.text(&name)?;
    output::write(&options.output, &yaml, options.force, true)?;
    Ok(tell(&plan, &name, &yaml, &options.output)?)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        bail!("it is larger than 4 MiB");
    }
    Ok(text)
}

/// MaxScale's sections begin with `[name]`; in ProxySQL's file no line does.
fn plan(text: &str) -> Result<Plan, (usize, String)> {
    let is_section = |line: &str| {
        let line = line.trim();
        line.starts_with('[') && line.ends_with(']') && line.len() > 2
    };
    let is_type = |line: &str| {
        let (key, value) = line.split_once('=').unwrap_or_default();
        key.trim() == "type" && !value.trim_start().starts_with('"')
    };
    if text.lines().any(is_section) && text.lines().any(is_type) {
        return Ok(maxscale::convert(text));
    }
    let root = libconfig::parse(text)?;
    if root.get("mysql_servers").is_none() && root.get("mysql_variables").is_none() {
        let help = "this is neither a proxysql.cnf (mysql_servers is missing) nor a maxscale.cnf";
        return Err((1, help.to_owned()));
    }
    Ok(proxysql::convert(&root))
}

fn tell(plan: &Plan, name: &str, yaml: &str, output: &Path) -> io::Result<()> {
    let mut out = io::stderr().lock();
    for warning in &plan.warnings {
        writeln!(out, "{name}:{}: {}", warning.line, warning.text)?;
    }
    if let Err(problems) = Config::parse(yaml, output) {
        writeln!(out, "\nBefore it can be used:\n{problems}")?;
    }
    let file = match output.to_str() {
        Some("-") | None => "proxy.yaml".into(),
        Some(_) => output.display().to_string(),
    };
    writeln!(out, "\nNext: read it through, then `splitrail check -c {file}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_tells_whose_file_it_is() {
        let text = "mysql_servers = (\n  { address=\"a\" }\n)";
        assert!(plan(text).unwrap().text("x").unwrap().contains("a:3306"));
        let text = "[a]\ntype=server\naddress=b\n";
        assert!(plan(text).unwrap().text("x").unwrap().contains("b:3306"));
        assert_eq!(plan("mysql_servers = (").unwrap_err().0, 1);
        assert!(plan("").unwrap_err().1.contains("neither"));
    }
}
