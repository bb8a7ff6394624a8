//! Own writes are seen and nothing is seen to go backward, with replicas that lag, under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use tokio::task::JoinSet;

use crate::fixture::proxy::wait_for;
use crate::fixture::{Cluster, Flavour, Proxy, on_both_flavours};

/// Reads of one run, unless SPLITRAIL_READS says otherwise.
const READS: u64 = 8_000;
/// Sessions that write and read at the same time. Each has a row of its own.
const SESSIONS: u64 = 16;

fn reads() -> u64 {
    let given = std::env::var("SPLITRAIL_READS").ok();
    given.map_or(READS, |given| given.parse().expect("SPLITRAIL_READS is a number"))
}

/// Lets a replica apply everything so much later.
async fn delay(cluster: &Cluster, flavour: Flavour, replica: usize, seconds: u32) {
    let sql = match flavour {
        Flavour::MySql => [
            "STOP REPLICA SQL_THREAD".to_owned(),
            format!("CHANGE REPLICATION SOURCE TO SOURCE_DELAY = {seconds}"),
            "START REPLICA SQL_THREAD".to_owned(),
        ],
        Flavour::MariaDb => [
            "STOP SLAVE".to_owned(),
            format!("CHANGE MASTER TO MASTER_DELAY = {seconds}"),
            "START SLAVE".to_owned(),
        ],
    };
    for sql in sql {
        cluster.replicas()[replica].execute(sql).await.unwrap();
    }
}

/// What was seen, and by whom it was answered.
#[derive(Default)]
struct Seen {
    reads: AtomicU64,
    from_replicas: AtomicU64,
    stale: AtomicU64,
    backward: AtomicU64,
}

/// Writes its own row and reads all rows, over and over: its own is what it wrote, and none ever goes back.
async fn session(mut client: Conn, own: u64, (primary, first): (u64, u64), goal: u64, seen: Arc<Seen>) {
    let mut last = vec![0u64; SESSIONS as usize];
    let mut written = first;
    while seen.reads.load(Ordering::Relaxed) < goal {
        written += 1;
        if written.is_multiple_of(3) {
            let sql = format!("UPDATE checks.counters SET n = {written} WHERE id = {own}");
            client.query_drop(sql).await.unwrap();
            last[own as usize] = written;
        }
        for turn in 0..4 {
            let sql = "SELECT @@server_id, id, n FROM checks.counters";
            let rows: Vec<(u64, u64, u64)> = if turn % 2 == 0 {
                client.query(sql).await.unwrap()
            } else {
                client.exec(sql, ()).await.unwrap()
            };
            assert_eq!(rows.len() as u64, SESSIONS);
            seen.reads.fetch_add(1, Ordering::Relaxed);
            if rows[0].0 != primary {
                seen.from_replicas.fetch_add(1, Ordering::Relaxed);
            }
            for (_, id, n) in rows {
                let known = &mut last[id as usize];
                if n < *known {
                    let kind = if id == own { &seen.stale } else { &seen.backward };
                    kind.fetch_add(1, Ordering::Relaxed);
                }
                *known = n.max(*known);
            }
        }
        if written.is_multiple_of(16) {
            // What a transaction shows on the primary is not taken back afterwards.
            let mut transaction = client.start_transaction(Default::default()).await.unwrap();
            let rows: Vec<(u64, u64)> = transaction
                .query("SELECT id, n FROM checks.counters")
                .await
                .unwrap();
            transaction.commit().await.unwrap();
            for (id, n) in rows {
                last[id as usize] = n.max(last[id as usize]);
            }
        }
    }
    let _ = client.disconnect().await;
}

async fn under_load(cluster: &Cluster, proxy: &Proxy<'_>, goal: u64) -> Arc<Seen> {
    let primary: u64 = cluster.primary().query("SELECT @@server_id").await.unwrap()[0];
    // No counter begins below where it was.
    let first: u64 = cluster
        .primary()
        .query("SELECT MAX(n) FROM checks.counters")
        .await
        .unwrap()[0];
    let seen = Arc::new(Seen::default());
    let mut tasks = JoinSet::new();
    for own in 0..SESSIONS {
        let client = proxy.client().await;
        tasks.spawn(session(client, own, (primary, first), goal, seen.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    seen
}

async fn prepare(cluster: &Cluster) {
    let primary = cluster.primary();
    primary.execute("CREATE DATABASE checks").await.unwrap();
    primary
        .execute("CREATE TABLE checks.counters (id INT PRIMARY KEY, n BIGINT)")
        .await
        .unwrap();
    for id in 0..SESSIONS {
        primary
            .execute(format!("INSERT INTO checks.counters VALUES ({id}, 0)"))
            .await
            .unwrap();
    }
    cluster.catch_up().await.unwrap();
}

#[allow(clippy::print_stdout)]
fn report(flavour: Flavour, what: &str, seen: &Seen) -> (u64, u64) {
    let (reads, replicas) = (
        seen.reads.load(Ordering::Relaxed),
        seen.from_replicas.load(Ordering::Relaxed),
    );
    println!(
        "{flavour}, {what}: {reads} reads, {:.0} % of them on replicas",
        100.0 * replicas as f64 / reads as f64
    );
    (reads, replicas)
}

on_both_flavours! {
    async fn no_read_is_stale_or_goes_backward(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        prepare(&cluster).await;
        let proxy = Proxy::before(&cluster).start().await;
        let seen = under_load(&cluster, &proxy, reads()).await;
        report(flavour, "both replicas up to date", &seen);
        assert_eq!(seen.stale.load(Ordering::Relaxed), 0, "own writes were missed");
        assert_eq!(seen.backward.load(Ordering::Relaxed), 0, "something was seen and then not");
        assert!(seen.from_replicas.load(Ordering::Relaxed) > 0, "no replica was asked");

        delay(&cluster, flavour, 0, 1).await;
        let seen = under_load(&cluster, &proxy, reads()).await;
        report(flavour, "one replica a second late", &seen);
        assert_eq!(seen.stale.load(Ordering::Relaxed), 0, "own writes were missed");
        assert_eq!(seen.backward.load(Ordering::Relaxed), 0, "something was seen and then not");
    }

    async fn what_a_session_wrote_another_one_can_ask_for(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        prepare(&cluster).await;
        delay(&cluster, flavour, 0, 2).await;
        let proxy = Proxy::before(&cluster).with("consistency: {wait: 10s}").start().await;
        let (mut writer, mut reader) = (proxy.client().await, proxy.client().await);
        writer.query_drop("UPDATE checks.counters SET n = 7 WHERE id = 1").await.unwrap();
        let row: Row = writer.query_first("SHOW SPLITRAIL GTID").await.unwrap().unwrap();
        let gtid: String = row.get(0).unwrap();
        assert!(!gtid.is_empty());
        reader.query_drop(format!("SET splitrail.after = '{gtid}'")).await.unwrap();
        let n: u64 = reader.query_first("SELECT n FROM checks.counters WHERE id = 1").await.unwrap().unwrap();
        assert_eq!(n, 7);
    }

    async fn eventual_reads_take_what_the_replica_has(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        prepare(&cluster).await;
        let proxy = Proxy::before(&cluster).with("consistency: {level: eventual}").start().await;
        let stop = match flavour {
            Flavour::MySql => "STOP REPLICA SQL_THREAD",
            Flavour::MariaDb => "STOP SLAVE SQL_THREAD",
        };
        cluster.replicas()[0].execute(stop).await.unwrap();
        let mut client = proxy.client().await;
        client.query_drop("UPDATE checks.counters SET n = 7 WHERE id = 1").await.unwrap();
        let read = "SELECT n FROM checks.counters WHERE id = 1";
        let n: u64 = client.query_first(read).await.unwrap().unwrap();
        assert_eq!(n, 0, "an eventual read does not wait");
        let n: u64 = client.query_first(format!("/* splitrail: consistency=session */ {read}")).await.unwrap().unwrap();
        assert_eq!(n, 7, "a hint asks for the session's own writes");
        let n: u64 = client.query_first(format!("/* splitrail: primary */ {read}")).await.unwrap().unwrap();
        assert_eq!(n, 7);
    }

    async fn a_replica_that_stopped_takes_no_reads(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        prepare(&cluster).await;
        let proxy = Proxy::before(&cluster).start().await;
        let stop = match flavour {
            Flavour::MySql => "STOP REPLICA SQL_THREAD",
            Flavour::MariaDb => "STOP SLAVE SQL_THREAD",
        };
        cluster.replicas()[0].execute(stop).await.unwrap();
        let stopped: u64 = cluster.replicas()[0].query("SELECT @@server_id").await.unwrap()[0];
        wait_for("reads to leave the stopped replica", async || {
            let mut asked = 0;
            for _ in 0..10 {
                let mut client = proxy.client().await;
                let server: Option<u64> = client.query_first("SELECT @@server_id").await.unwrap();
                asked += u32::from(server == Some(stopped));
            }
            (asked == 0).then_some(())
        }).await;
    }
}
