//! Server connections that many clients share, when servers restart, when connections are killed, and under stress.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use tokio::time::{Instant, sleep_until, timeout};

use crate::fixture::proxy::{PATIENCE, connect, wait_for};
use crate::fixture::{Cluster, Flavour, Proxy, on_both_flavours};

/// An idle connection is looked at before its use only when it has been idle for longer than the proxy's clock ticks:
/// that time has to pass, and nothing else is waited for.
const LONG_ENOUGH: Duration = Duration::from_millis(300);

/// The server's threads with a database, by their ids.
async fn threads(cluster: &Cluster, database: &str) -> Vec<u64> {
    let sql = format!("SELECT id FROM information_schema.processlist WHERE db = '{database}'");
    cluster.primary().query(sql).await.unwrap()
}

async fn one(client: &mut Conn, sql: &str) -> String {
    let asked = client.query_first::<String, _>(sql);
    let answer = timeout(PATIENCE, asked).await.expect("a statement hangs");
    answer.unwrap_or_else(|error| panic!("{sql}: {error}")).unwrap()
}

/// The error of a statement that must fail, and not hang.
async fn fails(client: &mut Conn, sql: &str) -> Error {
    let asked = client.query_drop(sql);
    timeout(PATIENCE, asked)
        .await
        .expect("a statement hangs")
        .unwrap_err()
}

/// Asks until there is an answer.
async fn served(client: &mut Conn) {
    let deadline = Instant::now() + PATIENCE;
    while client.query_drop("SELECT 1").await.is_err() {
        assert!(Instant::now() < deadline, "the client is not served again");
    }
}

on_both_flavours! {
    async fn idle_clients_do_not_notice_a_restart(flavour) {
        let cluster = Cluster::of(flavour).start().await;
        let proxy = Proxy::before(&cluster)
            .with("workers: 1")
            .with("pool: {max_connections: 3}")
            .start()
            .await;
        let mut clients = Vec::new();
        for number in 0..6 {
            let mut client = proxy.client().await;
            let prepared: Option<u32> = client.exec_first("SELECT ? + 1", (number,)).await.unwrap();
            assert_eq!(prepared, Some(number + 1));
            client.query_drop(format!("SET lc_time_names='de_DE', sql_select_limit={}", number + 10)).await.unwrap();
            clients.push(client);
        }
        let prepared: Vec<(String, u32)> =
            cluster.primary().query("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'").await.unwrap();
        // One more is the worker's own, which asks after accounts.
        assert!(prepared[0].1 <= 3 + 1, "a statement is prepared once per connection: {prepared:?}");
        let idle_since = Instant::now();
        cluster.restart("db1").await.unwrap();
        sleep_until(idle_since + LONG_ENOUGH).await;
        for (number, client) in clients.iter_mut().enumerate() {
            let number = number as u32;
            assert_eq!(one(client, "SELECT @@lc_time_names").await, "de_DE");
            assert_eq!(one(client, "SELECT @@sql_select_limit").await, (number + 10).to_string());
            let prepared: Option<u32> = client.exec_first("SELECT ? + 1", (number,)).await.unwrap();
            assert_eq!(prepared, Some(number + 1));
        }
    }

    async fn a_server_that_dies_ends_its_statements_with_an_error(flavour) {
        let cluster = Cluster::of(flavour).start().await;
        let proxy = Proxy::before(&cluster).with("pool: {connect_timeout: 1s, acquire_timeout: 2s}").start().await;
        let (mut running, mut held, mut idle) = (proxy.client().await, proxy.client().await, proxy.client().await);
        held.query_drop("BEGIN").await.unwrap();
        one(&mut idle, "SELECT 1").await;
        let asked = tokio::spawn(async move { fails(&mut running, "SELECT SLEEP(100)").await });
        wait_for("the statement to run", async || {
            let sql = "SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'";
            cluster.primary().query::<u64>(sql).await.unwrap().pop()
        }).await;
        cluster.primary().kill();
        let error = asked.await.unwrap();
        assert!(error.to_string().contains("db1"), "{error}");
        fails(&mut held, "SELECT 1").await;
        fails(&mut idle, "SELECT 1").await;
        cluster.primary().start().await.unwrap();
        served(&mut idle).await;
        one(&mut proxy.client().await, "SELECT 1").await;
    }

    async fn a_session_ends_with_the_connection_that_it_holds(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let database = cluster.new_database().await;
        let proxy = Proxy::before(cluster).start().await;
        // What the last statement did to LAST_INSERT_ID() is asked before a read may leave the connection.
        let held = "SET @a = LAST_INSERT_ID(7)";
        for next in ["SELECT table_name FROM information_schema.tables LIMIT 1", "SELECT 1 AS one", "SELECT @a"] {
            for prepares in [false, true] {
                let mut client = connect(proxy.options().db_name(Some(&database))).await.unwrap();
                client.query_drop(held).await.unwrap();
                for id in threads(cluster, &database).await {
                    cluster.primary().execute(format!("KILL {id}")).await.unwrap();
                }
                wait_for("the end of the thread", async || {
                    threads(cluster, &database).await.is_empty().then_some(())
                })
                .await;
                let told = match prepares {
                    true => client.prep(next).await.map(drop),
                    false => client.query_drop(next).await,
                };
                assert!(told.is_err(), "{next} prepared: {prepares}");
                let gone = fails(&mut client, "SELECT @a").await;
                assert!(!matches!(gone, Error::Server(_)), "{gone}: half a session goes on");
            }
        }
    }

    async fn a_killed_server_connection_is_replaced(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let database = cluster.new_database().await;
        let proxy = Proxy::before(cluster).with("pool: {max_connections: 1}").main_listener("mode: primary").start().await;
        let open = || connect(proxy.options().db_name(Some(&database)));
        let kill = async || {
            for id in threads(cluster, &database).await {
                cluster.primary().execute(format!("KILL {id}")).await.unwrap();
            }
            wait_for("the end of the thread", async || threads(cluster, &database).await.is_empty().then_some(())).await;
        };
        let mut client = open().await.unwrap();
        client.query_drop("SET time_zone='+07:00'").await.unwrap();
        let idle_since = Instant::now();
        kill().await;
        sleep_until(idle_since + LONG_ENOUGH).await;
        assert_eq!(one(&mut client, "SELECT @@time_zone").await, "+07:00");
        client.query_drop("BEGIN").await.unwrap();
        kill().await;
        fails(&mut client, "SELECT 1").await;
        let mut client = open().await.unwrap();
        one(&mut client, "SELECT 1").await;
        let running = tokio::spawn(async move {
            fails(&mut client, "SELECT SLEEP(100)").await;
        });
        wait_for("the statement to run", async || {
            let sql = format!("SELECT id FROM information_schema.processlist WHERE db='{database}' AND info LIKE 'SELECT SLEEP%'");
            cluster.primary().query::<u64>(sql).await.unwrap().pop()
        }).await;
        kill().await;
        running.await.unwrap();
        one(&mut open().await.unwrap(), "SELECT 1").await;
    }

    async fn a_full_pool_says_so_and_lets_waiters_in(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster)
            .with("pool: {max_connections: 1, acquire_timeout: 400ms}")
            .main_listener("mode: primary")
            .start().await;
        let (mut holder, mut other) = (proxy.client().await, proxy.client().await);
        holder.query_drop("BEGIN").await.unwrap();
        let error = fails(&mut other, "SELECT 1").await;
        assert!(matches!(&error, Error::Server(error) if error.code == 1040 && error.message.contains("db1")), "{error}");
        holder.query_drop("COMMIT").await.unwrap();
        assert_eq!(one(&mut other, "SELECT 1").await, "1");
        // A failed statement is kept for SHOW WARNINGS, but not for ever; and what it left is not lost with it.
        fails(&mut holder, "SELECT * FROM missing.missing").await;
        served(&mut other).await;
        let warnings = "SHOW WARNINGS";
        let left: Vec<(String, u16, String)> = other.query(warnings).await.unwrap();
        assert_eq!(left, [], "they are another session's");
        let left: Vec<(String, u16, String)> = holder.query(warnings).await.unwrap();
        assert_eq!(left.len(), 1, "{left:?}");
        let (level, code, message) = &left[0];
        assert_eq!((level.as_str(), message.contains("missing")), ("Error", true), "{code} {message}");
        one(&mut holder, "SELECT COUNT(*) FROM information_schema.engines").await;
        let left: Vec<(String, u16, String)> = holder.query(warnings).await.unwrap();
        assert_eq!(left, []);
    }

    async fn a_hung_server_does_not_hang_who_is_put_in_place(flavour) {
        let cluster = Cluster::of(flavour).start().await;
        let proxy = Proxy::before(&cluster)
            .with("pool: {max_connections: 1, acquire_timeout: 700ms, connect_timeout: 700ms}")
            .start()
            .await;
        let (mut first, mut second) = (proxy.client().await, proxy.client().await);
        first.query_drop("SET time_zone='+07:00'").await.unwrap();
        second.query_drop("SET time_zone='+08:00'").await.unwrap();
        assert_eq!(one(&mut second, "SELECT @@time_zone").await, "+08:00");
        cluster.primary().pause();
        // The connection is in the other one's state: nothing of this statement is sent before that is put right.
        let error = fails(&mut first, "SELECT @@time_zone").await;
        assert!(error.to_string().contains("db1") && error.to_string().contains("700ms"), "{error}");
        cluster.primary().resume();
        served(&mut first).await;
        assert_eq!(one(&mut first, "SELECT @@time_zone").await, "+07:00");
    }

    async fn nothing_is_lost_when_many_share_few(flavour) {
        stress(flavour).await;
    }
}

/// Longer when asked for: `SPLITRAIL_STRESS_SECONDS=20`.
fn seconds() -> u64 {
    let asked = std::env::var("SPLITRAIL_STRESS_SECONDS").ok();
    asked.and_then(|asked| asked.parse().ok()).unwrap_or(3)
}

async fn stress(flavour: Flavour) {
    const CLIENTS: u64 = 200;
    let cluster = Cluster::shared(flavour).await;
    let database = cluster.new_database().await;
    let primary = cluster.primary();
    primary
        .execute(format!(
            "CREATE TABLE {database}.t (id INT PRIMARY KEY, a BIGINT)"
        ))
        .await
        .unwrap();
    let rows: Vec<_> = (0..CLIENTS).map(|id| format!("({id}, 0)")).collect();
    primary
        .execute(format!("INSERT INTO {database}.t VALUES {}", rows.join(",")))
        .await
        .unwrap();
    let proxy = Proxy::before(cluster)
        .with("pool: {max_connections: 3, acquire_timeout: 60s}")
        .start()
        .await;
    let until = Instant::now() + Duration::from_secs(seconds());
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let options = proxy.options().db_name(Some(&database));
            tokio::spawn(async move { client(number, options, until).await })
        })
        .collect();
    let mut committed = 0;
    for (number, task) in tasks.into_iter().enumerate() {
        let done = timeout(PATIENCE * 3, task).await;
        let done = done.expect("a client hangs").unwrap();
        assert!(done.turns > 0, "client {number} never came in");
        committed += done.committed;
    }
    let sum: Vec<i64> = primary
        .query(format!("SELECT CAST(SUM(a) AS SIGNED) FROM {database}.t"))
        .await
        .unwrap();
    assert_eq!(sum, [committed], "committed increments");
    wait_for("all connections to be idle", async || {
        let sql = format!("SELECT command FROM information_schema.processlist WHERE db = '{database}'");
        let commands: Vec<String> = primary.query(sql).await.unwrap();
        assert!(commands.len() <= 3, "{commands:?}");
        commands.iter().all(|command| command == "Sleep").then_some(())
    })
    .await;
    // All three can be had at once, so none has leaked.
    let mut holders = Vec::new();
    for _ in 0..3 {
        let mut holder = connect(proxy.options().db_name(Some(&database))).await.unwrap();
        let begun = timeout(PATIENCE, holder.query_drop("BEGIN"));
        begun.await.expect("a connection has leaked").unwrap();
        holders.push(holder);
    }
}

#[derive(Default)]
struct Done {
    turns: u64,
    committed: i64,
}

async fn client(number: u64, options: mysql_async::OptsBuilder, until: Instant) -> Done {
    let mut dice = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut roll = move |sides: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % sides
    };
    let mut done = Done::default();
    let update = format!("UPDATE t SET a = a + 1 WHERE id = {number}");
    let mut connection: Option<Conn> = None;
    while Instant::now() < until || done.turns == 0 {
        let mut conn = match connection.take() {
            Some(conn) => conn,
            None => connect(options.clone()).await.unwrap(),
        };
        match roll(6) {
            0 | 1 => {
                conn.query_drop(&update).await.unwrap();
                done.committed += 1;
            }
            2 => {
                conn.query_drop("BEGIN").await.unwrap();
                conn.query_drop(&update).await.unwrap();
                conn.query_drop("COMMIT").await.unwrap();
                done.committed += 1;
            }
            3 => {
                conn.query_drop("START TRANSACTION").await.unwrap();
                conn.query_drop(&update).await.unwrap();
                conn.query_drop("ROLLBACK").await.unwrap();
            }
            4 => {
                let found: Option<u64> = conn
                    .exec_first("SELECT id FROM t WHERE id = ?", (number,))
                    .await
                    .unwrap();
                assert_eq!(found, Some(number));
            }
            // Gone in the middle of a transaction.
            _ => {
                conn.query_drop("BEGIN").await.unwrap();
                conn.query_drop(&update).await.unwrap();
                done.turns += 1;
                drop(conn);
                continue;
            }
        }
        done.turns += 1;
        connection = Some(conn);
    }
    done
}
