//! mysql_query_rules. Those that only split reads from writes go: the proxy does that by itself, and better.

use serde_yaml::{Mapping, Value};

use super::super::document::Item;
use super::super::libconfig::Node;
use super::super::plan::{Plan, literal, mapping};
use super::groups::{Groups, Target};

/// What all rules are converted with.
struct Around<'a> {
    groups: &'a Groups,
    /// Ports and names.
    listeners: &'a [(u64, String)],
}

pub fn convert(root: &Node, groups: &Groups, listeners: &[(u64, String)], plan: &mut Plan) {
    let around = Around { groups, listeners };
    let mut rows: Vec<_> = root.items("mysql_query_rules").iter().collect();
    rows.sort_by_key(|row| row.number("rule_id").unwrap_or(u64::MAX));
    let (mut items, mut said) = (Vec::new(), Vec::new());
    let mut splits = false;
    for row in rows {
        let name = name(row);
        if row.number("active") == Some(0) {
            said.push(format!("{name} was not active, and is left out"));
            continue;
        }
        if around.only_splits(row) {
            splits = true;
            said.push(format!(
                "{name} is not needed: reads go to replicas, locking reads and writes to the primary"
            ));
            continue;
        }
        match around.rule(row, plan) {
            Ok(rule) => items.push(Item {
                comments: std::mem::take(&mut said),
                value: Value::Mapping(rule),
            }),
            Err(why) => {
                plan.warn(row.line, format!("{name} is left out: {why}"));
                said.push(format!("{name} is left out: {why}"));
            }
        }
    }
    if !splits {
        let line = root.get("mysql_query_rules").map_or(1, |rules| rules.line);
        plan.warn(
            line,
            "no rule sent reads to replicas: here they go there. `mode: primary` on a listener keeps them",
        );
    }
    if !items.is_empty() || !said.is_empty() {
        plan.list(
            "rules",
            "Statements that are treated otherwise; the first that matches decides.",
            items,
            said,
        );
    }
}

fn name(row: &Node) -> String {
    match row.number("rule_id") {
        Some(id) => format!("rule-{id}"),
        None => format!("rule-of-line-{}", row.line),
    }
}

/// A setting that says something.
fn given<'a>(row: &'a Node, key: &str) -> Option<&'a str> {
    row.text(key).filter(|text| !text.is_empty())
}

// === impl Around ===

impl Around<'_> {
    /// The two rules of every tutorial: SELECT ... FOR UPDATE to the writers, SELECT to the readers.
    fn only_splits(&self, row: &Node) -> bool {
        let known = [
            "rule_id",
            "active",
            "match_digest",
            "match_pattern",
            "destination_hostgroup",
            "apply",
            "comment",
            "re_modifiers",
        ];
        let says_more = row
            .settings()
            .iter()
            .any(|(key, _)| !known.contains(&key.to_ascii_lowercase().as_str()));
        let pattern = given(row, "match_digest").or(given(row, "match_pattern"));
        let (Some(pattern), Some(group), false) = (pattern, row.number("destination_hostgroup"), says_more)
        else {
            return false;
        };
        let plain: String = pattern.to_ascii_uppercase().split_whitespace().collect();
        let plain: String = plain
            .replace("\\S", "")
            .replace(['^', '$', '*', '.', '+', '(', ')'], "");
        match self.groups.target(group) {
            Target::Replica => matches!(plain.as_str(), "SELECT" | "SHOW"),
            Target::Primary => matches!(
                plain.as_str(),
                "SELECTFORUPDATE"
                    | "SELECTFORUPDATE|SELECTFORSHARE"
                    | "SELECTLOCKINSHAREMODE"
                    | "SELECTFORSHARE"
            ),
            _ => false,
        }
    }

    fn rule(&self, row: &Node, plan: &mut Plan) -> Result<Mapping, String> {
        if row.number("flagIN").unwrap_or(0) != 0 || row.number("flagOUT").unwrap_or(0) != 0 {
            return Err("chains of rules (flagIN, flagOUT) have no equal".to_owned());
        }
        if row.number("negate_match_pattern") == Some(1) {
            return Err("negate_match_pattern has no equal: turn the pattern round".to_owned());
        }
        let mut rule = mapping([("name", name(row).into())]);
        let matches = self.matches(row, plan)?;
        if !matches.is_empty() {
            rule.insert("match".into(), Value::Mapping(matches));
        }
        match given(row, "error_msg") {
            Some(message) => {
                rule.insert("block".into(), literal(message).into());
            }
            None => self.actions(&mut rule, row)?,
        }
        if row.number("apply").unwrap_or(0) == 0 {
            rule.insert("continue".into(), true.into());
        }
        for key in [
            "retries",
            "delay",
            "reconnect",
            "multiplex",
            "sticky_conn",
            "gtid_from_hostgroup",
            "log",
            "next_query_flagIN",
        ] {
            if given(row, key).is_some_and(|value| value != "0") {
                plan.warn(row.line, format!("{}: {key} is not carried over", name(row)));
            }
        }
        Ok(rule)
    }

    fn matches(&self, row: &Node, plan: &mut Plan) -> Result<Mapping, String> {
        let mut matches = Mapping::new();
        for (key, ours) in [("username", "user"), ("schemaname", "schema")] {
            if let Some(text) = given(row, key) {
                matches.insert(ours.into(), literal(text).into());
            }
        }
        if given(row, "digest").is_some() {
            return Err("`digest` is a number of ProxySQL's: give an example of the statement as `match: {digest: ..}`".to_owned());
        }
        if let Some(address) = given(row, "client_addr") {
            if address.contains('%') {
                return Err(
                    "client_addr with % has no equal: give a network as `match: {network: ..}`".to_owned(),
                );
            }
            matches.insert("network".into(), address.into());
        }
        if let Some(port) = row.number("proxy_port") {
            let listener = self.listeners.iter().find(|(each, _)| *each == port);
            let (_, listener) = listener.ok_or("no listener has its proxy_port")?;
            matches.insert("listener".into(), listener.as_str().into());
        }
        let (digest, pattern) = (given(row, "match_digest"), given(row, "match_pattern"));
        if digest.is_some() && pattern.is_some() {
            return Err("match_digest and match_pattern together have no equal".to_owned());
        }
        if let Some(text) = digest.or(pattern) {
            matches.insert("text".into(), self.pattern(row, text)?.into());
        }
        if digest.is_some_and(|text| text.contains('?')) {
            plan.warn(
                row.line,
                format!(
                    "{}: match_digest saw `?` for literals, `text` sees the literals",
                    name(row)
                ),
            );
        }
        Ok(matches)
    }

    /// The same expression, if it is one here.
    fn pattern(&self, row: &Node, text: &str) -> Result<String, String> {
        let is_exact = row
            .text("re_modifiers")
            .is_some_and(|words| !words.to_ascii_uppercase().contains("CASELESS"));
        let text = if is_exact {
            format!("(?-i){text}")
        } else {
            text.to_owned()
        };
        match regex::Regex::new(&text) {
            Ok(_) => Ok(text),
            Err(_) => Err("its regular expression is none here: there is no look-around".to_owned()),
        }
    }

    fn actions(&self, rule: &mut Mapping, row: &Node) -> Result<(), String> {
        if given(row, "OK_msg").is_some() {
            return Err("OK_msg has no equal".to_owned());
        }
        if let Some(group) = row.number("destination_hostgroup") {
            let target = match self.groups.target(group) {
                Target::Primary => "primary".into(),
                Target::Replica => "replica".into(),
                Target::Servers(names) => Value::Mapping(mapping([("servers", names.into())])),
                Target::Nobody => return Err(format!("hostgroup {group} has no server")),
            };
            rule.insert("target".into(), target);
        }
        let time = |key: &str, ours: &str| {
            let value = row.number(key).filter(|value| *value > 0)?;
            Some((ours.to_owned(), format!("{}ms", value.min(86_400_000))))
        };
        if let Some((key, ttl)) = time("cache_ttl", "cache") {
            rule.insert(key.into(), Value::Mapping(mapping([("ttl", ttl.into())])));
        }
        if let Some((key, timeout)) = time("timeout", "timeout") {
            rule.insert(key.into(), timeout.into());
        }
        if let Some(with) = row.text("replace_pattern") {
            let pattern = given(row, "match_pattern").or(given(row, "match_digest"));
            let pattern = self.pattern(row, pattern.ok_or("replace_pattern without match_pattern")?)?;
            let rewrite = mapping([("pattern", pattern.into()), ("with", replacement(with).into())]);
            rule.insert("rewrite".into(), Value::Mapping(rewrite));
        }
        if let Some(group) = row.number("mirror_hostgroup") {
            let Target::Servers(names) = self.groups.target(group) else {
                return Err("mirror_hostgroup has no servers of its own".to_owned());
            };
            let mirror = mapping([("server", names[0].as_str().into()), ("share", "100%".into())]);
            rule.insert("mirror".into(), Value::Mapping(mirror));
        }
        Ok(())
    }
}

/// `\1` as `${1}`.
fn replacement(text: &str) -> String {
    let mut ours = String::new();
    let mut rest = text.chars();
    while let Some(each) = rest.next() {
        match each {
            '$' => ours.push_str("$$"),
            '\\' => match rest.next() {
                Some(digit) if digit.is_ascii_digit() => ours.push_str(&format!("${{{digit}}}")),
                Some(other) => ours.push(other),
                None => {}
            },
            other => ours.push(other),
        }
    }
    ours
}
