//! Rules as the file writes them, one line each, for those who look at a running proxy.

use std::time::Duration;

use super::super::Server;
use super::super::choice::Choice;
use super::super::{duration, size};
use super::{CacheRule, Mirror, Rewrite, RuleActions, RuleMatch, RuleTarget, TablePattern, Throttle};
use crate::sql::{self, Dialect};

const SECOND: Duration = Duration::from_secs(1);

// === impl RuleMatch ===

impl RuleMatch {
    /// Empty: it is for every statement. Literals of digests are left out, as they count for nothing.
    pub fn shown(&self) -> String {
        let plain = |texts: &[String]| listed(texts.iter().map(|text| scalar(text)));
        let digest = |text: &String| {
            let shape = sql::digest_text(text.as_bytes(), Dialect::default());
            scalar(&String::from_utf8_lossy(&shape))
        };
        joined([
            ("user", plain(&self.users)),
            ("schema", plain(&self.schemas)),
            ("digest", listed(self.digests.iter().map(digest))),
            ("text", self.text.as_ref().map(|text| scalar(text.as_str()))),
            ("tables", listed(self.tables.iter().map(table))),
            (
                "verb",
                listed(self.verbs.iter().map(|verb| word(*verb).to_owned())),
            ),
            (
                "network",
                listed(self.networks.iter().map(|network| scalar(&network.to_string()))),
            ),
            ("listener", plain(&self.listeners)),
        ])
    }
}

fn table(pattern: &TablePattern) -> String {
    let table = pattern.table.as_deref().unwrap_or("*");
    match &pattern.schema {
        Some(schema) => scalar(&format!("{schema}.{table}")),
        None => scalar(table),
    }
}

// === impl RuleActions ===

impl RuleActions {
    /// Empty: the rule lets its statements pass the others. `servers`: those of the configuration.
    pub fn shown(&self, servers: &[Server]) -> String {
        let name = |place: usize| {
            servers
                .get(place)
                .map_or("?".to_owned(), |server| scalar(&server.name))
        };
        joined([
            ("target", self.target.as_ref().map(|target| target.shown(name))),
            (
                "consistency",
                self.consistency.map(|level| word(level).to_owned()),
            ),
            ("max_lag", self.max_lag.map(duration::show)),
            ("timeout", self.timeout.map(duration::show)),
            ("block", self.block.as_deref().map(scalar)),
            ("rewrite", self.rewrite.as_ref().map(Rewrite::shown)),
            ("mirror", self.mirror.as_ref().map(|mirror| mirror.shown(name))),
            ("cache", self.cache.as_ref().map(CacheRule::shown)),
            ("throttle", self.throttle.as_ref().map(Throttle::shown)),
        ])
    }
}

impl RuleTarget {
    fn shown(&self, name: impl Fn(usize) -> String) -> String {
        match self {
            Self::Primary => "primary".to_owned(),
            Self::Replica => "replica".to_owned(),
            Self::Servers(places) => match &**places {
                [place] => format!("{{server: {}}}", name(*place)),
                places => {
                    let names: Vec<_> = places.iter().map(|place| name(*place)).collect();
                    format!("{{servers: [{}]}}", names.join(", "))
                }
            },
        }
    }
}

impl Rewrite {
    fn shown(&self) -> String {
        let (pattern, with) = (scalar(self.pattern.as_str()), scalar(&self.with));
        format!("{{pattern: {pattern}, with: {with}}}")
    }
}

impl Mirror {
    fn shown(&self, name: impl Fn(usize) -> String) -> String {
        let share = match (self.share / 100, self.share % 100) {
            (whole, 0) => whole.to_string(),
            (whole, rest) if rest % 10 == 0 => format!("{whole}.{}", rest / 10),
            (whole, rest) => format!("{whole}.{rest:02}"),
        };
        format!("{{server: {}, share: {share}%}}", name(self.server))
    }
}

impl CacheRule {
    fn shown(&self) -> String {
        let (ttl, max_bytes) = (duration::show(self.ttl), size::show(self.max_bytes));
        format!("{{ttl: {ttl}, max_bytes: {max_bytes}}}")
    }
}

impl Throttle {
    fn shown(&self) -> String {
        let (per, burst, wait) = (word(self.per), self.burst, duration::show(self.wait));
        format!(
            "{{rate: {}, per: {per}, burst: {burst}, wait: {wait}}}",
            self.rate()
        )
    }

    /// In the shortest unit that gives the interval again.
    fn rate(&self) -> String {
        let units = [(SECOND, 's'), (SECOND * 60, 'm'), (SECOND * 3600, 'h')];
        let whole = |(unit, letter): (Duration, char)| {
            let count = unit.as_nanos().checked_div(self.interval.as_nanos())?;
            let again = unit.checked_div(u32::try_from(count).ok()?);
            (again == Some(self.interval)).then(|| format!("{count}/{letter}"))
        };
        let found = units.into_iter().find_map(whole);
        found.unwrap_or_else(|| format!("1 in {:?}", self.interval))
    }
}

// === what YAML looks like ===

fn word<T: Choice + PartialEq>(value: T) -> &'static str {
    let found = T::WORDS.iter().find(|(_, each)| *each == value);
    found.map_or("", |(word, _)| word)
}

fn joined<const N: usize>(pairs: [(&str, Option<String>); N]) -> String {
    let given = pairs
        .into_iter()
        .filter_map(|(key, value)| Some(format!("{key}: {}", value?)));
    given.collect::<Vec<_>>().join(", ")
}

fn listed(items: impl Iterator<Item = String>) -> Option<String> {
    let items: Vec<_> = items.collect();
    match items.as_slice() {
        [] => None,
        [item] => Some(item.clone()),
        items => Some(format!("[{}]", items.join(", "))),
    }
}

/// In quotes only where YAML needs them between brackets.
fn scalar(text: &str) -> String {
    if text.chars().any(char::is_control) {
        return escaped(text);
    }
    let is_indicator = |each: char| "-?:,[]{}#&*!|>'\"%@` ".contains(each);
    let is_plain = !text.is_empty()
        && !text.starts_with(is_indicator)
        && !text.ends_with([' ', ':'])
        && !text.contains([',', '[', ']', '{', '}'])
        && !text.contains(": ")
        && !text.contains(" #");
    match is_plain {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "''")),
    }
}

/// On one line, whatever is in it.
fn escaped(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for each in text.chars() {
        match each {
            '"' | '\\' => quoted.extend(['\\', each]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            each if each.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(each))),
            each => quoted.push(each),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::config;

    const SERVERS: &str = "servers: [db1, db2, db3]\nlisteners: [{address: 'a:1', name: one}]\nrules:\n";

    fn shown(text: &str) -> (String, String) {
        let config = config(&format!("{SERVERS}  - {{name: r, {text}}}\n"));
        let rule = &config.rules[0];
        (rule.matches.shown(), rule.actions.shown(&config.servers))
    }

    #[test]
    fn conditions_are_as_they_are_written() {
        let matches = |text: &str| shown(&format!("match: {{{text}}}, target: primary")).0;
        for text in [
            "text: delete from t$",
            "user: app, schema: [shop, bi], listener: one",
            "tables: [t, s.t, s.*], verb: [select, start_transaction]",
            "network: [10.0.0.0/8, '::1/128']",
            r"text: '^a{2}, it''s (b|c) #\d'",
            r#"text: "a\nb\t\"\\w\"""#,
            "digest: SELECT * FROM t WHERE a = ?",
        ] {
            assert_eq!(matches(text), text);
        }
        let secret = matches("digest: \"SELECT * FROM t WHERE a = 'Geheimnis'\"");
        assert_eq!(secret, "digest: SELECT * FROM t WHERE a = ?");
        assert_eq!(shown("target: primary").0, "");
    }

    #[test]
    fn actions_are_as_they_are_written() {
        for text in [
            "target: primary",
            "target: {server: db2}, consistency: strong, max_lag: 500ms, timeout: 5s",
            "target: {servers: [db2, db3]}",
            "block: 'no, not here'",
            "rewrite: {pattern: '(\\[x\\])', with: $1}",
            "mirror: {server: db3, share: 100%}",
            "mirror: {server: db3, share: 0.05%}",
            "mirror: {server: db3, share: 2.5%}",
            "cache: {ttl: 1s, max_bytes: 4KiB}",
            "throttle: {rate: 3/s, per: user, burst: 10, wait: 1s}",
            "throttle: {rate: 90/m, per: all, burst: 1, wait: 0ms}",
            "throttle: {rate: 7/h, per: digest, burst: 1, wait: 1s}",
            "throttle: {rate: 1000000/s, per: digest, burst: 1, wait: 1s}",
        ] {
            assert_eq!(shown(text).1, text);
        }
        assert_eq!(shown("match: {verb: select}").1, "");
    }
}
