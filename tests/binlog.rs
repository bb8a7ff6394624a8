//! A replica's view: a connection that reads the binary log through the proxy.

use std::process::Stdio;

use crate::fixture::proxy::{PATIENCE, wait_for};
use crate::fixture::raw::{Raw, Who, shown};
use crate::fixture::{Cluster, Flavour, Proxy, on_both_flavours};
use splitrail::wire::bytes::Put;
use splitrail::wire::command::Command;
use splitrail::wire::framing::Expect;
use tokio::time::timeout;

/// What the server's own tool reads of a binary log, up to its present end.
async fn read_log(cluster: &Cluster, port: u16, log: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let program = match cluster.flavour {
        Flavour::MySql => "mysqlbinlog",
        Flavour::MariaDb => "mariadb-binlog",
    };
    // The servers' tools lie beside their client.
    let program = cluster.client.with_file_name(program);
    let run = tokio::process::Command::new(&program)
        .args([
            "--no-defaults",
            "--read-from-remote-server",
            "--raw",
            "--host=127.0.0.1",
        ])
        .arg(format!("--port={port}"))
        .arg(format!("--user={}", cluster.user))
        .arg(format!("--password={}", cluster.password))
        .arg(format!("--result-file={}/", folder.path().display()))
        .arg(log)
        .stdin(Stdio::null())
        .output();
    let output = timeout(PATIENCE, run).await.expect("the end of the log").unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program:?}: {errors}");
    std::fs::read(folder.path().join(log)).unwrap()
}

fn status_statement(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::MySql => "SHOW BINARY LOG STATUS",
        Flavour::MariaDb => "SHOW MASTER STATUS",
    }
}

async fn position(cluster: &Cluster) -> (String, u32) {
    let rows: Vec<mysql_async::Row> = cluster
        .primary()
        .query(status_statement(cluster.flavour))
        .await
        .unwrap();
    (rows[0].get(0).unwrap(), rows[0].get(1).unwrap())
}

on_both_flavours! {
    async fn the_servers_tool_reads_the_same_log(flavour) {
        let cluster = Cluster::of(flavour).start().await;
        let proxy = Proxy::before(&cluster).start().await;
        cluster.primary().execute("CREATE TABLE app.t (id INT, v TEXT)").await.unwrap();
        for id in 0..50 {
            cluster.primary().execute(format!("INSERT INTO app.t VALUES ({id}, REPEAT('v', 5000))")).await.unwrap();
        }
        let (log, _) = position(&cluster).await;
        let direct = read_log(&cluster, cluster.primary().port, &log).await;
        let through = read_log(&cluster, proxy.port(), &log).await;
        assert!(direct.len() > 250_000, "{}", direct.len());
        assert!(direct == through, "{} and {} bytes", direct.len(), through.len());
    }

    async fn a_stream_goes_on_with_new_events(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::shared(flavour).await;
        let database = cluster.new_database().await;
        let mut raw = Raw::open(&proxy.address(), &Who::of(cluster, Who::usual())).await;
        raw.run("SET @source_binlog_checksum = 'NONE', @master_binlog_checksum = 'NONE', @mariadb_slave_capability = 4").await;
        let (log, end) = position(cluster).await;
        let mut body = Vec::new();
        body.put_u32(end);
        body.put_u16(0);
        body.put_u32(4_000_000);
        body.put_bytes(log.as_bytes());
        raw.send(Command::BINLOG_DUMP, &body).await;
        for round in 0..3 {
            let table = format!("streamed_{round}");
            cluster.primary().execute(format!("CREATE TABLE {database}.{table} (id INT)")).await.unwrap();
            loop {
                let event = timeout(PATIENCE, raw.packet()).await.expect("an event").expect("a stream that goes on");
                assert_eq!(event[0], 0, "{}", event.escape_ascii());
                if event.windows(table.len()).any(|window| window == table.as_bytes()) {
                    break;
                }
            }
        }
    }
}

/// What a replica says of itself before it asks for the log.
fn registration(id: u32) -> Vec<u8> {
    let mut body = Vec::new();
    body.put_u32(id);
    for text in ["reader.example", "", ""] {
        body.put_u8(text.len() as u8);
        body.put_bytes(text.as_bytes());
    }
    body.put_u16(3306);
    body.put_u32(0);
    body.put_u32(0);
    body
}

on_both_flavours! {
    async fn a_replica_is_registered_as_what_it_says_it_is(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::shared(flavour).await;
        let mut raw = Raw::open(&proxy.address(), &Who::of(cluster, Who::usual())).await;
        let id = 4_000_001;
        let answer = raw.command(Command::REGISTER_REPLICA, &registration(id), Expect::Results).await;
        assert_eq!(answer[0][0], 0, "{}", shown(&answer));
        let replicas = match flavour {
            Flavour::MySql => "SHOW REPLICAS",
            Flavour::MariaDb => "SHOW SLAVE HOSTS",
        };
        let registered = async || {
            let rows: Vec<mysql_async::Row> = cluster.primary().query(replicas).await.unwrap();
            rows.iter().any(|row| row.get::<u32, _>(0) == Some(id))
        };
        assert!(registered().await);
        // The connection is its own: the registration ends with it.
        assert_eq!(raw.value("SELECT 'still served'").await, "still served");
        drop(raw);
        wait_for("the end of the registration", async || (!registered().await).then_some(())).await;
    }
}

#[tokio::test]
async fn mysql_streams_what_a_set_of_gtids_lacks() {
    let cluster = Cluster::shared(Flavour::MySql).await;
    let proxy = Proxy::shared(Flavour::MySql).await;
    let database = cluster.new_database().await;
    let mut raw = Raw::open(&proxy.address(), &Who::of(cluster, Who::usual())).await;
    raw.run("SET @source_binlog_checksum = 'NONE'").await;
    let mut body = Vec::new();
    body.put_u16(0);
    body.put_u32(4_000_002);
    body.put_u32(0);
    body.put_u64(4);
    // An empty set: everything is lacking.
    body.put_u32(8);
    body.put_u64(0);
    raw.send(Command::BINLOG_DUMP_GTID, &body).await;
    loop {
        let event = timeout(PATIENCE, raw.packet())
            .await
            .expect("an event")
            .expect("a stream");
        assert_eq!(event[0], 0, "{}", event.escape_ascii());
        if event
            .windows(database.len())
            .any(|window| window == database.as_bytes())
        {
            break;
        }
    }
}
