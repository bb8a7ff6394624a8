//! What is read, and what is put in where nothing is said.

use std::time::Duration;

use super::*;

#[test]
fn a_list_of_servers_is_enough() {
    let config = config("servers:\n  - db1:3306\n  - db2\n");
    assert_eq!(config.servers[1].max_connections, 100);
    assert_eq!(config.servers[1].state, ServerState::Online);
    assert!(!config.servers[1].backup);
    assert_eq!(config.listeners[0].consistency, ConsistencyLevel::Session);
    assert_eq!(config.routing.balance, Balance::LeastConnections);
    assert_eq!(config.routing.slow_start, None);
    assert_eq!(config.consistency.wait, Duration::from_millis(100));
    assert_eq!(config.servers[0].name, "db1");
    assert_eq!(config.servers[0].role, Role::Primary);
    assert_eq!(config.servers[1].role, Role::Replica);
    assert_eq!(config.servers[1].address.to_string(), "db2:3306");
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.listeners[0].address.to_string(), "127.0.0.1:6033");
    assert_eq!(config.listeners[0].mode, ListenerMode::Split);
    assert!(config.accounts.backend && config.accounts.listed.is_empty());
    assert_eq!(config.tls.client.mode, ClientTlsMode::Prefer);
    assert_eq!(config.tls.client.certificate, None);
    assert_eq!(config.pool.max_connections, 100);
    assert_eq!(config.limits.max_allowed_packet, 1 << 30);
    assert_eq!(config.limits.per_user, None);
    assert_eq!(config.monitor.login, None);
    assert_eq!(config.shutdown.grace, Duration::from_secs(30));
    assert_eq!(config.server_version, ServerVersion::Mirror);
    assert!(config.workers >= 1);
    assert_eq!(config.scheduling, Scheduling::Batch);
}

#[test]
fn servers_are_named_for_their_hosts_where_that_is_clear() {
    let config = config("servers: ['10.0.0.1:3306', '10.0.0.1:3307', '[::1]:3306', 'unix:/run/m.sock']");
    let names: Vec<_> = config.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(
        names,
        ["10.0.0.1:3306", "10.0.0.1:3307", "::1", "unix:/run/m.sock"]
    );
}

#[test]
fn the_marked_server_is_the_primary() {
    let config = config("servers: [{address: a}, {address: b, role: primary}]");
    assert_eq!(
        (config.servers[0].role, config.servers[1].role),
        (Role::Replica, Role::Primary)
    );
}

#[test]
fn accounts_have_short_forms() {
    let of = |accounts: &str| config(&format!("servers: [db1]\naccounts: {accounts}")).accounts;
    assert!(of("backend").backend);
    let listed = of("[{name: app, password: x}]");
    assert!(!listed.backend);
    assert_eq!(listed.listed[0].hosts[0].to_string(), "%");
    assert_eq!(listed.listed[0].plugin, AccountPlugin::Mirror);
    assert_eq!(listed.listed[0].backend, BackendLogin::Same);
    let both = of("{backend: true, static: [{name: app, password: '', hosts: 10.%}]}");
    assert!(both.backend);
    assert_eq!(both.listed[0].hosts[0].to_string(), "10.%");
    assert_eq!(both.listed[0].credential, AccountCredential::Password("".into()));
}

#[test]
fn a_native_hash_is_read_as_bytes() {
    let text = "servers: [db1]\naccounts: [{name: a, hash: '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19'}]";
    let account = config(text).accounts.listed.remove(0);
    let AccountCredential::NativeHash(hash) = &account.credential else {
        panic!("a hash")
    };
    assert_eq!(hash.expose()[..4], [0x24, 0x70, 0xC0, 0xC0]);
    assert_eq!(hash.expose().len(), 20);
    assert_eq!(account.plugin, AccountPlugin::MysqlNativePassword);
}

#[test]
fn tls_is_inherited_and_overridden() {
    let config = config(
        "listeners: ['0.0.0.0:3306', {address: 'unix:/run/s.sock', tls: off}]\n\
         tls: {client: require, server: {mode: require, min_version: 1.3}}\n\
         servers: [db1, {address: db2, tls: off}, {address: db3, tls: {mode: prefer}}]\n",
    );
    assert_eq!(config.listeners[0].tls, ClientTlsMode::Require);
    assert_eq!(config.listeners[1].tls, ClientTlsMode::Off);
    let modes: Vec<_> = config.servers.iter().map(|server| server.tls.mode).collect();
    assert_eq!(
        modes,
        [ServerTlsMode::Require, ServerTlsMode::Off, ServerTlsMode::Prefer]
    );
    assert!(
        config
            .servers
            .iter()
            .all(|server| server.tls.min_version == TlsVersion::Tls13)
    );
}

#[test]
fn the_environment_is_put_in() {
    let config = config(
        "servers: ['${HOST}:33${PORT:-06}']\n\
         monitor: {user: '$${x}', password: \"${SECRET}\"}\n\
         server_version: ${EMPTY:-8.4.0}\n",
    );
    assert_eq!(config.servers[0].address.to_string(), "db9:3306");
    let login = config.monitor.login.as_ref().unwrap();
    assert_eq!(login.user, "${x}");
    assert_eq!(login.password.expose_text(), Some("hunter2"));
    assert_eq!(config.server_version, ServerVersion::Fixed("8.4.0".to_owned()));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn secrets_come_from_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("password"), "a b\n\n").unwrap();
    let path = folder.path().join("proxy.yaml");
    std::fs::write(
        &path,
        "servers: [db1]\nmonitor: {user: m, password: 'file:password'}",
    )
    .unwrap();
    let config = Config::load(&path).unwrap();
    assert_eq!(
        config.monitor.login.unwrap().password.expose_text(),
        Some("a b\n")
    );
}

#[test]
fn aliases_are_followed() {
    let config = config("servers:\n  - {address: a, tls: &t {mode: off}}\n  - {address: b, tls: *t}\n");
    assert_eq!(config.servers[1].tls.mode, ServerTlsMode::Off);
}

#[test]
fn consistency_is_inherited_and_overridden() {
    let config = config(
        "servers: [db1]\n\
         consistency: {level: bounded, wait: 0s}\n\
         listeners: ['a:1', {address: 'b:2', consistency: strong}]\n\
         accounts: [{name: x, password: y}, {name: z, password: y, consistency: eventual}]\n",
    );
    let levels: Vec<_> = config.listeners.iter().map(|each| each.consistency).collect();
    assert_eq!(levels, [ConsistencyLevel::Bounded, ConsistencyLevel::Strong]);
    let levels: Vec<_> = config
        .accounts
        .listed
        .iter()
        .map(|each| each.consistency)
        .collect();
    assert_eq!(levels, [None, Some(ConsistencyLevel::Eventual)]);
    assert_eq!(config.consistency.wait, Duration::ZERO);
}

#[test]
fn a_server_may_have_fewer_connections_than_the_others() {
    let config = config(
        "servers: [a, {address: b, max_connections: 7, backup: true, state: drain}]\npool: {max_connections: 50}",
    );
    let most: Vec<_> = config
        .servers
        .iter()
        .map(|server| server.max_connections)
        .collect();
    assert_eq!(most, [50, 7]);
    assert!(config.servers[1].backup && config.servers[1].state == ServerState::Drain);
}

#[test]
fn a_primary_that_serves_no_reads_is_no_fallback_either() {
    let lag = |text: &str| {
        config(&format!("servers: [a]\nrouting: {text}"))
            .routing
            .when_all_lag
    };
    assert_eq!(lag("{reads_from_primary: share}"), WhenAllLag::Primary);
    assert_eq!(lag("{reads_from_primary: never}"), WhenAllLag::Error);
    assert_eq!(
        lag("{reads_from_primary: never, when_all_lag: stale}"),
        WhenAllLag::Stale
    );
}

#[test]
fn a_threshold_alone_stands_for_the_slow_log() {
    let log = |text: &str| config(&format!("servers: [db1]\nlog: {text}")).log;
    assert_eq!(
        log("{slow: 50ms}").slow.threshold,
        Some(Duration::from_millis(50))
    );
    assert_eq!(log("{slow: off}").slow.threshold, None);
    let shown = log("{slow: {literals: shown}, sample: 0.1%}");
    assert_eq!((shown.slow.literals, shown.sample), (Literals::Shown, 10));
    assert_eq!(shown.slow.threshold, Some(Duration::from_secs(1)));
    let audit = |file: &str| {
        config(&format!("servers: [db1]\naudit: {{file: {file}}}"))
            .audit
            .file
    };
    assert_eq!(audit("off"), None);
    assert_eq!(audit("/var/log/audit.log"), Some("/var/log/audit.log".into()));
}
