//! Writes with autocommit on that leave evidence: what their clients see, and what becomes of them when their server
//! is lost on the way.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Params};
use tokio::task::JoinHandle;

use crate::evidence::{BACK, SETTINGS, breaks, ids, linked, prepared, rows, settled, under_way};
use crate::fixture::inside::Inside;
use crate::fixture::link::{Link, Processes, Way};
use crate::fixture::proxy::{Proxy, connect, wait_for};
use crate::fixture::raw::{Raw, Who, shown};
use crate::fixture::{Cluster, on_both_flavours};
use crate::parking::{table, told};
use crate::replay::ACCOUNTS;
use crate::statements::{self, LONGLONG};

/// One that keeps all rows of evidence to itself, so that no commit gets past it.
async fn blocker(cluster: &Cluster) -> Conn {
    let mut blocker = connect(cluster.primary().options()).await.unwrap();
    blocker.query_drop("BEGIN").await.unwrap();
    let all = "SELECT number FROM splitrail.commits FOR UPDATE";
    let _: Vec<u64> = blocker.query(all).await.unwrap();
    blocker
}

/// Until so many threads wait for a row.
async fn waiting(cluster: &Cluster, count: u32) {
    let sql = "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'";
    wait_for("threads that wait for a row", async || {
        let waits: Vec<(String, u32)> = cluster.primary().query(sql).await.unwrap();
        (waits[0].1 == count).then_some(())
    })
    .await;
}

/// The only thread that is at work.
async fn at_work(cluster: &Cluster) -> u64 {
    let sql = "SELECT id FROM information_schema.processlist \
               WHERE command = 'Query' AND id <> CONNECTION_ID()";
    wait_for("all others to be done", async || {
        let threads: Vec<u64> = cluster.primary().query(sql).await.unwrap();
        (threads.len() == 1).then(|| threads[0])
    })
    .await
}

/// A client that has committed with evidence before, so that its session has a row to wait for.
async fn proven(proxy: &Inside<'_>, table: &str) -> Conn {
    let mut client = proxy.client().await;
    let sql = format!("INSERT INTO {table} (id) VALUES (100)");
    client.query_drop(sql).await.unwrap();
    under_way(proxy, 0).await;
    client
}

/// Affected rows, and the client.
fn writes(mut client: Conn, sql: String) -> JoinHandle<Result<(u64, Conn), Error>> {
    tokio::spawn(async move {
        client.query_drop(sql).await?;
        Ok((client.affected_rows(), client))
    })
}

/// What is seen of a statement and after it.
type Seen = (
    Result<(u64, Option<u64>, u16, String), u16>,
    Vec<(String, u16, String)>,
    Vec<(String, u16, String)>,
    (i64, i64),
);

async fn seen(client: &mut Conn, sql: &str, prepared: bool) -> Seen {
    let answer = match prepared {
        true => {
            let statement = client.prep(sql).await.unwrap();
            client.exec_iter(&statement, Params::Empty).await.map(drop)
        }
        false => client.query_iter(sql).await.map(drop),
    };
    let answer = match answer {
        Ok(()) => Ok((
            client.affected_rows(),
            client.last_insert_id(),
            client.get_warnings(),
            client.info().into_owned(),
        )),
        Err(error) => Err(told(&error).0),
    };
    let warnings = client.query("SHOW WARNINGS").await.unwrap();
    let errors = client.query("SHOW ERRORS").await.unwrap();
    client.query_drop("DO 0").await.unwrap();
    let _ = client.query_drop(sql).await;
    let counts = client
        .query_first("SELECT ROW_COUNT(), LAST_INSERT_ID()")
        .await
        .unwrap();
    (answer, warnings, errors, counts.unwrap())
}

on_both_flavours! {
    async fn clients_see_no_transaction_around_a_write(flavour) {
        let cluster = prepared(flavour).await;
        let database = cluster.new_database().await;
        let proxy = Inside::before(cluster, SETTINGS).await;
        let statements = [
            "INSERT INTO t (v) VALUES (1), (2)",
            "UPDATE t SET v = v + 1 WHERE id < 3",
            "UPDATE t SET v = v WHERE id < 3",
            "INSERT IGNORE INTO t (id, v) VALUES (1, 1000), (2, 7)",
            "INSERT INTO t (id, v) VALUES (1, 1)",
            "REPLACE INTO t (id, v) VALUES (1, 1)",
            "DELETE FROM t WHERE id > 100",
            "INSERT INTO plain VALUES (1), (2)",
            "INSERT IGNORE INTO plain VALUES (1000)",
            "INSERT INTO nowhere VALUES (1)",
            "INSERT INTO t (v) VALUES ('it''s no number')",
            "DELETE FROM t ORDER BY id LIMIT 1",
        ];
        for prepared in [false, true] {
            let mut told = Vec::new();
            let before = rows(cluster).await;
            for direct in [true, false] {
                let setup = [
                    "DROP TABLE IF EXISTS t, plain",
                    "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v TINYINT)",
                    "CREATE TABLE plain (v TINYINT) ENGINE=MyISAM",
                ];
                let mut client = match direct {
                    true => connect(cluster.primary().options()).await.unwrap(),
                    false => proxy.client().await,
                };
                client.query_drop(format!("USE {database}")).await.unwrap();
                for sql in setup {
                    client.query_drop(sql).await.unwrap();
                }
                let mut all = Vec::new();
                for sql in statements {
                    if prepared && sql.contains("nowhere") {
                        continue;
                    }
                    all.push((sql, seen(&mut client, sql, prepared).await));
                    if !direct {
                        let session: Vec<(String, String, Option<String>)> = client.query("SHOW SPLITRAIL SESSION").await.unwrap();
                        let holds = session.iter().filter(|row| row.0 == "hold");
                        let kept: Vec<_> = holds.filter(|row| !row.1.contains("diagnostics")).collect();
                        assert!(kept.is_empty(), "{sql}: {kept:?}");
                    }
                }
                let left: Vec<(u32, i32)> = client.query("SELECT id, v FROM t ORDER BY id FOR UPDATE").await.unwrap();
                let plain: Vec<i32> = client.query("SELECT v FROM plain ORDER BY v").await.unwrap();
                told.push((all, left, plain));
            }
            let through = told.pop().unwrap();
            let direct = told.pop().unwrap();
            for (direct, through) in direct.0.iter().zip(&through.0) {
                assert_eq!(direct, through);
            }
            assert_eq!((direct.1, direct.2), (through.1, through.2));
            assert!(rows(cluster).await > before);
        }
        assert_eq!(proxy.shared.recovery.ambiguous.get(), 0);
        proxy.idle().await;
    }

    async fn a_write_that_was_committed_is_answered_though_its_answer_was_lost(flavour) {
        let cluster = Cluster::of(flavour).start().await;
        crate::evidence::prepare(&cluster).await;
        let table = table(&cluster).await;
        let (link, proxy) = linked(&cluster).await;
        let client = proven(&proxy, &table).await;
        let numbered = format!("{table}_numbered");
        let sql = format!("CREATE TABLE {numbered} (id INT AUTO_INCREMENT PRIMARY KEY, v INT) AUTO_INCREMENT = 7");
        cluster.primary().execute(sql).await.unwrap();
        let blocker = blocker(&cluster).await;
        let writing = writes(client, format!("INSERT INTO {numbered} (v) VALUES (1), (2)"));
        waiting(&cluster, 1).await;
        link.set(BACK);
        drop(blocker);
        wait_for("the commit", async || (ids(&cluster, &numbered).await == [7, 8]).then_some(())).await;
        assert!(!writing.is_finished());
        breaks(&link, &proxy).await;
        let (affected, mut client) = writing.await.unwrap().unwrap();
        assert_eq!((affected, settled(&proxy)), (2, [1, 0, 0]));
        assert_eq!(proxy.shared.recovery.repeated.get() + proxy.shared.recovery.ambiguous.get(), 0);
        let counts: Option<i64> = client.query_first("SELECT ROW_COUNT()").await.unwrap();
        assert_eq!(counts, Some(2));
        assert_eq!(client.last_insert_id(), None, "of the last statement");
        client.query_drop(format!("INSERT INTO {table} (id) VALUES (LAST_INSERT_ID())")).await.unwrap();
        assert_eq!(ids(&cluster, &table).await, [7, 100]);
        let read: Option<u32> = client.query_first(format!("SELECT COUNT(*) FROM {numbered}")).await.unwrap();
        assert_eq!(read, Some(2), "it sees what it wrote");
        proxy.idle().await;
    }

    async fn a_write_that_was_not_committed_is_run_again(flavour) {
        let cluster = Cluster::of(flavour).start().await;
        crate::evidence::prepare(&cluster).await;
        let table = table(&cluster).await;
        let (link, proxy) = linked(&cluster).await;
        let client = proven(&proxy, &table).await;
        let blocker = blocker(&cluster).await;
        let writing = writes(client, format!("UPDATE {table} SET v = v + 1"));
        waiting(&cluster, 1).await;
        let commit = at_work(&cluster).await;
        breaks(&link, &proxy).await;
        // Who asks for it waits for it.
        waiting(&cluster, 2).await;
        cluster.primary().execute(format!("KILL {commit}")).await.unwrap();
        waiting(&cluster, 1).await;
        drop(blocker);
        let (affected, mut client) = writing.await.unwrap().unwrap();
        assert_eq!((affected, settled(&proxy)), (1, [0, 1, 0]));
        assert_eq!(proxy.shared.recovery.repeated.get(), 1);
        let value: Option<i32> = client.query_first(format!("SELECT v FROM {table} WHERE id = 100 FOR UPDATE")).await.unwrap();
        assert_eq!(value, Some(1), "once");
        proxy.idle().await;
    }

    async fn a_write_whose_server_is_lost_before_its_commit_is_run_again(flavour) {
        let cluster = Cluster::of(flavour).start().await;
        crate::evidence::prepare(&cluster).await;
        let table = table(&cluster).await;
        let link = Link::to(cluster.primary().port, Processes::default()).await;
        let settings = format!("mode: automatic, commit_evidence: true, {ACCOUNTS}");
        let mut proxy = Inside::beyond(&cluster, &link.address(), &settings).await;
        let _handle = proxy.commanded().await;
        let client = proven(&proxy, &table).await;
        let mut other = connect(cluster.primary().options()).await.unwrap();
        other.query_drop("BEGIN").await.unwrap();
        other.query_drop(format!("UPDATE {table} SET v = 10")).await.unwrap();
        let writing = writes(client, format!("UPDATE {table} SET v = v + 1"));
        waiting(&cluster, 1).await;
        link.set(Way::Reset);
        wait_for("a statement that waits", async || (proxy.shared.lot.parked() == 1).then_some(())).await;
        link.heal();
        // The one that nobody listens to any more, and the one in its place.
        waiting(&cluster, 2).await;
        other.query_drop("COMMIT").await.unwrap();
        let (affected, mut client) = writing.await.unwrap().unwrap();
        assert_eq!((affected, settled(&proxy)), (1, [0, 0, 0]));
        let counts = &proxy.shared.recovery;
        assert_eq!((counts.repeated.get(), counts.ambiguous.get()), (1, 0));
        let value: Option<i32> = client.query_first(format!("SELECT v FROM {table} WHERE id = 100 FOR UPDATE")).await.unwrap();
        assert_eq!(value, Some(11), "once");
        proxy.idle().await;
    }

    async fn a_prepared_write_that_moves_keeps_its_types(flavour) {
        let cluster = prepared(flavour).await;
        let table = table(cluster).await;
        let proxy = Proxy::before(cluster)
            .with("pool: {max_connections: 1}")
            .with("failover: {mode: manual, user: monitor, password: monitor, commit_evidence: true}")
            .start()
            .await;
        let who = Who::of(cluster, Who::usual());
        let mut first = Raw::open(&proxy.address(), &who.clone().database("app")).await;
        let mut second = Raw::open(&proxy.address(), &who).await;
        let (id, _) = statements::prepare(&mut first, &format!("INSERT INTO {table} (id) VALUES (?)")).await;
        for number in 1..=3_u64 {
            let bytes = number.to_le_bytes();
            let before = rows(cluster).await;
            let parameter = [(LONGLONG, Some(&bytes[..]))];
            let answer = statements::execute(&mut first, id, &parameter, number == 1).await;
            assert_eq!(answer[0][0], 0, "{}", shown(&answer));
            assert!(rows(cluster).await > before);
            // A session of another kind takes the only connection there may be: it is made anew.
            second.run("SELECT 1").await;
        }
        assert_eq!(ids(cluster, &table).await, [1, 2, 3]);
    }

    async fn prepared_writes_and_long_ones_leave_evidence_too(flavour) {
        let cluster = prepared(flavour).await;
        let table = table(cluster).await;
        let proxy = Inside::before(cluster, SETTINGS).await;
        let mut client = proxy.client().await;
        let statement = client.prep(format!("INSERT INTO {table} (id, v) VALUES (?, ?)")).await.unwrap();
        for id in 1..=3 {
            let before = rows(cluster).await;
            client.exec_drop(&statement, (id, 7)).await.unwrap();
            assert!(rows(cluster).await > before, "execution {id}");
        }
        let before = rows(cluster).await;
        let values: Vec<String> = (10..20_000).map(|id| format!("({id})")).collect();
        let long = format!("INSERT INTO {table} (id) VALUES {}", values.join(","));
        assert!(long.len() > 100_000);
        client.query_drop(long).await.unwrap();
        assert_eq!(client.affected_rows(), 19_990);
        assert!(rows(cluster).await > before, "a long one");
        assert_eq!(ids(cluster, &table).await.len(), 19_993);
        proxy.idle().await;
    }
}
