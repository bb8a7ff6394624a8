//! The sample and the reference name every setting, and no change to the sample makes the reader panic.

use std::collections::BTreeSet;

use super::*;

const SAMPLE: &str = include_str!("../../../proxy.yaml");
const REFERENCE: &str = include_str!("../../../docs/reference.md");

#[test]
fn the_sample_shows_the_defaults() {
    let sample = config(SAMPLE);
    let short =
        config("servers: [{address: '127.0.0.1:3306', name: db1}, {address: '127.0.0.1:3307', name: db2}]");
    assert_eq!(sample.servers, short.servers);
    assert_eq!(sample.pool, short.pool);
    assert_eq!(sample.tls, short.tls);
    assert_eq!(sample.routing, short.routing);
    assert_eq!(sample.consistency, short.consistency);
    assert_eq!(sample.rules, short.rules);
    assert_eq!(sample.compression, short.compression);
    assert_eq!(sample.limits, short.limits);
    assert_eq!(sample.shutdown, short.shutdown);
    assert_eq!(sample.traces, short.traces);
    assert_eq!(sample.takeover, short.takeover);
    assert_eq!(sample.log, short.log);
    assert_eq!((sample.statistics, sample.audit), (short.statistics, short.audit));
    assert_eq!(
        (sample.workers, sample.scheduling),
        (short.workers, short.scheduling)
    );
    assert_eq!(
        sample.listeners,
        [Listener {
            name: "main".to_owned(),
            ..short.listeners[0].clone()
        }]
    );
    assert_eq!(
        (sample.monitor.interval, sample.monitor.timeout),
        (short.monitor.interval, short.monitor.timeout)
    );
    assert_eq!(sample.accounts.backend, short.accounts.backend);
}

#[test]
fn the_reference_has_every_setting_and_no_other() {
    let written = super::written(SAMPLE);
    let context = Context::new(&written.sources, &environment);
    Config::read(&written, &context).unwrap();
    let known = context.known();
    let documented: BTreeSet<String> = REFERENCE
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(key, _)| key.to_owned())
        .collect();
    assert_eq!(
        known.difference(&documented).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "not documented"
    );
    assert_eq!(
        documented.difference(&known).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "no such setting"
    );
}

#[test]
fn the_sample_names_every_setting() {
    let written = super::written(SAMPLE);
    let context = Context::new(&written.sources, &environment);
    Config::read(&written, &context).unwrap();
    for key in context.known() {
        let word = key.rsplit(['.', ']']).next().unwrap_or_default();
        assert!(SAMPLE.contains(&format!("{word}:")), "{key}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(at in 0..SAMPLE.len(), cut in 0..20_usize, put in "[ -~\n\t]{0,8}|\\PC{0,3}") {
        let mut text = SAMPLE.as_bytes().to_vec();
        let end = (at + cut).min(text.len());
        text.splice(at..end, put.bytes());
        let text = String::from_utf8_lossy(&text);
        if let Err(problems) = read(&text) {
            let lines = text.lines().count();
            proptest::prop_assert!(!problems.0.is_empty());
            proptest::prop_assert!(problems.0.iter().all(|problem| (1..=lines + 1).contains(&problem.line)));
        }
    }
}
