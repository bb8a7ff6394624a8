//! Statements that wait for a primary, and connections that are given up: the test itself shuts and opens the gate.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, Error, OptsBuilder};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use crate::evidence::under_way;
use crate::fixture::inside::Inside;
use crate::fixture::proxy::{free_port, wait_for};
use crate::fixture::{Cluster, on_both_flavours};

/// A new table of numbers, also on the replicas.
pub async fn table(cluster: &Cluster) -> String {
    let database = cluster.new_database().await;
    let sql = format!("CREATE TABLE {database}.t (id INT PRIMARY KEY, v INT NOT NULL DEFAULT 0)");
    cluster.primary().execute(sql).await.unwrap();
    cluster.catch_up().await.unwrap();
    format!("{database}.t")
}

async fn ids(cluster: &Cluster, table: &str) -> Vec<u32> {
    let sql = format!("SELECT id FROM {table} ORDER BY id");
    cluster.primary().query(sql).await.unwrap()
}

/// Code, SQLSTATE and text of a server's error.
pub fn told(error: &Error) -> (u16, &str, &str) {
    match error {
        Error::Server(error) => (error.code, &error.state, &error.message),
        other => panic!("{other}"),
    }
}

async fn parked(proxy: &Inside<'_>, count: usize) {
    wait_for("statements that wait", async || {
        (proxy.shared.lot.parked() == count).then_some(())
    })
    .await;
}

fn insert(mut client: Conn, table: &str, id: u32) -> tokio::task::JoinHandle<Result<Conn, Error>> {
    let sql = format!("INSERT INTO {table} (id) VALUES ({id})");
    tokio::spawn(async move {
        client.query_drop(sql).await?;
        Ok(client)
    })
}

/// The first row of a question that waits for a locked table, and loses its server there.
async fn asked_again<R: FromRow + Send + 'static>(
    proxy: &Inside<'_>,
    cluster: &Cluster,
    table: &str,
    mut client: Conn,
    sql: String,
) -> (Conn, R) {
    let mut locker = cluster.primary().connect().await.unwrap();
    locker
        .query_drop(format!("LOCK TABLES {table} WRITE"))
        .await
        .unwrap();
    // The statement before it counts as under way for a moment after its answer.
    under_way(proxy, 0).await;
    let asking = tokio::spawn(async move {
        let answer: Result<Option<R>, Error> = client.query_first(sql).await;
        (client, answer)
    });
    under_way(proxy, 1).await;
    proxy.gate().shut("a test");
    proxy.gate().evict(0);
    under_way(proxy, 0).await;
    proxy.gate().open(0);
    under_way(proxy, 1).await;
    locker.query_drop("UNLOCK TABLES").await.unwrap();
    let (client, answer) = asking.await.unwrap();
    (client, answer.unwrap().unwrap())
}

/// Ends with its test.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn logins_are_refused_in_time_while_no_server_has_answered_since_the_start() {
    // Two that refuse, or five that accept and say nothing.
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let silent_ports = silent
        .iter()
        .map(|listener| listener.local_addr().unwrap().port());
    for ports in [vec![free_port(), free_port()], silent_ports.collect()] {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut yaml =
            format!("listeners: [\"127.0.0.1:{port}\"]\nadmin: {{address: off}}\nhttp: {{address: off}}\n");
        yaml += "monitor: {user: monitor, password: monitor}\nfailover: {park_timeout: 2s}\nservers:\n";
        for port in ports {
            yaml += &format!("  - \"127.0.0.1:{port}\"\n");
        }
        let file = folder.path().join("proxy.yaml");
        std::fs::write(&file, yaml).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_splitrail"));
        command.arg("run").arg("-c").arg(&file).stderr(Stdio::null());
        let _proxy = Started(command.spawn().unwrap());
        let options = OptsBuilder::default()
            .tcp_port(port)
            .user(Some("app"))
            .prefer_socket(false);
        let began = Instant::now();
        let error = wait_for("an answer", async || {
            let answer = timeout(Duration::from_secs(20), Conn::new(options.clone())).await;
            match answer.unwrap().unwrap_err() {
                error @ Error::Server(_) => Some(error),
                // It does not listen yet.
                _ => None,
            }
        })
        .await;
        assert_eq!(told(&error).0, 1158);
        assert!(told(&error).2.contains("no other has answered yet"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    }
}

on_both_flavours! {
    async fn writes_wait_while_the_gate_is_shut_and_reads_go_on(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let table = table(cluster).await;
        let proxy = Inside::before(cluster, "mode: manual").await;
        let (writer, beginner, mut reader) = (proxy.client().await, proxy.client().await, proxy.client().await);
        proxy.gate().shut("a test");
        let writing = insert(writer, &table, 1);
        parked(&proxy, 1).await;
        let begins = tokio::spawn(async move {
            let mut beginner = beginner;
            beginner.query_drop("BEGIN").await.map(|()| beginner)
        });
        parked(&proxy, 2).await;
        let read: Option<u32> = reader.query_first(format!("SELECT COUNT(*) FROM {table}")).await.unwrap();
        assert_eq!(read, Some(0), "reads do not wait");
        assert!(!writing.is_finished() && ids(cluster, &table).await.is_empty());
        let rows: Vec<(String, String, Option<String>)> = reader.query("SHOW SPLITRAIL SESSION").await.unwrap();
        assert!(rows.iter().any(|row| row.0 == "statements that wait for a primary" && row.1 == "2"), "{rows:?}");
        proxy.gate().open(0);
        let _writer = writing.await.unwrap().unwrap();
        let mut beginner = begins.await.unwrap().unwrap();
        assert_eq!(ids(cluster, &table).await, [1]);
        assert_eq!(proxy.gate().busy(0), 1, "the transaction that has begun");
        beginner.query_drop("COMMIT").await.unwrap();
        proxy.idle().await;
        assert_eq!(proxy.shared.recovery.parked.get(), 2);
    }

    async fn a_transaction_that_has_begun_goes_on_and_keeps_the_gate_busy(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let table = table(cluster).await;
        let proxy = Inside::before(cluster, "mode: manual").await;
        let mut client = proxy.client().await;
        client.query_drop("START TRANSACTION").await.unwrap();
        proxy.gate().shut("a test");
        client.query_drop(format!("INSERT INTO {table} (id) VALUES (1)")).await.unwrap();
        let idle = tokio::time::timeout(std::time::Duration::from_millis(50), proxy.gate().idle(0));
        assert!(idle.await.is_err(), "it is not idle");
        client.query_drop("COMMIT").await.unwrap();
        proxy.gate().idle(0).await;
        assert_eq!(ids(cluster, &table).await, [1]);
    }

    async fn who_waits_too_long_is_told_that_nothing_was_run(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let table = table(cluster).await;
        let proxy = Inside::before(cluster, "mode: manual, park_timeout: 200ms").await;
        let mut client = proxy.client().await;
        proxy.gate().shut("switchover to db2");
        let error = client.query_drop(format!("INSERT INTO {table} (id) VALUES (1)")).await.unwrap_err();
        let (code, state, text) = told(&error);
        assert_eq!((code, state), (1213, "40001"));
        assert!(text.contains("switchover to db2") && text.contains("has not been run"), "{text}");
        assert_eq!((proxy.shared.lot.parked(), proxy.shared.recovery.timed_out.get()), (0, 1));
        proxy.gate().open(0);
        client.query_drop(format!("INSERT INTO {table} (id) VALUES (2)")).await.unwrap();
        client.exec_drop(format!("INSERT INTO {table} (id) VALUES (?)"), (3,)).await.unwrap();
        assert_eq!(ids(cluster, &table).await, [2, 3]);
        proxy.idle().await;
    }

    async fn the_oldest_makes_room_and_who_leaves_is_forgotten(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let table = table(cluster).await;
        let proxy = Inside::before(cluster, "mode: manual, park_statements: 2").await;
        let clients = [proxy.client().await, proxy.client().await, proxy.client().await, proxy.client().await];
        let [first, second, third, fourth] = clients;
        proxy.gate().shut("a test");
        let first = insert(first, &table, 1);
        parked(&proxy, 1).await;
        let second = insert(second, &table, 2);
        parked(&proxy, 2).await;
        let third = insert(third, &table, 3);
        let error = first.await.unwrap().unwrap_err();
        assert_eq!(told(&error).0, 1213);
        assert!(told(&error).2.contains("too many"), "{error}");
        second.abort();
        parked(&proxy, 1).await;
        assert_eq!(proxy.shared.recovery.left.get(), 1);
        let fourth = insert(fourth, &table, 4);
        parked(&proxy, 2).await;
        proxy.gate().open(0);
        third.await.unwrap().unwrap();
        fourth.await.unwrap().unwrap();
        assert_eq!(ids(cluster, &table).await, [3, 4]);
    }

    async fn connections_that_are_given_up_are_closed_wherever_they_are(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let table = table(cluster).await;
        let proxy = Inside::before(cluster, "mode: manual").await;
        let (mut pooled, mut held) = (proxy.client().await, proxy.client().await);
        pooled.query_drop(format!("INSERT INTO {table} (id) VALUES (1)")).await.unwrap();
        held.query_drop("CREATE TEMPORARY TABLE app.tt (a INT)").await.unwrap();
        proxy.gate().evict(0);
        wait_for("an eviction", async || (proxy.shared.recovery.evicted.get() > 0).then_some(())).await;
        pooled.query_drop(format!("INSERT INTO {table} (id) VALUES (2)")).await.unwrap();
        let error = held.query_drop("SELECT * FROM app.tt").await.unwrap_err();
        let (code, _, text) = told(&error);
        assert!(code == 1158 && text.contains("temporary tables"), "{error}");
        assert!(held.query_drop("SELECT 1").await.is_err(), "what it held is gone, and so is the session");
        assert_eq!(ids(cluster, &table).await, [1, 2]);
    }

    async fn a_write_that_was_sent_and_not_answered_is_not_sent_again(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let table = table(cluster).await;
        let proxy = Inside::before(cluster, "mode: manual").await;
        let mut locker = cluster.primary().connect().await.unwrap();
        locker.query_drop("BEGIN").await.unwrap();
        locker.query_drop(format!("INSERT INTO {table} (id) VALUES (1)")).await.unwrap();
        let mut client = proxy.client().await;
        let sql = format!("INSERT INTO {table} (id) VALUES (1)");
        let writing = tokio::spawn(async move {
            let error = client.query_drop(sql).await.unwrap_err();
            (client, error)
        });
        let waits = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'INSERT INTO {table}%'");
        wait_for("the write to wait", async || {
            let waiting: Vec<u32> = cluster.primary().query(&waits).await.unwrap();
            (waiting[0] == 1).then_some(())
        })
        .await;
        proxy.gate().evict(0);
        let (mut client, error) = writing.await.unwrap();
        let (code, state, text) = told(&error);
        assert_eq!((code, state), (1180, "08007"));
        assert!(text.contains("not known"), "{text}");
        assert_eq!(proxy.shared.recovery.ambiguous.get(), 1);
        client.query_drop("SELECT 1").await.unwrap();
        proxy.idle().await;
    }

    async fn questions_about_the_statement_before_are_asked_again(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let table = table(cluster).await;
        let proxy = Inside::before(cluster, "mode: manual").await;
        let mut client = proxy.client().await;
        client.query_drop(format!("INSERT INTO {table} VALUES (1, 1), (2, 2)")).await.unwrap();
        let before_and_asked = [
            (format!("INSERT INTO {table} VALUES (LAST_INSERT_ID(7), 7)"), "LAST_INSERT_ID()", 7),
            (format!("UPDATE {table} SET v = v + 1 WHERE id < 7"), "ROW_COUNT()", 2),
            (format!("SELECT id FROM {table} FOR UPDATE"), "FOUND_ROWS()", 3),
            ("SET @kept = 5".to_owned(), "CONNECTION_ID() * 0 + @kept", 5),
        ];
        for (nth, (before, asked, answer)) in (1..).zip(before_and_asked) {
            client.query_drop(before).await.unwrap();
            let sql = format!("SELECT {asked}, v FROM {table} WHERE id = 1");
            let (back, told) = asked_again::<(i64, i32)>(&proxy, cluster, &table, client, sql).await;
            assert_eq!(told.0, answer, "{asked}");
            assert_eq!(proxy.shared.recovery.repeated.get(), nth);
            client = back;
        }
        proxy.idle().await;
    }

    async fn questions_about_the_primary_are_asked_again(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let table = table(cluster).await;
        let proxy = Inside::before(cluster, "mode: manual").await;
        let sql = format!("SHOW STATUS WHERE Variable_name = 'Uptime' AND (SELECT COUNT(*) FROM {table}) = 0");
        let client = proxy.client().await;
        let (_, told) = asked_again::<(String, String)>(&proxy, cluster, &table, client, sql).await;
        assert_eq!(told.0, "Uptime");
        assert_eq!((proxy.shared.recovery.repeated.get(), proxy.shared.recovery.ambiguous.get()), (1, 0));
        proxy.idle().await;
    }
}
