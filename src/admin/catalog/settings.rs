//! SHOW RULES, USERS, LISTENERS, CONFIG: what the proxy was told. No secret is in it.

use super::table::{Column, Table};
use super::value::{Row, Value};
use crate::admin::State;
use crate::config::{AccountCredential, Address, Config, ListenerMode, Rule};

pub const RULES: Table = Table {
    name: "rules",
    about: "the rules, in the order in which they are asked",
    columns: &[
        Column::integer("place"),
        Column::text("rule"),
        Column::integer("line"),
        Column::text("matches"),
        Column::text("actions"),
        Column::boolean("continues"),
        Column::integer("hits"),
    ],
    rows: rules,
};

pub const USERS: Table = Table {
    name: "users",
    about: "the accounts of the configuration, and those of the admin side",
    columns: &[
        Column::text("user"),
        Column::text("kind"),
        Column::text("hosts"),
        Column::text("credential"),
        Column::integer("connections"),
        Column::integer("max_connections"),
        Column::text("role"),
    ],
    rows: users,
};

pub const LISTENERS: Table = Table {
    name: "listeners",
    about: "where clients connect",
    columns: &[
        Column::text("listener"),
        Column::text("address"),
        Column::text("mode"),
        Column::text("state"),
        Column::text("tls"),
        Column::text("consistency"),
        Column::integer("clients"),
    ],
    rows: listeners,
};

pub const CONFIG: Table = Table {
    name: "config",
    about: "the settings in force",
    columns: &[Column::text("setting"), Column::text("value")],
    rows: config,
};

fn rules(state: &State) -> Vec<Row> {
    let settings = state.shared.settings();
    let hits: Vec<u64> = settings.rules.hits().map(|(_, hits)| hits).collect();
    let row = |(place, rule): (usize, &Rule)| {
        vec![
            place.into(),
            rule.name.as_str().into(),
            rule.line.into(),
            rule.matches.shown().into(),
            rule.actions.shown(&settings.config.servers).into(),
            rule.continues.into(),
            hits.get(place).copied().into(),
        ]
    };
    settings.config.rules.iter().enumerate().map(row).collect()
}

fn users(state: &State) -> Vec<Row> {
    let settings = state.shared.settings();
    let config = &settings.config;
    let mut counts = std::collections::HashMap::<Vec<u8>, u64>::new();
    state
        .shared
        .registry
        .each(|_, entry| *counts.entry(entry.user.clone()).or_default() += 1);
    let mut rows = Vec::new();
    for account in &config.accounts.listed {
        let hosts = account.hosts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let credential = match account.credential {
            AccountCredential::Password(_) => "password",
            AccountCredential::NativeHash(_) => "hash",
        };
        rows.push(vec![
            account.name.as_str().into(),
            "listed".into(),
            hosts.join(", ").into(),
            credential.into(),
            counts.remove(account.name.as_bytes()).unwrap_or(0).into(),
            account.max_connections.or(config.limits.per_user).into(),
            Value::Null,
        ]);
    }
    // Of the servers' own accounts, those that are connected.
    let mut others: Vec<_> = counts.into_iter().collect();
    others.sort();
    for (user, count) in others {
        rows.push(vec![
            String::from_utf8_lossy(&user).into_owned().into(),
            "server".into(),
            Value::Null,
            "the servers'".into(),
            count.into(),
            config.limits.per_user.into(),
            Value::Null,
        ]);
    }
    for user in &config.admin.users {
        rows.push(vec![
            user.name.as_str().into(),
            "admin".into(),
            Value::Null,
            "password".into(),
            Value::Null,
            config.admin.max_connections.into(),
            user.role.word().into(),
        ]);
    }
    rows
}

fn listeners(state: &State) -> Vec<Row> {
    let shared = &state.shared;
    let mut counts = std::collections::HashMap::<String, u64>::new();
    shared
        .registry
        .each(|_, entry| *counts.entry(entry.listener.to_string()).or_default() += 1);
    let row = |listener: &crate::config::Listener| {
        let mode = match listener.mode {
            ListenerMode::Split => "split",
            ListenerMode::Primary => "primary",
            ListenerMode::Replica => "replica",
        };
        vec![
            listener.name.as_str().into(),
            listener.address.to_string().into(),
            mode.into(),
            if shared.pauses.is_paused(&listener.address) {
                "paused"
            } else {
                "open"
            }
            .into(),
            word(&listener.tls).into(),
            word(&listener.consistency).into(),
            counts.get(&listener.name).copied().unwrap_or(0).into(),
        ]
    };
    shared.settings().config.listeners.iter().map(row).collect()
}

/// A choice as the configuration writes it.
fn word(choice: &impl std::fmt::Debug) -> String {
    let mut word = String::new();
    for (at, each) in format!("{choice:?}").char_indices() {
        if each.is_ascii_uppercase() && at > 0 {
            word.push('_');
        }
        word.push(each.to_ascii_lowercase());
    }
    word
}

/// Sections of plain settings; lists have tables of their own.
fn config(state: &State) -> Vec<Row> {
    let settings = state.shared.settings();
    let config: &Config = &settings.config;
    let sections = [
        ("monitor", format!("{:?}", config.monitor)),
        ("failover", format!("{:?}", config.failover)),
        ("switchover", format!("{:?}", config.switchover)),
        ("pool", format!("{:?}", config.pool)),
        ("routing", format!("{:?}", config.routing)),
        ("consistency", format!("{:?}", config.consistency)),
        ("compression", format!("{:?}", config.compression)),
        ("limits", format!("{:?}", config.limits)),
        ("shutdown", format!("{:?}", config.shutdown)),
        ("traces", format!("{:?}", config.traces)),
        ("takeover", format!("{:?}", config.takeover)),
        ("tls", format!("{:?}", config.tls)),
        ("log", format!("{:?}", config.log)),
    ];
    let mut rows = Vec::new();
    for (section, debug) in sections {
        flatten(section, &debug, &mut rows);
    }
    let address = config.admin.address.as_ref().map(Address::to_string);
    rows.push(vec![
        "admin.address".into(),
        address.unwrap_or_else(|| "off".to_owned()).into(),
    ]);
    // What an operator has set, and SAVE CONFIG would write.
    let unsaved = state.reload.unsaved.as_ref().map(|unsaved| unsaved());
    for (path, value) in unsaved.into_iter().flatten() {
        rows.push(vec![path.into(), format!("{value} (not in the file)").into()]);
    }
    rows.push(vec!["workers".into(), config.workers.to_string().into()]);
    rows.push(vec![
        "scheduling".into(),
        format!("{:?}", config.scheduling).to_lowercase().into(),
    ]);
    rows.push(vec![
        "server_version".into(),
        format!("{:?}", config.server_version).to_lowercase().into(),
    ]);
    rows
}

/// `Name { a: 1, b: Name { c: 2 } }` as `a` and `b.c`.
fn flatten(path: &str, debug: &str, rows: &mut Vec<Row>) {
    let debug = debug.trim();
    let debug = debug
        .strip_prefix("Some(")
        .and_then(|inside| inside.strip_suffix(')'))
        .unwrap_or(debug);
    let Some((_, inside)) = debug.split_once(" { ").filter(|(name, _)| is_name(name)) else {
        let value = match debug {
            "None" => "off".to_owned(),
            "true" | "false" => debug.to_owned(),
            text if is_name(text) && text.starts_with(|first: char| first.is_ascii_uppercase()) => {
                word(&Raw(text))
            }
            text => text.to_owned(),
        };
        rows.push(vec![path.into(), value.into()]);
        return;
    };
    let inside = inside.strip_suffix('}').unwrap_or(inside).trim_end();
    for part in split(inside) {
        if let Some((key, value)) = part.split_once(": ") {
            flatten(&format!("{path}.{}", key.trim()), value, rows);
        }
    }
}

/// Shows a text as it is.
struct Raw<'a>(&'a str);

impl std::fmt::Debug for Raw<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.0)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|each| each.is_ascii_alphanumeric() || each == '_')
}

/// At the commas that are within no brackets and no quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start, mut quoted) = (Vec::new(), 0_i32, 0, false);
    let mut before = ' ';
    for (at, each) in text.char_indices() {
        match each {
            '"' if before != '\\' => quoted = !quoted,
            '{' | '[' | '(' if !quoted => depth += 1,
            '}' | ']' | ')' if !quoted => depth -= 1,
            ',' if depth == 0 && !quoted => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
        before = each;
    }
    parts.push(text[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[allow(dead_code)]
    struct Inner {
        list: Vec<u32>,
        text: &'static str,
    }

    #[derive(Debug)]
    #[allow(dead_code)]
    enum Word {
        LeastConnections,
    }

    #[derive(Debug)]
    #[allow(dead_code)]
    struct Outer {
        none: Option<u32>,
        word: Word,
        inner: Option<Inner>,
        time: std::time::Duration,
    }

    #[test]
    fn settings_are_told_one_by_one() {
        let outer = Outer {
            none: None,
            word: Word::LeastConnections,
            inner: Some(Inner {
                list: vec![1, 2],
                text: "a, } b",
            }),
            time: std::time::Duration::from_millis(1500),
        };
        let mut rows = Vec::new();
        flatten("x", &format!("{outer:?}"), &mut rows);
        let rows: Vec<_> = rows.iter().map(|row| format!("{}={}", row[0], row[1])).collect();
        let expected = [
            "x.none=off",
            "x.word=least_connections",
            "x.inner.list=[1, 2]",
            "x.inner.text=\"a, } b\"",
            "x.time=1.5s",
        ];
        assert_eq!(rows, expected);
    }
}
