//! Whole files in, configurations or problems out.

mod includes;
mod outside;
mod problems;
mod sample;
mod schema;
mod settings;

use std::path::Path;

use super::reader::Context;
use super::*;

fn environment(name: &str) -> Option<String> {
    match name {
        "HOST" => Some("db9".to_owned()),
        "SECRET" => Some("hunter2".to_owned()),
        "EMPTY" => Some(String::new()),
        "PATH" => Some("/nonexistent:/usr/bin:/bin".to_owned()),
        _ => None,
    }
}

fn written(text: &str) -> Written {
    Written::gather(text.to_owned().into(), Path::new("proxy.yaml"), &environment)
}

fn read(text: &str) -> Result<Config, Problems> {
    let written = written(text);
    Config::read(&written, &Context::new(&written.sources, &environment))
}

pub(super) fn config(text: &str) -> Config {
    let config = read(text).unwrap_or_else(|problems| panic!("{problems}"));
    schema::assert_fits(text);
    config
}

/// The problems as `line key: message / help`.
pub(super) fn problems(text: &str) -> Vec<String> {
    let problems = read(text).expect_err("there is a problem").0;
    let line = |problem: &Problem| {
        format!(
            "{} {}: {} / {}",
            problem.line, problem.key, problem.message, problem.help
        )
    };
    problems.iter().map(line).collect()
}

/// One problem, after a server so that nothing else is missing.
fn problem(text: &str) -> String {
    let all = problems(&format!("servers: [db1]\n{text}"));
    assert_eq!(all.len(), 1, "{all:#?}");
    all[0].clone()
}
