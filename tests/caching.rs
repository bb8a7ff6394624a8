//! Results given again and reads mirrored, as rules want it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use splitrail::wire::Capabilities;
use splitrail::wire::command::Command;
use splitrail::wire::framing::Expect;

use crate::fixture::proxy::{connect, wait_for};
use crate::fixture::raw::{Raw, Who};
use crate::fixture::{Cluster, Flavour, Proxy, on_both_flavours};

const RULE: &str = "rules: [{name: keep, match: {verb: select}, cache: {ttl: 1h}}]";

async fn ask(client: &mut Conn, sql: &str) -> u64 {
    client.query_first(sql).await.unwrap().unwrap()
}

/// A database with a table, made past the proxy.
async fn prepare(cluster: &Cluster) -> String {
    let database = cluster.new_database().await;
    let primary = cluster.primary();
    for table in ["t", "u"] {
        primary
            .execute(format!(
                "CREATE TABLE {database}.{table} (id INT PRIMARY KEY, n INT)"
            ))
            .await
            .unwrap();
        primary
            .execute(format!("INSERT INTO {database}.{table} VALUES (1, 1), (2, 2)"))
            .await
            .unwrap();
    }
    cluster.catch_up().await.unwrap();
    database
}

/// Changes the rows of a table without the proxy's knowledge.
async fn change(cluster: &Cluster, table: &str) {
    cluster
        .primary()
        .execute(format!("UPDATE {table} SET n = n + 1"))
        .await
        .unwrap();
    cluster.catch_up().await.unwrap();
}

/// Whether the result of a statement is given again although the table has changed.
async fn is_kept(cluster: &Cluster, client: &mut Conn, sql: &str, table: &str) -> bool {
    let before = ask(client, sql).await;
    change(cluster, table).await;
    ask(client, sql).await == before
}

/// How many statements were answered with a kept result.
async fn cached(proxy: &Proxy<'_>) -> u64 {
    let rows: Vec<(String, u64)> = proxy
        .client()
        .await
        .query("SHOW SPLITRAIL COUNTERS")
        .await
        .unwrap();
    rows.into_iter()
        .filter(|row| row.0 == "cache.hits")
        .map(|row| row.1)
        .sum()
}

/// Executes a statement that is prepared where it has not been: the first of its session.
async fn execution(raw: &mut Raw, flags: u8, with_types: bool) -> Vec<Vec<u8>> {
    let sql = b"SELECT id, n FROM t WHERE id >= ? ORDER BY id";
    let prepared = raw.command(Command::STMT_PREPARE, sql, Expect::Prepared).await;
    let id = &prepared[0][1..5];
    let types: &[u8] = if with_types { b"\x01\x08\0" } else { b"\0" };
    let named = [id, &[flags], b"\x01\0\0\0\0\x01\x08\0", &1_u64.to_le_bytes()].concat();
    let body = [id, &[flags], b"\x01\0\0\0\0", types, &1_u64.to_le_bytes()].concat();
    if !with_types {
        raw.command(Command::STMT_EXECUTE, &named, Expect::Results).await;
    }
    raw.command(Command::STMT_EXECUTE, &body, Expect::Results).await
}

const WRITES: u64 = 200;
const SUM: &str = "SELECT SUM(n) FROM t";

/// MySQL has none any more.
#[tokio::test(flavor = "multi_thread")]
async fn mariadbs_own_query_cache_is_filled() {
    let cache = Cluster::of(Flavour::MariaDb)
        .option("query_cache_type=1")
        .option("query_cache_size=1M");
    let cluster = cache.start().await;
    let database = prepare(&cluster).await;
    let proxy = Proxy::before(&cluster).start().await;
    let hits = async || -> u64 {
        let rows: Vec<(String, u64)> = cluster
            .primary()
            .query("SHOW GLOBAL STATUS LIKE 'Qcache_hits'")
            .await
            .unwrap();
        rows[0].1
    };
    let sum = format!("SELECT SUM(n) FROM {database}.t");
    // A connection that was opened before the monitor has seen the cache is not for it.
    let mut client = wait_for("the cache to be used", async || {
        let (before, mut client) = (hits().await, proxy.client().await);
        assert_eq!(ask(&mut client, &sum).await, 3);
        assert_eq!(ask(&mut client, &sum).await, 3);
        (hits().await > before).then_some(client)
    })
    .await;
    let before = hits().await;
    assert_eq!(ask(&mut client, &sum).await, 3);
    assert_eq!(hits().await - before, 1);
    // What is known of transactions without the server's word.
    client.query_drop("SET TRANSACTION READ ONLY").await.unwrap();
    client.query_drop("START TRANSACTION").await.unwrap();
    let write = format!("INSERT INTO {database}.t VALUES (3, 3)");
    assert!(client.query_drop(&write).await.is_err());
    client.query_drop("ROLLBACK").await.unwrap();
    client.query_drop(&write).await.unwrap();
    assert_eq!(ask(&mut client, &sum).await, 6);
}

on_both_flavours! {
    async fn a_result_is_given_again_until_its_table_is_written_to(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let database = prepare(cluster).await;
        let proxy = Proxy::before(cluster).with(RULE).start().await;
        let options = || proxy.options().db_name(Some(&database));
        let (mut one, mut two) = (connect(options()).await.unwrap(), connect(options()).await.unwrap());
        let (t, u) = (format!("{database}.t"), format!("{database}.u"));
        assert!(is_kept(cluster, &mut one, SUM, &t).await);
        let kept = ask(&mut one, SUM).await;
        assert_eq!(ask(&mut two, SUM).await, kept, "sessions on other threads have it too");

        // Counts are those of the statement that was answered, wherever the answer came from.
        ask(&mut two, "SELECT n FROM t WHERE id = 1 UNION SELECT n FROM t WHERE id = 2").await;
        ask(&mut two, "SELECT n FROM t WHERE id = 1 UNION SELECT n FROM t WHERE id = 2").await;
        assert_eq!(ask(&mut two, "SELECT FOUND_ROWS()").await, 2);

        let mut third = connect(options()).await.unwrap();
        third.query_drop("SET splitrail.trace = 1").await.unwrap();
        assert_eq!(ask(&mut third, SUM).await, kept);
        let notes: Vec<(String, u64, String)> = third.query("SHOW WARNINGS").await.unwrap();
        assert!(notes.iter().any(|note| note.2.contains("rule 'keep' had kept its result")), "{notes:?}");

        // A write to another table leaves it, one to this table ends it, for the writer at once.
        one.query_drop("UPDATE u SET n = 7").await.unwrap();
        assert_eq!(ask(&mut one, SUM).await, kept);
        one.query_drop("UPDATE t SET n = 10").await.unwrap();
        assert_eq!(ask(&mut one, SUM).await, 20);
        one.exec_drop("UPDATE t SET n = ?", (11,)).await.unwrap();
        assert_eq!(ask(&mut one, SUM).await, 22);
        cluster.catch_up().await.unwrap();
        assert_eq!(ask(&mut two, SUM).await, 22);

        // It is kept again when the replica is known to have the write.
        wait_for("a result to be kept after a write", async || {
            is_kept(cluster, &mut one, SUM, &t).await.then_some(())
        }).await;
        // Who knows what a procedure writes to.
        let kept = ask(&mut one, SUM).await;
        change(cluster, &t).await;
        assert_eq!(ask(&mut one, SUM).await, kept);
        one.query_drop("CREATE TABLE more (n INT)").await.unwrap();
        assert_ne!(ask(&mut one, SUM).await, kept);
        // A function that says that it only reads, and writes all the same.
        cluster.primary().execute(format!(
            "CREATE FUNCTION {database}.sly() RETURNS INT READS SQL DATA DETERMINISTIC BEGIN UPDATE {t} SET n = n + 1; RETURN 1; END"
        )).await.unwrap();
        cluster.catch_up().await.unwrap();
        let before = ask(&mut one, SUM).await;
        assert_eq!(ask(&mut one, "SELECT sly()").await, 1);
        assert_eq!(ask(&mut one, SUM).await, before + 2);
        assert!(!is_kept(cluster, &mut one, "SELECT n + 0 * RAND() FROM u WHERE id = 1", &u).await);
        assert!(!is_kept(cluster, &mut one, "SELECT n + 0 * SECOND(NOW()) FROM u WHERE id = 1", &u).await);
    }

    async fn a_transaction_sees_its_own_and_ends_results_when_it_ends(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let database = prepare(cluster).await;
        let proxy = Proxy::before(cluster).with(RULE).start().await;
        let options = || proxy.options().db_name(Some(&database));
        let (mut one, mut two) = (connect(options()).await.unwrap(), connect(options()).await.unwrap());
        let t = format!("{database}.t");
        assert!(is_kept(cluster, &mut two, SUM, &t).await);
        let (kept, real) = (ask(&mut two, SUM).await, 5);
        one.query_drop("BEGIN").await.unwrap();
        assert_eq!(ask(&mut one, SUM).await, real, "nothing kept is for a transaction");
        assert_eq!(ask(&mut two, SUM).await, kept);
        one.query_drop("UPDATE t SET n = 100").await.unwrap();
        assert_eq!(ask(&mut one, SUM).await, 200);
        // Neither the old result nor the uncommitted one, and what is read now is not kept.
        assert_eq!(ask(&mut two, SUM).await, real);
        one.query_drop("COMMIT").await.unwrap();
        assert_eq!(ask(&mut one, SUM).await, 200);
        cluster.catch_up().await.unwrap();
        assert_eq!(ask(&mut two, SUM).await, 200);

        // Others have other rights, schemas and settings.
        two.query_drop("SET NAMES latin1").await.unwrap();
        let name = "SELECT @@collation_connection = 'x', SUM(n) FROM t";
        two.query_drop(name).await.unwrap();
        two.query_drop("SET splitrail.consistency = 'strong'").await.unwrap();
        assert!(!is_kept(cluster, &mut two, SUM, &t).await);
    }

    /// Whatever crosses with whatever, nobody reads less than what had been written when the read began.
    async fn no_read_goes_behind_a_write(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let database = prepare(cluster).await;
        let rules = "rules: [{name: keep, match: {verb: select}, target: primary, cache: {ttl: 1h}}]";
        let proxy = Proxy::before(cluster).with(rules).start().await;
        let options = || proxy.options().db_name(Some(&database));
        let sql = "SELECT n FROM t WHERE id = 1";
        let written = Arc::new(AtomicU64::new(0));
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let (mut client, written) = (connect(options()).await.unwrap(), written.clone());
            readers.spawn(async move {
                loop {
                    let floor = written.load(Ordering::SeqCst);
                    let read = ask(&mut client, sql).await;
                    assert!(read >= floor, "{read} after {floor}");
                    if floor == WRITES {
                        return;
                    }
                }
            });
        }
        let mut writer = connect(options()).await.unwrap();
        for number in 1..=WRITES {
            match number % 3 {
                0 => writer.query_drop(format!("UPDATE t SET n = {number} WHERE id = 1")).await.unwrap(),
                1 => writer.exec_drop("UPDATE t SET n = ? WHERE id = 1", (number,)).await.unwrap(),
                _ => {
                    writer.query_drop("BEGIN").await.unwrap();
                    writer.query_drop(format!("UPDATE t SET n = {number} WHERE id = 1")).await.unwrap();
                    writer.query_drop("COMMIT").await.unwrap();
                }
            }
            written.store(number, Ordering::SeqCst);
            assert_eq!(ask(&mut writer, sql).await, number);
        }
        while let Some(read) = readers.join_next().await {
            read.unwrap();
        }
        cluster.primary().execute(format!("UPDATE {database}.t SET n = 0")).await.unwrap();
        assert_eq!(ask(&mut writer, sql).await, WRITES, "results are kept");
    }

    async fn a_kept_result_looks_like_a_servers(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let database = prepare(cluster).await;
        let proxy = Proxy::before(cluster).with(RULE).start().await;
        let t = format!("{database}.t");
        let usual = Who::usual();
        let new = usual | Capabilities::DEPRECATE_EOF;
        for capabilities in [usual, new, new | Capabilities::SESSION_TRACK] {
            let who = Who::of(cluster, capabilities).database(&database);
            let mut direct = Raw::open(&cluster.primary().address(), &who).await;
            let mut client = Raw::open(&proxy.address(), &who).await;
            let sql = "SELECT id, n FROM t ORDER BY id";
            let expected = direct.query(sql).await;
            assert_eq!(client.query(sql).await, expected);
            change(cluster, &t).await;
            assert_eq!(client.query(sql).await, expected, "given again");
            assert_ne!(direct.query(sql).await, expected);
            // The connection goes on as if a server had answered.
            let ping = client.command(splitrail::wire::command::Command(14), b"", Expect::Results).await;
            assert_eq!(ping.len(), 1);
        }
    }

    async fn executions_are_kept_by_their_values(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let database = prepare(cluster).await;
        let proxy = Proxy::before(cluster).with(RULE).start().await;
        let options = || proxy.options().db_name(Some(&database));
        let (mut one, mut two) = (connect(options()).await.unwrap(), connect(options()).await.unwrap());
        let t = format!("{database}.t");
        let sql = "SELECT n * 10 FROM t WHERE id = ?";
        let exec = async |client: &mut Conn, id: mysql_async::Value| -> u64 {
            client.exec_first(sql, (id,)).await.unwrap().unwrap()
        };
        assert_eq!(exec(&mut one, 1.into()).await, 10);
        assert_eq!(exec(&mut one, 2.into()).await, 20);
        change(cluster, &t).await;
        assert_eq!(exec(&mut one, 1.into()).await, 10, "given again");
        assert_eq!(exec(&mut two, 2.into()).await, 20, "to another session, too");
        assert_eq!(exec(&mut two, 1.into()).await, 10);
        assert_eq!(exec(&mut two, "1".into()).await, 20, "another type is another value");
        // The same text that was not prepared has other bytes.
        assert_eq!(ask(&mut one, "SELECT n * 10 FROM t WHERE id = 1").await, 20);
        assert_eq!(exec(&mut one, 1.into()).await, 10);
        one.exec_drop("UPDATE t SET n = ? WHERE id = ?", (7, 1)).await.unwrap();
        assert_eq!(exec(&mut one, 1.into()).await, 70);
        cluster.catch_up().await.unwrap();
        assert_eq!(exec(&mut two, 2.into()).await, 30);
        // In a transaction it runs.
        wait_for("a result to be kept", async || {
            let before = exec(&mut one, 2.into()).await;
            change(cluster, &t).await;
            (exec(&mut one, 2.into()).await == before).then_some(())
        }).await;
        let kept = exec(&mut one, 2.into()).await;
        one.query_drop("BEGIN").await.unwrap();
        assert_ne!(exec(&mut one, 2.into()).await, kept);
        one.query_drop("ROLLBACK").await.unwrap();
        assert!(cached(&proxy).await > 0);
    }

    async fn a_kept_execution_looks_like_a_servers(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let database = prepare(cluster).await;
        let proxy = Proxy::before(cluster).with(RULE).start().await;
        let t = format!("{database}.t");
        let usual = Who::usual();
        for capabilities in [usual, usual | Capabilities::DEPRECATE_EOF] {
            let who = Who::of(cluster, capabilities).database(&database);
            let mut direct = Raw::open(&cluster.primary().address(), &who).await;
            let mut client = Raw::open(&proxy.address(), &who).await;
            let expected = execution(&mut direct, 0, true).await;
            assert_eq!(execution(&mut client, 0, true).await, expected);
            change(cluster, &t).await;
            assert_eq!(execution(&mut client, 0, true).await, expected, "given again");
            assert_eq!(execution(&mut client, 0, false).await, expected, "by the types of the one before");
            assert_ne!(execution(&mut direct, 0, true).await, expected);
            // A cursor is the connection's own.
            let body = [&1_u32.to_le_bytes()[..], b"\x01\x01\0\0\0\0\x01\x08\0", &1_u64.to_le_bytes()].concat();
            let opened = client.command(Command::STMT_EXECUTE, &body, Expect::Cursor).await;
            assert!(opened.len() < expected.len(), "no rows yet");
        }
    }

    async fn what_is_too_old_or_too_large_is_read_anew(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let database = prepare(cluster).await;
        let rules = "rules:\n\
            \x20 - {name: short, match: {text: short}, cache: {ttl: 1ms}}\n\
            \x20 - {name: small, match: {text: small}, cache: {ttl: 1h, max_bytes: 100}}\n";
        let proxy = Proxy::before(cluster).with(rules).start().await;
        let mut client = connect(proxy.options().db_name(Some(&database))).await.unwrap();
        let t = format!("{database}.t");
        assert!(!is_kept(cluster, &mut client, "SELECT n AS short FROM t", &t).await);
        assert!(is_kept(cluster, &mut client, "SELECT n AS small FROM t", &t).await);
        let large = format!("SELECT n AS {} FROM t", "small".repeat(10));
        assert!(!is_kept(cluster, &mut client, &large, &t).await);
    }

    async fn a_mirror_tells_what_differs(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        let database = prepare(&cluster).await;
        let replica = &cluster.replicas()[0];
        let rules = format!(
            "rules: [{{name: m, match: {{verb: select}}, target: primary, mirror: {{server: {}}}}}]",
            replica.name
        );
        let proxy = Proxy::before(&cluster).with(rules).start().await;
        let mut client = connect(proxy.options().db_name(Some(&database))).await.unwrap();
        let same = "SELECT n FROM u WHERE id IN (1, 2)";
        let stop = match flavour {
            Flavour::MySql => "STOP REPLICA SQL_THREAD",
            Flavour::MariaDb => "STOP SLAVE SQL_THREAD",
        };
        replica.execute(stop).await.unwrap();
        cluster.primary().execute(format!("UPDATE {database}.t SET n = 424242")).await.unwrap();
        for _ in 0..3 {
            client.query_drop(same).await.unwrap();
        }
        // Executions with values of any types, and with none.
        client.exec_drop("SELECT n FROM u WHERE id IN (?, ?)", (1, 2)).await.unwrap();
        client.exec_drop("SELECT n FROM u WHERE id = ? OR id = ?", ("1", 2.5)).await.unwrap();
        client.exec_drop("SELECT n FROM u", ()).await.unwrap();
        assert_eq!(ask(&mut client, "SELECT n FROM t WHERE id = 1 AND n <> 987654").await, 424_242);
        let line = proxy.wait_for_log(&["a mirrored read has another result", "differences=1"]).await;
        assert!(line.contains("alike=6") && line.contains("digest="), "{line}");
        client.exec_drop("SELECT n FROM t WHERE id = ? AND n <> ?", (1, 987_654)).await.unwrap();
        proxy.wait_for_log(&["a mirrored read has another result", "differences=2"]).await;
        let log = proxy.log();
        assert!(!log.contains("987654") && !log.contains("424242"), "{log}");
    }
}
