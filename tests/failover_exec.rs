//! Failover and switchover against real servers: monitor and coordinator run inside the test, and are asked through
//! the topology and the handle.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use splitrail::backend::{Server, Servers};
use splitrail::config::Config;
use splitrail::failover::{self, Handle, Outcome, Report, ReportKind};
use splitrail::monitor;
use splitrail::topology::{Health, Outcome as Seen, Role, Status, ThreadState, Topology};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::fixture::proxy::wait_for;
use crate::fixture::{Cluster, on_both_flavours};

const ACCOUNTS: &str =
    "user: failover, password: failover, replication: {user: replication, password: replication}";

/// The control plane without clients.
struct Plane {
    topology: Arc<Topology>,
    handle: Handle,
    _tasks: JoinSet<()>,
}

// === impl Plane ===

impl Plane {
    /// `settings`: of `failover`, after the accounts.
    async fn start(cluster: &Cluster, settings: &str) -> Self {
        Self::start_with(cluster, "db1", settings).await
    }

    async fn start_with(cluster: &Cluster, primary: &str, settings: &str) -> Self {
        let mut yaml = "accounts: backend\nservers:\n".to_owned();
        for server in cluster.servers() {
            let role = if server.name == primary {
                "primary"
            } else {
                "replica"
            };
            let (name, address) = (&server.name, server.address());
            yaml += &format!("  - {{name: {name}, address: \"{address}\", role: {role}}}\n");
        }
        yaml += "monitor: {user: monitor, password: monitor}\n";
        yaml += &format!("failover: {{{ACCOUNTS}, {settings}}}\n");
        let config = Config::parse(&yaml, Path::new("test.yaml")).unwrap();
        let servers = (0..config.servers.len()).map(|index| Server::new(index, &config, None));
        let servers = Servers::new(servers.collect());
        let topology = Topology::new(&config);
        let (handle, coordinator) = failover::start(&config, topology.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(monitor::run(config, servers, topology.clone()));
        tasks.spawn(coordinator);
        let plane = Self {
            topology,
            handle,
            _tasks: tasks,
        };
        plane.writable().await;
        plane
    }

    async fn writable(&self) -> usize {
        tokio::time::timeout(Duration::from_secs(30), self.topology.gate().opened())
            .await
            .expect("the gate stays shut")
    }

    fn primary(&self) -> Option<usize> {
        self.topology.snapshot().primary
    }

    /// Of a probe that began after this was called.
    async fn status(&self, index: usize) -> Status {
        let asked = Instant::now();
        wait_for("a probe", async || {
            let observation = self.topology.observation(index)?;
            match &observation.outcome {
                Seen::Answered(status) if observation.began > asked => Some(Status::clone(status)),
                _ => None,
            }
        })
        .await
    }

    /// Until a server follows another one and has nothing to complain about.
    async fn wait_following(&self, cluster: &Cluster, index: usize, source: usize) {
        let port = cluster.servers()[source].port;
        wait_for(&format!("db{} behind db{}", index + 1, source + 1), async || {
            let observation = self.topology.observation(index)?;
            let Seen::Answered(status) = &observation.outcome else {
                return None;
            };
            let channel = status.channels.as_ref()?.first()?;
            let is_running =
                channel.io.state == ThreadState::Running && channel.sql.state == ThreadState::Running;
            (status.read_only && channel.source_port == port && is_running).then_some(())
        })
        .await;
    }

    async fn wait_report(&self, kind: ReportKind) -> Arc<Report> {
        wait_for("a report", async || {
            self.handle
                .history()
                .into_iter()
                .find(|report| report.kind == kind)
        })
        .await
    }
}

async fn table(cluster: &Cluster) {
    let primary = cluster.primary();
    primary
        .execute("CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, value INT)")
        .await
        .unwrap();
    cluster.catch_up().await.unwrap();
}

async fn insert(conn: &mut Conn, value: u32) {
    conn.query_drop(format!("INSERT INTO app.t (value) VALUES ({value})"))
        .await
        .unwrap();
}

async fn values(cluster: &Cluster, index: usize) -> Vec<u32> {
    cluster.servers()[index]
        .query("SELECT value FROM app.t ORDER BY value")
        .await
        .unwrap()
}

/// One line for each step.
fn show(report: &Report) -> String {
    let mut text = format!(
        "{} {:?} -> {:?} epoch {} took {:?} pause {:?} gap {:?} {:?}\n",
        report.kind.word(),
        report.from,
        report.to,
        report.epoch,
        report.took,
        report.pause,
        report.gap,
        report.outcome
    );
    for step in &report.steps {
        let server = step.server.as_deref().unwrap_or("-");
        let error = step.error.as_deref().unwrap_or_default();
        text += &format!(
            "  {:>8.1?} +{:<8.1?} {server} {} {error}\n",
            step.at, step.took, step.text
        );
    }
    text
}

on_both_flavours! {
    async fn a_dead_primary_is_replaced(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        table(&cluster).await;
        let plane = Plane::start(&cluster, "mode: automatic").await;
        let mut writer = cluster.primary().connect().await.unwrap();
        for value in 0..50 {
            insert(&mut writer, value).await;
        }
        let killed = Instant::now();
        cluster.primary().kill();
        // What a session does that loses it.
        plane.topology.failed(0);
        let new = wait_for("another primary", async || plane.primary().filter(|primary| *primary != 0)).await;
        assert_eq!(plane.writable().await, new);
        let opened = killed.elapsed();
        let mut writer = cluster.servers()[new].connect().await.unwrap();
        insert(&mut writer, 50).await;
        println!("open after {opened:?}, written after {:?}", killed.elapsed());
        let report = plane.wait_report(ReportKind::Failover).await;
        println!("{}", show(&report));
        assert_eq!(report.outcome, Outcome::Done, "{}", show(&report));
        assert!(report.gap.is_none(), "{}", show(&report));
        assert_eq!(values(&cluster, new).await, (0..=50).collect::<Vec<_>>());
        let other = 3 - new;
        plane.wait_following(&cluster, other, new).await;

        // It comes back with nothing of its own: it follows.
        cluster.servers()[0].start().await.unwrap();
        plane.wait_following(&cluster, 0, new).await;
        insert(&mut writer, 51).await;
        for server in [0, other] {
            wait_for("the row", async || (values(&cluster, server).await.len() == 52).then_some(())).await;
        }
        let snapshot = plane.topology.snapshot();
        assert!(snapshot.servers[0].quarantine.is_none() && snapshot.servers[0].role == Role::Replica);
        assert_eq!(snapshot.epoch, 2);
    }

    async fn a_switchover_goes_there_and_back(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        table(&cluster).await;
        let plane = Plane::start(&cluster, "mode: manual").await;
        for (round, name) in ["db2", "db3", "db1"].into_iter().enumerate() {
            let report = plane.handle.switchover(Some(name), None, false).await.unwrap();
            println!("{}", show(&report));
            assert_eq!(report.outcome, Outcome::Done, "{}", show(&report));
            let new = plane.primary().unwrap();
            assert_eq!(cluster.servers()[new].name, name);
            let mut writer = cluster.servers()[new].connect().await.unwrap();
            insert(&mut writer, u32::try_from(round).unwrap()).await;
            for server in (0..3).filter(|server| *server != new) {
                plane.wait_following(&cluster, server, new).await;
            }
            assert!(plane.status(new).await.semi_sync.clients >= 1);
        }
        assert!(plane.topology.snapshot().servers.iter().all(|view| view.health == Health::Up));
    }
}
