//! Rules in YAML in, rules or problems out.

use std::path::Path;
use std::time::Duration;

use super::super::tests::{config, problems};
use super::super::{ConsistencyLevel, RuleTarget, ThrottlePer};
use super::*;
use crate::sql::Verb;

const SERVERS: &str = "servers: [db1, db2, db3]\nlisteners: [{address: 'a:1', name: one}, {address: 'b:2', name: two}]\nrules:\n";

fn rules(text: &str) -> Vec<Rule> {
    config(&format!("{SERVERS}{text}")).rules
}

fn rule(text: &str) -> Rule {
    rules(&format!("  - {{name: r, {text}}}\n")).remove(0)
}

/// What is wrong with one rule, without its line.
fn wrong(text: &str) -> String {
    let all = problems(&format!("{SERVERS}  - {{name: r, {text}}}\n"));
    assert_eq!(all.len(), 1, "{all:#?}");
    all[0].strip_prefix("4 ").unwrap().to_owned()
}

/// The warnings, without file and key.
fn warnings(text: &str) -> Vec<String> {
    let config = config(&format!("{SERVERS}{text}"));
    let warnings = config.warnings(Path::new("proxy.yaml"));
    warnings
        .into_iter()
        .filter(|each| each.key.starts_with("rules"))
        .map(|each| format!("{} {}", each.line, each.message))
        .collect()
}

// === What is read ===

#[test]
fn every_matcher_and_action_is_read() {
    let text = r#"
  - name: all
    match:
      user: [app, bi]
      schema: shop
      digest: ["SELECT 1"]
      text: '^select ${x'
      tables: [t, s.t, 's.*']
      verb: [select, start_transaction]
      network: [10.0.0.0/8, '::1']
      listener: two
    target: {servers: [db3, db2, db3]}
    consistency: strong
    max_lag: 500ms
    timeout: 5s
    rewrite: {pattern: '(?P<name>\bforce\b)', with: '$1${name}'}
    mirror: {server: db2, share: 0.5%}
    cache: {ttl: 1s, max_bytes: 4KiB}
    throttle: {rate: 100/s, per: user, burst: 5, wait: 0s}
    continue: true
  - name: pass
"#;
    // The `${` of a pattern is not the environment's, and this one is a mistake of the expression alone.
    let mistake = problems(&format!("{SERVERS}{text}"));
    assert_eq!(mistake.len(), 1);
    assert!(
        mistake[0].starts_with("10 rules[0].match.text: not a regular expression:"),
        "{mistake:?}"
    );

    let found = rules(&text.replace("${x", "x"));
    let (all, pass) = (&found[0], &found[1]);
    assert_eq!(all.line, 5);
    assert_eq!(all.matches.users, ["app", "bi"]);
    assert_eq!(all.matches.schemas, ["shop"]);
    assert_eq!(all.matches.tables.len(), 3);
    assert_eq!(all.matches.verbs, [Verb::Select, Verb::StartTransaction]);
    assert_eq!(all.matches.networks.len(), 2);
    assert_eq!(all.matches.listeners, ["two"]);
    let actions = &all.actions;
    assert_eq!(actions.target, Some(RuleTarget::Servers([1, 2].into())));
    assert_eq!(actions.consistency, Some(ConsistencyLevel::Strong));
    assert_eq!(actions.max_lag, Some(Duration::from_millis(500)));
    assert_eq!(actions.rewrite.as_ref().unwrap().with, "$1${name}");
    assert_eq!(actions.mirror, Some(Mirror { server: 1, share: 50 }));
    let throttle = actions.throttle.as_ref().unwrap();
    assert_eq!(
        (throttle.interval, throttle.per, throttle.burst, throttle.wait),
        (Duration::from_millis(10), ThrottlePer::User, 5, Duration::ZERO)
    );
    assert_eq!(actions.cache.as_ref().unwrap().max_bytes, 4096);
    assert!(all.continues && !pass.continues);
    assert!(pass.actions.is_empty() && pass.matches == RuleMatch::default());
}

#[test]
fn short_forms_have_their_defaults() {
    assert_eq!(rule("target: replica").actions.target, Some(RuleTarget::Replica));
    assert_eq!(
        rule("target: {server: db2}").actions.target,
        Some(RuleTarget::Servers([1].into()))
    );
    let throttle = rule("throttle: {rate: 1/h}").actions.throttle.unwrap();
    assert_eq!(
        (throttle.interval, throttle.burst),
        (Duration::from_secs(3600), 1)
    );
    assert_eq!(throttle.per, ThrottlePer::All);
    let share = |text: &str| {
        rule(&format!("mirror: {{server: db3, share: {text}}}"))
            .actions
            .mirror
            .unwrap()
            .share
    };
    assert_eq!(
        (share("100%"), share("1%"), share("0.01%"), share("2.5%")),
        (10_000, 100, 1, 250)
    );
    assert_eq!(
        rule("mirror: {server: db3}").actions.mirror.unwrap().share,
        10_000
    );
    assert_eq!(rule("cache: {ttl: 1s}").actions.cache.unwrap().max_bytes, 1 << 20);
}

#[test]
fn patterns_suit_sql() {
    let matches = |pattern: &str, text: &[u8]| Pattern::parse(pattern).unwrap().regex().is_match(text);
    assert!(matches("select.*update", b"SELECT 1\nFOR Update"));
    assert!(!matches("(?-i)select", b"SELECT"));
    assert!(matches("a.b", b"a\xFFb"), "no byte is invalid");
    assert!(matches("gr\u{f6}\u{df}e", "SELECT gr\u{f6}\u{df}e".as_bytes()));
}

// === What is refused ===

#[test]
fn rules_are_checked() {
    let says = |text: &str, expected: &str| {
        let found = wrong(text);
        assert!(found.contains(expected), "{found}");
    };
    says(
        "target: {server: db4}",
        "no server is called `db4` / did you mean `db1`?",
    );
    says(
        "target: {servers: [x]}",
        "rules[0].target.servers[0]: no server is called `x` / the servers are: db1,",
    );
    says("target: {servers: []}", "no target is given");
    says("target: {server: db1, servers: [db2]}", "one server and a list");
    says("target: replicas", "did you mean `replica`?");
    says(
        "match: {listener: three}",
        "rules[0].match.listener[0]: no listener is called `three`, so nothing matches",
    );
    says("match: {verb: slect}", "did you mean `select`?");
    says("match: {user: []}", "an empty list");
    says("match: {tables: 'a.b.c'}", "is not a table");
    says("match: {tables: '*'}", "is not a table");
    says("match: {network: 10.0.0.1/8}", "is not a network");
    says("match: {text: '('}", "not a regular expression: unclosed group");
    says("match: {text: '\\w{1000}{1000}'}", "it needs too much memory");
    says(
        &format!("match: {{text: '{}'}}", "x".repeat(5000)),
        "cannot be used",
    );
    says(
        &format!("match: {{text: '{}'}}", "(".repeat(1000)),
        "not a regular expression",
    );
    says("match: {digest: ''}", "cannot be used");
    says("rewrite: {pattern: x}", "`with` is missing");
    says("rewrite: {pattern: (x), with: $1y}", "no group `1y`");
    says("mirror: {share: 5%}", "`server` is missing");
    says("mirror: {server: db2, share: 5}", "is not a percentage");
    says("mirror: {server: db2, share: 101%}", "out of range");
    says("cache: {}", "`ttl` is missing");
    says("cache: {ttl: 0s}", "out of range");
    says("throttle: {per: user}", "`rate` is missing");
    says("throttle: {rate: 10}", "is not a rate");
    says("throttle: {rate: 0/s}", "out of range");
    says(
        "block: no, target: primary",
        "a statement that is refused goes nowhere",
    );
    says("block: no, continue: true", "nothing follows");
    says("continue: true", "this rule does nothing");
    says(
        "weight: 3",
        "`servers[].weight` is a setting; `rules[0]` has none of its own",
    );
    says("timeout: 0s", "out of range");
}

#[test]
fn rules_have_names_of_their_own() {
    let all = problems(&format!(
        "{SERVERS}  - {{name: a}}\n  - {{name: a}}\n  - {{target: primary}}\n  - b\n"
    ));
    assert_eq!(all.len(), 3, "{all:#?}");
    assert!(all[0].contains("the name `a` is used twice"));
    assert!(all[1].contains("a rule needs a name"));
    assert!(all[2].contains("this must be a section"));
}

#[test]
fn a_server_that_could_not_be_read_is_not_missed() {
    let all = problems("servers: [db1, 'db2:x']\nrules: [{name: r, target: {server: db2}}]");
    assert_eq!(all.len(), 1, "{all:#?}");
}

// === What can never match ===

#[test]
fn a_rule_behind_a_wider_one_is_told() {
    for (earlier, later) in [
        ("", "user: app"),
        ("", ""),
        ("user: [app, bi]", "user: bi, verb: select"),
        ("schema: Shop", "schema: shop"),
        ("network: 10.0.0.0/8", "network: [10.1.0.0/16, 10.2.3.4]"),
        ("tables: 'shop.*'", "tables: [shop.a, shop.b]"),
        ("tables: a", "tables: SHOP.A"),
        ("text: 'x'", "text: 'x', user: app"),
        ("listener: [one, two]", "user: app"),
        ("digest: 'SELECT 1'", "digest: 'SELECT 1'"),
    ] {
        let text = format!(
            "  - {{name: a, match: {{{earlier}}}, target: primary}}\n  - {{name: b, match: {{{later}}}}}\n"
        );
        assert_eq!(
            warnings(&text),
            ["5 `b` can never match: `a` (line 4) takes all its statements before it"],
            "{text}"
        );
        assert_eq!(
            warnings(&text.replace("target: primary", "target: primary, continue: true")),
            Vec::<String>::new()
        );
    }
}

#[test]
fn a_rule_behind_another_one_is_not() {
    for (earlier, later) in [
        ("user: app", ""),
        ("user: app", "user: [app, bi]"),
        ("user: app", "schema: shop"),
        ("user: app", "user: APP"),
        ("network: 10.0.0.0/8", "network: '::/0'"),
        ("network: 10.0.0.0/16", "network: 10.0.0.0/8"),
        ("tables: shop.a", "tables: a"),
        ("tables: shop.a", "tables: 'shop.*'"),
        ("text: 'x'", "text: 'xy'"),
        ("listener: one", "user: app"),
    ] {
        let text = format!("  - {{name: a, match: {{{earlier}}}}}\n  - {{name: b, match: {{{later}}}}}\n");
        assert_eq!(warnings(&text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_rule_that_nobody_can_match_is_told() {
    let of = |listener: &str, rule: &str| {
        let text = format!(
            "servers: [db1]\nlisteners: [{listener}]\naccounts: [{{name: app, password: x}}]\nrules: [{{name: r, match: {{{rule}}}}}]"
        );
        config(&text).warnings(Path::new("proxy.yaml")).len()
    };
    assert_eq!(of("'a:1'", "user: nobody"), 1);
    assert_eq!(of("'a:1'", "user: [nobody, app]"), 0);
    assert_eq!(of("'a:1'", "network: 10.0.0.0/8"), 0);
    assert_eq!(of("'unix:/run/s.sock'", "network: 10.0.0.0/8"), 1);
}

#[test]
fn the_check_shows_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.yaml");
    std::fs::write(&path, format!("{SERVERS}  - name: a\n  - name: b\n")).unwrap();
    let mut output = Vec::new();
    let code = super::super::check_command(&path, &mut output).unwrap();
    let output = String::from_utf8(output).unwrap();
    assert_eq!(code, 0);
    assert!(
        output.contains(":5: rules[1]: `b` can never match: `a` (line 4)"),
        "{output}"
    );
}
