//! Settings out of a tree: every read says what is allowed, and every mistake is kept instead of ending the read.
//!
//! A section knows its settings by being asked for them, so that an unknown key is simply one that nobody asked
//! for. No message repeats a value that may be secret: only what stands in the file is quoted, never what an
//! environment variable or a file held, and nothing of a password at all.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::choice::Choice;
use super::problem::{Problem, Problems};
use super::suggest::nearest;
use super::tree::{Entry, Kind, Node};
use super::{Address, duration, size};

/// What one reading of a file shares: its place, the environment, and what was found wrong.
pub(super) struct Context<'a> {
    file: &'a Path,
    environment: &'a dyn Fn(&str) -> Option<String>,
    problems: RefCell<Vec<Problem>>,
    unknown: RefCell<Vec<Unknown>>,
    /// Every setting that was asked for, list positions left out: `servers[].weight`.
    known: RefCell<BTreeSet<String>>,
}

/// A key that its section does not have; the suggestion waits until all keys are known.
struct Unknown {
    line: usize,
    section: String,
    key: String,
    siblings: Vec<String>,
}

/// The settings under one key.
pub(super) struct Section<'a> {
    /// The key that the section stands under.
    field: Field<'a>,
    entries: &'a [Entry],
    known: RefCell<BTreeSet<String>>,
}

/// One setting, given or not.
#[derive(Clone)]
pub(super) struct Field<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) path: String,
    pub(super) line: usize,
    node: Option<&'a Node>,
}

/// Why a value cannot be used.
pub(super) enum Bad {
    /// It is not of this kind, e.g. "a duration".
    NotA(&'static str),
    OutOfRange,
}

/// `section.key`.
pub(super) fn join(section: &str, key: &str) -> String {
    if section.is_empty() {
        key.to_owned()
    } else {
        format!("{section}.{key}")
    }
}

// === impl Context ===

impl<'a> Context<'a> {
    pub(super) fn new(file: &'a Path, environment: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            file,
            environment,
            problems: RefCell::default(),
            unknown: RefCell::default(),
            known: RefCell::default(),
        }
    }

    pub(super) fn root(&'a self, node: &'a Node) -> Field<'a> {
        Field {
            context: self,
            path: String::new(),
            line: node.line,
            node: Some(node),
        }
    }

    pub(super) fn report(&self, line: usize, key: &str, message: impl Display, help: impl Display) {
        self.problems.borrow_mut().push(Problem {
            file: self.file.to_owned(),
            line,
            key: key.to_owned(),
            message: message.to_string(),
            help: help.to_string(),
        });
    }

    /// Every setting that exists, as far as the file led to it.
    #[cfg(test)]
    pub(super) fn known(&self) -> BTreeSet<String> {
        self.known.borrow().clone()
    }

    /// All problems in the order of their lines, `None` when there are none.
    pub(super) fn finish(&self) -> Option<Problems> {
        for unknown in self.unknown.take() {
            let help = self.suggest(&unknown);
            let path = join(&unknown.section, &unknown.key);
            self.report(unknown.line, &path, "there is no such setting", help);
        }
        let mut problems = self.problems.take();
        problems.sort_by_key(|problem| problem.line);
        (!problems.is_empty()).then_some(Problems(problems))
    }

    /// The nearest sibling, else the same word in another section, else all the siblings.
    fn suggest(&self, unknown: &Unknown) -> String {
        if let Some(sibling) = nearest(&unknown.key, unknown.siblings.iter().map(String::as_str)) {
            return format!("did you mean `{sibling}`?");
        }
        let known = self.known.borrow();
        let last = |path: &'_ str| path.rsplit('.').next().unwrap_or_default().to_owned();
        if let Some(path) = known.iter().find(|path| last(path) == unknown.key) {
            return format!("did you mean `{path}`?");
        }
        let place = if unknown.section.is_empty() {
            "the top level"
        } else {
            &unknown.section
        };
        format!("{place} has: {}", unknown.siblings.join(", "))
    }
}

// === impl Section ===

impl<'a> Section<'a> {
    /// The setting of this name.
    pub(super) fn field(&self, name: &str) -> Field<'a> {
        let path = join(&self.field.path, name);
        self.known.borrow_mut().insert(name.to_owned());
        self.field
            .context
            .known
            .borrow_mut()
            .insert(without_positions(&path));
        let entry = self.entries.iter().find(|entry| entry.key == name);
        Field {
            context: self.field.context,
            path,
            line: entry.map_or(self.field.line, |entry| entry.line),
            node: entry.map(|entry| &entry.value),
        }
    }

    /// The key that the section stands under, for problems of the section as a whole.
    pub(super) fn whole(&self) -> &Field<'a> {
        &self.field
    }

    fn report_unknown(&self) {
        let known = self.known.borrow();
        for entry in self.entries.iter().filter(|entry| !known.contains(&entry.key)) {
            self.field.context.unknown.borrow_mut().push(Unknown {
                line: entry.line,
                section: self.field.path.clone(),
                key: entry.key.clone(),
                siblings: known.iter().cloned().collect(),
            });
        }
    }
}

/// `servers[3].name` -> `servers[].name`.
fn without_positions(path: &str) -> String {
    path.split('[')
        .enumerate()
        .map(|(index, part)| match (index, part.split_once(']')) {
            (0, _) | (_, None) => part.to_owned(),
            (_, Some((_, after))) => format!("[]{after}"),
        })
        .collect()
}

// === impl Field: shape ===

impl<'a> Field<'a> {
    pub(super) fn report(&self, message: impl Display, help: impl Display) {
        self.context.report(self.line, &self.path, message, help);
    }

    pub(super) fn is_given(&self) -> bool {
        self.node.is_some()
    }

    /// Given as a single word or number.
    pub(super) fn is_scalar(&self) -> bool {
        matches!(
            self.node,
            Some(Node {
                kind: Kind::Scalar(_),
                ..
            })
        )
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(
            self.node,
            Some(Node {
                kind: Kind::List(_),
                ..
            })
        )
    }

    /// Reads the settings under this key. Absent and empty alike: a section in which nothing is given.
    pub(super) fn section<T>(&self, read: impl FnOnce(&Section<'a>) -> T) -> T {
        let entries: &[Entry] = match self.node {
            Some(Node {
                kind: Kind::Map(entries),
                ..
            }) => entries,
            None
            | Some(Node {
                kind: Kind::Empty, ..
            }) => &[],
            Some(_) => {
                self.report(
                    "this must be a section",
                    "write `key: value` lines, indented under it",
                );
                &[]
            }
        };
        let section = Section {
            field: self.clone(),
            entries,
            known: RefCell::default(),
        };
        let value = read(&section);
        section.report_unknown();
        value
    }

    /// Reads a section in which nothing is given: the defaults, and the names of its settings.
    pub(super) fn nothing<T>(&self, read: impl FnOnce(&Section<'a>) -> T) -> T {
        let field = Field {
            node: None,
            ..self.clone()
        };
        field.section(read)
    }

    /// Neither a word nor anything in it.
    pub(super) fn has_no_items(&self) -> bool {
        match self.node.map(|node| &node.kind) {
            Some(Kind::List(items)) => items.is_empty(),
            Some(Kind::Map(entries)) => entries.iter().all(|entry| match &entry.value.kind {
                Kind::List(items) => items.is_empty(),
                Kind::Map(_) => false,
                Kind::Empty | Kind::Scalar(_) => true,
            }),
            _ => true,
        }
    }

    /// The items of a list; a single word is a list of one.
    pub(super) fn items(&self) -> Vec<Field<'a>> {
        match self.node {
            None
            | Some(Node {
                kind: Kind::Empty, ..
            }) => Vec::new(),
            Some(Node {
                kind: Kind::List(items),
                ..
            }) => items
                .iter()
                .enumerate()
                .map(|(index, node)| self.item(index, node))
                .collect(),
            Some(
                node @ Node {
                    kind: Kind::Scalar(_),
                    ..
                },
            ) => vec![self.item(0, node)],
            Some(Node {
                kind: Kind::Map(_), ..
            }) => {
                self.report("this must be a list", "start each item with `- `");
                Vec::new()
            }
        }
    }

    fn item(&self, index: usize, node: &'a Node) -> Field<'a> {
        let path = format!("{}[{index}]", self.path);
        Field {
            context: self.context,
            path,
            line: node.line,
            node: Some(node),
        }
    }

    /// The entries of a section whose keys are the user's own.
    pub(super) fn entries(&self) -> Vec<(&'a str, Field<'a>)> {
        let Some(Node {
            kind: Kind::Map(entries),
            ..
        }) = self.node
        else {
            self.section(|_| ());
            return Vec::new();
        };
        let field = |entry: &'a Entry| Field {
            context: self.context,
            path: join(&self.path, &entry.key),
            line: entry.line,
            node: Some(&entry.value),
        };
        entries
            .iter()
            .map(|entry| (entry.key.as_str(), field(entry)))
            .collect()
    }
}

// === impl Field: values ===

impl Field<'_> {
    /// What stands in the file, before substitution. Reports what is no single value.
    fn raw(&self) -> Option<&str> {
        match &self.node?.kind {
            Kind::Scalar(text) => return Some(text),
            Kind::Empty => self.report(
                "there is no value",
                "write one, or remove the key for its default",
            ),
            Kind::List(_) => self.report("this must be a single value", "it is a list"),
            Kind::Map(_) => self.report("this must be a single value", "it is a section"),
        }
        None
    }

    /// The text with `${NAME}` and `${NAME:-default}` replaced from the environment.
    pub(super) fn text(&self) -> Option<Zeroizing<String>> {
        let raw = self.raw()?;
        match substitute(raw, self.context.environment) {
            Ok(text) => Some(text),
            Err(Substitution::Unset(name)) => {
                let help = format!("export it, or give a default: ${{{name}:-value}}");
                self.report(format!("the environment variable `{name}` is not set"), help);
                None
            }
            Err(Substitution::Form) => {
                self.report(
                    "a `${` is not closed or names no variable",
                    "write `${NAME}`; a plain `${` is `$${`",
                );
                None
            }
        }
    }

    /// The value as it may be quoted: not a value that could hold a password.
    pub(super) fn quoted(&self) -> String {
        match self.node.map(|node| &node.kind) {
            Some(Kind::Scalar(text)) if !text.contains('@') && text.len() <= 100 => format!("`{}`", **text),
            _ => "the value".to_owned(),
        }
    }

    /// A value by a parser of its own; `allowed` is the suggestion when it fails.
    pub(super) fn parse<T>(
        &self,
        allowed: impl Display,
        parse: impl FnOnce(&str) -> Result<T, Bad>,
    ) -> Option<T> {
        if !self.is_given() {
            return None;
        }
        match parse(&self.text()?) {
            Ok(value) => return Some(value),
            Err(Bad::NotA(kind)) => self.report(format!("{} is not {kind}", self.quoted()), allowed),
            Err(Bad::OutOfRange) => self.report(format!("{} is out of range", self.quoted()), allowed),
        }
        None
    }

    pub(super) fn count(&self, range: RangeInclusive<u32>, default: u32) -> u32 {
        let allowed = format!("write a whole number from {} to {}", range.start(), range.end());
        self.parse(allowed, |text| count(text, &range)).unwrap_or(default)
    }

    /// A count, or `off`.
    pub(super) fn optional_count(&self, range: RangeInclusive<u32>, default: Option<u32>) -> Option<u32> {
        let allowed = format!(
            "write a whole number from {} to {}, or off",
            range.start(),
            range.end()
        );
        self.parse(allowed, |text| or_off(text, |text| count(text, &range)))
            .unwrap_or(default)
    }

    pub(super) fn duration(&self, range: RangeInclusive<Duration>, default: Duration) -> Duration {
        let allowed = durations(&range);
        self.parse(allowed, |text| duration(text, &range))
            .unwrap_or(default)
    }

    /// A duration, or `off`.
    pub(super) fn optional_duration(
        &self,
        range: RangeInclusive<Duration>,
        default: Option<Duration>,
    ) -> Option<Duration> {
        let allowed = format!("{}, or off", durations(&range));
        self.parse(allowed, |text| or_off(text, |text| duration(text, &range)))
            .unwrap_or(default)
    }

    pub(super) fn size(&self, range: RangeInclusive<u64>, default: u64) -> u64 {
        let (least, most) = (size::show(*range.start()), size::show(*range.end()));
        let allowed = format!("write a size such as 512KiB, 64MiB or 1GiB, from {least} to {most}");
        let parse = |text: &str| within(size::parse(text).ok_or(Bad::NotA("a size"))?, &range);
        self.parse(allowed, parse).unwrap_or(default)
    }

    pub(super) fn choice_or<T: Choice>(&self, default: T) -> T {
        if self.is_given() {
            self.choice().unwrap_or(default)
        } else {
            default
        }
    }

    pub(super) fn choice<T: Choice>(&self) -> Option<T> {
        let text = self.text()?;
        let value = T::from_word(&text);
        if value.is_none() {
            let words = T::words();
            let guess = match nearest(&text, words.iter().copied()) {
                Some(word) => format!("did you mean `{word}`? "),
                None => String::new(),
            };
            let allowed = format!("{guess}it can be {}", words.join(", "));
            self.report(
                format!("{} is not one of the words allowed", self.quoted()),
                allowed,
            );
        }
        value
    }

    /// A text of bounded length with no control characters.
    pub(super) fn word(&self, longest: usize) -> Option<String> {
        let text = self.text()?;
        let length = text.chars().count();
        if length == 0 || length > longest || text.chars().any(char::is_control) {
            let help = format!("write 1 to {longest} characters, none of them a control character");
            self.report("this text cannot be used", help);
            return None;
        }
        Some((*text).clone())
    }

    /// A name that hints and commands can repeat.
    pub(super) fn name(&self) -> Option<String> {
        let is_allowed = |each: char| each.is_ascii_alphanumeric() || "_.:-/[]".contains(each);
        self.parse(
            "write 1 to 64 letters, digits, `_`, `-`, `.`, `:` or `/`",
            |text| {
                let is_name = !text.is_empty() && text.len() <= 64 && text.chars().all(is_allowed);
                if is_name {
                    Ok(text.to_owned())
                } else {
                    Err(Bad::NotA("a name"))
                }
            },
        )
    }

    pub(super) fn address(&self, default_port: Option<u16>) -> Option<Address> {
        let text = self.text()?;
        let address = Address::parse(&text, default_port);
        address
            .map_err(|error| self.report(format!("{} is not an address", self.quoted()), error))
            .ok()
    }

    /// A path, relative to the folder of the configuration file.
    pub(super) fn path(&self) -> Option<PathBuf> {
        Some(self.beside(&self.word(4096)?))
    }

    /// The path as it is meant in this file.
    pub(super) fn beside(&self, path: &str) -> PathBuf {
        self.context.file.parent().unwrap_or(Path::new("")).join(path)
    }
}

fn within<T: PartialOrd>(value: T, range: &RangeInclusive<T>) -> Result<T, Bad> {
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(Bad::OutOfRange)
    }
}

fn count(text: &str, range: &RangeInclusive<u32>) -> Result<u32, Bad> {
    let digits = text.replace('_', "");
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse::<u32>() {
        Ok(value) => within(value, range),
        Err(_) if is_number => Err(Bad::OutOfRange),
        Err(_) => Err(Bad::NotA("a whole number")),
    }
}

fn duration(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, Bad> {
    within(duration::parse(text).ok_or(Bad::NotA("a duration"))?, range)
}

fn durations(range: &RangeInclusive<Duration>) -> String {
    let (least, most) = (duration::show(*range.start()), duration::show(*range.end()));
    format!("write a duration with its unit, such as 500ms, 10s, 5m or 1h, from {least} to {most}")
}

fn or_off<T>(text: &str, parse: impl FnOnce(&str) -> Result<T, Bad>) -> Result<Option<T>, Bad> {
    if text == "off" {
        Ok(None)
    } else {
        parse(text).map(Some)
    }
}

// === Substitution ===

enum Substitution {
    Unset(String),
    Form,
}

fn substitute(
    raw: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Zeroizing<String>, Substitution> {
    let mut text = Zeroizing::new(String::with_capacity(raw.len()));
    let mut rest = raw;
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            text.push_str(before);
            text.push_str("${");
            rest = after;
            continue;
        }
        text.push_str(before);
        let (inside, after) = after.split_once('}').ok_or(Substitution::Form)?;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !is_variable(name) {
            return Err(Substitution::Form);
        }
        let set = environment(name)
            .filter(|value| default.is_none() || !value.is_empty())
            .map(Zeroizing::new);
        match (set, default) {
            (Some(value), _) => text.push_str(&value),
            (None, Some(default)) => text.push_str(default),
            (None, None) => return Err(Substitution::Unset(name.to_owned())),
        }
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

fn is_variable(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(allowed) && !name.starts_with(|each: char| each.is_ascii_digit())
}

// === Unique values ===

/// Finds the second use of what may be used once.
#[derive(Default)]
pub(super) struct Unique {
    first: HashMap<String, usize>,
}

impl Unique {
    /// Reports `value` on `field` when it was seen before; `what` names it, e.g. "name".
    pub(super) fn check(&mut self, field: &Field<'_>, what: &str, value: &str) {
        match self.first.get(value) {
            Some(line) => field.report(
                format!("the {what} `{value}` is used twice"),
                format!("give each its own; the first is on line {line}"),
            ),
            None => {
                self.first.insert(value.to_owned(), field.line);
            }
        }
    }
}
