//! Open transactions that are run again when their server connection is given up: here on the same server, which
//! knows no difference.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value};

use crate::fixture::inside::Inside;
use crate::fixture::proxy::wait_for;
use crate::fixture::{Cluster, on_both_flavours};
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
        assert_eq!(proxy.gate().busy(0), 0);
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
        assert_eq!(told(&error).0, 1213);
        assert!(rows(cluster, &table).await.is_empty());
        assert_eq!(proxy.shared.recovery.unreplayable.get(), 1);
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
        wait_for("the transaction to be run again", async || {
            (proxy.shared.recovery.replayed.get() == 1).then_some(())
        })
        .await;
        locker.query_drop("ROLLBACK").await.unwrap();
        updating.await.unwrap();
        assert_eq!(rows(cluster, &table).await, [(1, 11), (2, 21)]);
    }
}
