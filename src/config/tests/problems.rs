//! What is refused, and in which words.

use super::*;

#[test]
fn every_problem_is_told_at_once_in_order() {
    let text = "\
servers:
  - address: db1:99999
    wieght: 2
    wieght: 3
  - address: db2
    role: primery
pool:
  max_connections: lots
  acquire_timeout: 10
  acquire_timeout: 20
limits:
  idle_timeout: 400d
  buffer_memory: 12 parsecs
max_age: 1h
colour: blue
";
    assert_eq!(
        problems(text),
        [
            "2 servers[0].address: `db1:99999` is not an address / the port must be between 1 and 65535",
            "3 servers[0].wieght: there is no such setting / did you mean `weight`?",
            "4 servers[0].wieght: `wieght` is given twice / keep one; the first is on line 3",
            "6 servers[1].role: `primery` is not one of the words allowed / \
             did you mean `primary`? it can be primary, replica",
            "8 pool.max_connections: `lots` is not a whole number / write a whole number from 1 to 100000",
            "9 pool.acquire_timeout: `10` is not a duration / write a duration with its unit, such as 500ms, \
             10s, 5m or 1h, from 10ms to 10m",
            "10 pool.acquire_timeout: `acquire_timeout` is given twice / keep one; the first is on line 9",
            "12 limits.idle_timeout: `400d` is out of range / write a duration with its unit, such as 500ms, \
             10s, 5m or 1h, from 1s to 365d, or off",
            "13 limits.buffer_memory: `12 parsecs` is not a size / write a size such as 512KiB, 64MiB or 1GiB, \
             from 1MiB to 1024GiB",
            "14 max_age: there is no such setting / did you mean `pool.max_age`?",
            "15 colour: there is no such setting / the top level has: accounts, admin, audit, compression, consistency, \
             failover, http, includes, limits, listeners, log, monitor, pool, routing, rules, scheduling, server_version, servers, \
             shutdown, statistics, switchover, takeover, tls, traces, workers",
        ]
    );
}

#[test]
fn one_primary_and_no_twins() {
    let says = |text: &str, part: &str| {
        let all = problems(text);
        assert!(all.iter().any(|problem| problem.contains(part)), "{all:#?}");
    };
    says("pool: {}", "there is no server");
    says("", "there is no server");
    says("servers: []", "there is no server");
    let many = |count: usize| {
        (0..count)
            .map(|server| format!("\n  - db{server}"))
            .collect::<String>()
    };
    says(
        &format!("servers:{}", many(65)),
        "66 servers[64]: there are 65 servers, and 64 at most / leave it",
    );
    assert_eq!(config(&format!("servers:{}", many(64))).servers.len(), 64);
    says(
        "servers: [{address: a, role: primary}, {address: b, role: primary}]",
        "there are two primaries",
    );
    says(
        "servers: [{address: a, role: replica}, b]",
        "no server is the primary",
    );
    says("servers: [a, a]", "the address `a:3306` is used twice");
    says(
        "servers: [{address: a, name: x}, {address: b, name: x}]",
        "the name `x` is used twice",
    );
    says("servers: [{weight: 1}]", "a server needs an address");
    says("servers: ['0.0.0.0:3306']", "no server has this address");
    says(
        "listeners: ['a:1', 'A:1']\nservers: [b]",
        "the address `a:1` is used twice",
    );
    says(
        "listeners: ['0.0.0.0:3306']\nservers: ['127.0.0.1:3306']",
        "the proxy itself listens",
    );
    says(
        "servers: ['localhost:3306', '127.0.0.1:6033']",
        "the proxy itself listens at 127.0.0.1:6033",
    );
}

#[test]
fn what_cannot_be_combined_is_refused() {
    let says = |text: &str, part: &str| {
        let found = problem(text);
        assert!(found.contains(part), "{found}");
    };
    says(
        "pool: {min_idle: 5, max_connections: 3}",
        "more idle connections than connections",
    );
    says("tls: {server: verify-ca}", "nobody is trusted");
    says(
        "tls: {client: {mode: require, require_client_certificate: true}}",
        "give `client_ca` too",
    );
    says(
        "tls: {client: {client_ca: missing.crt}}",
        "cannot read missing.crt",
    );
    says("listeners: []", "there is no listener");
    says(
        "listeners: [{address: 'unix:/run/s.sock', proxy_protocol: {trusted: [10.0.0.0/8]}}]",
        "no network leads",
    );
    says(
        "listeners: [{address: 'a:1', proxy_protocol: {trusted: [10.0.0.1/8]}}]",
        "is not a network",
    );
    says("accounts: [app]", "needs more than a name");
    says(
        "routing: {reads_from_primary: never, when_all_lag: primary}",
        "the primary never serves reads",
    );
}

#[test]
fn routing_and_consistency_are_checked() {
    assert_eq!(
        problems(
            "servers:\n  - {address: a, state: drain}\n  - {address: b, max_connections: 3, state: of}\n\
             pool: {min_idle: 5}\n\
             routing:\n  balance: roundrobin\n  slow_start: 10\n  hints: maybe\n  digests: 0\n\
             consistency: {level: weak, max_lag: 0s}\n\
             listeners: [{address: 'a:1', consistency: strnog}]\n"
        ),
        [
            "2 servers[0].state: nobody else takes the writes / mark another server with `role: primary`, or set \
             this one online",
            "3 servers[1].state: `of` is not one of the words allowed / it can be online, drain, maintenance",
            "3 servers[1].max_connections: fewer connections than are kept idle / raise it, or lower \
             `pool.min_idle` (5)",
            "6 routing.balance: `roundrobin` is not one of the words allowed / did you mean `round_robin`? it can \
             be least_connections, round_robin, least_latency, random, source_hash, first",
            "7 routing.slow_start: `10` is not a duration / write a duration with its unit, such as 500ms, 10s, \
             5m or 1h, from 100ms to 1h, or off",
            "8 routing.hints: `maybe` is not one of the words allowed / it can be true, false, on, off, yes, no",
            "9 routing.digests: `0` is out of range / write a whole number from 1 to 1000000",
            "10 consistency.level: `weak` is not one of the words allowed / it can be eventual, session, proxy, bounded, \
             strong",
            "10 consistency.max_lag: `0s` is out of range / write a duration with its unit, such as 500ms, 10s, \
             5m or 1h, from 1ms to 1d",
            "11 listeners[0].consistency: `strnog` is not one of the words allowed / did you mean `strong`? it can \
             be eventual, session, proxy, bounded, strong",
        ]
    );
}

#[test]
fn a_setting_of_another_section_is_told_where_it_stands() {
    assert_eq!(
        problems(
            "servers:\n  - address: a\n    compression: zstd\n    pool: {max_connections: 3}\n    max_age: 1h\n\
             \x20   colour: red\n"
        ),
        [
            "3 servers[0].compression: there is no such setting / `compression` stands at the top level of the \
             file, not under `servers[0]`",
            "4 servers[0].pool: there is no such setting / `pool` stands at the top level of the file, not under \
             `servers[0]`",
            "5 servers[0].max_age: there is no such setting / `pool.max_age` is a setting; `servers[0]` has none \
             of its own",
            "6 servers[0].colour: there is no such setting / servers[0] has: address, backup, data_center, \
             max_connections, name, promote, role, state, tls, weight",
        ]
    );
}

#[test]
fn accounts_are_checked() {
    let says = |account: &str, part: &str| {
        let found = problem(&format!("accounts:\n  - {account}"));
        assert!(found.contains(part), "{found}");
    };
    says("{name: a}", "an account needs a password");
    says("{password: a}", "an account needs a name");
    says(
        "{name: a, password: b, hash: c}",
        "there is a password and a hash",
    );
    says("{name: a, hash: '*12'}", "this is no mysql_native_password hash");
    says(
        "{name: a, hash: '$A$005$abc'}",
        "nobody can log in to a server with this hash",
    );
    let hash = "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19";
    says(
        &format!("{{name: a, hash: '{hash}', plugin: ed25519}}"),
        "needs the password itself",
    );
    says(
        "{name: a, password: b, backend_user: c}",
        "give `backend_password` too",
    );
    says(
        "{name: a, password: b, hosts: [10.0.0.0/99]}",
        "is not a host pattern",
    );
    says(
        "{name: a, password: 'file:/nonexistent/secret'}",
        "cannot read /nonexistent/secret",
    );
    says(
        "{name: a, password: b}\n  - {name: a, password: c}",
        "the account `a@%` is used twice",
    );
    assert!(problem("accounts: []").contains("nobody could log in"));
    assert!(problem("accounts: {backend: false}").contains("nobody could log in"));
    assert!(problem("accounts: backends").contains("did you mean `backend`?"));
}

#[test]
fn shapes_are_checked() {
    assert!(problem("pool: 3").contains("this must be a section"));
    assert!(problem("pool: [a]").contains("this must be a section"));
    assert!(problem("workers: [a]").contains("it is a list"));
    assert!(problem("workers:").contains("there is no value"));
    assert!(problem("scheduling: bach").contains("did you mean `batch`? it can be batch, normal"));
    assert!(problem("listeners: {a: b}").contains("start each item with"));
    assert!(problem("log: {targets: {splitrail: loud}}").starts_with("2 log.targets.splitrail: `loud`"));
    assert!(problem("log: {targets: {'a b': info}}").contains("this cannot be a log target"));
    assert!(problem("? [a]\n: b").contains("a key must be a word"));
    assert!(problem("--- \na: b").contains("second document"));
    assert!(problem("a: *b").contains("not YAML"));
    assert!(problem("a: &b [*b]").contains("alias"));
    assert!(problem("workers: ${NOPE}").contains("`NOPE` is not set"));
    assert!(problem("workers: ${NOPE").contains("not closed"));
    assert!(problem("server_version: ${}").contains("names no variable"));
    assert!(read(&"[".repeat(10_000)).is_err());
}

#[test]
fn aliases_cannot_blow_the_tree_up() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let previous = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{previous}]\n"));
    }
    assert!(problem(&text).contains("too large"));
}

#[test]
fn no_problem_shows_a_secret() {
    let all = problems(
        "servers: ['app:hunter2@db1:3306']\n\
         workers: ${SECRET}\n\
         pasword: hunter2\n\
         monitor: hunter2\n\
         accounts: [{name: a, hash: hunter2}]\n",
    )
    .join("\n");
    assert!(!all.contains("hunter2"), "{all}");
    assert!(all.contains("`${SECRET}` is not a whole number"));
}

#[test]
fn certificates_and_keys_are_opened() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.pem"), "nothing here").unwrap();
    let path = folder.path().join("proxy.yaml");
    let text = "servers: [db1]\ntls:\n  client:\n    certificate: empty.pem\n    key: nowhere.pem\n    client_ca: .\n";
    let all = Config::parse(text, &path).unwrap_err();
    let lines: Vec<_> = all.0.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [4, 5, 6], "{all}");
    assert!(all.0[0].message.contains("no readable certificate"));
    assert!(all.0[1].message.contains("cannot read"));
    assert!(all.0[2].message.contains("it is a folder"));
}

#[test]
fn verified_tls_needs_somebody_to_trust() {
    let folder = tempfile::tempdir().unwrap();
    outside::certify(folder.path(), "a");
    let parse = |text: &str| Config::parse(text, &folder.path().join("proxy.yaml"));
    let own = "servers: [{address: a, tls: {ca: a.crt}}]\ntls: {server: verify-identity}";
    assert_eq!(
        parse(own).unwrap().servers[0].tls.ca,
        Some(folder.path().join("a.crt"))
    );
    let inherited = "servers: [{address: a, tls: verify-ca}]\ntls: {server: {ca: a.crt}}";
    assert_eq!(
        parse(inherited).unwrap().servers[0].tls.ca,
        Some(folder.path().join("a.crt"))
    );
    let nobody = parse("servers: [a]\ntls: {server: verify-ca}").unwrap_err();
    assert_eq!(nobody.0.len(), 1, "{nobody}");
    let socket = "servers: ['unix:/run/m.sock']\ntls: {server: {mode: verify-identity, ca: a.crt}}";
    assert!(parse(socket).unwrap_err().0[0].message.contains("no host name"));
    let pair = "servers: [a]\ntls: {client: {certificate: a.crt, key: a.key}}";
    assert_eq!(
        parse(pair).unwrap().tls.client.certificate.unwrap().key,
        folder.path().join("a.key")
    );
    let half = parse("servers: [a]\ntls: {server: {certificate: a.crt}}").unwrap_err();
    assert_eq!(half.0[0].message, "a certificate needs its key");
    assert_eq!(half.0.len(), 1, "{half}");
    let swapped = parse("servers: [a]\ntls: {client: {certificate: a.key, key: a.crt}}").unwrap_err();
    assert_eq!(swapped.0.len(), 2, "{swapped}");
}

#[test]
fn the_check_says_what_it_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.yaml");
    let check = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let mut output = Vec::new();
        let code = check_command(&path, &mut output).unwrap();
        (
            code,
            String::from_utf8(output)
                .unwrap()
                .replace(&path.display().to_string(), "FILE"),
        )
    };
    let praise = "FILE: no problem found (1 listener, 1 server, primary `db1`)\n";
    let (code, output) = check("servers: [db1]\nmonitor: {user: m, password: x}");
    assert_eq!((code, output.as_str()), (0, praise));
    let (code, output) = check("servers: [db1]\naccounts: [{name: app, password: x}]");
    assert_eq!((code, output.as_str()), (0, praise));
    let (code, output) = check("servers: [db1]");
    let nobody = "warning: FILE: accounts.backend: the servers' accounts cannot be read";
    assert!(
        code == 0 && output.starts_with(&format!("{praise}{nobody}")),
        "{output}"
    );
    let (code, output) = check("servers: [db1]\npol: {}");
    let expected =
        "FILE:2: pol: there is no such setting\n  help: did you mean `pool`?\nFILE: 1 problem found\n";
    assert_eq!((code, output.as_str()), (2, expected));
    let mut output = Vec::new();
    assert_eq!(
        check_command(&folder.path().join("none.yaml"), &mut output).unwrap(),
        2
    );
    assert!(String::from_utf8(output).unwrap().contains("cannot be read"));
}

#[test]
fn broken_yaml_is_told_with_its_line() {
    for (text, line) in [
        ("servers:\n\t- a\n", 2),
        ("servers:\n  - a\n bad: [\n", 3),
        ("servers: [a]\npool:\n  max_age: 1s\n   idle_timeout: 1s\n", 4),
        ("servers: [a]\n\0", 2),
    ] {
        let all = read(text).unwrap_err();
        assert_eq!((all.0.len(), all.0[0].line), (1, line), "{all}");
    }
}

#[test]
fn logs_and_statistics_are_checked() {
    assert_eq!(
        problem("log: {slow: {treshold: 1s}}"),
        "2 log.slow.treshold: there is no such setting / did you mean `threshold`?"
    );
    assert_eq!(
        problem("log: {slow: soon}"),
        "2 log.slow: `soon` is not a duration / write a duration with its unit, such as 500ms, 10s, 5m or 1h, \
         from 1ms to 1d, or off"
    );
    assert_eq!(
        problem("log: {slow: {literals: hidden}}"),
        "2 log.slow.literals: `hidden` is not one of the words allowed / it can be masked, shown"
    );
    assert_eq!(
        problem("log: {sample: 0.1}"),
        "2 log.sample: `0.1` is not a percentage / write a share from 0.01% to 100%, or off"
    );
    assert_eq!(
        problem("statistics: {digests: 1000000}"),
        "2 statistics.digests: `1000000` is out of range / write a whole number from 0 to 100000"
    );
    assert_eq!(
        problem("audit: {max_bytes: 1KiB}"),
        "2 audit.max_bytes: `1KiB` is out of range / write a size such as 512KiB, 64MiB or 1GiB, from 64KiB to 64GiB"
    );
}
