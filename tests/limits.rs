//! Every bound that an operator can set, run into: who is one too many learns why, and the others go on.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::fixture::plain::Plain;
use crate::fixture::proxy::{connect, wait_for};
use crate::fixture::{Cluster, Proxy, on_both_flavours};

fn code<T>(result: Result<T, Error>) -> (u16, String, String) {
    match result {
        Err(Error::Server(error)) => (error.code, error.state, error.message),
        Err(error) => panic!("not an error of the protocol: {error:?}"),
        Ok(_) => panic!("no error"),
    }
}

async fn account(cluster: &Cluster, options: &str) -> String {
    cluster.new_account("limited", options).await
}

/// Connections that the account has open at the primary, whoever opened them.
async fn connections(cluster: &Cluster, user: &str) -> usize {
    let sql = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE user = '{user}'");
    cluster.primary().query::<usize>(sql).await.unwrap()[0]
}

async fn wait_for_connections(cluster: &Cluster, user: &str, count: usize) {
    let what = format!("{count} connections of {user}");
    wait_for(&what, async || {
        (connections(cluster, user).await == count).then_some(())
    })
    .await;
}

/// Waits until the queue of `max_waiting: 1` is full: one more is turned away then.
async fn wait_until_queued(stranger: &mut Conn) {
    wait_for("somebody to wait", async || {
        let (_, _, text) = code(stranger.query_drop("SELECT 'is it full?'").await);
        text.contains("too many statements are waiting").then_some(())
    })
    .await;
}

on_both_flavours! {
    async fn clients_in_total(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("limits: {client_connections: 2}").start().await;
        let (mut first, second) = (proxy.client().await, proxy.client().await);
        let refused = code(connect(proxy.options()).await);
        assert_eq!(refused, (1040, "HY000".to_owned(), "Too many connections".to_owned()));
        proxy.wait_for_log(&["client refused", "Too many connections"]).await;
        first.query_drop("SELECT 1").await.unwrap();
        second.disconnect().await.unwrap();
        wait_for("a place", async || connect(proxy.options()).await.ok()).await;
    }

    async fn clients_of_a_user(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("limits: {per_user: 2}").start().await;
        let user = account(cluster, "IDENTIFIED BY 'secret'").await;
        let one = proxy.connect(&user, "secret").await.unwrap();
        let _two = proxy.connect(&user, "secret").await.unwrap();
        let (code, state, text) = code(proxy.connect(&user, "secret").await);
        assert_eq!((code, &*state), (1226, "42000"), "{text}");
        proxy.wait_for_log(&["refused", &user]).await;
        let _other = proxy.client().await;
        one.disconnect().await.unwrap();
        wait_for("a place", async || proxy.connect(&user, "secret").await.ok()).await;
    }

    async fn an_accounts_own_limit_is_the_servers(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::shared(flavour).await;
        let user = account(cluster, "IDENTIFIED BY 'secret' WITH MAX_USER_CONNECTIONS 1").await;
        let options = proxy.options().user(Some(&user)).pass(Some("secret"));
        let direct = options.clone().tcp_port(cluster.primary().port);
        let expected = {
            let _one = connect(direct.clone()).await.unwrap();
            code(connect(direct).await)
        };
        wait_for_connections(cluster, &user, 0).await;
        let _one = connect(options.clone()).await.unwrap();
        assert_eq!(code(connect(options).await), expected);
    }

    async fn clients_from_an_address(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("limits: {per_address: 1}").start().await;
        let one = proxy.client().await;
        let (code, _, text) = code(connect(proxy.options()).await);
        assert_eq!(code, 1040, "{text}");
        proxy.wait_for_log(&["refused", "127.0.0.1"]).await;
        one.disconnect().await.unwrap();
        wait_for("a place", async || connect(proxy.options()).await.ok()).await;
    }

    async fn a_login_that_does_not_end(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("limits: {login_timeout: 300ms}").start().await;
        let mut silent = Plain::connect(proxy.port()).await;
        silent.read().await.expect("a greeting");
        assert_eq!(silent.read().await, None);
        proxy.wait_for_log(&["refused", "login timeout", "127.0.0.1"]).await;
    }

    async fn a_client_that_says_nothing(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("limits: {idle_timeout: 1s}").start().await;
        let user = account(cluster, "IDENTIFIED BY ''").await;
        let mut idle = Plain::login(proxy.port(), &user).await;
        // Within a transaction too: else it would hold its locks for ever.
        let mut open = Plain::login(proxy.port(), &user).await;
        open.query("BEGIN").await;
        assert_eq!(open.read().await.unwrap()[0], 0);
        let mut busy = proxy.client().await;
        busy.query_drop("SELECT SLEEP(2.5)").await.unwrap();
        for client in [&mut idle, &mut open] {
            // MySQL says why it hangs up, MariaDB does not.
            while let Some(packet) = client.read().await {
                assert_eq!((packet[0], u16::from_le_bytes([packet[1], packet[2]])), (0xff, 4031));
            }
        }
        proxy.wait_for_log(&["disconnected", "idle timeout", &user]).await;
        wait_for_connections(cluster, &user, 1).await;
    }

    async fn the_longest_packet(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("limits: {max_allowed_packet: 100KiB}").start().await;
        let mut client = proxy.client().await;
        let text = |length: usize| format!("SELECT LENGTH('{}')", "x".repeat(length));
        let length: Option<usize> = client.query_first(text(99_000)).await.unwrap();
        assert_eq!(length, Some(99_000));
        let expected = "Got a packet bigger than 'max_allowed_packet' bytes";
        for length in [102_500, 200_000] {
            let mut client = proxy.client().await;
            let refused = code(client.query_drop(text(length)).await);
            assert_eq!(refused, (1153, "08S01".to_owned(), expected.to_owned()), "{length}");
        }
        let (statement, long) = (client.prep("SELECT LENGTH(?)").await.unwrap(), "y".repeat(200_000));
        let refused = code(client.exec_drop(&statement, (long,)).await);
        assert_eq!(refused.0, 1153);
        proxy.client().await.query_drop("SELECT 1").await.unwrap();
    }

    async fn memory_for_buffers(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("limits: {buffer_memory: 1MiB}").start().await;
        let mut client = proxy.client().await;
        // Strangers that begin a long packet each and leave it unfinished.
        let mut greedy = Vec::new();
        for _ in 0..40 {
            let mut stranger = Plain::connect(proxy.port()).await;
            stranger.stream.write_all(&[0, 0, 1, 1]).await.unwrap();
            stranger.stream.write_all(&[0; 60_000]).await.unwrap();
            greedy.push(stranger);
        }
        wait_for("an exhausted budget", async || {
            let mut client = proxy.connect("app", "app").await.ok()?;
            match client.query_drop("SELECT 1").await {
                Err(Error::Server(error)) if error.code == 1041 => Some(()),
                other => other.err().map(|error| panic!("{error}")),
            }
        })
        .await;
        assert!(proxy.rss() < 100_000, "{} KiB", proxy.rss());
        drop(greedy);
        wait_for("memory", async || client.query_drop("SELECT 1").await.ok()).await;
    }

    async fn prepared_statements_of_a_session(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("limits: {prepared_per_session: 3}").start().await;
        let mut client = proxy.client().await;
        let mut statements = Vec::new();
        for number in 0..3 {
            statements.push(client.prep(format!("SELECT {number}")).await.unwrap());
        }
        let (code, state, _) = code(client.prep("SELECT 'one too many'").await);
        assert_eq!((code, &*state), (1461, "42000"));
        client.close(statements.pop().unwrap()).await.unwrap();
        client.prep("SELECT 'fits again'").await.unwrap();
        let one: Option<u32> = client.exec_first(&statements[1], ()).await.unwrap();
        assert_eq!(one, Some(1));
    }

    async fn a_full_pool_makes_clients_wait(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let settings = "pool: {max_connections: 1, acquire_timeout: 400ms, max_waiting: 1}";
        // One thread serves who came first first.
        let proxy = Proxy::before(cluster).with(settings).with("workers: 1").main_listener("mode: primary").start().await;
        let (mut holder, mut waiting, mut third) =
            (proxy.client().await, proxy.client().await, proxy.client().await);
        holder.query_drop("BEGIN").await.unwrap();
        let started = Instant::now();
        let (code1, state, text) = code(waiting.query_drop("SELECT 1").await);
        assert_eq!((code1, &*state), (1040, "08004"));
        assert!(text.contains("'db1'") && text.contains("400ms"), "{text}");
        assert!(started.elapsed() >= Duration::from_millis(400));
        // Beyond those who may wait, nobody waits.
        let (first, second) = tokio::join!(waiting.query_drop("SELECT 1"), third.query_drop("SELECT 1"));
        let texts = [code(first).2, code(second).2];
        assert!(texts.iter().any(|text| text.contains("too many statements are waiting")), "{texts:?}");
        // Who waits gets the connection when it is free.
        let (value, ()) = tokio::join!(waiting.query_first::<u32, _>("SELECT 7"), async {
            wait_until_queued(&mut third).await;
            holder.query_drop("COMMIT").await.unwrap();
        });
        assert_eq!(value.unwrap(), Some(7));
    }

    async fn who_hangs_up_leaves_the_queue(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let settings = "pool: {max_connections: 1, acquire_timeout: 20s, max_waiting: 1}";
        let proxy = Proxy::before(cluster).with(settings).with("workers: 1").main_listener("mode: primary").start().await;
        let user = account(cluster, "IDENTIFIED BY ''").await;
        let (mut holder, mut other) = (proxy.client().await, proxy.client().await);
        let mut leaver = Plain::login(proxy.port(), &user).await;
        holder.query_drop("BEGIN").await.unwrap();
        leaver.query("SELECT 'nobody waits for this'").await;
        wait_until_queued(&mut other).await;
        drop(leaver);
        proxy.wait_for_log(&["disconnected", &user]).await;
        // There is a place in the queue again, and the first to wait is the first to be served.
        let (value, committed) = tokio::join!(other.query_first::<u32, _>("SELECT 8"), holder.query_drop("COMMIT"));
        committed.unwrap();
        assert_eq!(value.unwrap(), Some(8));
    }

    async fn many_clients_share_few_connections(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("pool: {max_connections: 5}").start().await;
        let user = account(cluster, "IDENTIFIED BY 'secret'").await;
        let mut clients = Vec::new();
        for _ in 0..50 {
            clients.push(proxy.connect(&user, "secret").await.unwrap());
        }
        let work = |mut client: Conn, number: usize| async move {
            for round in 0..20 {
                client.query_drop(format!("SET @@session.sql_select_limit = {}", number + 1)).await.unwrap();
                let limit: Option<usize> =
                    client.query_first("SELECT @@session.sql_select_limit").await.unwrap();
                assert_eq!(limit, Some(number + 1));
                let sum: Option<usize> = client.exec_first("SELECT CAST(? + ? AS SIGNED)", (number, round)).await.unwrap();
                assert_eq!(sum, Some(number + round));
            }
        };
        let mut tasks = tokio::task::JoinSet::new();
        for (number, client) in clients.into_iter().enumerate() {
            tasks.spawn(work(client, number));
        }
        let mut most = 0;
        while !tasks.is_empty() {
            most = most.max(connections(cluster, &user).await);
            while let Some(done) = tasks.try_join_next() {
                done.unwrap();
            }
        }
        assert!((1..=5).contains(&most), "{most}");
    }

    async fn idle_connections_are_closed_down_to_a_minimum(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let settings = "pool: {max_connections: 10, idle_timeout: 1s, min_idle: 2}";
        let proxy = Proxy::before(cluster).with(settings).start().await;
        let user = account(cluster, "IDENTIFIED BY 'secret'").await;
        let mut clients = Vec::new();
        for _ in 0..6 {
            let mut client = proxy.connect(&user, "secret").await.unwrap();
            client.query_drop("BEGIN").await.unwrap();
            clients.push(client);
        }
        assert_eq!(connections(cluster, &user).await, 6);
        for client in &mut clients {
            client.query_drop("COMMIT").await.unwrap();
        }
        wait_for_connections(cluster, &user, 2).await;
        // Nothing more may happen: no condition tells of that, only time in which it did not.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(connections(cluster, &user).await, 2);
        for client in &mut clients {
            client.query_drop("SELECT 1").await.unwrap();
        }
    }

    async fn a_connection_that_is_too_old_is_replaced(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).with("pool: {max_age: 1s}").start().await;
        let user = account(cluster, "IDENTIFIED BY 'secret'").await;
        let mut other = proxy.connect(&user, "secret").await.unwrap();
        let id = async || {
            let sql = format!("SELECT COALESCE(MAX(id), 0) FROM information_schema.processlist WHERE user = '{user}'");
            cluster.primary().query::<u64>(sql).await.unwrap()[0]
        };
        other.query_drop("SELECT 1").await.unwrap();
        let first = id().await;
        // Idle ones go by themselves, and one in use goes when it is given back.
        wait_for("its end", async || (id().await != first).then_some(())).await;
        other.query_drop("SELECT 1").await.unwrap();
        other.query_drop("BEGIN").await.unwrap();
        let held = id().await;
        // It gets too old in this time, and nothing may happen.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        assert_eq!(id().await, held, "a transaction keeps its connection");
        other.query_drop("COMMIT").await.unwrap();
        wait_for("its end", async || (id().await != held).then_some(())).await;
    }
}
