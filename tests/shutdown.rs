//! How the proxy ends, what `check` says, and what the log tells of clients.

use std::process::{Command, Output};
use std::time::Duration;

use mysql_async::Error;
use mysql_async::prelude::Queryable;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::evidence::under_way;
use crate::fixture::inside::Inside;
use crate::fixture::link::{Link, Processes, Way};
use crate::fixture::plain::Plain;
use crate::fixture::proxy::{Signal, connect, unique, wait_for};
use crate::fixture::raw::{Raw, Who};
use crate::fixture::{Cluster, Proxy, on_both_flavours};

async fn account(cluster: &Cluster) -> String {
    cluster.new_account("leaving", "IDENTIFIED BY ''").await
}

async fn wait_until_closed(port: u16) {
    wait_for("a closed door", async || {
        TcpStream::connect(("127.0.0.1", port)).await.err()
    })
    .await;
}

/// Waits until a server of the cluster runs this statement.
async fn wait_until_running(cluster: &Cluster, sql: &str) {
    let running = format!("SELECT id FROM information_schema.processlist WHERE info = '{sql}'");
    wait_for("the statement to run", async || {
        for server in cluster.servers() {
            if let Some(id) = server.query::<u64>(&running).await.unwrap().pop() {
                return Some(id);
            }
        }
        None
    })
    .await;
}

fn is_shutdown(error: &Error) -> bool {
    matches!(error, Error::Server(error) if (error.code, &*error.state) == (1053, "08S01"))
}

on_both_flavours! {
    /// Whoever has said something more meanwhile still gets what was said last, and an end in good order.
    async fn a_connection_that_the_proxy_ends_is_not_reset(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let link = Link::to(cluster.primary().port, Processes::default()).await;
        let proxy = Inside::beyond(cluster, &link.address(), "mode: manual").await;
        let mut client = Raw::open(&format!("127.0.0.1:{}", proxy.port), &Who::of(cluster, Who::usual())).await;
        client.run("BEGIN").await;
        under_way(&proxy, 0).await;
        link.set(Way::Hold { there: false, back: true });
        client.send_query("COMMIT RELEASE").await;
        under_way(&proxy, 1).await;
        client.send_query("SELECT 1").await;
        link.heal();
        assert_eq!(client.packet().await.unwrap()[0], 0);
        assert!(client.is_closed_in_order().await);
    }

    async fn clients_that_do_nothing_are_told_at_once(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).start().await;
        let user = account(cluster).await;
        let mut idle = Plain::login(proxy.port(), &user).await;
        proxy.signal(Signal::TERM);
        let (code, text) = idle.read_error().await;
        assert_eq!((code, &*text), (1053, "#08S01Server shutdown in progress"));
        assert_eq!(idle.read().await, None);
        assert_eq!(proxy.wait_exit().await.code(), Some(0));
        assert!(proxy.log().contains("stopped"));
        proxy.wait_for_log(&["client disconnected", &user, "shutdown"]).await;
    }

    async fn a_transaction_may_end_within_the_grace(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let database = cluster.new_database().await;
        cluster.primary().execute(format!("CREATE TABLE {database}.t (id INT PRIMARY KEY)")).await.unwrap();
        let proxy = Proxy::before(cluster).with("shutdown: {grace: 20s}").main_listener("mode: primary").start().await;
        let (mut client, mut asleep) = (proxy.client().await, proxy.client().await);
        client.query_drop("BEGIN").await.unwrap();
        client.query_drop(format!("INSERT INTO {database}.t VALUES (1)")).await.unwrap();
        let (slept, ()) = tokio::join!(asleep.query_first::<u32, _>("SELECT SLEEP(1.7)"), async {
            wait_until_running(cluster, "SELECT SLEEP(1.7)").await;
            proxy.signal(Signal::TERM);
            wait_until_closed(proxy.port()).await;
        });
        assert_eq!(slept.unwrap(), Some(0), "a statement that runs comes to its end");
        client.query_drop(format!("INSERT INTO {database}.t VALUES (2)")).await.unwrap();
        assert!(proxy.exit_status().is_none());
        client.query_drop("COMMIT").await.unwrap();
        assert!(is_shutdown(&client.query_drop("SELECT 1").await.unwrap_err()));
        assert_eq!(proxy.wait_exit().await.code(), Some(0));
        let rows: Vec<u32> = cluster.primary().query(format!("SELECT id FROM {database}.t")).await.unwrap();
        assert_eq!(rows, [1, 2]);
    }

    async fn after_the_grace_nobody_is_waited_for(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let database = cluster.new_database().await;
        cluster.primary().execute(format!("CREATE TABLE {database}.t (id INT PRIMARY KEY)")).await.unwrap();
        let proxy = Proxy::before(cluster).with("shutdown: {grace: 500ms}").start().await;
        let mut client = proxy.client().await;
        let mut busy = proxy.client().await;
        let sleeping = tokio::spawn(async move { busy.query_drop("SELECT SLEEP(20.5)").await });
        wait_until_running(cluster, "SELECT SLEEP(20.5)").await;
        client.query_drop("BEGIN").await.unwrap();
        client.query_drop(format!("INSERT INTO {database}.t VALUES (1)")).await.unwrap();
        let started = Instant::now();
        proxy.signal(Signal::TERM);
        assert_eq!(proxy.wait_exit().await.code(), Some(0));
        assert!(started.elapsed() >= Duration::from_millis(500));
        assert!(is_shutdown(&client.query_drop("COMMIT").await.unwrap_err()));
        let error = sleeping.await.unwrap().unwrap_err();
        assert!(is_shutdown(&error), "{error}");
        let rows = async || cluster.primary().query::<u32>(format!("SELECT id FROM {database}.t")).await.unwrap();
        assert_eq!(rows().await, [0; 0]);
    }

    async fn a_second_signal_ends_the_grace(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("shutdown: {grace: 1h}").start().await;
        let mut client = proxy.client().await;
        client.query_drop("BEGIN").await.unwrap();
        proxy.signal(Signal::TERM);
        wait_until_closed(proxy.port()).await;
        client.query_drop("SELECT 1").await.unwrap();
        proxy.signal(Signal::INT);
        assert_eq!(proxy.wait_exit().await.code(), Some(0));
        assert!(is_shutdown(&client.query_drop("SELECT 1").await.unwrap_err()));
    }

    async fn the_log_has_one_line_for_each_thing_that_happens_to_a_client(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("log: {format: json}").start().await;
        let mut client = proxy.client().await;
        client.query_drop("SELECT 1").await.unwrap();
        client.query_drop("SELECT 2").await.unwrap();
        client.disconnect().await.unwrap();
        proxy.connect("app", "a wrong secret").await.unwrap_err();
        connect(proxy.options().db_name(Some("nowhere"))).await.unwrap_err();
        // The clients are served by several threads, and told before the log is: no order is certain.
        for words in ["disconnected", "1045 Access denied", "nowhere"] {
            proxy.wait_for_log(&[words]).await;
        }
        let mut lines: Vec<Value> = proxy.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.sort_by_key(|line| line["reason"].to_string());
        let said = |what: &str| -> Vec<&Value> { lines.iter().filter(|line| line["message"] == what).collect() };
        let (opened, closed, refused) =
            (said("client connected"), said("client disconnected"), said("client refused"));
        assert_eq!((opened.len(), closed.len(), refused.len()), (1, 1, 2), "{lines:#?}");
        for line in [opened[0], closed[0], refused[0], refused[1]] {
            assert_eq!((&line["user"], &line["level"]), (&Value::from("app"), &Value::from("INFO")));
            assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
            assert_eq!(line["listener"], proxy.address());
            assert!(line["client"].is_u64());
        }
        assert_eq!((&closed[0]["statements"], &closed[0]["reason"]), (&2.into(), &"quit".into()));
        assert!(closed[0]["seconds"].as_f64().unwrap() > 0.0);
        assert!(refused[0]["reason"].as_str().unwrap().contains("1045 Access denied"));
        assert!(refused[1]["reason"].as_str().unwrap().contains("1049"));
    }

    async fn no_secret_is_ever_logged(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let user = unique("secretive");
        let primary = cluster.primary();
        primary.execute(format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'Geheimnis-1'")).await.unwrap();
        let accounts = "accounts: {backend: true, static: [{name: listed, password: 'Geheimnis-2', \
            backend_user: nobody, backend_password: 'Geheimnis-3'}]}";
        let proxy = Proxy::before(cluster)
            .with(accounts)
            .with("monitor: {user: monitor, password: \"${SECRET_OF_THE_MONITOR}\"}")
            .environment("SECRET_OF_THE_MONITOR", "monitor")
            .with("log: {level: trace}")
            .start()
            .await;
        for secure in [false, true] {
            let tls = mysql_async::SslOpts::default()
                .with_danger_accept_invalid_certs(true)
                .with_danger_skip_domain_validation(true);
            let options = || proxy.options().user(Some(&user)).ssl_opts(secure.then(|| tls.clone()));
            let mut client = connect(options().pass(Some("Geheimnis-1"))).await.unwrap();
            client.query_drop("SET @a = 'Geheimnis-4'").await.unwrap();
            client.exec_drop("SELECT ?", ("Geheimnis-5",)).await.unwrap();
            client.query_drop("SELECT no_such_function('Geheimnis-6')").await.unwrap_err();
            client.disconnect().await.unwrap();
            connect(options().pass(Some("Geheimnis-7"))).await.unwrap_err();
            connect(options().user(Some("listed")).pass(Some("Geheimnis-2"))).await.unwrap_err();
        }
        proxy.wait_for_log(&["refused", "listed"]).await;
        let log = proxy.log();
        let leaked: Vec<&str> = log.lines().filter(|line| line.contains("Geheimnis")).collect();
        assert!(leaked.is_empty(), "{leaked:#?}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let cluster = Cluster::shared(crate::fixture::Flavour::MariaDb).await;
    let first = Proxy::before(cluster).start().await;
    let address = first.address();
    let (status, log) = Proxy::before(cluster)
        .listener(format!("{{address: \"{address}\", name: second}}"))
        .fails()
        .await;
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("'second'") && log.contains(&address), "{log}");
}

fn splitrail(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_splitrail"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn check_names_every_problem_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.yaml");
    let path = file.to_str().unwrap();
    let yaml = "servers:\n  - 127.0.0.1\nacounts: backend\nmonitor: {user: m, password: Geheimnis}\n\
        limits:\n  per_user: many\n  idle_timeout: 5 parsecs\ntls: {client: sometimes}\n";
    std::fs::write(&file, yaml).unwrap();
    for command in ["check", "run"] {
        let (code, stdout, stderr) = splitrail(&[command, "-c", path]);
        assert_eq!((code, &*stdout), (Some(2), ""));
        let problems = [
            (3, "acounts", "accounts"),
            (6, "limits.per_user", ""),
            (7, "limits.idle_timeout", "10s"),
            (8, "tls.client", "prefer"),
        ];
        for (line, key, suggestion) in problems {
            let place = format!("{path}:{line}: ");
            assert!(stderr.contains(&place), "no {place} in\n{stderr}");
            assert!(stderr.contains(key) && stderr.contains(suggestion), "{stderr}");
        }
        assert!(!stderr.contains("Geheimnis"));
    }
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/proxy.yaml");
    assert_eq!(splitrail(&["check", "-c", sample]).0, Some(0));
    let (code, _, stderr) = splitrail(&["check", "-c", "/nowhere/proxy.yaml"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("/nowhere/proxy.yaml"), "{stderr}");
}

#[test]
fn the_version_is_told() {
    let (code, stdout, _) = splitrail(&["--version"]);
    assert_eq!(
        (code, stdout.trim_end()),
        (Some(0), concat!("splitrail ", env!("CARGO_PKG_VERSION")))
    );
}
