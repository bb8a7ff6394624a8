//! Compression between client and proxy, whatever there is between proxy and server.

use crate::fixture::raw::{Raw, Who, same_both_ways};
use crate::fixture::{Cluster, Flavour, Proxy, on_both_flavours};
use splitrail::wire::Capabilities;

on_both_flavours! {
    async fn clients_compress_whatever_the_server_side_does(flavour) {
        let cluster = Cluster::shared(flavour).await;
        cluster.primary().execute("SET GLOBAL local_infile = ON").await.unwrap();
        let database = cluster.new_database().await;
        let algorithms: &[&str] = match flavour {
            Flavour::MySql => &["off", "zlib", "zstd"],
            Flavour::MariaDb => &["off", "zlib"],
        };
        for algorithm in algorithms {
            let proxy = Proxy::before(cluster).with(format!("compression: {{server: {algorithm}}}")).start().await;
            for wanted in [Capabilities::NONE, Capabilities::COMPRESS, Capabilities::ZSTD] {
                let who = Who::of(cluster, Who::usual() | wanted).database(&database);
                let mut raw = Raw::open(&proxy.address(), &who).await;
                if flavour == Flavour::MySql || wanted != Capabilities::ZSTD {
                    assert!(raw.capabilities.has(wanted), "{wanted:?} is not offered");
                }
                raw.run("DROP TABLE IF EXISTS t").await;
                raw.run("CREATE TABLE t (v LONGTEXT)").await;
                let before = raw.received;
                let letters = 3_000_000;
                let row = raw.run(&format!("SELECT REPEAT('abc', {})", letters / 3)).await;
                assert_eq!(row.iter().map(Vec::len).max(), Some(letters + 4));
                let received = raw.received - before;
                assert_eq!(received < 100_000, raw.capabilities.intersects(Capabilities::COMPRESS | Capabilities::ZSTD), "{received}");
                let text = "z".repeat(1_000_000);
                assert_eq!(raw.value(&format!("SELECT LENGTH('{text}')")).await, "1000000");
                let line = format!("{text}\n");
                let steps = crate::infile::load(&mut raw, "LOAD DATA LOCAL INFILE 'a' INTO TABLE t", &[line.as_bytes(), line.as_bytes()]).await;
                assert_eq!(steps[1].1[0][0], 0);
                assert_eq!(raw.value("SELECT SUM(LENGTH(v)) FROM t").await, "2000000");
            }
        }
    }

    async fn compressed_answers_are_the_same(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let who = Who::of(proxy.cluster, Who::usual() | Capabilities::COMPRESS | Capabilities::SESSION_TRACK);
        same_both_ways(proxy, &who, async |raw: &mut Raw| {
            let mut steps = Vec::new();
            for sql in ["SELECT 1", "SELECT 1; SELECT 2", "nonsense", "SELECT REPEAT('x', 200000)", "USE app", ""] {
                steps.push((sql.to_owned(), raw.query(sql).await));
            }
            steps
        })
        .await;
    }

    async fn a_compressed_command_may_have_any_number_inside(flavour) {
        let cluster = Cluster::shared(flavour).await;
        for server in ["off", "zlib"] {
            let proxy = Proxy::before(cluster).with(format!("compression: {{server: {server}}}")).start().await;
            let who = Who::of(cluster, Who::usual() | Capabilities::COMPRESS);
            for port in [proxy.address(), cluster.primary().address()] {
                let mut raw = Raw::open(&port, &who).await;
                for number in [1, 7, 255, 0, 1] {
                    raw.first_number = number;
                    let text = "n".repeat(200);
                    assert_eq!(raw.value(&format!("SELECT '{text}'")).await, text);
                    assert_eq!(raw.value("SELECT 1").await, "1");
                }
            }
        }
        let proxy = Proxy::shared(flavour).await;
        let mut raw = Raw::open(&proxy.address(), &Who::of(cluster, Who::usual())).await;
        raw.first_number = 1;
        let refused = raw.query("SELECT 1").await;
        assert_eq!(refused[0][1..3], 1156_u16.to_le_bytes());
    }
}
