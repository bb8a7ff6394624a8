//! What a session wants of the proxy: its `splitrail.*` settings, which no server knows, and the same wishes for one
//! statement in its query attributes.

use std::time::Duration;

use thiserror::Error;

use crate::gtid::Position;
use crate::sql::{Hint, HintLevel, HintTarget};
use crate::wire::query::Attributes;

/// What is not set follows the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Preferences {
    pub consistency: Option<HintLevel>,
    pub max_lag: Option<Duration>,
    /// What another session had seen, which this one wants to see, too.
    pub after: Option<Position>,
    /// Every statement leaves a note that says where it ran.
    pub trace: bool,
    /// Where statements without a hint of their own are to run.
    pub route: Option<HintTarget>,
}

/// Why a setting was refused, with the error that a server would answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadPreference {
    #[error("Unknown system variable 'splitrail.{name}': there are {names}", names = names())]
    Name { name: String },
    #[error("Variable 'splitrail.{name}' can't be set to the value of '{value}': {allowed}")]
    Value {
        name: &'static str,
        value: String,
        allowed: &'static str,
    },
}

/// What the query attributes of one statement ask for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    pub hint: Hint,
    pub after: Option<Position>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    After,
    Consistency,
    MaxLag,
    Route,
    Trace,
}

const NAMES: [(&str, Name); 5] = [
    ("after", Name::After),
    ("consistency", Name::Consistency),
    ("max_lag", Name::MaxLag),
    ("route", Name::Route),
    ("trace", Name::Trace),
];
const PREFIX: &[u8] = b"splitrail.";
/// How much of a value that was refused is repeated to the client.
const REPEATED: usize = 64;

fn names() -> String {
    NAMES.map(|(name, _)| format!("splitrail.{name}")).join(", ")
}

// === impl Preferences ===

impl Preferences {
    /// One assignment; `None` is DEFAULT. What was set before stays when it is refused.
    pub fn set(&mut self, name: &str, value: Option<&str>, mariadb: bool) -> Result<(), BadPreference> {
        let known = NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        let Some(&(name, kind)) = known else {
            let name = name.chars().take(REPEATED).collect();
            return Err(BadPreference::Name { name });
        };
        let Some(value) = value else {
            self.set_default(kind);
            return Ok(());
        };
        let refused = self.assign(kind, value.trim(), mariadb).err();
        refused.map_or(Ok(()), |allowed| {
            let value = value.chars().take(REPEATED).collect();
            Err(BadPreference::Value { name, value, allowed })
        })
    }

    fn set_default(&mut self, name: Name) {
        match name {
            Name::After => self.after = None,
            Name::Consistency => self.consistency = None,
            Name::MaxLag => self.max_lag = None,
            Name::Route => self.route = None,
            Name::Trace => self.trace = false,
        }
    }

    /// Answers what is allowed when the value is not.
    fn assign(&mut self, name: Name, value: &str, mariadb: bool) -> Result<(), &'static str> {
        match name {
            Name::After => {
                let position = Position::parse(mariadb, value.as_bytes());
                let position = position.map_err(|_| allowed_position(mariadb))?;
                self.after = Some(position).filter(|position| !position.is_empty());
            }
            Name::Consistency => {
                let level = HintLevel::from_name(value.as_bytes());
                self.consistency =
                    Some(level.ok_or("allowed are eventual, session, proxy, bounded and strong")?);
            }
            Name::MaxLag => {
                let mut hint = Hint::default();
                hint.set(b"max_lag", value.as_bytes())
                    .map_err(|_| "allowed is a whole number with a unit: ms, s, m or h")?;
                self.max_lag = hint.max_lag;
            }
            Name::Route => self.route = Some(target(value.as_bytes()).ok_or(ALLOWED_TARGETS)?),
            Name::Trace => {
                let is = |words: [&str; 3]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
                self.trace = match value {
                    _ if is(["1", "on", "true"]) => true,
                    _ if is(["0", "off", "false"]) => false,
                    _ => return Err("allowed are 0 and 1, off and on"),
                };
            }
        }
        Ok(())
    }

    /// All settings with their values; `None` for one that is left to the configuration.
    pub fn list(&self) -> [(&'static str, Option<String>); NAMES.len()] {
        NAMES.map(|(name, kind)| {
            let value = match kind {
                Name::After => self.after.as_ref().map(Position::to_string),
                Name::Consistency => self.consistency.map(|level| level_name(level).to_owned()),
                Name::MaxLag => self.max_lag.map(show_duration),
                Name::Route => self.route.as_ref().map(show_target),
                Name::Trace => Some(u8::from(self.trace).to_string()),
            };
            (name, value)
        })
    }
}

const ALLOWED_TARGETS: &str = "allowed are primary, replica and server=NAME";

fn allowed_position(mariadb: bool) -> &'static str {
    if mariadb {
        "allowed is a list of GTIDs such as 0-1-42"
    } else {
        "allowed is a set of GTIDs such as 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-42"
    }
}

fn target(value: &[u8]) -> Option<HintTarget> {
    let hint = Hint::parse(value).ok()?;
    let target = hint.target.clone()?;
    let only = Hint {
        target: Some(target.clone()),
        ..Hint::default()
    };
    (hint == only).then_some(target)
}

pub fn level_name(level: HintLevel) -> &'static str {
    match level {
        HintLevel::Eventual => "eventual",
        HintLevel::Session => "session",
        HintLevel::Proxy => "proxy",
        HintLevel::Bounded => "bounded",
        HintLevel::Strong => "strong",
    }
}

/// In a form that can be set again.
pub fn show_duration(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

/// In a form that can be set again.
pub fn show_target(target: &HintTarget) -> String {
    match target {
        HintTarget::Primary => "primary".to_owned(),
        HintTarget::Replica => "replica".to_owned(),
        HintTarget::Server(name) => format!("server={}", String::from_utf8_lossy(name)),
    }
}

// === impl BadPreference ===

impl BadPreference {
    pub fn code(&self) -> (u16, &'static [u8; 5]) {
        match self {
            Self::Name { .. } => (1193, b"HY000"),
            Self::Value { .. } => (1231, b"42000"),
        }
    }
}

// === impl Wishes ===

impl Wishes {
    /// From attributes named `splitrail.route`, `.server`, `.max_lag`, `.consistency` and `.after`; others are
    /// the application's own. What is wrong is ignored and told in the hint's `problem`.
    pub fn of(attributes: Attributes<'_>, mariadb: bool) -> Self {
        let mut wishes = Self::default();
        for attribute in attributes {
            let Some(name) = attribute.name.strip_prefix(PREFIX) else {
                continue;
            };
            let Some(value) = attribute.value.text() else {
                continue;
            };
            let mut said = Hint::default();
            let noted = match name {
                b"route" => Hint::parse(&value).map(|hint| said = hint),
                b"after" => {
                    wishes.after = Position::parse(mariadb, &value).ok();
                    Ok(())
                }
                name => said.set(name, &value),
            };
            said.problem = noted.err().or(said.problem);
            wishes.hint.merge(said);
        }
        wishes.after = wishes.after.filter(|position| !position.is_empty());
        wishes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::BadHint;
    use crate::wire::bytes::Put;
    use crate::wire::query::attributes;
    use proptest::prelude::*;

    const GTID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-42";

    fn set(name: &str, value: &str) -> Result<Preferences, BadPreference> {
        let mut preferences = Preferences::default();
        preferences.set(name, Some(value), false)?;
        Ok(preferences)
    }

    #[test]
    fn every_setting_is_shown_as_it_can_be_set_again() {
        for (name, value) in [
            ("after", GTID),
            ("consistency", "bounded"),
            ("max_lag", "1500ms"),
            ("route", "server=db2"),
            ("route", "primary"),
            ("trace", "1"),
        ] {
            let preferences = set(name, value).unwrap();
            let shown = preferences.list().into_iter().find(|(known, _)| *known == name);
            assert_eq!(shown, Some((name, Some(value.to_owned()))));
            let mut again = preferences;
            again.set(name, None, false).unwrap();
            assert_eq!(again, Preferences::default());
        }
        assert_eq!(
            set("MAX_LAG", "2s").unwrap().max_lag,
            Some(Duration::from_secs(2))
        );
        assert!(set("trace", "ON").unwrap().trace && !set("trace", "false").unwrap().trace);
    }

    #[test]
    fn a_refusal_names_the_setting_and_what_it_takes() {
        let unknown = set("colour", "red").unwrap_err();
        assert_eq!(unknown.code(), (1193, b"HY000"));
        assert!(
            unknown.to_string().contains("'splitrail.colour'")
                && unknown.to_string().contains("splitrail.max_lag")
        );
        for (name, value, allowed) in [
            ("after", "x", "1-42"),
            ("consistency", "linear", "eventual, session"),
            ("max_lag", "5", "unit"),
            ("route", "master", "primary, replica"),
            ("route", "primary max_lag=5s", "primary, replica"),
            ("trace", "2", "0 and 1"),
        ] {
            let bad = set(name, value).unwrap_err();
            assert_eq!(bad.code(), (1231, b"42000"));
            let text = bad.to_string();
            assert!(
                text.contains(allowed) && text.contains(&format!("splitrail.{name}")),
                "{text}"
            );
        }
        assert!(set("route", &"x".repeat(9999)).unwrap_err().to_string().len() < 300);
    }

    #[test]
    fn what_was_set_stays_when_a_value_is_refused() {
        let mut preferences = set("consistency", "strong").unwrap();
        preferences.set("consistency", Some("weak"), false).unwrap_err();
        assert_eq!(preferences.consistency, Some(HintLevel::Strong));
        preferences.set("after", Some("0-1-7"), true).unwrap();
        preferences.set("after", Some(GTID), true).unwrap_err();
        assert_eq!(
            preferences.after.map(|after| after.to_string()),
            Some("0-1-7".into())
        );
    }

    fn query(given: &[(&str, &str)]) -> Vec<u8> {
        let mut out = vec![3];
        out.put_lenenc(given.len() as u64);
        out.put_u8(1);
        out.put_bytes(&vec![0; given.len().div_ceil(8)]);
        out.put_u8(1);
        for (name, _) in given {
            out.put_u16(0xfe);
            out.put_lenenc_bytes(name.as_bytes());
        }
        for (_, value) in given {
            out.put_lenenc_bytes(value.as_bytes());
        }
        out
    }

    #[test]
    fn attributes_are_hints_and_a_position() {
        let payload = query(&[
            ("traceparent", "00-4b"),
            ("splitrail.route", "replica"),
            ("splitrail.max_lag", "2s"),
            ("splitrail.consistency", "bounded"),
            ("splitrail.after", GTID),
        ]);
        let wishes = Wishes::of(attributes(&payload), false);
        assert_eq!(
            wishes.hint,
            Hint::parse(b"replica, max_lag=2s, consistency=bounded").unwrap()
        );
        assert_eq!(wishes.after.unwrap().to_string(), GTID);
        let wishes = Wishes::of(attributes(&query(&[("splitrail.route", "up")])), false);
        assert_eq!(wishes.hint.problem, Some(BadHint::UnknownWord));
        assert_eq!(
            Wishes::of(attributes(&query(&[("other", "primary")])), false),
            Wishes::default()
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_value_or_not(name in 0usize..5, value in ".{0,80}", mariadb in any::<bool>()) {
            let _ = Preferences::default().set(NAMES[name].0, Some(&value), mariadb);
        }
    }
}
