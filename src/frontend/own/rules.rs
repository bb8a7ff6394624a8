//! What rules want with a statement, in rows for people: one for each rule that has something to say.

use super::explain::show_level;
use super::story::Story;
use crate::config::RuleTarget;
use crate::routing::rules::{Actions, RuleSet};
use crate::session::preferences::show_duration;
use crate::topology::Snapshot;

/// Rules by their names, in the order in which they are first met, with what each gives.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told(Vec<(String, Vec<String>)>);

// === impl Told ===

impl Told {
    pub fn of(rules: &RuleSet, actions: &Actions, snapshot: &Snapshot) -> Self {
        let mut told = Self::default();
        if let Some(said) = rules.block(actions) {
            told.note(said.rule, format!("refuses it: {}", said.value));
        }
        if let Some(said) = rules.throttled(actions) {
            told.note(said.rule, "limits its rate".to_owned());
        }
        if let Some(said) = rules.rewrite(actions) {
            told.note(said.rule, "changes its text".to_owned());
        }
        if let Some(said) = rules.target(actions) {
            told.note(said.rule, format!("target {}", target(said.value, snapshot)));
        }
        if let Some(said) = rules.consistency(actions) {
            told.note(said.rule, format!("consistency {}", show_level(*said.value)));
        }
        if let Some(said) = rules.max_lag(actions) {
            told.note(said.rule, format!("max_lag {}", show_duration(*said.value)));
        }
        if let Some(said) = rules.timeout(actions) {
            told.note(said.rule, format!("timeout {}", show_duration(*said.value)));
        }
        if let Some(said) = rules.mirror(actions) {
            told.note(said.rule, "mirrors it".to_owned());
        }
        if let Some(said) = rules.cache(actions) {
            told.note(said.rule, "keeps its result".to_owned());
        }
        if let Some(rule) = rules.last(actions) {
            told.note(rule, "no later rule is asked".to_owned());
        }
        told
    }

    fn note(&mut self, rule: &str, what: String) {
        match self.0.iter_mut().find(|(name, _)| name == rule) {
            Some((_, all)) => all.push(what),
            None => self.0.push((rule.to_owned(), vec![what])),
        }
    }

    pub fn tell(&self, story: &mut Story) {
        for (name, what) in &self.0 {
            story.explain("rule", name.as_str(), what.join("; "));
        }
    }
}

fn target(target: &RuleTarget, snapshot: &Snapshot) -> String {
    match target {
        RuleTarget::Primary => "primary".to_owned(),
        RuleTarget::Replica => "replica".to_owned(),
        RuleTarget::Servers(places) => {
            let servers = places.iter().filter_map(|place| snapshot.servers.get(*place));
            let names: Vec<_> = servers.map(|server| &*server.name).collect();
            names.join(" or ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::servers::tests::{server, snapshot};
    use super::*;
    use crate::config::{Rule, RuleActions, RuleMatch};
    use crate::routing::rules::{Client, Subject};
    use crate::sql::{Dialect, analyse};
    use crate::topology::Role;
    use std::time::Duration;

    fn rule(name: &str, continues: bool, actions: RuleActions) -> Rule {
        Rule {
            name: name.to_owned(),
            file: std::path::PathBuf::new(),
            line: 1,
            matches: RuleMatch::default(),
            actions,
            continues,
        }
    }

    #[test]
    fn every_rule_is_told_once_with_all_that_it_gives() {
        let first = RuleActions {
            timeout: Some(Duration::from_secs(2)),
            ..RuleActions::default()
        };
        let second = RuleActions {
            target: Some(RuleTarget::Servers([1].into())),
            timeout: Some(Duration::from_secs(9)),
            ..RuleActions::default()
        };
        let rules = [rule("slow", true, first), rule("reports", false, second)];
        let rules = RuleSet::compile(&rules);
        let facts = analyse(b"SELECT 1", Dialect::default());
        let client = Client {
            user: b"app",
            listener: "main",
            address: None,
        };
        let subject = Subject {
            client,
            schema: None,
            facts: &facts,
            text: b"SELECT 1",
        };
        let servers = snapshot(vec![server("db1", Role::Primary), server("db2", Role::Replica)]);
        let told = Told::of(&rules, &rules.matching(&subject), &servers);
        let expected = [
            ("reports", vec!["target db2", "no later rule is asked"]),
            ("slow", vec!["timeout 2000ms"]),
        ];
        let expected = expected.map(|(name, what)| {
            let what = what.into_iter().map(str::to_owned).collect();
            (name.to_owned(), what)
        });
        assert_eq!(told, Told(expected.into()));
        assert_eq!(Told::of(&rules, &Actions::default(), &servers), Told::default());
    }
}
