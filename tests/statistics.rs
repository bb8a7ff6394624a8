//! What is counted of statements, and what is written down of them and of those who sent them.

use std::path::Path;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde_json::Value;
use splitrail::wire::command::Command;

use crate::fixture::proxy::{Signal, connect, wait_for};
use crate::fixture::raw::{Raw, Who};
use crate::fixture::{Cluster, Proxy, on_both_flavours};

const BY_ID: &str = "SELECT n FROM t WHERE id = ?";

/// A database with a table of two rows, made past the proxy.
async fn prepare(cluster: &Cluster) -> String {
    let database = cluster.new_database().await;
    let primary = cluster.primary();
    for sql in [
        format!("CREATE TABLE {database}.t (id INT PRIMARY KEY, n INT)"),
        format!("INSERT INTO {database}.t VALUES (1, 1), (2, 2)"),
    ] {
        primary.execute(sql).await.unwrap();
    }
    cluster.catch_up().await.unwrap();
    database
}

/// Calls, errors, rows, on the primary and on replicas, of one kind of statement in one schema.
async fn counted(admin: &mut Conn, schema: &str, statement: &str) -> [u64; 5] {
    let rows: Vec<(u64, u64, u64, u64, u64)> = admin
        .query(format!(
            "SELECT calls, errors, rows, on_primary, on_replica FROM digests \
             WHERE schema = '{schema}' AND statement = '{statement}'"
        ))
        .await
        .unwrap();
    let add = |sum: [u64; 5], row: &(u64, u64, u64, u64, u64)| {
        [
            sum[0] + row.0,
            sum[1] + row.1,
            sum[2] + row.2,
            sum[3] + row.3,
            sum[4] + row.4,
        ]
    };
    rows.iter().fold([0; 5], add)
}

/// The records of an audit log of one event and client name.
fn records(path: &Path, event: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let read = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    text.lines()
        .map(read)
        .filter(|record| record["event"] == event)
        .collect()
}

async fn wait_for_record(path: &Path, event: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    wait_for(&format!("{event} in the audit log"), async || {
        records(path, event).into_iter().find(|record| is_it(record))
    })
    .await
}

on_both_flavours! {
    async fn statements_are_counted_by_what_they_are_and_where_they_ran(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let database = prepare(cluster).await;
        let proxy = Proxy::before(cluster).admin().start().await;
        let options = || proxy.options().db_name(Some(&database));
        // On both threads.
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(connect(options()).await.unwrap());
        }
        for client in &mut clients {
            for id in 1..=2 {
                client.query_drop(format!("SELECT n FROM t WHERE id = {id}")).await.unwrap();
            }
            client.exec_drop(BY_ID, (1,)).await.unwrap();
            client.query_drop("UPDATE t SET n = n + 1 WHERE id < 9").await.unwrap();
            client.query_drop("SELECT nothing FROM t").await.unwrap_err();
        }
        let mut admin = proxy.admin().await;
        let [calls, errors, rows, primary, replica] = counted(&mut admin, &database, BY_ID).await;
        assert_eq!([calls, errors, rows, primary + replica], [12, 0, 12, 12]);
        assert!(replica >= 1);
        let updates = "UPDATE t SET n = n + ? WHERE id < ?";
        assert_eq!(counted(&mut admin, &database, updates).await, [4, 0, 8, 4, 0]);
        let [calls, errors, ..] = counted(&mut admin, &database, "SELECT nothing FROM t").await;
        assert_eq!([calls, errors], [4, 4]);
        let shares: Vec<f64> = admin
            .query(format!("SELECT share_percent FROM digests WHERE schema = '{database}' AND statement = '{BY_ID}'"))
            .await
            .unwrap();
        assert!((shares.iter().sum::<f64>() - 100.0).abs() < 0.5, "{shares:?}");
        let times: Vec<(f64, f64, f64, f64)> = admin
            .query(format!("SELECT p50_ms, p99_ms, max_ms, total_ms FROM digests WHERE schema = '{database}'"))
            .await
            .unwrap();
        assert!(times.iter().all(|(p50, p99, longest, total)| p50 <= p99 && p99 <= longest && longest <= total));
        admin.query_drop("RESET STATS").await.unwrap();
        assert_eq!(counted(&mut admin, &database, updates).await, [0; 5]);
        clients[0].query_drop("UPDATE t SET n = 1 WHERE id < 1").await.ok();
        clients[0].query_drop("UPDATE t SET n = n + 5 WHERE id < 1").await.unwrap();
        assert_eq!(counted(&mut admin, &database, updates).await[0], 1);
    }

    async fn a_full_table_counts_the_rest_together(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("statistics: {digests: 2}").with("workers: 1").admin().start().await;
        let mut client = proxy.client().await;
        for number in 1..=20 {
            client.query_drop(format!("SELECT 1 AS c{number}")).await.unwrap();
        }
        let mut admin = proxy.admin().await;
        let rows: Vec<(Option<String>, u64)> = admin.query("SELECT digest, calls FROM digests").await.unwrap();
        assert_eq!(rows.len(), 3, "{rows:?}");
        let other = rows.iter().find(|(digest, _)| digest.is_none()).unwrap();
        assert!(other.1 >= 18, "{rows:?}");
    }

    async fn slow_statements_are_logged_without_their_literals(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("log: {slow: 50ms}").start().await;
        let mut client = proxy.client().await;
        client.query_drop("SELECT 'quick'").await.unwrap();
        client.query_drop("SELECT SLEEP(0.1), 'secret'").await.unwrap();
        let line = proxy.wait_for_log(&["slow statement", "SELECT SLEEP(?), ?"]).await;
        for word in ["rows=1", "reason=", "milliseconds=", "server=\"db"] {
            assert!(line.contains(word), "{word}: {line}");
        }
        assert!(!proxy.log().contains("secret") && !proxy.log().contains("quick"));
        client.query_drop("SHOW SPLITRAIL COUNTERS").await.unwrap();
        let counters: Vec<(String, u64)> = client.query("SHOW SPLITRAIL COUNTERS").await.unwrap();
        assert!(counters.iter().any(|(name, count)| name == "log.slow" && *count >= 1), "{counters:?}");
    }

    async fn literals_are_shown_where_that_is_wanted_and_passwords_never(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let settings = "log: {slow: {threshold: off, literals: shown}, sample: 100%}";
        let proxy = Proxy::before(cluster).with(settings).start().await;
        let mut client = proxy.client().await;
        client.query_drop("SELECT 'visible'").await.unwrap();
        proxy.wait_for_log(&["SELECT 'visible'"]).await;
        client.query_drop("SELECT 'hidden' AS password").await.unwrap();
        proxy.wait_for_log(&["SELECT ? AS password"]).await;
        assert!(!proxy.log().contains("hidden"));
    }

    async fn the_audit_log_tells_who_came_and_what_was_forbidden(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster)
            .with("audit: {file: audit.log}")
            .with("rules: [{name: no_sleep, match: {text: sleep}, block: not here}]")
            .admin()
            .start()
            .await;
        let path = proxy.folder().join("audit.log");
        let mut client = proxy.client().await;
        client.query_drop("SELECT SLEEP(7), 'secret'").await.unwrap_err();
        client.prep("SELECT SLEEP(8)").await.unwrap_err();
        proxy.connect("nobody", "guess").await.unwrap_err();
        let mut admin = proxy.admin().await;
        admin.query_drop("RESET STATS").await.unwrap();
        connect(proxy.admin_options("admin").pass(Some("wrong"))).await.unwrap_err();
        let blocked = wait_for_record(&path, "blocked", |record| record["statement"] == "SELECT SLEEP(?), ?").await;
        assert_eq!(blocked["rule"], "no_sleep");
        wait_for_record(&path, "blocked", |record| record["statement"] == "SELECT SLEEP(?)").await;
        let failed = wait_for_record(&path, "login_failed", |record| record["user"] == "nobody").await;
        assert!(failed["reason"].as_str().unwrap().contains("1045"), "{failed}");
        assert!(failed["address"].as_str().unwrap().starts_with("127.0.0.1:"));
        wait_for_record(&path, "admin_login", |record| record["role"] == "operate").await;
        wait_for_record(&path, "admin_login_failed", |record| record["reason"].is_string()).await;
        let done = wait_for_record(&path, "admin", |record| record["command"] == "RESET STATS").await;
        assert_eq!(done["outcome"], "done");
        let login = wait_for_record(&path, "login", |record| record["client"] == client.id()).await;
        assert!(login["time"].as_str().unwrap().ends_with('Z'));
        client.disconnect().await.unwrap();
        wait_for_record(&path, "logout", |record| record["reason"] == "quit").await;
        // All is there when the proxy has ended.
        proxy.signal(Signal::TERM);
        assert!(proxy.wait_exit().await.success());
        assert_eq!(records(&path, "login").len(), records(&path, "logout").len());
        assert!(!std::fs::read_to_string(&path).unwrap().contains("secret"));
    }

    async fn a_file_that_cannot_be_written_stops_nobody_but_the_start(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let (status, log) = Proxy::before(cluster).with("audit: {file: not/there/audit.log}").fails().await;
        assert!(!status.success());
        assert!(log.contains("audit.file") && log.contains("not/there/audit.log"), "{log}");
        let start = Proxy::before(cluster).with("audit: {file: logs/audit.log}");
        std::fs::create_dir(start.folder().join("logs")).unwrap();
        let proxy = start.start().await;
        std::fs::remove_dir_all(proxy.folder().join("logs")).unwrap();
        let mut client = proxy.client().await;
        proxy.wait_for_log(&["the audit log cannot be written"]).await;
        let counters: Vec<(String, u64)> = client.query("SHOW SPLITRAIL COUNTERS").await.unwrap();
        assert!(counters.iter().any(|(name, count)| name == "audit.lost" && *count >= 1), "{counters:?}");
        std::fs::create_dir(proxy.folder().join("logs")).unwrap();
        let _other = proxy.client().await;
        wait_for_record(&proxy.folder().join("logs/audit.log"), "login", |_| true).await;
    }

    async fn commands_that_break_off_count_as_errors(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).admin().start().await;
        let mut client = Raw::open(&proxy.address(), &Who::of(cluster, Who::usual())).await;
        client.send(Command::QUERY, b"SELECT SLEEP(600), 'gone'").await;
        let mut admin = proxy.admin().await;
        let busy = "SELECT id FROM sessions WHERE state = 'query'";
        let id: u32 = wait_for("the statement", async || admin.query_first(busy).await.unwrap()).await;
        let mut other = proxy.client().await;
        other.query_drop(format!("KILL {id}")).await.unwrap();
        wait_for("the end of it", async || {
            let row: Option<(u64, u64)> = admin
                .query_first("SELECT calls, errors FROM digests WHERE statement = 'SELECT SLEEP(?), ?'")
                .await
                .unwrap();
            (row == Some((1, 1))).then_some(())
        }).await;
    }
}
