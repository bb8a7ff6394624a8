//! Rules that can never have their turn: an earlier one takes every statement, or nobody could ever match.
//!
//! Only what is certain is told. Several earlier rules that together cover a later one are not found, nor are two
//! expressions that mean the same but are written differently.

use super::super::{Accounts, Address, Listener};
use super::matcher::TablePattern;
use super::{Rule, RuleMatch};

/// For each rule that never matches: its place, and why.
pub(in super::super) fn unreachable(
    rules: &[Rule],
    listeners: &[Listener],
    accounts: &Accounts,
) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        let covers =
            |earlier: &&Rule| !earlier.continues && covers(&earlier.matches, &rule.matches, listeners);
        if let Some(why) = contradiction(&rule.matches, listeners, accounts) {
            found.push((place, why));
        } else if let Some(earlier) = rules[..place].iter().find(covers) {
            let (name, line) = (&earlier.name, earlier.line);
            let of = match earlier.file == rule.file {
                true => String::new(),
                false => format!(" of {}", earlier.file.display()),
            };
            let why = format!("`{name}` (line {line}{of}) takes all its statements before it");
            found.push((place, why));
        }
    }
    found
}

/// Why no statement at all can match.
fn contradiction(matches: &RuleMatch, listeners: &[Listener], accounts: &Accounts) -> Option<String> {
    let is_known = |user: &String| accounts.listed.iter().any(|account| account.name == *user);
    if !accounts.backend && !matches.users.is_empty() && !matches.users.iter().any(is_known) {
        return Some("no account has such a name".to_owned());
    }
    let is_tcp = |listener: &&Listener| matches!(listener.address, Address::Tcp { .. });
    let is_meant =
        |listener: &&Listener| matches.listeners.is_empty() || matches.listeners.contains(&listener.name);
    if !matches.networks.is_empty() && !listeners.iter().filter(is_meant).any(|each| is_tcp(&each)) {
        return Some("a client of a Unix socket has no network".to_owned());
    }
    None
}

/// Whether every statement that matches `later` matches `earlier`.
fn covers(earlier: &RuleMatch, later: &RuleMatch, listeners: &[Listener]) -> bool {
    let same_letters = |mine: &String, theirs: &String| mine.eq_ignore_ascii_case(theirs);
    let every_listener = listeners
        .iter()
        .all(|listener| earlier.listeners.contains(&listener.name));
    contains(&earlier.users, &later.users, PartialEq::eq)
        && contains(&earlier.schemas, &later.schemas, same_letters)
        && contains(&earlier.digests, &later.digests, PartialEq::eq)
        && (earlier.text.is_none() || earlier.text == later.text)
        && contains(&earlier.tables, &later.tables, is_wider)
        && contains(&earlier.verbs, &later.verbs, PartialEq::eq)
        && contains(&earlier.networks, &later.networks, |mine, theirs| {
            mine.covers(theirs)
        })
        && (every_listener || contains(&earlier.listeners, &later.listeners, PartialEq::eq))
}

/// Each of the later list lies in one of the earlier; an empty list is everything.
fn contains<T>(earlier: &[T], later: &[T], is_within: impl Fn(&T, &T) -> bool) -> bool {
    let covered = |theirs: &T| earlier.iter().any(|mine| is_within(mine, theirs));
    earlier.is_empty() || !later.is_empty() && later.iter().all(covered)
}

fn is_wider(mine: &TablePattern, theirs: &TablePattern) -> bool {
    let wider = |mine: &Option<String>, theirs: &Option<String>| match (mine, theirs) {
        (None, _) => true,
        (Some(mine), Some(theirs)) => mine.eq_ignore_ascii_case(theirs),
        (Some(_), None) => false,
    };
    wider(&mine.schema, &theirs.schema) && wider(&mine.table, &theirs.table)
}
