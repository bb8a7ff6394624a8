//! EXPLAIN ROUTE: the decision on one statement, with all that led to it, in rows for people.

use super::rules::Told;
use super::servers::{Busy, line, problem};
use super::story::{Story, text};
use crate::config::ConsistencyLevel;
use crate::routing::{Explanation, Obstacle, Place};
use crate::session::preferences::{level_name, show_duration, show_target};
use crate::sql::{Facts, Hint};
use crate::topology::Snapshot;
use crate::wire::result::ResultSet;

/// All that is shown.
pub struct Explained<'a> {
    pub facts: &'a Facts,
    pub explanation: &'a Explanation,
    pub snapshot: &'a Snapshot,
    /// By the servers' index, like all numbers of servers here.
    pub busy: &'a [Busy],
    /// Where statements run that go to the session's own connection.
    pub home: usize,
    /// Where the last statement ran, if its connection is at hand.
    pub last: Option<usize>,
    pub level: ConsistencyLevel,
    /// The statement's shape, without its literals.
    pub digest: Vec<u8>,
    /// What rules want with it.
    pub rules: Told,
    /// Why it goes where it goes.
    pub why: String,
    /// A rule forbids it: no server gets to see it.
    pub refused: bool,
}

// === impl Explained ===

impl Explained<'_> {
    pub fn show(&self) -> ResultSet {
        let mut story = Story::new();
        self.tell_statement(&mut story);
        self.tell_decision(&mut story);
        self.tell_servers(&mut story);
        story.0
    }

    fn tell_statement(&self, story: &mut Story) {
        let facts = self.facts;
        story.explain("class", facts.class.text(), facts.reason.text());
        let flags: Vec<_> = facts.features.flags.names().collect();
        story.tell_or("features", joined(flags), "none");
        let tables = facts.tables.as_deref();
        let tables = tables.map(|tables| joined(tables).unwrap_or_else(|| "none".to_owned()));
        story.tell_or("tables", tables, "not known");
        if !facts.calls.is_empty() {
            story.tell_or("functions", joined(&facts.calls), "none");
        }
        match facts.hint.problem {
            Some(problem) => story.explain(
                "hint",
                show_hint(&facts.hint).unwrap_or_else(|| "none".to_owned()),
                format!("one was ignored: {problem}"),
            ),
            None => story.tell_or("hint", show_hint(&facts.hint), "none"),
        }
        story.explain("digest", text(&self.digest), format!("{:016x}", facts.digest));
        self.rules.tell(story);
    }

    fn tell_decision(&self, story: &mut Story) {
        story.tell("consistency", show_level(self.level));
        let decision = self.explanation.decision;
        let target = match (decision.place, self.chosen()) {
            (_, Some(index)) => self.name(index),
            (Place::Last, None) if !self.refused => "the connection of the statement before".to_owned(),
            _ => "none".to_owned(),
        };
        story.explain("target", target, self.why.as_str());
        if let Place::Server { wait: true, .. } = decision.place
            && !self.refused
        {
            story.tell("waits", "until that server has what the session has seen");
        }
    }

    fn tell_servers(&self, story: &mut Story) {
        let chosen = self.chosen();
        let balanced = matches!(self.explanation.decision.place, Place::Server { .. }) && !self.refused;
        for (index, obstacle) in &self.explanation.servers {
            let Some(server) = self.snapshot.servers.get(*index) else {
                continue;
            };
            let why = match obstacle {
                _ if chosen == Some(*index) => "chosen".to_owned(),
                Some(Obstacle::Down | Obstacle::Lag) => {
                    let obstacle = obstacle.map_or("", Obstacle::text);
                    problem(server)
                        .map_or_else(|| obstacle.to_owned(), |problem| format!("{obstacle}: {problem}"))
                }
                Some(obstacle) => obstacle.text().to_owned(),
                None if balanced => "it could answer as well".to_owned(),
                None => "not asked".to_owned(),
            };
            let busy = self.busy.get(*index).copied().unwrap_or_default();
            story.explain(&format!("server {}", server.name), line(server, busy), why);
        }
    }

    fn chosen(&self) -> Option<usize> {
        match self.explanation.decision.place {
            _ if self.refused => None,
            Place::Home => Some(self.home),
            Place::Last => self.last,
            Place::Server { index, .. } => Some(index),
            Place::Nowhere => None,
        }
    }

    fn name(&self, index: usize) -> String {
        let server = self.snapshot.servers.get(index);
        server.map_or_else(|| index.to_string(), |server| server.name.to_string())
    }
}

fn joined<T: ToString>(list: impl IntoIterator<Item = T>) -> Option<String> {
    let list: Vec<_> = list.into_iter().map(|each| each.to_string()).collect();
    (!list.is_empty()).then(|| list.join(", "))
}

/// As it could be written in a comment.
fn show_hint(hint: &Hint) -> Option<String> {
    let parts = [
        hint.target.as_ref().map(show_target),
        hint.max_lag.map(|lag| format!("max_lag={}", show_duration(lag))),
        hint.consistency
            .map(|level| format!("consistency={}", level_name(level))),
    ];
    joined(parts.into_iter().flatten())
}

pub fn show_level(level: ConsistencyLevel) -> &'static str {
    match level {
        ConsistencyLevel::Eventual => "eventual",
        ConsistencyLevel::Session => "session",
        ConsistencyLevel::Proxy => "proxy",
        ConsistencyLevel::Bounded => "bounded",
        ConsistencyLevel::Strong => "strong",
    }
}

#[cfg(test)]
mod tests {
    use super::super::servers::tests::{server, snapshot};
    use super::*;
    use crate::routing::{Decision, Why};
    use crate::sql::{Dialect, Table, analyse};
    use crate::topology::{Health, Role};

    fn cluster() -> Snapshot {
        let mut down = server("db3", Role::Replica);
        down.health = Health::Down {
            why: "no answer within 1 s".into(),
        };
        snapshot(vec![
            server("db1", Role::Primary),
            server("db2", Role::Replica),
            down,
        ])
    }

    fn users() -> Table {
        Table {
            schema: Some(b"app"[..].into()),
            name: b"users"[..].into(),
        }
    }

    fn rows(sql: &str, explanation: &Explanation) -> Vec<[String; 3]> {
        let (mut facts, snapshot) = (analyse(sql.as_bytes(), Dialect::default()), cluster());
        facts.tables = sql.contains("app.users").then(|| [users()].into());
        let explained = Explained {
            facts: &facts,
            explanation,
            snapshot: &snapshot,
            busy: &[Busy::default(); 3],
            home: 0,
            last: None,
            level: ConsistencyLevel::Session,
            digest: b"SELECT ?".to_vec(),
            rules: Told::default(),
            why: explanation.decision.why.text().to_owned(),
            refused: false,
        };
        let rows = explained.show();
        let field = |value: &Option<Vec<u8>>| text(value.as_deref().unwrap_or_default());
        rows.rows()
            .iter()
            .map(|row| [field(&row[0]), field(&row[1]), field(&row[2])])
            .collect()
    }

    fn find<'a>(rows: &'a [[String; 3]], item: &str) -> (&'a str, &'a str) {
        let row = rows.iter().find(|row| row[0] == item).unwrap();
        (&row[1], &row[2])
    }

    #[test]
    fn a_read_names_its_replica_and_why_the_others_are_not_it() {
        let sql = "SELECT name FROM app.users WHERE id = 7 /* splitrail: max_lag=2s */";
        let facts = analyse(sql.as_bytes(), Dialect::default());
        let explanation = Explanation {
            decision: Decision {
                place: Place::Server { index: 1, wait: true },
                why: Why::Class(facts.reason),
            },
            servers: vec![(0, Some(Obstacle::Primary)), (1, None), (2, Some(Obstacle::Down))],
        };
        let rows = rows(sql, &explanation);
        assert_eq!(find(&rows, "class"), ("read", "it only reads data"));
        assert_eq!(find(&rows, "tables").0, "app.users");
        assert_eq!(find(&rows, "hint").0, "max_lag=2000ms");
        assert_eq!(find(&rows, "target"), ("db2", "it only reads data"));
        assert!(find(&rows, "waits").0.contains("has seen"));
        assert_eq!(find(&rows, "server db2").1, "chosen");
        assert!(find(&rows, "server db1").1.starts_with("it is the primary"));
        assert_eq!(find(&rows, "server db3").1, "it is down: no answer within 1 s");
    }

    #[test]
    fn a_write_goes_home_and_nobody_else_is_asked() {
        let sql = "DELETE FROM t";
        let facts = analyse(sql.as_bytes(), Dialect::default());
        let explanation = Explanation {
            decision: Decision {
                place: Place::Home,
                why: Why::Class(facts.reason),
            },
            servers: vec![(0, Some(Obstacle::Primary)), (1, None)],
        };
        let rows = rows(sql, &explanation);
        assert_eq!(find(&rows, "target"), ("db1", "it changes data"));
        assert_eq!(find(&rows, "server db1").1, "chosen");
        assert_eq!(find(&rows, "server db2").1, "not asked");
        assert!(!rows.iter().any(|row| row[0] == "waits"));
    }

    #[test]
    fn an_ignored_hint_is_told_and_no_target_is_none() {
        let explanation = Explanation {
            decision: Decision {
                place: Place::Nowhere,
                why: Why::AllLag,
            },
            servers: Vec::new(),
        };
        let rows = rows("SELECT /* splitrail: master */ 1", &explanation);
        assert!(find(&rows, "hint").1.starts_with("one was ignored"));
        assert_eq!(find(&rows, "target").0, "none");
    }
}
