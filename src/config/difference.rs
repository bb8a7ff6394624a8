//! What is different between two texts of a configuration, setting by setting, for the log. What stands for a
//! secret is never shown, only that it has changed.

use std::collections::BTreeMap;

use super::reader::join;
use super::tree::{Kind, Node};
use super::written::Written;

/// More differences than this are counted, not shown.
const MOST: usize = 50;
const LONGEST: usize = 100;

/// `servers[db2].weight: 1 -> 5`. Items of a list go by their names or addresses where they have any.
pub fn differences(old: &Written, new: &Written) -> Vec<String> {
    let (old, new) = (flat(old), flat(new));
    let mut all = Vec::new();
    for (path, value) in &new {
        match old.get(path) {
            None => all.push(format!("{path}: added{}", shown(path, value, " "))),
            Some(before) if before != value => {
                let (from, to) = (shown(path, before, ""), shown(path, value, ""));
                all.push(match from.is_empty() || to.is_empty() {
                    true => format!("{path}: changed"),
                    false => format!("{path}: {from} -> {to}"),
                });
            }
            Some(_) => {}
        }
    }
    let gone = old.iter().filter(|(path, _)| !new.contains_key(*path));
    all.extend(gone.map(|(path, value)| format!("{path}: removed{}", shown(path, value, " "))));
    let more = all.len().saturating_sub(MOST);
    all.truncate(MOST);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all
}

/// Every single value by its path; nothing of a text that is no YAML.
fn flat(written: &Written) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    if let Some(root) = &written.root {
        flatten(root, String::new(), &mut values);
    }
    values
}

fn flatten(node: &Node, path: String, values: &mut BTreeMap<String, String>) {
    match &node.kind {
        Kind::Empty => {
            values.insert(path, String::new());
        }
        Kind::Scalar(text) => {
            values.insert(path, text.to_string());
        }
        Kind::List(items) => {
            for (index, item) in items.iter().enumerate() {
                let mut place = format!("{path}[{}]", label(item).unwrap_or_else(|| index.to_string()));
                if values.contains_key(&place) {
                    place = format!("{path}[{index}]");
                }
                flatten(item, place, values);
            }
        }
        Kind::Map(entries) => {
            for entry in entries {
                flatten(&entry.value, join(&path, &entry.key), values);
            }
        }
    }
}

/// What people call an item.
fn label(item: &Node) -> Option<String> {
    let Kind::Map(entries) = &item.kind else {
        return None;
    };
    let text = |key: &str| {
        let entry = entries.iter().find(|entry| entry.key == key)?;
        match &entry.value.kind {
            Kind::Scalar(text) => Some(text.to_string()),
            _ => None,
        }
    };
    text("name").or_else(|| text("address"))
}

/// Nothing for what may be, or hold, a secret.
fn shown(path: &str, value: &str, before: &str) -> String {
    let key = path.rsplit('.').next().unwrap_or_default();
    let is_secret = ["password", "hash", "secret", "token"]
        .iter()
        .any(|word| key.contains(word));
    let is_plain = !value.is_empty()
        && value.len() <= LONGEST
        && !value.contains('@')
        && !value.contains(char::is_control);
    if is_secret || !is_plain {
        return String::new();
    }
    format!("{before}{value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_go_by_their_names_and_secrets_are_not_shown() {
        let old = "servers: [{name: a, address: x, weight: 1}, {name: b, address: y}]\n\
                   accounts: [{name: u, password: old-secret}]\nlimits: {per_user: 3}\n";
        let new = "servers: [{name: b, address: y, weight: 7}, {name: a, address: x, weight: 2}]\n\
                   accounts: [{name: u, password: new-secret}, {name: v, hash: '*AB'}]\n";
        let differences = |old: &str, new: &str| {
            let written = |text: &str| Written::parse(text.to_owned().into(), std::path::Path::new("t"));
            differences(&written(old), &written(new))
        };
        let all = differences(old, new);
        let expected = [
            "accounts[u].password: changed",
            "accounts[v].hash: added",
            "accounts[v].name: added v",
            "servers[a].weight: 1 -> 2",
            "servers[b].weight: added 7",
            "limits.per_user: removed 3",
        ];
        assert_eq!(all, expected);
        assert!(differences(old, old).is_empty());
        assert_eq!(
            differences("", &format!("a: [{}]", "x, ".repeat(200))).len(),
            MOST + 1
        );
    }
}
