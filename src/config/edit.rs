//! Values of servers written back into the text that they were read from. Only those values change: every other byte
//! stays as it is, comments, order and quotes with it. What an edit has done is read again and compared before
//! anybody gets it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::reader::join;
use super::tree::{self, Kind, Node};
use super::written::Written;

/// A setting of one server that the file is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where the configuration lists the server ([`super::Server::rank`]).
    pub rank: usize,
    pub key: &'static str,
    /// A word or a number: it needs no quotes.
    pub value: String,
}

/// What becomes of the files.
#[derive(Default)]
pub struct Edited {
    /// Those that are different now, with their new texts.
    pub texts: HashMap<PathBuf, Zeroizing<String>>,
    /// Settings that stay as they are written, and why.
    pub left: Vec<String>,
}

/// A piece of a text that another one takes the place of; in characters.
#[derive(Debug)]
struct Edit {
    from: usize,
    to: usize,
    text: String,
}

/// The edits of one file, and what they are to come to: keys with their values.
#[derive(Default)]
struct Changes {
    edits: Vec<Edit>,
    meant: Vec<(String, String)>,
}

// === impl Written ===

impl Written {
    pub fn with(&self, wanted: &[Wanted]) -> Result<Edited, String> {
        let mut edited = Edited::default();
        let mut files: BTreeMap<usize, Changes> = BTreeMap::new();
        let servers = self.root.as_ref().and_then(|root| root.get("servers"));
        let items: Vec<&Node> = match servers.map(|servers| &servers.kind) {
            Some(Kind::List(items)) => items.iter().collect(),
            _ => servers.into_iter().collect(),
        };
        for (rank, item) in items.into_iter().enumerate() {
            let wanted: Vec<_> = wanted.iter().filter(|wanted| wanted.rank == rank).collect();
            if wanted.is_empty() {
                continue;
            }
            let (place, line) = self.sources.place(item.line);
            let Some(file) = self.files.get(place) else {
                continue;
            };
            let text: Vec<char> = file.text.chars().collect();
            let changes = files.entry(place).or_default();
            if let Err(why) = changes.set(&text, item, &wanted) {
                let keys: Vec<_> = wanted.iter().map(|wanted| wanted.key).collect();
                let (path, keys) = (file.path.display(), keys.join(", "));
                edited
                    .left
                    .push(format!("{path}:{line}: servers[{rank}].{keys}: {why}"));
            }
        }
        for (place, changes) in files {
            let Some(file) = self.files.get(place).filter(|_| !changes.edits.is_empty()) else {
                continue;
            };
            let text = changes.apply(&file.text, &file.path)?;
            edited.texts.insert(file.path.clone(), text);
        }
        Ok(edited)
    }
}

// === impl Changes ===

impl Changes {
    /// All that is wanted of one server, or nothing of it.
    fn set(&mut self, text: &[char], item: &Node, wanted: &[&Wanted]) -> Result<(), String> {
        let span = item.span.ok_or("it is written elsewhere in the file (`*`)")?;
        let mut meant: Vec<_> = wanted
            .iter()
            .map(|wanted| (wanted.key.to_owned(), wanted.value.clone()))
            .collect();
        let edits = match &item.kind {
            Kind::Scalar(address) => {
                meant.push(("address".to_owned(), address.to_string()));
                let written: String = text.get(span.0..span.1).unwrap_or_default().iter().collect();
                let more = listed(wanted);
                vec![Edit {
                    from: span.0,
                    to: span.1,
                    text: format!("{{address: {written}, {more}}}"),
                }]
            }
            _ => in_section(text, item, span.0, wanted)?,
        };
        self.edits.extend(edits);
        self.meant.extend(meant);
        Ok(())
    }

    fn apply(mut self, text: &str, path: &Path) -> Result<Zeroizing<String>, String> {
        self.edits.sort_by_key(|edit| std::cmp::Reverse(edit.from));
        let starts: Vec<usize> = text
            .char_indices()
            .map(|(at, _)| at)
            .chain([text.len()])
            .collect();
        let mut new = Zeroizing::new(text.to_owned());
        for edit in &self.edits {
            let place = starts.get(edit.from).zip(starts.get(edit.to));
            let (from, to) = place.ok_or_else(|| format!("{}: a value is not found", path.display()))?;
            new.replace_range(*from..*to, &edit.text);
        }
        if self.is_meant(text, &new) {
            Ok(new)
        } else {
            Err(format!(
                "{}: the servers are written in a way that cannot be changed safely; write one setting a line",
                path.display()
            ))
        }
    }

    /// Whether the new text says what it was to say, and everything else as before.
    fn is_meant(&self, old: &str, new: &str) -> bool {
        let (old, new) = (values(old), values(new));
        let changed = new.iter().filter(|(path, value)| old.get(*path) != Some(value));
        let mut changed: Vec<(String, String)> = changed
            .map(|(path, value)| {
                let key = path.rsplit('.').next().unwrap_or_default();
                (key.to_owned(), value.clone())
            })
            .collect();
        let mut meant = self.meant.clone();
        changed.sort();
        meant.sort();
        let gone = old.keys().filter(|path| !new.contains_key(*path)).count();
        let addresses = meant.iter().filter(|(key, _)| key == "address").count();
        changed == meant && gone == addresses
    }
}

/// `weight: 5, state: drain`
fn listed(wanted: &[&Wanted]) -> String {
    let each = wanted
        .iter()
        .map(|wanted| format!("{}: {}", wanted.key, wanted.value));
    each.collect::<Vec<_>>().join(", ")
}

fn in_section(text: &[char], item: &Node, start: usize, wanted: &[&Wanted]) -> Result<Vec<Edit>, String> {
    let (given, new): (Vec<&Wanted>, Vec<&Wanted>) =
        wanted.iter().partition(|wanted| item.get(wanted.key).is_some());
    let mut edits = Vec::new();
    for wanted in given {
        edits.extend(
            item.get(wanted.key)
                .map(|node| replace(text, node, wanted))
                .transpose()?,
        );
    }
    if new.is_empty() {
        return Ok(edits);
    }
    let Kind::Map(entries) = &item.kind else {
        return Err("it is no section".to_owned());
    };
    if text.get(start) == Some(&'{') {
        let ends = entries
            .iter()
            .filter_map(|entry| entry.value.span.map(|(_, end)| end));
        let end = ends.max().ok_or("it is empty")?;
        let text = format!(", {}", listed(&new));
        edits.push(Edit {
            from: end,
            to: end,
            text,
        });
        return Ok(edits);
    }
    // Below the first value that is on one line with its key, in line with that key.
    let is_plain =
        |entry: &&tree::Entry| matches!(entry.value.kind, Kind::Scalar(_)) && entry.value.line == entry.line;
    let before = entries.iter().find(is_plain).and_then(|entry| entry.value.span);
    let (_, value) = before.ok_or("none of its settings is written on a line")?;
    let is_end = |at: &usize| text.get(*at).is_none_or(|each| matches!(each, '\n' | '\r'));
    let end = (value..=text.len()).find(is_end).unwrap_or(text.len());
    let indent = text[..start]
        .iter()
        .rev()
        .take_while(|each| **each != '\n')
        .count();
    let line_end = if text.contains(&'\r') { "\r\n" } else { "\n" };
    let lines = new.iter().map(|wanted| {
        let (key, value, indent) = (wanted.key, &wanted.value, " ".repeat(indent));
        format!("{line_end}{indent}{key}: {value}")
    });
    edits.push(Edit {
        from: end,
        to: end,
        text: lines.collect(),
    });
    Ok(edits)
}

fn replace(text: &[char], node: &Node, wanted: &Wanted) -> Result<Edit, String> {
    let (Kind::Scalar(value), Some((from, to))) = (&node.kind, node.span) else {
        return Err("it is no single value".to_owned());
    };
    if value.contains("${") {
        return Err(format!("it comes from the environment (`{}`)", value.as_str()));
    }
    let new = &wanted.value;
    let quote = text.get(from).filter(|each| matches!(each, '"' | '\''));
    let text = quote.map_or_else(|| new.clone(), |quote| format!("{quote}{new}{quote}"));
    Ok(Edit { from, to, text })
}

/// Every single value by its path.
fn values(text: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    if let (Some(root), _) = tree::parse_after(text, 0) {
        gather(&root, String::new(), &mut values);
    }
    values
}

fn gather(node: &Node, path: String, values: &mut BTreeMap<String, String>) {
    match &node.kind {
        Kind::Empty => drop(values.insert(path, String::new())),
        Kind::Scalar(text) => drop(values.insert(path, text.to_string())),
        Kind::List(items) => {
            for (index, item) in items.iter().enumerate() {
                gather(item, format!("{path}[{index}]"), values);
            }
        }
        Kind::Map(entries) => {
            for entry in entries {
                gather(&entry.value, join(&path, &entry.key), values);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wanted(rank: usize, key: &'static str, value: &str) -> Wanted {
        let value = value.to_owned();
        Wanted { rank, key, value }
    }

    fn edit(text: &str, wanted: &[Wanted]) -> (String, Vec<String>) {
        let path = Path::new("t.yaml");
        let edited = Written::parse(text.to_owned().into(), path).with(wanted).unwrap();
        let new = edited.texts.get(path).map_or(text, |new| new.as_str());
        (new.to_owned(), edited.left)
    }

    #[test]
    fn every_form_of_a_server_keeps_its_form() {
        let set = [wanted(0, "weight", "7"), wanted(0, "state", "drain")];
        for (text, expected) in [
            (
                "servers: [a, b]",
                "servers: [{address: a, weight: 7, state: drain}, b]",
            ),
            (
                "servers: a # x",
                "servers: {address: a, weight: 7, state: drain} # x",
            ),
            (
                "servers:\n- '[::1]:3306'  # x\n",
                "servers:\n- {address: '[::1]:3306', weight: 7, state: drain}  # x\n",
            ),
            (
                "servers:\n  - {address: a, weight: \"1\" }  # é\n",
                "servers:\n  - {address: a, weight: \"7\", state: drain }  # é\n",
            ),
            (
                "# ä\nservers:\n  - name: x   # n\n    address: a\n    weight:   1 # w\n  - b\n",
                "# ä\nservers:\n  - name: x   # n\n    state: drain\n    address: a\n    weight:   7 # w\n  - b\n",
            ),
            (
                "servers:\r\n  - tls:\r\n      mode: off\r\n    address: a\r\n  - b",
                "servers:\r\n  - tls:\r\n      mode: off\r\n    address: a\r\n    weight: 7\r\n    state: drain\r\n  - b",
            ),
            (
                "servers:\n  - address: a",
                "servers:\n  - address: a\n    weight: 7\n    state: drain",
            ),
        ] {
            assert_eq!(edit(text, &set), (expected.to_owned(), Vec::new()), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let text = "x: &x {address: a, weight: 1}\nservers: [*x, {address: b, weight: '${W:-3}'}]";
        let (new, left) = edit(text, &[wanted(0, "weight", "7"), wanted(1, "weight", "9")]);
        assert_eq!(new, text);
        assert!(
            left[0].contains("t.yaml:2: servers[0].weight: it is written elsewhere"),
            "{left:?}"
        );
        assert!(
            left[1].contains("comes from the environment (`${W:-3}`)"),
            "{left:?}"
        );
    }

    proptest! {
        #[test]
        fn an_edit_of_a_value_changes_no_other_byte(
            comments in proptest::collection::vec("[ #a-zé:{}'\"-]{0,12}", 6),
            weights in proptest::collection::vec(0..1000_u32, 3),
            crlf in any::<bool>(), quotes in 0..3_usize, gap in 1..4_usize,
        ) {
            let quote = ["", "'", "\""][quotes];
            let mut text = String::new();
            for (index, weight) in weights.iter().enumerate() {
                let (before, after) = (&comments[index * 2], &comments[index * 2 + 1]);
                let gap = " ".repeat(gap);
                text += &format!("  # {before}\n  - address: s{index} # {after}\n    weight:{gap}{quote}{weight}{quote} #{after}\n");
            }
            let mut text = format!("# ü\nservers:\n{text}workers: 1\n");
            if crlf {
                text = text.replace('\n', "\r\n");
            }
            let (new, left) = edit(&text, &[wanted(1, "weight", "54321")]);
            prop_assert!(left.is_empty());
            let at = text.match_indices("weight:").nth(1).unwrap().0;
            let value = format!("{quote}{}{quote}", weights[1]);
            let rest = text[at..].replacen(&value, &format!("{quote}54321{quote}"), 1);
            prop_assert_eq!(new, format!("{}{rest}", &text[..at]));
        }
    }
}
