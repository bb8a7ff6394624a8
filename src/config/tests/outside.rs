//! What lies outside the file: keys, programs, folders and ports that would fail only when they are needed.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// Makes `name.crt` and `name.key`.
pub(super) fn certify(folder: &Path, name: &str) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    std::fs::write(folder.join(format!("{name}.crt")), made.cert.pem()).unwrap();
    std::fs::write(
        folder.join(format!("{name}.key")),
        made.signing_key.serialize_pem(),
    )
    .unwrap();
}

#[test]
fn a_key_has_to_be_the_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.yaml");
    certify(folder.path(), "a");
    certify(folder.path(), "b");
    let garbage = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    std::fs::write(folder.path().join("c.key"), garbage).unwrap();
    let text = |key: &str| {
        format!(
            "tls:\n  client:\n    certificate: a.crt\n    key: {key}\n  server:\n    certificate: a.crt\n    \
             key: {key}\nhttp:\n  tls:\n    certificate: a.crt\n    key: {key}\nservers:\n  - address: db1\n    \
             tls:\n      certificate: a.crt\n      key: {key}\n"
        )
    };
    Config::parse(&text("a.key"), &path).unwrap();
    let all = Config::parse(&text("b.key"), &path).unwrap_err().0;
    let found: Vec<_> = all.iter().map(|each| (each.line, each.key.as_str())).collect();
    let expected = [
        (4, "tls.client.key"),
        (7, "tls.server.key"),
        (11, "http.tls.key"),
        (16, "servers[0].tls.key"),
    ];
    assert_eq!(found, expected);
    let at = |name: &str| folder.path().join(name).display().to_string();
    let message = format!("{} is not the key of {}", at("b.key"), at("a.crt"));
    assert!(all.iter().all(|each| each.message == message), "{all:#?}");
    let all = Config::parse(&text("c.key"), &path).unwrap_err().0;
    assert!(
        all.len() == 4 && all[0].message.contains("cannot be used"),
        "{all:#?}"
    );
}

#[test]
fn programs_have_to_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("hook");
    std::fs::write(&script, "#!/bin/sh\n").unwrap();
    let script = script.display();
    for name in ["fence", "before", "after", "reclone"] {
        let told = |hook: &str| problem(&format!("failover: {{{name}: {hook}}}"));
        let line = |key: &str, rest: &str| format!("2 failover.{name}.{key}: {rest}");
        assert_eq!(
            told("{timeout: 5s}"),
            line(
                "timeout",
                "there is no program that it counts for / give `command` too"
            )
        );
        assert_eq!(
            told("{command: []}"),
            line(
                "command",
                "there is no program / write its path, then its arguments"
            )
        );
        assert_eq!(
            told("{command: ['', x]}"),
            line(
                "command[0]",
                "the program has no name / write its path, then its arguments"
            )
        );
        assert_eq!(
            told("{command: splitrail-nowhere}"),
            line(
                "command",
                "`splitrail-nowhere` is not found in PATH / give the absolute path of a program that the proxy's \
                 user may run"
            )
        );
        assert!(told("{command: /nonexistent/hook}").contains("cannot be run: there is no such file"));
        assert!(told("{command: /bin/sh -c true}").contains("there is no such file / write a list"));
        assert!(told("{command: [/bin, x]}").contains("cannot be run: it is no file"));
        assert!(told(&format!("{{command: '{script}'}}")).contains("cannot be run: it is not executable"));
    }
    std::fs::set_permissions(script.to_string(), PermissionsExt::from_mode(0o755)).unwrap();
    let text = format!(
        "servers: [db1]\nfailover: {{fence: {{command: '{script}'}}, before: {{command: [sh, -c, '']}}, after: {{}}}}"
    );
    let failover = config(&text).failover;
    assert_eq!(failover.before.unwrap().command, ["sh", "-c", ""]);
    assert_eq!(failover.fence.unwrap().command, [script.to_string()]);
}

#[test]
fn folders_have_to_be_there() {
    let help = "make the folder, or give a path in one that exists; it is taken from the folder of this file";
    for (text, key) in [
        ("failover: {state: /nonexistent/a}", "failover.state"),
        ("audit: {file: /nonexistent/a}", "audit.file"),
        ("takeover: {socket: /nonexistent/a}", "takeover.socket"),
        ("listeners: ['unix:/nonexistent/a']", "listeners[0]"),
        (
            "listeners: [{address: 'unix:/nonexistent/a'}]",
            "listeners[0].address",
        ),
        ("http: {address: 'unix:/nonexistent/a'}", "http.address"),
    ] {
        let expected =
            format!("2 {key}: /nonexistent/a cannot be written: there is no folder /nonexistent / {help}");
        assert_eq!(problem(text), expected);
        let folder = problem(&text.replace("/nonexistent/a", "/usr/bin"));
        assert_eq!(
            folder,
            format!("2 {key}: /usr/bin is a folder / give the path of a file in it")
        );
        assert!(problem(&text.replace("/nonexistent/a", "/bin/sh/a")).contains("/bin/sh is no folder"));
    }
    let long = format!("takeover: {{socket: /tmp/{}}}", "x".repeat(103));
    assert_eq!(
        problem(&long),
        "2 takeover.socket: this path is too long for a socket / give a path of at most 107 bytes"
    );
    let beside = config("servers: [db1]\naudit: {file: audit.log}\nfailover: {state: ./state.json}");
    assert_eq!(beside.audit.file, Some("audit.log".into()));
}

#[test]
fn a_folder_that_the_service_manager_makes_may_be_missing() {
    let config = config(
        "listeners: ['unix:/run/splitrail-nowhere/a']\nservers: [db1]\nmonitor: {user: m, password: x}\n\
         takeover: {socket: /run/splitrail-nowhere/b}\n",
    );
    let warnings = config.warnings(Path::new("proxy.yaml"));
    let keys: Vec<_> = warnings.iter().map(|each| each.key.as_str()).collect();
    assert_eq!(keys, ["listeners[0].address", "takeover.socket"]);
    assert!(
        warnings[0]
            .message
            .contains("there is no folder /run/splitrail-nowhere")
    );
}

#[test]
fn nobody_has_anothers_address() {
    let users = "users: [{name: o, password: p}]";
    let told = |text: &str| problem(&text.replace("USERS", users));
    assert_eq!(
        told("admin: {address: '127.0.0.1:6033', USERS}"),
        "2 admin.address: the address `127.0.0.1:6033` is used twice / give each its own; listener \
         `127.0.0.1:6033` has it, by default"
    );
    assert_eq!(
        told("listeners:\n  - 0.0.0.0:8032\nhttp:\n  address: 127.0.0.1:8032"),
        "5 http.address: `127.0.0.1:8032` and `0.0.0.0:8032` cannot both be listened at / give each its own; \
         listener `0.0.0.0:8032` has it, on line 3"
    );
    assert_eq!(
        told("listeners: [{name: a, address: '[::1]:1'}, '[::]:1']"),
        "2 listeners[1]: `[::]:1` and `[::1]:1` cannot both be listened at / give each its own; listener `a` has \
         it, on line 2"
    );
    assert!(
        told("listeners: ['0.0.0.0:6032']\nadmin: {USERS}").starts_with("3 admin.address: `127.0.0.1:6032`")
    );
    let both = "admin: {address: 'unix:/tmp/a', USERS}\nhttp: {address: 'unix:/tmp/a'}";
    assert!(told(both).contains("used twice / give each its own; admin.address has it, on line 2"));
    // Nobody asked for either: no admin port without users, and no HTTP where the port is in use.
    config("servers: [db1]\nlisteners: ['127.0.0.1:6032', '127.0.0.1:8032', '127.0.0.1:6033', '[::1]:6033']");
}

#[test]
fn a_secret_that_nobody_filled_in_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let from_file = format!("file:{}", file.display());
    let help = "fill it; where no password is meant, write `\"\"` here";
    for content in ["", "\n", "\r\n"] {
        std::fs::write(&file, content).unwrap();
        assert_eq!(
            problem(&format!("accounts: [{{name: a, password: '{from_file}'}}]")),
            format!("2 accounts[0].password: {} is empty / {help}", file.display())
        );
    }
    for text in [
        "accounts: [{name: a, password: '${EMPTY}'}]",
        "accounts: [{name: a, hash: '${EMPTY}'}]",
        "accounts: [{name: a, password: b, backend_user: c, backend_password: '${EMPTY}'}]",
        "monitor: {user: a, password: '${EMPTY}'}",
        "failover: {mode: automatic, user: a, password: '${EMPTY}'}",
        "admin: {users: [{name: a, password: '${EMPTY}'}]}",
        "http: {tokens: [{name: a, token: '${EMPTY}'}]}",
    ] {
        let found = problem(text);
        let expected = format!(": the environment variable `EMPTY` is empty / {help}");
        assert!(found.ends_with(&expected), "{found}");
    }
    for text in ["''", "'${EMPTY:-}'", "'${NOPE:-}'"] {
        let login = config(&format!("servers: [db1]\nmonitor: {{user: a, password: {text}}}"))
            .monitor
            .login;
        assert!(login.unwrap().password.is_empty());
    }
}

#[test]
fn bounds_that_contradict_each_other_are_told() {
    assert_eq!(
        problem("monitor: {ejection: {shortest: 10s, longest: 5s}}"),
        "2 monitor.ejection.longest: the longest is shorter than the shortest / raise it, or lower `shortest` (10s)"
    );
    assert!(problem("monitor: {ejection: {longest: 100ms}}").contains("lower `shortest` (500ms)"));
    let ejection = config("servers: [db1]\nmonitor: {ejection: {shortest: 1m}}")
        .monitor
        .ejection;
    assert_eq!(ejection.longest, ejection.shortest);
    let told = "one transaction may take more than all of them";
    assert_eq!(
        problem("failover: {replay: {per_transaction: 2MiB, total: 1MiB}}"),
        format!(
            "2 failover.replay.per_transaction: {told} / lower `per_transaction` (2MiB), or raise `total` (1MiB)"
        )
    );
    assert!(problem("failover: {replay: {total: 1KiB}}").starts_with("2 failover.replay.total: "));
    assert_eq!(
        problem("failover: {mode: automatic}"),
        "2 failover.mode: nobody can be promoted without an account at the servers / give `monitor: {user: .., \
         password: ..}`, or remove `mode`"
    );
    for text in [
        "failover: {mode: manual}",
        "failover: {mode: automatic, user: f, password: p}",
        "failover: {mode: automatic}\nmonitor: {user: m, password: p}",
    ] {
        config(&format!("servers: [db1]\n{text}"));
    }
}
