//! YAML text as a tree that remembers the line of every key and value.
//!
//! A deserializer stops at the first mistake and forgets lines; to report all of them, the tree is kept. Scalars
//! stay text: what `off` or `007` means is for the setting to say. They may be passwords, so they are wiped.

use saphyr_parser::{Event, Parser, Span};
use zeroize::Zeroizing;

/// No setting lies deeper.
const DEEPEST: usize = 32;
/// Bounds the whole tree, and what aliases may copy into it.
const MOST_NODES: usize = 100_000;

/// A value and where it starts.
#[derive(Clone)]
pub(super) struct Node {
    pub line: usize,
    /// From its first character to the one after its last, counted in its file; none for what an alias stands for.
    pub span: Option<(usize, usize)>,
    pub kind: Kind,
}

#[derive(Clone)]
pub(super) enum Kind {
    /// Nothing, `~` or `null`.
    Empty,
    Scalar(Zeroizing<String>),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value; no two entries of a map have the same key.
#[derive(Clone)]
pub(super) struct Entry {
    pub key: String,
    pub line: usize,
    pub value: Node,
}

/// A mistake in the YAML itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub line: usize,
    pub key: String,
    pub message: String,
    pub help: String,
}

/// Reads one document. With a tree, the faults are those that did not keep it from being built.
#[cfg(test)]
pub(super) fn parse(text: &str) -> (Option<Node>, Vec<Fault>) {
    parse_after(text, 0)
}

/// The same for a file that others were read before: their lines are counted, too.
pub(super) fn parse_after(text: &str, before: usize) -> (Option<Node>, Vec<Fault>) {
    let mut builder = Builder {
        before,
        ..Builder::default()
    };
    for event in Parser::new_from_str(text) {
        let step = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => Err(Fault {
                line: before + error.marker().line(),
                key: String::new(),
                message: format!("this is not YAML: {}", error.info()),
                help: "look at the indentation and the quotes of this line and the one before".to_owned(),
            }),
        };
        if let Err(fault) = step {
            builder.faults.push(fault);
            return (None, builder.faults);
        }
    }
    let root = builder.root.unwrap_or(Node {
        line: before + 1,
        span: None,
        kind: Kind::Empty,
    });
    (Some(root), builder.faults)
}

// === impl Node ===

impl Node {
    /// It stands elsewhere in the file: here, nothing of it can be changed.
    fn forget_places(&mut self) {
        self.span = None;
        match &mut self.kind {
            Kind::List(items) => items.iter_mut().for_each(Self::forget_places),
            Kind::Map(entries) => entries.iter_mut().for_each(|entry| entry.value.forget_places()),
            Kind::Empty | Kind::Scalar(_) => {}
        }
    }

    /// The value under a key; `None` too where there are no keys.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Kind::Map(entries) = &self.kind else {
            return None;
        };
        let entry = entries.iter().find(|entry| entry.key == key)?;
        Some(&entry.value)
    }
}

// === impl Builder ===

#[derive(Default)]
struct Builder {
    /// Lines of other files.
    before: usize,
    open: Vec<Open>,
    root: Option<Node>,
    anchors: Vec<(usize, Node)>,
    nodes: usize,
    faults: Vec<Fault>,
}

/// A list or map whose end has not come yet.
struct Open {
    anchor: usize,
    line: usize,
    start: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<Key> },
}

/// A key whose value has not come yet.
struct Key {
    text: String,
    line: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let line = self.before + span.start.line();
        let (start, end) = (span.start.index(), span.end.index());
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let is_plain = style == saphyr_parser::ScalarStyle::Plain;
                let kind = match text.as_ref() {
                    "" | "~" | "null" if is_plain => Kind::Empty,
                    text => Kind::Scalar(Zeroizing::new(text.to_owned())),
                };
                let span = Some((start, end));
                self.value(Node { line, span, kind }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.open(anchor, (line, start), OpenKind::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.open(
                anchor,
                (line, start),
                OpenKind::Map {
                    entries: Vec::new(),
                    key: None,
                },
            ),
            Event::SequenceEnd | Event::MappingEnd => self.close(end),
            Event::Alias(anchor) => match self.anchors.iter().rev().find(|(id, _)| *id == anchor) {
                Some((_, node)) => {
                    let mut node = node.clone();
                    node.forget_places();
                    node.line = line;
                    self.value(node, 0)
                }
                None => Err(fault(
                    line,
                    "an alias cannot stand inside what it names",
                    "write the value out",
                )),
            },
            Event::DocumentStart(_) if self.root.is_some() => Err(fault(
                line,
                "there is a second document",
                "keep one document: remove the `---`",
            )),
            _ => Ok(()),
        }
    }

    fn open(&mut self, anchor: usize, (line, start): (usize, usize), kind: OpenKind) -> Result<(), Fault> {
        if self.open.len() >= DEEPEST {
            return Err(fault(line, "too many levels", "no setting lies this deep"));
        }
        self.open.push(Open {
            anchor,
            line,
            start,
            kind,
        });
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), Fault> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let kind = match open.kind {
            OpenKind::List(items) => Kind::List(items),
            OpenKind::Map { entries, .. } => Kind::Map(entries),
        };
        self.value(
            Node {
                line: open.line,
                span: Some((open.start, end)),
                kind,
            },
            open.anchor,
        )
    }

    fn value(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        self.nodes += count(&node);
        if self.nodes > MOST_NODES {
            return Err(fault(node.line, "the file is too large", "use fewer aliases"));
        }
        if anchor != 0 {
            self.anchors.push((anchor, node.clone()));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.kind {
            OpenKind::List(items) => items.push(node),
            OpenKind::Map { entries, key } => match key.take() {
                None => *key = Some(as_key(node)?),
                Some(key) => match entries.iter().find(|entry| entry.key == key.text) {
                    None => entries.push(Entry {
                        key: key.text,
                        line: key.line,
                        value: node,
                    }),
                    Some(first) => {
                        let first = first.line;
                        self.duplicate(key, first);
                    }
                },
            },
        }
        Ok(())
    }

    fn duplicate(&mut self, key: Key, first: usize) {
        let mut path = String::new();
        for open in &self.open[..self.open.len().saturating_sub(1)] {
            match &open.kind {
                OpenKind::List(items) => path.push_str(&format!("[{}]", items.len())),
                OpenKind::Map { key, .. } => {
                    path = super::reader::join(&path, key.as_ref().map_or("", |key| &key.text))
                }
            }
        }
        self.faults.push(Fault {
            line: key.line,
            key: super::reader::join(&path, &key.text),
            message: format!("`{}` is given twice", key.text),
            help: format!("keep one; the first is on line {}", first - self.before),
        });
    }
}

fn as_key(node: Node) -> Result<Key, Fault> {
    match node.kind {
        Kind::Scalar(text) => Ok(Key {
            text: (*text).clone(),
            line: node.line,
        }),
        _ => Err(fault(node.line, "a key must be a word", "write `key: value`")),
    }
}

/// Nodes of a subtree, counted no further than the bound.
fn count(node: &Node) -> usize {
    match &node.kind {
        Kind::Empty | Kind::Scalar(_) => 1,
        Kind::List(items) => items
            .iter()
            .fold(1, |sum, item| (sum + count(item)).min(MOST_NODES + 1)),
        Kind::Map(entries) => entries
            .iter()
            .fold(1, |sum, entry| (sum + count(&entry.value)).min(MOST_NODES + 1)),
    }
}

fn fault(line: usize, message: &str, help: &str) -> Fault {
    Fault {
        line,
        key: String::new(),
        message: message.to_owned(),
        help: help.to_owned(),
    }
}
