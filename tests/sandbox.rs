//! The sandbox itself: its servers replicate, survive what tests do to them, and leave nothing behind.

use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use crate::fixture::proxy::wait_for;
use crate::fixture::{Cluster, Flavour, on_both_flavours};

fn is_running(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

on_both_flavours! {
    async fn a_write_reaches_the_replicas(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let database = cluster.new_database().await;
        cluster.primary().execute(format!("CREATE TABLE {database}.t (id INT PRIMARY KEY)")).await.unwrap();
        cluster.primary().execute(format!("INSERT INTO {database}.t VALUES (42)")).await.unwrap();
        cluster.catch_up().await.unwrap();
        for replica in cluster.replicas() {
            let rows: Vec<u32> = replica.query(format!("SELECT id FROM {database}.t")).await.unwrap();
            assert_eq!(rows, [42]);
        }
    }

    async fn servers_are_set_up_as_operators_do(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let version: Vec<String> = cluster.primary().query("SELECT VERSION()").await.unwrap();
        assert!(version[0].starts_with(&cluster.version.text), "{version:?}");
        let semi_sync = match flavour {
            Flavour::MySql => "Rpl_semi_sync_source_status",
            Flavour::MariaDb => "Rpl_semi_sync_master_status",
        };
        let status: Vec<(String, String)> =
            cluster.primary().query(format!("SHOW STATUS LIKE '{semi_sync}'")).await.unwrap();
        assert_eq!(status[0].1, "ON");
        for replica in cluster.replicas() {
            let read_only: Vec<bool> = replica.query("SELECT @@global.read_only").await.unwrap();
            assert_eq!(read_only, [true]);
        }
        let infile: Vec<bool> = cluster.primary().query("SELECT @@global.local_infile").await.unwrap();
        assert_eq!(infile, [true]);
        let tls: Vec<String> = cluster.primary().query("SELECT @@global.ssl_cert").await.unwrap();
        assert!(Path::new(&tls[0]).is_file());
    }

    async fn no_server_finds_the_temporary_files_of_another(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let mut folders = std::collections::HashSet::new();
        for server in cluster.servers() {
            let folder: Vec<String> = server.query("SELECT @@global.tmpdir").await.unwrap();
            assert!(Path::new(&folder[0]).starts_with(cluster.folder()), "{folder:?}");
            assert!(folders.insert(folder), "{folders:?}");
        }
    }

    async fn everything_is_gone_after_the_cluster_is_dropped(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        let folder = cluster.folder().to_owned();
        let pids: Vec<u32> = cluster.servers().iter().map(|server| server.pid().unwrap()).collect();
        assert!(pids.iter().all(|&pid| is_running(pid)));
        cluster.servers()[1].pause();
        drop(cluster);
        assert!(!pids.iter().any(|&pid| is_running(pid)));
        assert!(!folder.exists());
    }

    async fn a_killed_server_comes_back(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        let (primary, replica) = (cluster.primary(), &cluster.replicas()[0]);
        primary.execute("CREATE TABLE app.t (id INT PRIMARY KEY)").await.unwrap();
        replica.kill();
        assert!(replica.pid().is_none());
        cluster.restart("db2").await.unwrap();
        primary.kill();
        cluster.restart("db1").await.unwrap();
        primary.execute("INSERT INTO app.t VALUES (1)").await.unwrap();
        cluster.catch_up().await.unwrap();
        assert_eq!(cluster.trouble(replica).await.unwrap(), None);
    }

    async fn a_paused_server_says_nothing_until_it_is_resumed(flavour) {
        let cluster = Cluster::of(flavour).start().await;
        let primary = cluster.primary();
        primary.pause();
        assert!(timeout(Duration::from_millis(300), primary.connect()).await.is_err());
        primary.resume();
        primary.connect().await.unwrap();
        primary.stop().await.unwrap();
        assert!(primary.connect().await.is_err());
        primary.start().await.unwrap();
        primary.connect().await.unwrap();
    }

    async fn a_replica_of_which_the_primary_does_not_know_that_it_acknowledges_connects_anew(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        let (setting, count) = match flavour {
            Flavour::MySql => ("rpl_semi_sync_replica_enabled", "Rpl_semi_sync_source_clients"),
            Flavour::MariaDb => ("rpl_semi_sync_slave_enabled", "Rpl_semi_sync_master_clients"),
        };
        let clients = async || {
            let sql = format!("SHOW GLOBAL STATUS LIKE '{count}'");
            cluster.primary().query::<(String, u32)>(sql).await.unwrap()[0].1
        };
        assert_eq!(clients().await, 1);
        let replica = &cluster.replicas()[0];
        for sql in [&format!("SET GLOBAL {setting} = 0"), "STOP REPLICA IO_THREAD", "START REPLICA IO_THREAD"] {
            replica.execute(sql).await.unwrap();
        }
        wait_for("a connection that acknowledges nothing", async || (clients().await == 0).then_some(())).await;
        replica.execute(format!("SET GLOBAL {setting} = 1")).await.unwrap();
        cluster.wait_for_semi_sync().await.unwrap();
        assert_eq!(clients().await, 1);
    }

    async fn an_option_reaches_the_servers(flavour) {
        let cluster = Cluster::of(flavour).option("max_connections=33").start().await;
        let rows: Vec<u32> = cluster.primary().query("SELECT @@max_connections").await.unwrap();
        assert_eq!(rows, [33]);
    }
}
