//! Settings out of a tree: every read says what is allowed, and every mistake is kept instead of ending the read.
//!
//! A section knows its settings by being asked for them, so that an unknown key is simply one that nobody asked
//! for. No message repeats a value that may be secret: only what stands in the file is quoted, never what an
//! environment variable or a file held, and nothing of a password at all.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;

use super::problem::{Problem, Problems};
use super::shape::{Shape, Shapes};
use super::sources::Sources;
use super::tree::{Entry, Kind, Node};
use crate::util::suggest::nearest;

/// What one reading of a file shares: its place, the environment, and what was found wrong.
pub(super) struct Context<'a> {
    pub(super) sources: &'a Sources,
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    problems: RefCell<Vec<Problem>>,
    unknown: RefCell<Vec<Unknown>>,
    /// Every setting that was asked for, list positions left out: `servers[].weight`.
    known: RefCell<BTreeSet<String>>,
    /// The forms in which values were asked for.
    shapes: RefCell<Shapes>,
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
    pub(super) node: Option<&'a Node>,
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
    pub(super) fn new(sources: &'a Sources, environment: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            sources,
            environment,
            problems: RefCell::default(),
            unknown: RefCell::default(),
            known: RefCell::default(),
            shapes: RefCell::default(),
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
            file: self.sources.path(line).to_owned(),
            line,
            key: key.to_owned(),
            message: message.to_string(),
            help: help.to_string(),
        });
    }

    /// Every setting that exists, as far as the file led to it.
    pub(super) fn known(&self) -> BTreeSet<String> {
        self.known.borrow().clone()
    }

    /// Every form of every setting, as far as the file led to it.
    pub(super) fn shapes(&self) -> Shapes {
        self.shapes.take()
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
        for problem in &mut problems {
            problem.line = self.sources.place(problem.line).1;
        }
        (!problems.is_empty()).then_some(Problems(problems))
    }

    /// The nearest sibling, else where a setting of this name stands, else all the siblings.
    fn suggest(&self, unknown: &Unknown) -> String {
        if let Some(sibling) = nearest(&unknown.key, unknown.siblings.iter().map(String::as_str)) {
            return format!("did you mean `{sibling}`?");
        }
        let known = self.known.borrow();
        let last = |path: &'_ str| path.rsplit('.').next().unwrap_or_default().to_owned();
        let place = match unknown.section.as_str() {
            "" => "the top level",
            section => section,
        };
        if known.contains(&unknown.key) {
            let key = &unknown.key;
            return format!("`{key}` stands at the top level of the file, not under `{place}`");
        }
        if unknown.section == "accounts" {
            return "write `accounts: backend`, or a list: `accounts: [{name: app, password: ..}]`"
                .to_owned();
        }
        if let Some(path) = known.iter().find(|path| last(path) == unknown.key) {
            return match unknown.section.is_empty() {
                true => format!("did you mean `{path}`?"),
                false => format!("`{path}` is a setting; `{place}` has none of its own"),
            };
        }
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

    /// Notes a form that this value may have, given or not.
    pub(super) fn note(&self, shape: Shape) {
        let mut path = without_positions(&self.path);
        let mut shapes = self.context.shapes.borrow_mut();
        if let Some((section, _)) = path.rsplit_once('.')
            && shapes
                .get(section)
                .is_some_and(|all| all.contains(&Shape::OwnKeys))
        {
            path = join(section, "*");
        }
        let all = shapes.entry(path).or_default();
        if !all.contains(&shape) {
            all.push(shape);
        }
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

    pub(super) fn is_map(&self) -> bool {
        matches!(
            self.node,
            Some(Node {
                kind: Kind::Map(_),
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
        self.note(Shape::List);
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

    /// An item of a list that has none: its settings exist, and nothing is given.
    pub(super) fn absent_item(&self) -> Field<'a> {
        Field {
            path: format!("{}[0]", self.path),
            node: None,
            ..self.clone()
        }
    }

    /// The entries of a section whose keys are the user's own.
    pub(super) fn entries(&self) -> Vec<(&'a str, Field<'a>)> {
        self.note(Shape::OwnKeys);
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
                format!(
                    "give each its own; the first is on {}",
                    field.context.sources.tell(*line, field.line)
                ),
            ),
            None => {
                self.first.insert(value.to_owned(), field.line);
            }
        }
    }
}
