//! Files that include files.

use std::path::Path;

use super::super::{Config, Problems, Written, differences};

/// Writes the files into a folder; the first is the main one.
fn read(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Config, Problems>) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let read = Config::load(&folder.path().join(files[0].0));
    (folder, read)
}

/// The problems, without the folder's name.
fn problems(files: &[(&str, &str)]) -> String {
    let (folder, read) = read(files);
    let text = read.unwrap_err().to_string();
    text.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn lists_are_added_up_and_sections_laid_together() {
    let (_folder, read) = read(&[
        (
            "main.yaml",
            "includes: [conf.d/*.yaml, more.yaml]\nservers: [a]\nlimits: {per_user: 3}\n",
        ),
        ("conf.d/2.yaml", "servers: [c]\n"),
        (
            "conf.d/1.yaml",
            "servers:\n  - b\nlimits: {per_address: 4}\nincludes: deep/x.yaml\n",
        ),
        (
            "conf.d/deep/x.yaml",
            "rules: [{name: r, target: {servers: [d]}}]\nservers: d\n",
        ),
        ("more.yaml", "accounts: [{name: u, password: file:secret}]\n"),
        ("secret", "s"),
    ]);
    let config = read.unwrap();
    let names: Vec<_> = config.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "d", "c"]);
    assert_eq!(
        (config.limits.per_user, config.limits.per_address),
        (Some(3), Some(4))
    );
    assert_eq!((config.rules.len(), config.accounts.listed.len()), (1, 1));
}

#[test]
fn problems_name_the_right_file_and_line() {
    let told = problems(&[
        (
            "main.yaml",
            "includes: [a.yaml, a.yaml, none.yaml, b.yaml]\nservers: [a]\nworkers: 2\n",
        ),
        (
            "a.yaml",
            "# one\nwokers: 3\nworkers: 4\nservers:\n  - {address: a, weight: -1}\n",
        ),
        ("b.yaml", "- x\n"),
    ]);
    for line in [
        "main.yaml:1: includes: a.yaml is included twice",
        "main.yaml:1: includes: none.yaml cannot be read",
        "a.yaml:2: wokers: there is no such setting",
        "a.yaml:3: workers: `workers` is given twice\n  help: keep one; the first is on line 3 of main.yaml",
        "a.yaml:5: servers[1].weight",
        "a.yaml:5: servers[1]: the name `a` is used twice\n  help: give each its own; the first is on line 2 of main.yaml",
        "b.yaml:1: this must be sections",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    assert_eq!(told.matches("help:").count(), 8, "{told}");
}

#[test]
fn circles_and_depths_are_bounded() {
    let told = problems(&[
        ("main.yaml", "includes: a.yaml\nservers: [a]"),
        ("a.yaml", "includes: [main.yaml, a.yaml]"),
    ]);
    assert!(
        told.contains("a.yaml:1: includes: main.yaml is included twice"),
        "{told}"
    );
    let names: Vec<_> = (0..12).map(|depth| format!("{depth}.yaml")).collect();
    let texts: Vec<_> = (1..13).map(|next| format!("includes: {next}.yaml\n")).collect();
    let files: Vec<_> = names
        .iter()
        .map(String::as_str)
        .zip(texts.iter().map(String::as_str))
        .collect();
    assert!(problems(&files).contains("8.yaml:1: includes: 9.yaml: too many files are included"));
    let (_folder, read) = read(&[("main.yaml", "includes: none/*.yaml\nservers: [a]")]);
    assert!(read.unwrap_err().to_string().contains("cannot be searched"));
}

#[test]
fn differences_are_those_of_all_files_together() {
    let folder = tempfile::tempdir().unwrap();
    let (main, more) = (folder.path().join("main.yaml"), folder.path().join("more.yaml"));
    let written = |main_text: &str, more_text: &str| {
        std::fs::write(&main, main_text).unwrap();
        std::fs::write(&more, more_text).unwrap();
        Written::read(&main).unwrap()
    };
    let before = written("includes: more.yaml\nservers: [a]\n", "workers: 1\n");
    let after = written("includes: more.yaml\nservers: [a]\n", "workers: 2\n");
    assert_eq!(differences(&before, &after), ["workers: 1 -> 2"]);
    assert_eq!(before.is_current().unwrap_err(), more);
    assert!(after.is_current().is_ok());
    let moved = Written::parse(
        "servers: [a]\nworkers: 2\nincludes: more.yaml".to_owned().into(),
        Path::new("x"),
    );
    assert!(!moved.faults.is_empty());
}
