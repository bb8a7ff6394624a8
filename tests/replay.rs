//! Open transactions that are run again when their server connection is given up: here on the same server, which
//! knows no difference.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value};
use splitrail::failover::Outcome;
use tokio::task::JoinHandle;

use crate::fixture::inside::Inside;
use crate::fixture::proxy::wait_for;
use crate::fixture::{Cluster, Proxy, on_both_flavours};
use crate::parking::{table, told};

const SETTINGS: &str = "mode: manual";

/// As a coordinator does it that finds no better primary.
async fn lose(proxy: &Inside<'_>) {
    let before = proxy.shared.recovery.evicted.get();
    proxy.gate().shut("a test");
    proxy.gate().evict(0);
    wait_for("an eviction", async || {
        (proxy.shared.recovery.evicted.get() > before).then_some(())
    })
    .await;
    proxy.gate().open(0);
}

async fn session(client: &mut Conn, item: &str) -> Option<(String, Option<String>)> {
    let rows: Vec<(String, String, Option<String>)> = client.query("SHOW SPLITRAIL SESSION").await.unwrap();
    let row = rows.into_iter().find(|row| row.0 == item)?;
    Some((row.1, row.2))
}

async fn rows(cluster: &Cluster, table: &str) -> Vec<(u32, i32)> {
    let sql = format!("SELECT id, v FROM {table} ORDER BY id");
    cluster.primary().query(sql).await.unwrap()
}

on_both_flavours! {
    async fn a_transaction_goes_on_where_it_was(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let table = table(cluster).await;
        let proxy = Inside::before(cluster, SETTINGS).await;
        let mut client = proxy.client().await;
        client.query_drop(format!("INSERT INTO {table} VALUES (1, 10), (2, 20)")).await.unwrap();
        client.query_drop("SET SESSION sql_mode = 'ANSI_QUOTES'").await.unwrap();
        client.query_drop("START TRANSACTION").await.unwrap();
        let read: Vec<(u32, i32)> = client.query(format!("SELECT id, v FROM {table} ORDER BY id")).await.unwrap();
        assert_eq!(read, [(1, 10), (2, 20)]);
        client.query_drop(format!("UPDATE {table} SET v = v + 1 WHERE id = 1")).await.unwrap();
        assert_eq!(session(&mut client, "replayable").await.unwrap().0, "yes");
        lose(&proxy).await;
        client.query_drop(format!("UPDATE {table} SET v = v + 1 WHERE id = 2")).await.unwrap();
        let quoted: Option<String> = client.query_first("SELECT @@sql_mode").await.unwrap();
        assert_eq!(quoted.as_deref(), Some("ANSI_QUOTES"));
        lose(&proxy).await;
        client.query_drop("COMMIT").await.unwrap();
        assert_eq!(rows(cluster, &table).await, [(1, 11), (2, 21)]);
        assert_eq!(proxy.shared.recovery.replayed.get(), 2);
        proxy.idle().await;
        assert_eq!(proxy.shared.replays.as_ref().unwrap().used(), 0);
    }

    async fn prepared_statements_are_run_again_too(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let table = table(cluster).await;
        let proxy = Inside::before(cluster, SETTINGS).await;
        let mut client = proxy.client().await;
        let write = client.prep(format!("INSERT INTO {table} VALUES (?, ?)")).await.unwrap();
        let read = client.prep(format!("SELECT v FROM {table} WHERE id = ?")).await.unwrap();
        client.query_drop("SET autocommit = 0").await.unwrap();
        for id in 1..=3 {
            client.exec_drop(&write, (id, 7 * id)).await.unwrap();
        }
        assert_eq!(client.exec_first::<i32, _, _>(&read, (2,)).await.unwrap(), Some(14));
        lose(&proxy).await;
        assert_eq!(client.exec_first::<i32, _, _>(&read, (3,)).await.unwrap(), Some(21));
        client.exec_drop(&write, (4, Value::Int(-1))).await.unwrap();
        client.query_drop("COMMIT").await.unwrap();
        assert_eq!(rows(cluster, &table).await, [(1, 7), (2, 14), (3, 21), (4, -1)]);
        assert_eq!(proxy.shared.recovery.replayed.get(), 1);
    }

    async fn long_requests_are_run_again_too(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let table = table(cluster).await;
        let proxy = Inside::before(cluster, "mode: manual, replay: {per_transaction: 400KiB}").await;
        let mut client = proxy.client().await;
        let long = "x".repeat(150 << 10);
        client.query_drop("BEGIN").await.unwrap();
        client.query_drop(format!("INSERT /* {long} */ INTO {table} VALUES (1, 1)")).await.unwrap();
        let sql = format!("INSERT INTO {table} VALUES (?, LENGTH(?))");
        client.exec_drop(&sql, (2, &long)).await.unwrap();
        assert_eq!(session(&mut client, "replayable").await.unwrap().0, "yes");
        lose(&proxy).await;
        client.exec_drop(&sql, (3, "short")).await.unwrap();
        client.query_drop("COMMIT").await.unwrap();
        assert_eq!(rows(cluster, &table).await, [(1, 1), (2, 150 << 10), (3, 5)]);
        assert_eq!(proxy.shared.recovery.replayed.get(), 1);
        // There is a limit.
        client.query_drop("BEGIN").await.unwrap();
        for id in 4..=6 {
            client.exec_drop(&sql, (id, &long)).await.unwrap();
        }
        assert_eq!(session(&mut client, "replayable").await.unwrap().0, "no");
        client.query_drop("COMMIT").await.unwrap();
        assert_eq!(rows(cluster, &table).await.len(), 6);
        proxy.idle().await;
        assert_eq!(proxy.shared.replays.as_ref().unwrap().used(), 0);
    }

    async fn another_result_ends_it(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let table = table(cluster).await;
        let proxy = Inside::before(cluster, SETTINGS).await;
        let mut client = proxy.client().await;
        client.query_drop(format!("INSERT INTO {table} VALUES (1, 10)")).await.unwrap();
        client.query_drop("BEGIN").await.unwrap();
        client.query_drop(format!("SELECT v FROM {table} WHERE id = 1")).await.unwrap();
        cluster.primary().execute(format!("UPDATE {table} SET v = 11")).await.unwrap();
        lose(&proxy).await;
        let error = client.query_drop(format!("UPDATE {table} SET v = v + 1")).await.unwrap_err();
        let (code, state, text) = told(&error);
        assert_eq!((code, state), (1213, "40001"));
        assert!(text.contains("statement 2") && text.contains("try restarting transaction"), "{text}");
        assert_eq!(proxy.shared.recovery.different.get(), 1);
        // The application's ordinary way: once more from the beginning.
        client.query_drop("BEGIN").await.unwrap();
        client.query_drop(format!("UPDATE {table} SET v = v + 1")).await.unwrap();
        client.query_drop("COMMIT").await.unwrap();
        assert_eq!(rows(cluster, &table).await, [(1, 12)]);
    }

    async fn what_cannot_be_run_again_says_so_beforehand(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let table = table(cluster).await;
        let proxy = Inside::before(cluster, SETTINGS).await;
        let mut client = proxy.client().await;
        client.query_drop("BEGIN").await.unwrap();
        client.query_drop("SELECT GET_LOCK('replay', 0)").await.unwrap();
        let (replayable, why) = session(&mut client, "replayable").await.unwrap();
        assert_eq!(replayable, "no");
        assert!(why.unwrap().contains("GET_LOCK"));
        lose(&proxy).await;
        let error = client.query_drop(format!("INSERT INTO {table} VALUES (1, 1)")).await.unwrap_err();
        let (code, _, text) = told(&error);
        assert!(code == 1158 && text.contains("GET_LOCK"), "{error}");
        assert!(rows(cluster, &table).await.is_empty());
        assert_eq!(proxy.shared.recovery.unreplayable.get(), 1);
        assert!(client.query_drop("SELECT 1").await.is_err(), "the lock is gone, and so is the session");
    }

    async fn the_statement_under_way_is_run_after_the_others(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let table = table(cluster).await;
        let proxy = Inside::before(cluster, SETTINGS).await;
        let mut client = proxy.client().await;
        client.query_drop(format!("INSERT INTO {table} VALUES (1, 10), (2, 20)")).await.unwrap();
        client.query_drop("BEGIN").await.unwrap();
        client.query_drop(format!("UPDATE {table} SET v = 11 WHERE id = 1")).await.unwrap();
        let mut locker = cluster.primary().connect().await.unwrap();
        locker.query_drop("BEGIN").await.unwrap();
        locker.query_drop(format!("UPDATE {table} SET v = 0 WHERE id = 2")).await.unwrap();
        let sql = format!("UPDATE {table} SET v = 21 WHERE id = 2");
        let running = sql.clone();
        let updating = tokio::spawn(async move {
            client.query_drop(sql).await.unwrap();
            client.query_drop("COMMIT").await.unwrap();
        });
        let waits = "SELECT COUNT(*) FROM information_schema.processlist WHERE info = ";
        wait_for("the update to wait", async || {
            let waiting: Vec<u32> = cluster.primary().query(format!("{waits}'{running}'")).await.unwrap();
            (waiting[0] > 0).then_some(())
        })
        .await;
        lose(&proxy).await;
        // Only then the server notices that the one who waited for it has gone.
        locker.query_drop("ROLLBACK").await.unwrap();
        updating.await.unwrap();
        assert_eq!(rows(cluster, &table).await, [(1, 11), (2, 21)]);
        assert_eq!(proxy.shared.recovery.replayed.get(), 1);
    }
}

pub const ACCOUNTS: &str =
    "user: failover, password: failover, replication: {user: replication, password: replication}";

/// What a client has written, and what of it is not known.
type Written = (Vec<u32>, Vec<u32>);

/// Clients that write one number after the other until they are stopped. Only outcomes that are not known may fail.
struct Writers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Written>>,
}

// === impl Writers ===

impl Writers {
    fn start(clients: Vec<Conn>, table: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let write = |(writer, mut client): (u32, Conn)| {
            let (table, stop) = (table.to_owned(), stop.clone());
            tokio::spawn(async move {
                let (mut written, mut unknown) = (Vec::new(), Vec::new());
                let mut id = writer * 100_000;
                while !stop.load(Ordering::Relaxed) {
                    id += 1;
                    match client
                        .query_drop(format!("INSERT INTO {table} (id) VALUES ({id})"))
                        .await
                    {
                        Ok(()) => written.push(id),
                        Err(error) if told(&error).0 == 1180 => unknown.push(id),
                        Err(error) => panic!("{error}"),
                    }
                }
                (written, unknown)
            })
        };
        let tasks = (0..).zip(clients).map(write).collect();
        Self { stop, tasks }
    }

    async fn stop(self) -> Vec<Written> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for task in self.tasks {
            all.push(task.await.unwrap());
        }
        all
    }
}

/// It goes on at another server, of which it sees the same.
async fn a_read_only_transaction_outlives_its_replica(cluster: &Cluster, proxy: &Inside<'_>, table: &str) {
    let mut reader = proxy.client().await;
    let count = format!("SELECT COUNT(*) FROM {table}");
    reader.query_drop("START TRANSACTION READ ONLY").await.unwrap();
    let before: Option<u64> = reader.query_first(&count).await.unwrap();
    reader.exec_drop(&count, ()).await.unwrap();
    let (lost, _) = session(&mut reader, "holds a connection to").await.unwrap();
    assert_ne!(lost, "db1", "it is on a replica");
    assert_eq!(session(&mut reader, "replayable").await.unwrap().0, "yes");
    let server = cluster.server(&lost).unwrap();
    let threads: Vec<u64> = server
        .query("SELECT id FROM information_schema.processlist WHERE user = 'app' AND id <> CONNECTION_ID()")
        .await
        .unwrap();
    for thread in threads {
        // One of the pool may be gone by itself.
        let _ = server.execute(format!("KILL {thread}")).await;
    }
    let after: Option<u64> = reader.query_first(&count).await.unwrap();
    assert_eq!(after, before);
    let (now, _) = session(&mut reader, "holds a connection to").await.unwrap();
    assert_ne!(now, lost, "it goes on elsewhere");
    let port: Option<u16> = reader.query_first("SELECT @@port").await.unwrap();
    assert_eq!(port, Some(cluster.server(&now).unwrap().port));
    reader.query_drop("COMMIT").await.unwrap();
    assert_eq!(proxy.shared.recovery.replayed.get(), 1);
}

on_both_flavours! {
    async fn when_the_primary_dies_writers_wait_and_transactions_go_on(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        let table = table(&cluster).await;
        let settings = format!("failover: {{mode: automatic, {ACCOUNTS}}}");
        let proxy = Proxy::before(&cluster).with(settings).start().await;
        let mut open = proxy.client().await;
        open.query_drop("BEGIN").await.unwrap();
        open.query_drop(format!("INSERT INTO {table} VALUES (1000000, 1)")).await.unwrap();
        let clients = [proxy.client().await, proxy.client().await, proxy.client().await];
        let writers = Writers::start(clients.into(), &table);
        cluster.catch_up().await.unwrap();
        cluster.primary().kill();
        let mut late = proxy.client().await;
        late.query_drop(format!("INSERT INTO {table} VALUES (2000000, 2)")).await.unwrap();
        open.query_drop(format!("INSERT INTO {table} VALUES (1000001, 1)")).await.unwrap();
        open.query_drop("COMMIT").await.unwrap();
        for (written, unknown) in writers.stop().await {
            assert!(unknown.len() <= 1 && !written.is_empty(), "{unknown:?}");
        }
        let sql = format!("/* splitrail: primary */ SELECT id FROM {table} WHERE v > 0 ORDER BY id");
        let there: Vec<u32> = proxy.client().await.query(sql).await.unwrap();
        assert_eq!(there, [1_000_000, 1_000_001, 2_000_000], "the open transaction, and who came late");
        proxy.wait_for_log(&["transaction run again"]).await;
    }

    async fn nobody_notices_a_switchover(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        let table = table(&cluster).await;
        let mut proxy = Inside::before(&cluster, &format!("mode: manual, {ACCOUNTS}")).await;
        let handle = proxy.commanded().await;
        a_read_only_transaction_outlives_its_replica(&cluster, &proxy, &table).await;
        let mut open = proxy.client().await;
        open.query_drop("BEGIN").await.unwrap();
        open.query_drop(format!("INSERT INTO {table} VALUES (1000000, 1)")).await.unwrap();
        let clients = vec![proxy.client().await, proxy.client().await, proxy.client().await];
        let writers = Writers::start(clients, &table);
        let report = handle.switchover(Some("db2"), None, false).await.unwrap();
        assert_eq!(report.outcome, Outcome::Done, "{report:?}");
        open.query_drop("COMMIT").await.unwrap();
        let all = writers.stop().await;
        assert!(all.iter().all(|(_, unknown)| unknown.is_empty()), "{all:?}");
        let written: HashSet<u32> = all.into_iter().flat_map(|(written, _)| written).chain([1_000_000]).collect();
        let new = cluster.server("db2").unwrap();
        let there: Vec<u32> = new.query(format!("SELECT id FROM {table}")).await.unwrap();
        assert_eq!(there.into_iter().collect::<HashSet<_>>(), written);
        assert_eq!(proxy.shared.recovery.replayed.get(), 2);
    }
}
