//! Rules from YAML, asked about statements.

use std::path::Path;

use tokio::time::{Duration, Instant};

use super::*;
use crate::config::{Config, ConsistencyLevel, RuleTarget};
use crate::sql::{self, Dialect};

fn set(rules: &str) -> RuleSet {
    let text =
        format!("servers: [db1, db2]\nlisteners: ['a:1', {{address: 'b:2', name: two}}]\nrules:\n{rules}");
    let config =
        Config::parse(&text, Path::new("proxy.yaml")).unwrap_or_else(|problems| panic!("{problems}"));
    RuleSet::compile(&config.rules)
}

const APP: Client = Client {
    user: b"app",
    listener: "a:1",
    address: None,
};

fn ask(rules: &RuleSet, client: Client<'_>, schema: Option<&str>, text: &str) -> Actions {
    let facts = sql::analyse(text.as_bytes(), Dialect::default());
    let subject = Subject {
        client,
        schema: schema.map(str::as_bytes),
        facts: &facts,
        text: text.as_bytes(),
    };
    let actions = rules.matching(&subject);
    assert_eq!(actions, rules.matching_among(&rules.select(client), &subject));
    actions
}

/// Whether a rule with these matchers takes the statement of `app` in schema `shop`.
fn takes(matchers: &str, text: &str) -> bool {
    let rules = set(&format!("  - {{name: r, match: {{{matchers}}}, block: no}}"));
    let actions = ask(&rules, APP, Some("shop"), text);
    assert_eq!(actions.is_empty(), rules.block(&actions).is_none());
    rules.block(&actions).is_some()
}

fn from(address: &str) -> Client<'static> {
    Client {
        address: Some(address.parse().unwrap()),
        ..APP
    }
}

// === Matching ===

#[test]
fn each_matcher_matches_what_it_says() {
    assert!(takes("", "SELECT 1"));
    assert!(takes("user: [bi, app]", "SELECT 1") && !takes("user: App", "SELECT 1"));
    assert!(takes("schema: SHOP", "SELECT 1") && !takes("schema: archive", "SELECT 1"));
    assert!(takes("listener: 'a:1'", "SELECT 1") && !takes("listener: two", "SELECT 1"));
    assert!(takes("verb: [delete, select]", "select 1") && !takes("verb: insert", "SELECT 1"));
    assert!(
        takes("verb: delete", "SELECT 1; DELETE FROM t"),
        "any of several statements"
    );
    assert!(takes("text: 'from\\s+t\\b'", "SELECT *\nFROM  t") && !takes("text: '^t'", "SELECT * FROM t"));
    assert!(!takes("user: app, verb: insert", "SELECT 1"), "all must match");
}

#[test]
fn tables_are_those_that_the_statement_names() {
    let rules = |tables: &str| {
        set(&format!(
            "  - {{name: r, match: {{tables: [{tables}]}}, block: no}}"
        ))
    };
    let takes = |tables: &str, schema: Option<&str>, named: Option<&[(Option<&str>, &str)]>| {
        let mut facts = sql::analyse(b"SELECT 1", Dialect::default());
        let table = |(schema, name): &(Option<&str>, &str)| sql::Table {
            schema: schema.map(|schema| schema.as_bytes().into()),
            name: name.as_bytes().into(),
        };
        facts.tables = named.map(|named| named.iter().map(table).collect());
        let subject = Subject {
            client: APP,
            schema: schema.map(str::as_bytes),
            facts: &facts,
            text: b"SELECT 1",
        };
        !rules(tables).matching(&subject).is_empty()
    };
    let shop = Some("shop");
    assert!(takes("t", shop, Some(&[(None, "t")])) && !takes("u", shop, Some(&[(None, "t")])));
    assert!(takes("shop.t", shop, Some(&[(None, "T")])) && takes("'Shop.*'", shop, Some(&[(None, "t")])));
    assert!(takes("shop.t", None, Some(&[(None, "x"), (shop, "t")])));
    assert!(!takes("a.t", shop, Some(&[(None, "t")])) && !takes("shop.t", None, Some(&[(None, "t")])));
    assert!(takes("a, t", None, Some(&[(None, "t")])));
    assert!(!takes("t", shop, None) && !takes("t", shop, Some(&[])));
}

#[test]
fn a_statement_is_like_its_example() {
    let example = "digest: ['SELECT a FROM t WHERE id = 1 AND b IN (1, 2)']";
    assert!(takes(
        example,
        "SELECT a FROM t WHERE id = 42 AND b IN ('x', 3, 5)"
    ));
    assert!(takes(
        example,
        "SELECT a  FROM t -- comment\nWHERE id = ? AND b IN (?,?)"
    ));
    assert!(!takes(example, "SELECT b FROM t WHERE id = 42 AND b IN (1, 2)"));
    assert!(takes("digest: 'SELECT ?'", "SELECT 'x'"));
}

#[test]
fn networks_are_where_clients_come_from() {
    let rules = set("  - {name: r, match: {network: [10.0.0.0/8, '::1']}, block: no}");
    let blocks = |client| rules.block(&ask(&rules, client, None, "SELECT 1")).is_some();
    assert!(blocks(from("10.1.2.3")) && blocks(from("::1")) && blocks(from("::ffff:10.0.0.1")));
    assert!(!blocks(from("11.0.0.1")) && !blocks(APP));
    assert!(rules.select(APP).is_empty());
}

#[test]
fn what_is_not_known_does_not_match() {
    let rules = set(
        "  - {name: r, match: {schema: shop}, block: no}\n  - {name: s, match: {tables: shop.t}, block: no}",
    );
    assert!(ask(&rules, APP, None, "SELECT * FROM t").is_empty());
    assert!(!takes("tables: t", "this is no statement of t at all ("));
}

// === Order ===

#[test]
fn the_first_match_decides() {
    let rules = set(
        "  - {name: a, match: {verb: insert}, target: primary}\n  - {name: b, target: replica, timeout: 1s}\n\
         \x20 - {name: c, consistency: strong}",
    );
    let actions = ask(&rules, APP, None, "SELECT 1");
    let target = rules.target(&actions).unwrap();
    assert_eq!((target.rule, target.value), ("b", &RuleTarget::Replica));
    assert_eq!(rules.timeout(&actions).unwrap().value, &Duration::from_secs(1));
    assert_eq!(rules.consistency(&actions), None);
    assert_eq!(rules.last(&actions), Some("b"));
}

#[test]
fn a_rule_that_continues_leaves_room_for_others() {
    let rules = set(
        "  - {name: a, target: replica, continue: true}\n  - {name: b, match: {verb: insert}, consistency: eventual}\n\
         \x20 - {name: c, target: primary, consistency: strong, continue: true}\n  - {name: d, max_lag: 1s}\n\
         \x20 - {name: e, timeout: 1s}",
    );
    let actions = ask(&rules, APP, None, "SELECT 1");
    assert_eq!(rules.target(&actions).unwrap().rule, "a");
    let consistency = rules.consistency(&actions).unwrap();
    assert_eq!(
        (consistency.rule, *consistency.value),
        ("c", ConsistencyLevel::Strong)
    );
    assert_eq!(rules.max_lag(&actions).unwrap().rule, "d");
    assert_eq!(rules.timeout(&actions), None);
    assert_eq!(rules.last(&actions), Some("d"));
}

#[test]
fn a_rule_without_actions_is_a_way_past_the_others() {
    let rules = set("  - {name: free, match: {user: app}}\n  - {name: rest, block: no}");
    let actions = ask(&rules, APP, None, "SELECT 1");
    assert!(actions.is_empty());
    assert_eq!(rules.last(&actions), Some("free"));
    let other = Client { user: b"bi", ..APP };
    assert!(rules.block(&ask(&rules, other, None, "SELECT 1")).is_some());
}

#[test]
fn without_rules_nothing_happens() {
    let rules = RuleSet::default();
    assert!(rules.is_empty());
    assert_eq!(ask(&rules, APP, None, "SELECT 1"), Actions::default());
}

// === Throttle ===

#[tokio::test(start_paused = true)]
async fn a_rate_is_shared_by_those_it_names() {
    let passed = |per: &str| {
        let rules = set(&format!(
            "  - {{name: r, throttle: {{rate: 1/m, per: {per}, wait: 0s}}}}"
        ));
        let mut passed = 0;
        for (user, address, text) in [
            ("a", "10.0.0.1", "SELECT 1"),
            ("b", "10.0.0.1", "SELECT 2"),
            ("a", "10.0.0.2", "SELECT a"),
            ("c", "10.0.0.1", "SELECT a"),
        ] {
            let client = Client {
                user: user.as_bytes(),
                ..from(address)
            };
            let facts = sql::analyse(text.as_bytes(), Dialect::default());
            let subject = Subject {
                client,
                schema: None,
                facts: &facts,
                text: text.as_bytes(),
            };
            let actions = rules.matching(&subject);
            let (said, verdict) = rules.throttle(&actions, &subject, Instant::now()).unwrap();
            assert_eq!(said.rule, "r");
            passed += usize::from(verdict == Verdict::Pass);
        }
        passed
    };
    assert_eq!(
        (passed("all"), passed("user"), passed("address"), passed("digest")),
        (1, 3, 2, 2)
    );
}

// === Rewrite ===

fn rewritten(pattern: &str, with: &str, text: &[u8], most: usize) -> Result<Option<Vec<u8>>, TooLong> {
    let rules = set(&format!(
        "  - {{name: r, rewrite: {{pattern: '{pattern}', with: '{with}'}}}}"
    ));
    let actions = ask(&rules, APP, None, "SELECT 1");
    rewrite(rules.rewrite(&actions).unwrap().value, text, most)
}

#[test]
fn every_match_is_replaced() {
    let new = |pattern, with, text: &str| {
        let new = rewritten(pattern, with, text.as_bytes(), 1000).unwrap();
        new.map(|new| String::from_utf8(new).unwrap())
    };
    assert_eq!(
        new(
            r"\s*force index \(\w+\)",
            "",
            "SELECT 1 FROM t FORCE INDEX (a), u force index (b)"
        )
        .unwrap(),
        "SELECT 1 FROM t, u"
    );
    assert_eq!(
        new(r"(\w+)=(?<value>\d+)", "${value}=$1 $$", "a=1 b=2").unwrap(),
        "1=a $ 2=b $"
    );
    assert_eq!(new("x", "y", "SELECT 1"), None);
    assert_eq!(
        new("^", "SET @a = 1; ", "SELECT 1").unwrap(),
        "SET @a = 1; SELECT 1"
    );
    assert_eq!(rewritten("b", "c", b"a\xFFb", 10).unwrap().unwrap(), b"a\xFFc");
}

#[test]
fn no_text_grows_without_end() {
    let text = "a".repeat(1000);
    assert_eq!(
        rewritten("a", &"b".repeat(1000), text.as_bytes(), 100_000),
        Err(TooLong)
    );
    assert_eq!(rewritten("a", "bb", text.as_bytes(), 1999), Err(TooLong));
    assert!(rewritten("a", "bb", text.as_bytes(), 2000).unwrap().is_some());
}
