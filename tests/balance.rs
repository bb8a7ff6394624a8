//! Which replica gets how many reads, counted at real servers: the algorithms, weights, and servers out of service.

use std::collections::BTreeMap;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::fixture::proxy::{Start, wait_for};
use crate::fixture::{Cluster, Proxy, on_both_flavours};

/// Which server reads it.
const WHERE: &str = "SELECT @@server_id";

/// The servers of a cluster with two replicas, and what they call themselves.
struct Servers<'a> {
    cluster: &'a Cluster,
    ids: [u64; 3],
}

// === impl Servers ===

impl<'a> Servers<'a> {
    async fn of(cluster: &'a Cluster) -> Self {
        let mut ids = [0; 3];
        for (server, id) in cluster.servers().iter().zip(&mut ids) {
            *id = server.query(WHERE).await.unwrap()[0];
        }
        Self { cluster, ids }
    }

    /// A proxy that balances so, with these settings of the two replicas. Its monitor is quick.
    fn proxy(&self, balance: &str, settings: [&str; 2]) -> Start<'a> {
        let mut servers = "servers:\n".to_owned();
        for (server, settings) in self.cluster.servers().iter().zip(["", settings[0], settings[1]]) {
            let (name, address, role) = (&server.name, server.address(), server.role);
            servers += &format!("  - {{name: {name}, address: \"{address}\", role: {role}, {settings}}}\n");
        }
        Proxy::before(self.cluster)
            .with(servers)
            .with(format!("routing: {{balance: {balance}}}"))
            .with("monitor: {user: monitor, password: monitor, interval: 50ms, timeout: 2s}")
    }

    /// How many of so many reads each server got.
    async fn counts(&self, client: &mut Conn, reads: usize) -> [usize; 3] {
        self.count(&sequence(client, reads).await)
    }

    fn count(&self, reads: &[u64]) -> [usize; 3] {
        self.ids
            .map(|id| reads.iter().filter(|read| **read == id).count())
    }

    /// Waits until this server, by its place, gets a read.
    async fn wait_for_read(&self, client: &mut Conn, place: usize) {
        wait_for("a read on that server", async || {
            (self.counts(client, 1).await[place] == 1).then_some(())
        })
        .await;
    }
}

async fn sequence(client: &mut Conn, reads: usize) -> Vec<u64> {
    let mut servers = Vec::new();
    for _ in 0..reads {
        servers.push(client.query_first(WHERE).await.unwrap().unwrap());
    }
    servers
}

/// A session that takes whatever a replica has.
async fn eventual(proxy: &Proxy<'_>) -> Conn {
    let mut client = proxy.client().await;
    client
        .query_drop("SET splitrail.consistency = 'eventual'")
        .await
        .unwrap();
    client
}

on_both_flavours! {
    async fn every_algorithm_keeps_its_word(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        let servers = Servers::of(&cluster).await;

        let proxy = servers.proxy("round_robin", ["", ""]).start().await;
        let mut client = eventual(&proxy).await;
        let turns = sequence(&mut client, 20).await;
        assert!(turns.windows(2).all(|pair| pair[0] != pair[1]), "{turns:?}");
        assert_eq!(servers.count(&turns), [0, 10, 10]);

        let proxy = servers.proxy("round_robin", ["weight: 3", "weight: 1"]).start().await;
        let mut client = eventual(&proxy).await;
        assert_eq!(servers.counts(&mut client, 40).await, [0, 30, 10]);

        let proxy = servers.proxy("least_connections", ["weight: 3", "weight: 1"]).start().await;
        let mut client = eventual(&proxy).await;
        assert_eq!(servers.counts(&mut client, 40).await, [0, 30, 10], "nothing else is under way");

        let proxy = servers.proxy("first", ["", ""]).start().await;
        let mut client = eventual(&proxy).await;
        assert_eq!(servers.counts(&mut client, 20).await, [0, 20, 0]);

        let proxy = servers.proxy("source_hash", ["", ""]).start().await;
        let mut all = Vec::new();
        for _ in 0..4 {
            all.extend(sequence(&mut eventual(&proxy).await, 5).await);
        }
        assert!(servers.count(&all)[1..].contains(&20), "one address, one server: {all:?}");
    }

    async fn servers_out_of_service_get_nothing(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        let servers = Servers::of(&cluster).await;
        for (settings, expected) in [
            (["backup: true", ""], [0, 0, 20]),
            (["", "state: drain"], [0, 20, 0]),
            (["state: maintenance", ""], [0, 0, 20]),
            (["state: maintenance", "backup: true"], [0, 0, 20]),
            (["state: maintenance", "state: drain"], [20, 0, 0]),
            (["weight: 0", ""], [0, 0, 20]),
        ] {
            let proxy = servers.proxy("round_robin", settings).start().await;
            let mut client = eventual(&proxy).await;
            assert_eq!(servers.counts(&mut client, 20).await, expected, "{settings:?}");
        }
    }

    async fn the_least_latency_is_measured(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        let servers = Servers::of(&cluster).await;
        let database = cluster.new_database().await;
        // The second replica is slow, and nothing but the time that it takes says so.
        let slow = servers.ids[2];
        let function = format!(
            "CREATE FUNCTION {database}.reader() RETURNS INT READS SQL DATA BEGIN \
             IF @@server_id = {slow} THEN DO SLEEP(0.3); END IF; RETURN @@server_id; END"
        );
        cluster.primary().execute(function).await.unwrap();
        cluster.catch_up().await.unwrap();
        let read = format!("SELECT {database}.reader()");

        let proxy = servers.proxy("least_latency", ["", ""]).start().await;
        // A session that called the function before it was known to only read stays where it did.
        wait_for("reads of both", async || {
            let mut client = eventual(&proxy).await;
            let _: u64 = client.query_first(&read).await.unwrap().unwrap();
            let latencies = column(&proxy, "latency").await;
            latencies[1..].iter().all(Option::is_some).then_some(())
        })
        .await;
        let (mut client, mut reads) = (eventual(&proxy).await, Vec::new());
        for _ in 0..20 {
            reads.push(client.query_first(&read).await.unwrap().unwrap());
        }
        // Once in a while the slow one is asked whether it still is.
        let [_, fast, slow] = servers.count(&reads);
        assert!(fast >= 18 && fast + slow == 20, "{reads:?}");
    }

    async fn statements_on_the_primary_count_too(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).start().await;
        let mut busy = proxy.client().await;
        let (slept, ()) = tokio::join!(busy.query_drop("DO SLEEP(2)"), async {
            wait_for("a statement under way", async || {
                (column(&proxy, "in_flight").await[0].as_deref() == Some("1")).then_some(())
            })
            .await;
        });
        slept.unwrap();
        assert_eq!(column(&proxy, "in_flight").await[0].as_deref(), Some("0"));
        assert_eq!(column(&proxy, "latency").await[0], None, "nobody wants to know");
    }

    async fn new_sessions_spread_over_the_replicas(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        let servers = Servers::of(&cluster).await;
        for balance in ["least_connections", "round_robin"] {
            let proxy = servers.proxy(balance, ["", ""]).start().await;
            let (mut clients, mut reads) = (Vec::new(), Vec::new());
            for _ in 0..20 {
                let mut client = proxy.client().await;
                reads.extend(sequence(&mut client, 1).await);
                clients.push(client);
            }
            // Two threads take turns, each for itself.
            let [primary, first, second] = servers.count(&reads);
            assert!(primary == 0 && first >= 9 && second >= 9, "{balance}: {reads:?}");
        }
    }

    async fn a_replica_that_dies_gets_nothing_until_it_is_back(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        let servers = Servers::of(&cluster).await;
        let victim = &cluster.replicas()[0];
        let proxy = servers.proxy("round_robin", ["", ""]).start().await;
        let with_backup = servers.proxy("round_robin", ["", "backup: true"]).start().await;
        let (mut client, mut other) = (eventual(&proxy).await, eventual(&with_backup).await);
        assert_eq!(servers.counts(&mut client, 20).await, [0, 10, 10]);
        assert_eq!(servers.counts(&mut other, 20).await, [0, 20, 0]);

        victim.kill();
        wait_for("the end of the victim", async || victim.exited()).await;
        // Nobody notices, before it is known and after.
        assert_eq!(servers.counts(&mut client, 20).await, [0, 0, 20]);
        assert_eq!(servers.counts(&mut other, 20).await, [0, 0, 20]);
        for proxy in [&proxy, &with_backup] {
            wait_for("the monitor's notice", async || is_down(proxy, &victim.name).await.then_some(())).await;
        }
        assert_eq!(servers.counts(&mut client, 20).await, [0, 0, 20]);

        cluster.restart(&victim.name).await.unwrap();
        servers.wait_for_read(&mut client, 1).await;
        servers.wait_for_read(&mut other, 1).await;
        assert_eq!(servers.counts(&mut client, 20).await, [0, 10, 10]);
        assert_eq!(servers.counts(&mut other, 20).await, [0, 20, 0]);
    }
}

/// A column of the servers' status, in their order.
async fn column(proxy: &Proxy<'_>, name: &str) -> Vec<Option<String>> {
    let mut client = proxy.client().await;
    let rows: Vec<mysql_async::Row> = client.query("SHOW SPLITRAIL STATUS").await.unwrap();
    rows.iter().map(|row| row.get(name).unwrap()).collect()
}

async fn is_down(proxy: &Proxy<'_>, name: &str) -> bool {
    let mut client = proxy.client().await;
    let rows: Vec<mysql_async::Row> = client.query("SHOW SPLITRAIL STATUS").await.unwrap();
    let states: BTreeMap<String, String> = rows
        .iter()
        .filter_map(|row| Some((row.get("server")?, row.get("health")?)))
        .collect();
    states.get(name).is_some_and(|health| health == "down")
}
