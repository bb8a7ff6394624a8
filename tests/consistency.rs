//! Own writes are seen and nothing is seen to go backward, with replicas that lag, under load.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use tokio::task::JoinSet;

use crate::fixture::proxy::wait_for;
use crate::fixture::{Cluster, Flavour, Proxy, on_both_flavours};
use crate::http::before_with;

/// Reads of one run, unless SPLITRAIL_READS says otherwise.
const READS: u64 = 8_000;
/// Sessions that write and read at the same time. Each has a row of its own.
const SESSIONS: u64 = 16;
/// The primary's server_id in a sandbox.
const PRIMARY: u64 = 1;

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
    /// The promises that were broken, each with what that client had seen before.
    broken: Mutex<Vec<String>>,
}

/// Of one client, its latest statements with what they showed.
struct History {
    own: u64,
    /// The most that was seen of each row.
    last: Vec<u64>,
    lines: VecDeque<String>,
    seen: Arc<Seen>,
}

/// Lines of a client's history that are worth having.
const HISTORY: usize = 24;

// === impl History ===

impl History {
    fn note(&mut self, line: String) {
        if self.lines.len() == HISTORY {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    fn wrote(&mut self, n: u64) {
        self.last[self.own as usize] = n;
        self.note(format!("wrote {n}"));
    }

    /// Takes in what a server showed: nothing of it may be less than before.
    fn saw(&mut self, how: &str, server: u64, rows: impl Iterator<Item = (u64, u64)>) {
        let rows: Vec<_> = rows.collect();
        let numbers: Vec<_> = rows.iter().map(|(_, n)| n.to_string()).collect();
        self.note(format!("{how} on server {server}: {}", numbers.join(" ")));
        for (id, n) in rows {
            let known = self.last[id as usize];
            self.last[id as usize] = n.max(known);
            if n < known {
                let promise = if id == self.own {
                    "own write missed"
                } else {
                    "seen and then not"
                };
                let lines = self.lines.iter().map(|line| format!("\n    {line}"));
                let history: String = lines.collect();
                let own = self.own;
                let text =
                    format!("{promise}: client {own} had {known} of row {id} and got {n}, {how}{history}");
                self.seen.broken.lock().unwrap().push(text);
            }
        }
    }
}

/// Writes its own row and reads all rows, over and over: its own is what it wrote, and none ever goes back.
async fn session(mut client: Conn, own: u64, (flavour, first): (Flavour, u64), goal: u64, seen: Arc<Seen>) {
    let mut history = History {
        own,
        last: vec![0u64; SESSIONS as usize],
        lines: VecDeque::new(),
        seen: seen.clone(),
    };
    let mut written = first;
    let sql = "SELECT @@server_id, id, n FROM checks.counters";
    while seen.reads.load(Ordering::Relaxed) < goal {
        written += 1;
        if written.is_multiple_of(3) {
            let sql = format!("UPDATE checks.counters SET n = {written} WHERE id = {own}");
            client.query_drop(sql).await.unwrap();
            history.wrote(written);
        }
        for turn in 0..4 {
            let (how, rows): (_, Vec<(u64, u64, u64)>) = if turn % 2 == 0 {
                ("by text", client.query(sql).await.unwrap())
            } else {
                ("prepared", client.exec(sql, ()).await.unwrap())
            };
            assert_eq!(rows.len() as u64, SESSIONS);
            seen.reads.fetch_add(1, Ordering::Relaxed);
            let server = rows[0].0;
            seen.from_replicas
                .fetch_add(u64::from(server != PRIMARY), Ordering::Relaxed);
            history.saw(how, server, rows.iter().map(|(_, id, n)| (*id, *n)));
        }
        if written.is_multiple_of(16) {
            // What a transaction shows on the primary is not taken back afterwards.
            let mut transaction = client.start_transaction(Default::default()).await.unwrap();
            let rows: Vec<(u64, u64, u64)> = transaction.query(sql).await.unwrap();
            transaction.commit().await.unwrap();
            if flavour == Flavour::MariaDb {
                // There is nothing to wait for on the primary, which shows a commit after its replicas.
                let most = |(_, id, n): &(u64, u64, u64)| (*id, (*n).max(history.last[*id as usize]));
                let rows: Vec<_> = rows.iter().map(most).collect();
                history.saw("in a transaction", PRIMARY, rows.into_iter());
            } else {
                history.saw(
                    "in a transaction",
                    PRIMARY,
                    rows.iter().map(|(_, id, n)| (*id, *n)),
                );
            }
        }
    }
    let _ = client.disconnect().await;
}

async fn under_load(cluster: &Cluster, proxy: &Proxy<'_>, goal: u64) -> Arc<Seen> {
    let primary: u64 = cluster.primary().query("SELECT @@server_id").await.unwrap()[0];
    assert_eq!(primary, PRIMARY);
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
        tasks.spawn(session(
            client,
            own,
            (cluster.primary().flavour, first),
            goal,
            seen.clone(),
        ));
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
    let broken = seen.broken.lock().unwrap();
    assert!(
        broken.is_empty(),
        "{} promises broken:\n{}",
        broken.len(),
        broken.join("\n")
    );
    (reads, replicas)
}

/// Has the primary wait for a replica before it shows a commit. The first replica gets what is committed and does not
/// acknowledge it, the other one gets nothing.
async fn hold_commits_back(cluster: &Cluster, flavour: Flavour, limit: Duration) {
    let millis = limit.as_millis();
    let (source, first, other): (&[String], [&str; 3], &str) = match flavour {
        Flavour::MySql => (
            &[format!("SET GLOBAL rpl_semi_sync_source_timeout = {millis}")],
            [
                "STOP REPLICA IO_THREAD",
                "SET GLOBAL rpl_semi_sync_replica_enabled = 0",
                "START REPLICA IO_THREAD",
            ],
            "STOP REPLICA IO_THREAD",
        ),
        Flavour::MariaDb => (
            &[
                "SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_SYNC".to_owned(),
                format!("SET GLOBAL rpl_semi_sync_master_timeout = {millis}"),
            ],
            [
                "STOP SLAVE IO_THREAD",
                "SET GLOBAL rpl_semi_sync_slave_enabled = 0",
                "START SLAVE IO_THREAD",
            ],
            "STOP SLAVE IO_THREAD",
        ),
    };
    for sql in source {
        cluster.primary().execute(sql).await.unwrap();
    }
    for sql in first {
        cluster.replicas()[0].execute(sql).await.unwrap();
    }
    cluster.replicas()[1].execute(other).await.unwrap();
}

on_both_flavours! {
    async fn no_read_is_stale_or_goes_backward(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        prepare(&cluster).await;
        let proxy = Proxy::before(&cluster).start().await;
        let seen = under_load(&cluster, &proxy, reads()).await;
        report(flavour, "both replicas up to date", &seen);
        assert!(seen.from_replicas.load(Ordering::Relaxed) > 0, "no replica was asked");

        delay(&cluster, flavour, 0, 1).await;
        let seen = under_load(&cluster, &proxy, reads()).await;
        report(flavour, "one replica a second late", &seen);
    }

    async fn what_a_replica_showed_first_the_primary_shows_too(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        prepare(&cluster).await;
        let proxy = Proxy::before(&cluster).with("consistency: {wait: 60s}").start().await;
        hold_commits_back(&cluster, flavour, Duration::from_secs(120)).await;
        let mut writer = cluster.primary().connect().await.unwrap();
        let commit = tokio::spawn(async move {
            writer.query_drop("UPDATE checks.counters SET n = 7 WHERE id = 1").await.unwrap();
        });
        let read = "SELECT n FROM checks.counters WHERE id = 1";
        let mut client = proxy.client().await;
        wait_for("the replica to show it", async || {
            let n: Option<u64> = client.query_first(format!("/* splitrail: server=db2 */ {read}")).await.unwrap();
            (n == Some(7)).then_some(())
        }).await;
        let on_primary: u64 = cluster.primary().query(read).await.unwrap()[0];
        assert_eq!((on_primary, commit.is_finished()), (0, false), "the primary keeps it back");
        // A transaction runs on the primary, and its reads come after those before it.
        client.query_drop("BEGIN").await.unwrap();
        let reading = tokio::spawn(async move {
            let n: u64 = client.query_first(read).await.unwrap().unwrap();
            client.query_drop("COMMIT").await.unwrap();
            n
        });
        if flavour == Flavour::MySql {
            wait_for("the read to wait", async || {
                let sql = "SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT _shown_,WAIT%'";
                cluster.primary().query::<u64>(sql).await.unwrap().pop()
            })
            .await;
            cluster.replicas()[1].execute("START REPLICA IO_THREAD").await.unwrap();
            assert_eq!(reading.await.unwrap(), 7, "it was seen, and then not");
        } else {
            assert_eq!(reading.await.unwrap(), 0, "MariaDB has nothing to wait for");
            cluster.replicas()[1].execute("START SLAVE IO_THREAD").await.unwrap();
        }
        commit.await.unwrap();
    }

    async fn what_a_session_wrote_another_one_can_ask_for(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        prepare(&cluster).await;
        delay(&cluster, flavour, 0, 2).await;
        let (proxy, site) = before_with(&cluster, "consistency: {wait: 10s}").await;
        let (mut writer, mut reader) = (proxy.client().await, proxy.client().await);
        writer.query_drop("UPDATE checks.counters SET n = 7 WHERE id = 1").await.unwrap();
        let row: Row = writer.query_first("SHOW SPLITRAIL GTID").await.unwrap().unwrap();
        let gtid: String = row.get(0).unwrap();
        assert!(!gtid.is_empty());
        let read = "SELECT n FROM checks.counters WHERE id = 1";
        let n: u64 = reader.query_first(format!("/* splitrail: server=db2 */ {read}")).await.unwrap().unwrap();
        assert_eq!(n, 0, "the replica lacks it, and this session knows of nobody else");
        reader.query_drop(format!("SET splitrail.after = '{gtid}'")).await.unwrap();
        let n: u64 = reader.query_first("SELECT n FROM checks.counters WHERE id = 1").await.unwrap().unwrap();
        assert_eq!(n, 7);
        let waits = "splitrail_reads_waited_total{on=\"replica\",outcome=\"seen\"}";
        assert_eq!(site.number(waits).await, 1.0);
    }

    async fn who_comes_after_a_write_sees_it(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        prepare(&cluster).await;
        delay(&cluster, flavour, 0, 2).await;
        let wait = "{level: session, wait: 10s";
        let proxy = Proxy::before(&cluster).with(format!("consistency: {wait}}}")).start().await;
        let alone = Proxy::before(&cluster).with(format!("consistency: {wait}, at_login: nothing}}")).start().await;
        let server = "SELECT n, @@server_id FROM checks.counters WHERE id = 1";
        let mut writer = proxy.client().await;
        let mut before = proxy.client().await;
        for (n, how) in [(1, "a login"), (2, "a reset"), (3, "a level")] {
            let mut other = alone.client().await;
            writer.query_drop(format!("UPDATE checks.counters SET n = {n} WHERE id = 1")).await.unwrap();
            let mut reader = match n {
                1 => proxy.client().await,
                2 => {
                    assert!(before.reset().await.unwrap(), "COM_RESET_CONNECTION");
                    std::mem::replace(&mut before, proxy.client().await)
                }
                _ => {
                    before.query_drop("SET splitrail.consistency = 'proxy'").await.unwrap();
                    writer.query_drop(format!("UPDATE checks.counters SET n = {n} WHERE id = 1")).await.unwrap();
                    std::mem::replace(&mut before, proxy.client().await)
                }
            };
            let less: (u64, u64) = other.query_first(server).await.unwrap().unwrap();
            assert!(less.0 < n && less.1 != PRIMARY, "another proxy knows nothing of it: {less:?}");
            let more: (u64, u64) = reader.query_first(server).await.unwrap().unwrap();
            assert_eq!(more.0, n, "after {how}");
            assert_ne!(more.1, PRIMARY, "it has waited for the replica after {how}");
        }
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
