//! Packets and results larger than every buffer, clients slower than every server: all of it passes, and the proxy
//! stays small.

use crate::fixture::proxy::{unique, wait_for};
use crate::fixture::raw::{Raw, Who, shown};
use crate::fixture::{Cluster, Flavour, Proxy, on_both_flavours};
use splitrail::wire::Capabilities;
use splitrail::wire::command::Command;
use splitrail::wire::framing::Expect;
use splitrail::wire::packet::MAX_PAYLOAD;
use splitrail::wire::packet::put_packet;
use tokio::sync::OnceCell;

/// Servers that take large packets.
async fn cluster(flavour: Flavour) -> &'static Cluster {
    static MYSQL: OnceCell<Cluster> = OnceCell::const_new();
    static MARIADB: OnceCell<Cluster> = OnceCell::const_new();
    let cell = match flavour {
        Flavour::MySql => &MYSQL,
        Flavour::MariaDb => &MARIADB,
    };
    cell.get_or_init(|| Cluster::of(flavour).option("max_allowed_packet=256M").start())
        .await
}

on_both_flavours! {
    async fn packets_around_the_maximum_pass_both_ways(flavour) {
        let cluster = cluster(flavour).await;
        let proxy = Proxy::before(cluster).with("limits: {max_allowed_packet: 256MiB}").start().await;
        for flags in [Capabilities::NONE, Capabilities::DEPRECATE_EOF, Capabilities::COMPRESS] {
            let mut raw = Raw::open(&proxy.address(), &Who::of(cluster, Who::usual() | flags)).await;
            for (times, around) in [(1, -1_i64), (1, 0), (1, 1), (2, 0)] {
                // One byte is the command.
                let length = usize::try_from((times * MAX_PAYLOAD) as i64 + around).unwrap() - 1;
                let around = b"SELECT LENGTH('')".len();
                let sql = format!("SELECT LENGTH('{}')", "x".repeat(length - around));
                assert_eq!(raw.value(&sql).await, (length - around).to_string());
                // A row is its length, in four bytes or more, and its text.
                let row = length + 1;
                let answer = raw.run(&format!("SELECT REPEAT('y', {})", row - 4)).await;
                let got = answer.iter().map(Vec::len).max().unwrap();
                let prefix = if row - 4 > 0xff_ffff { 9 } else { 4 };
                assert_eq!(got, row - 4 + prefix);
            }
        }
    }

    async fn parameters_of_64_megabytes_pass(flavour) {
        let cluster = cluster(flavour).await;
        let proxy = Proxy::before(cluster).with("limits: {max_allowed_packet: 256MiB}").start().await;
        let mut raw = Raw::open(&proxy.address(), &Who::of(cluster, Who::usual())).await;
        let prepared = raw.command(Command::STMT_PREPARE, b"SELECT LENGTH(?)", Expect::Prepared).await;
        let id = &prepared[0][1..5];
        let megabytes = vec![b'z'; 64 << 20];
        let head = [id, &[0, 1, 0, 0, 0, 0, 1, 0xfe, 0, 0xfd, 0, 0, 0]].concat();
        let mut body = head[..head.len() - 4].to_vec();
        body.push(0xfe);
        body.extend_from_slice(&(megabytes.len() as u64).to_le_bytes());
        body.extend_from_slice(&megabytes);
        let answer = raw.command(Command::STMT_EXECUTE, &body, Expect::Results).await;
        assert_ne!(answer[0][0], 0xff, "{}", shown(&answer));
        let row = &answer[answer.len() - 2];
        assert_eq!(row[2..6], (64_u32 << 20).to_le_bytes(), "{row:?}");
        assert!(proxy.rss() < 64 << 10, "{} KiB", proxy.rss());
    }

    async fn a_million_rows_for_a_slow_client_stay_on_the_server(flavour) {
        let cluster = cluster(flavour).await;
        let proxy = Proxy::before(cluster).start().await;
        let mut raw = Raw::open(&proxy.address(), &Who::of(cluster, Who::usual() | Capabilities::DEPRECATE_EOF)).await;
        raw.run("SELECT 1").await;
        let before = proxy.rss();
        let digits = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 \
                      UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
        let sql = format!("SELECT REPEAT('r', 100) FROM {digits} a, {digits} b, {digits} c, {digits} d, {digits} e, {digits} f");
        raw.send_query(&sql).await;
        // Nobody reads: the server cannot go on, and the proxy does not take what it cannot pass.
        wait_for("a server that waits to send", async || {
            let states: Vec<String> = cluster.primary().query("SELECT state FROM information_schema.processlist \
                WHERE info LIKE 'SELECT REPEAT%' AND (state LIKE '%ending%' OR state LIKE '%riting%' OR state = 'executing')").await.unwrap();
            states.first().cloned()
        }).await;
        let answer = raw.response(Expect::Results).await;
        assert_eq!(answer.len(), 1_000_003);
        let grown = proxy.rss().saturating_sub(before);
        assert!(grown < 8 << 10, "{grown} KiB");
    }

    async fn commands_sent_before_their_answers_are_read_are_all_answered(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let mut raw = Raw::open(&proxy.address(), &Who::of(proxy.cluster, Who::usual())).await;
        let mut bytes = Vec::new();
        for number in 0..200 {
            put_packet(&mut bytes, 0, format!("\x03SELECT {number}").as_bytes());
            put_packet(&mut bytes, 0, &[Command::PING.0]);
        }
        raw.write(&bytes).await;
        for number in 0..200 {
            let answer = raw.response(Expect::Results).await;
            assert_eq!(answer[3][1..], *number.to_string().as_bytes());
            assert_eq!(raw.response(Expect::Results).await[0][0], 0);
        }
    }

    async fn what_only_waits_ends_with_its_client(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::shared(flavour).await;
        let mut raw = Raw::open(&proxy.address(), &Who::of(proxy.cluster, Who::usual())).await;
        let sql = format!("SELECT SLEEP(300), '{}'", unique("waits"));
        raw.send_query(&sql).await;
        let running = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE info = \"{sql}\"");
        let count = async || {
            let mut count = 0;
            for server in cluster.servers() {
                count += server.query::<u64>(&running).await.unwrap()[0];
            }
            count
        };
        wait_for("the statement", async || (count().await == 1).then_some(())).await;
        drop(raw);
        wait_for("its end", async || (count().await == 0).then_some(())).await;
    }

    async fn a_client_that_has_said_all_still_gets_its_answers(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let mut raw = Raw::open(&proxy.address(), &Who::of(proxy.cluster, Who::usual())).await;
        raw.send_query("SELECT SLEEP(0.2), 'half closed'").await;
        raw.shut_writing().await;
        let answer = raw.response(Expect::Results).await;
        assert!(shown(&answer).contains("half closed"), "{}", shown(&answer));
        assert!(raw.is_closed().await);
    }

    async fn a_long_compressed_command_may_have_any_numbers_inside(flavour) {
        let cluster = cluster(flavour).await;
        let proxy = Proxy::before(cluster).with("limits: {max_allowed_packet: 64MiB}").start().await;
        let mut raw = Raw::open(&proxy.address(), &Who::of(cluster, Who::usual() | Capabilities::COMPRESS)).await;
        raw.first_number = 1;
        let length = MAX_PAYLOAD + 1000;
        assert_eq!(raw.value(&format!("SELECT LENGTH('{}')", "n".repeat(length))).await, length.to_string());
        assert_eq!(raw.value("SELECT 'and after it'").await, "and after it");
    }
}
