//! A configuration as it is written: the file and what it includes, each with its text, and the one tree that they
//! make. Lists are added up; a value that two files give is a mistake that names both places.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::glob;
use super::problem::{Problem, Problems};
use super::reader::join;
use super::secrets;
use super::sources::Sources;
use super::substitute::substitute;
use super::tree::{self, Entry, Fault, Kind, Node};

/// Files that include files that include files ...
const DEEPEST: usize = 8;
const MOST_FILES: usize = 64;
const KEY: &str = "includes";

/// All that was read of one configuration. The texts may hold secrets.
#[derive(Clone)]
pub struct Written {
    pub(super) sources: Sources,
    pub(super) files: Vec<WrittenFile>,
    /// None where the main file is no YAML.
    pub(super) root: Option<Node>,
    pub(super) faults: Vec<Fault>,
}

/// One of its files.
#[derive(Clone)]
pub(super) struct WrittenFile {
    pub(super) path: PathBuf,
    pub(super) text: Zeroizing<String>,
}

/// Gathers files for as long as one includes another.
struct Gathering<'a> {
    written: Written,
    /// The next file's lines are counted from here.
    end: usize,
    seen: HashSet<PathBuf>,
    environment: &'a dyn Fn(&str) -> Option<String>,
    /// Texts that count instead of what is on the disk.
    texts: HashMap<PathBuf, Zeroizing<String>>,
}

// === impl Written ===

impl Written {
    /// Reads a file and what it includes.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        let whole_file = |message: String, help: &str| {
            Problems(vec![Problem {
                file: path.to_owned(),
                line: 0,
                key: String::new(),
                message,
                help: help.to_owned(),
            }])
        };
        let text =
            read(path).map_err(|why| whole_file(why, "give the path of a YAML file: -c proxy.yaml"))?;
        Ok(Self::parse(text, path))
    }

    /// A text as if it stood in the file `name`.
    pub fn parse(text: Zeroizing<String>, name: &Path) -> Self {
        Self::gather(text, name, &environment)
    }

    /// The same files with some texts in place of theirs.
    pub fn rewritten(&self, texts: &HashMap<PathBuf, Zeroizing<String>>) -> Self {
        let Some(main) = self.files.first() else {
            return self.clone();
        };
        let text = texts.get(&main.path).unwrap_or(&main.text).clone();
        let files = self
            .files
            .iter()
            .map(|file| (file.path.clone(), file.text.clone()));
        let mut all: HashMap<_, _> = files.collect();
        all.extend(texts.iter().map(|(path, text)| (path.clone(), text.clone())));
        Self::gather_with(text, &main.path, &environment, all)
    }

    /// The text of a configuration that has one file.
    pub fn only_text(&self) -> Option<&str> {
        match self.files.as_slice() {
            [file] => Some(&file.text),
            _ => None,
        }
    }

    pub(super) fn gather(
        text: Zeroizing<String>,
        name: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        Self::gather_with(text, name, environment, HashMap::new())
    }

    fn gather_with(
        text: Zeroizing<String>,
        name: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
        texts: HashMap<PathBuf, Zeroizing<String>>,
    ) -> Self {
        let mut gathering = Gathering {
            written: Self {
                sources: Sources::of(name),
                files: Vec::new(),
                root: None,
                faults: Vec::new(),
            },
            end: 0,
            seen: HashSet::from([std::fs::canonicalize(name).unwrap_or_else(|_| name.to_owned())]),
            environment,
            texts,
        };
        let root = gathering.take(name, text);
        gathering.written.root = root.map(|root| gathering.include(root, name, 0));
        gathering.written
    }

    /// Whether all its files are still as they were read; else the first that is not.
    pub fn is_current(&self) -> Result<(), PathBuf> {
        let differs = |file: &&WrittenFile| read(&file.path).ok().as_ref() != Some(&file.text);
        match self.files.iter().find(differs) {
            Some(file) => Err(file.path.clone()),
            None => Ok(()),
        }
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    let bytes = secrets::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        format!("is not UTF-8 text: look at line {line}")
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}

// === impl Gathering ===

impl Gathering<'_> {
    /// The tree of one file, with its faults put to the others.
    fn take(&mut self, path: &Path, text: Zeroizing<String>) -> Option<Node> {
        let before = self.end;
        if !self.written.files.is_empty() {
            self.written.sources.add(path, before);
        }
        self.end += text.lines().count() + 1;
        let (root, faults) = tree::parse_after(&text, before);
        self.written.faults.extend(faults);
        let path = path.to_owned();
        self.written.files.push(WrittenFile { path, text });
        root
    }

    /// The tree with everything that it includes.
    fn include(&mut self, mut root: Node, path: &Path, depth: usize) -> Node {
        let Kind::Map(entries) = &root.kind else {
            return root;
        };
        let Some(entry) = entries.iter().find(|entry| entry.key == KEY) else {
            return root;
        };
        let wanted = match &entry.value.kind {
            Kind::List(items) => items.clone(),
            _ => vec![entry.value.clone()],
        };
        for item in wanted {
            let Kind::Scalar(pattern) = &item.kind else {
                continue;
            };
            for file in self.matching(pattern, item.line, path) {
                if let Some(included) = self.include_file(&file, item.line, depth) {
                    self.merge(&mut root, included, "");
                }
            }
        }
        root
    }

    fn include_file(&mut self, file: &Path, line: usize, depth: usize) -> Option<Node> {
        let place = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let shown = file.display();
        if !self.seen.insert(place) {
            self.fault(
                line,
                format!("{shown} is included twice"),
                "include each file once",
            );
            return None;
        }
        if depth >= DEEPEST || self.written.files.len() >= MOST_FILES {
            let message = format!("{shown}: too many files are included");
            self.fault(line, message, "at most 64 files, 8 deep: put some together");
            return None;
        }
        let known = self.texts.get(file).cloned();
        let text = match known.map_or_else(|| read(file), Ok) {
            Ok(text) => text,
            Err(why) => {
                let help = "the path is taken from the folder of this file; the proxy's user must be able to read it";
                self.fault(line, format!("{shown} {why}"), help);
                return None;
            }
        };
        let root = self.take(file, text)?;
        if let Kind::Scalar(_) | Kind::List(_) = root.kind {
            let help = "write `key: value` lines, as in the main file";
            self.fault_at(root.line, "", "this must be sections".to_owned(), help.to_owned());
            return None;
        }
        let mut root = self.include(root, file, depth + 1);
        if let Kind::Map(entries) = &mut root.kind {
            entries.retain(|entry| entry.key != KEY);
        }
        Some(root)
    }

    /// The files that a path, or a pattern of paths, stands for.
    fn matching(&mut self, pattern: &str, line: usize, from: &Path) -> Vec<PathBuf> {
        let pattern = match substitute(pattern, self.environment) {
            Ok(pattern) => pattern,
            // Told with all other values.
            Err(_) => return Vec::new(),
        };
        let path = from.parent().unwrap_or(Path::new("")).join(&**pattern);
        glob::expand(&path, MOST_FILES).unwrap_or_else(|error| {
            let message = format!("{} cannot be searched: {error}", path.display());
            self.fault(line, message, "the path is taken from the folder of this file");
            Vec::new()
        })
    }

    /// Lays `new` into `old`, which stand at the same path.
    fn merge(&mut self, old: &mut Node, new: Node, path: &str) {
        match (&mut old.kind, new.kind) {
            (_, Kind::Empty) => {}
            (kind @ Kind::Empty, given) => (*kind, old.line) = (given, new.line),
            (Kind::Map(entries), Kind::Map(more)) => {
                for entry in more {
                    self.merge_entry(entries, entry, path);
                }
            }
            (Kind::List(items), Kind::List(more)) => items.extend(more),
            (Kind::List(items), kind @ Kind::Scalar(_)) => items.push(Node { kind, ..new }),
            _ => {
                let key = path.rsplit('.').next().unwrap_or(path).to_owned();
                let first = self.written.sources.tell(old.line, new.line);
                let message = format!("`{key}` is given twice");
                self.fault_at(
                    new.line,
                    path,
                    message,
                    format!("keep one; the first is on {first}"),
                );
            }
        }
    }

    fn merge_entry(&mut self, entries: &mut Vec<Entry>, entry: Entry, path: &str) {
        match entries.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => self.merge(&mut known.value, entry.value, &join(path, &entry.key)),
            None => entries.push(entry),
        }
    }

    fn fault(&mut self, line: usize, message: String, help: &str) {
        self.fault_at(line, KEY, message, help.to_owned());
    }

    fn fault_at(&mut self, line: usize, key: &str, message: String, help: String) {
        let key = key.to_owned();
        self.written.faults.push(Fault {
            line,
            key,
            message,
            help,
        });
    }
}
