//! LOAD DATA LOCAL: the file comes from the client, in packets up to an empty one.

use crate::fixture::raw::{Raw, Steps, Who, same_both_ways, shown};
use crate::fixture::{Flavour, Proxy, on_both_flavours};
use splitrail::wire::Capabilities;
use splitrail::wire::framing::Expect;

/// Asks for a file to be loaded, and sends it if the server wants it.
pub async fn load(raw: &mut Raw, sql: &str, chunks: &[&[u8]]) -> Steps {
    let asked = raw.query(sql).await;
    let mut steps = vec![(sql.to_owned(), asked)];
    if steps[0].1.last().unwrap().first() == Some(&0xfb) {
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            raw.put(chunk).await;
        }
        raw.put(b"").await;
        steps.push(("the file".to_owned(), raw.response(Expect::Results).await));
    }
    steps
}

on_both_flavours! {
    async fn files_are_streamed_from_the_client(flavour) {
        let cluster = crate::fixture::Cluster::shared(flavour).await;
        cluster.primary().execute("SET GLOBAL local_infile = ON").await.unwrap();
        let proxy = Proxy::shared(flavour).await;
        let database = cluster.new_database().await;
        let who = Who::of(cluster, Who::usual()).database(&database);
        // A row that does not fit anywhere, and then one that does.
        let long = [&b"1\t"[..], &vec![b'x'; 100_000], b"\n2\tshort\n"].concat();
        same_both_ways(proxy, &who, async |raw: &mut Raw| {
            raw.run("DROP TABLE IF EXISTS t").await;
            raw.run("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))").await;
            let mut steps = Steps::new();
            let sql = "LOAD DATA LOCAL INFILE 'a' INTO TABLE t";
            steps.extend(load(raw, sql, &[b"1\tone\n2\tt", b"wo\n", b"3\tthree\n"]).await);
            steps.extend(load(raw, sql, &[]).await);
            steps.extend(load(raw, sql, &[b"1\tagain\n4\tfour\n"]).await);
            steps.extend(load(raw, "LOAD DATA CONCURRENT LOCAL INFILE 'a' REPLACE INTO TABLE t", &[&long]).await);
            steps.extend(load(raw, "LOAD DATA LOCAL INFILE 'a' INTO TABLE no_such_table", &[b"1\n"]).await);
            steps.extend(load(raw, "LOAD DATA LOCAL INFILE 'a' INTO TABLE t (id, v) SET id = no_such + 1", &[b"1\n"]).await);
            let several = "SELECT 1; LOAD DATA LOCAL INFILE 'a' INTO TABLE t; SELECT 2";
            steps.extend(load(raw, several, &[b"9\tnine\n"]).await);
            steps.push(("rows".to_owned(), raw.query("SELECT * FROM t ORDER BY id").await));
            steps
        })
        .await;
    }

    async fn a_file_larger_than_every_buffer_arrives(flavour) {
        let cluster = crate::fixture::Cluster::shared(flavour).await;
        cluster.primary().execute("SET GLOBAL local_infile = ON").await.unwrap();
        let proxy = Proxy::before(cluster).start().await;
        let database = cluster.new_database().await;
        for flags in [Capabilities::NONE, Capabilities::COMPRESS] {
            let who = Who::of(cluster, Who::usual() | flags).database(&database);
            let mut raw = Raw::open(&proxy.address(), &who).await;
            raw.run("DROP TABLE IF EXISTS t").await;
            raw.run("CREATE TABLE t (v VARCHAR(2000))").await;
            let line = [&[b'x'; 1023][..], b"\n"].concat();
            let chunk = line.repeat(1024);
            let chunks = vec![&chunk[..]; 16];
            let steps = load(&mut raw, "LOAD DATA LOCAL INFILE 'a' INTO TABLE t", &chunks).await;
            assert_eq!(steps[1].1[0][0], 0, "{flags:?} {}", shown(&steps[1].1));
            assert_eq!(raw.value("SELECT CONCAT(COUNT(*), ' ', SUM(LENGTH(v))) FROM t").await, "16384 16760832");
        }
    }
}

on_both_flavours! {
    async fn a_client_that_hangs_up_in_the_middle_of_its_file_leaves_nothing(flavour) {
        let cluster = crate::fixture::Cluster::shared(flavour).await;
        cluster.primary().execute("SET GLOBAL local_infile = ON").await.unwrap();
        let proxy = Proxy::before(cluster).with("pool: {max_connections: 1}").main_listener("mode: primary").start().await;
        let database = cluster.new_database().await;
        let who = Who::of(cluster, Who::usual()).database(&database);
        let mut raw = Raw::open(&proxy.address(), &who).await;
        raw.run("CREATE TABLE t (v VARCHAR(100))").await;
        raw.send_query("LOAD DATA LOCAL INFILE 'a' INTO TABLE t").await;
        assert_eq!(raw.packet().await.unwrap()[0], 0xfb);
        raw.put(b"one\ntwo\nthr").await;
        drop(raw);
        // The only connection there may be serves the next client, and knows nothing of the file.
        let mut next = Raw::open(&proxy.address(), &who).await;
        assert_eq!(next.value("SELECT COUNT(*) FROM t WHERE v = 'thr'").await, "0");
        assert_eq!(next.value("SELECT 'served'").await, "served");
    }
}

#[tokio::test]
async fn a_client_without_local_files_is_refused_as_by_the_server() {
    for flavour in [Flavour::MySql, Flavour::MariaDb] {
        let proxy = Proxy::shared(flavour).await;
        let who = Who::of(proxy.cluster, Who::usual().without(Capabilities::LOCAL_FILES)).database("app");
        same_both_ways(proxy, &who, async |raw: &mut Raw| {
            raw.run("CREATE TABLE IF NOT EXISTS refused_file (id INT)").await;
            load(
                raw,
                "LOAD DATA LOCAL INFILE 'a' INTO TABLE refused_file",
                &[b"1\n"],
            )
            .await
        })
        .await;
    }
}
