//! Failover and switchover against real servers: monitor and coordinator run inside the test, and are asked through
//! the topology and the handle.

// What a failed test has to show for itself.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use splitrail::backend::{Server, Servers};
use splitrail::config::Config;
use splitrail::failover::{self, Handle, Outcome, Report, ReportKind, Verdict};
use splitrail::monitor;
use splitrail::topology::{Health, Outcome as Seen, Role, Status, ThreadState, Topology};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::fixture::proxy::wait_for;
use crate::fixture::{Cluster, Flavour, Proxy, on_both_flavours};

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

async fn sandbox_position(cluster: &Cluster, index: usize) -> String {
    let server = &cluster.servers()[index];
    let sql = match server.flavour {
        Flavour::MySql => "SELECT @@global.gtid_executed",
        Flavour::MariaDb => "SELECT @@global.gtid_binlog_pos",
    };
    server.query::<String>(sql).await.unwrap().remove(0)
}

/// The errant former primary has what the others have.
async fn is_behind_again(plane: &Plane, cluster: &Cluster, new: usize) {
    plane.wait_following(cluster, 0, new).await;
    wait_for("equal data", async || {
        (values(cluster, 0).await == [1, 2, 3]).then_some(())
    })
    .await;
    wait_for("its return", async || {
        let snapshot = plane.topology.snapshot();
        snapshot.servers[0].quarantine.is_none().then_some(())
    })
    .await;
}

/// Somebody stops and starts servers meanwhile, for programs that ask for it.
async fn attended<T>(cluster: &Cluster, work: impl Future<Output = T>) -> T {
    let attending = async {
        loop {
            cluster.attend().await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = attending => unreachable!(),
    }
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

/// Begins a switchover, and kills the process after so long, as it were: in a runtime of its own, with whose end
/// nothing goes on, not even a file that is half written.
fn cut_short(cluster: &Cluster, settings: &str, after: Duration) {
    let process = || {
        Runtime::new().unwrap().block_on(async {
            let plane = Plane::start(cluster, settings).await;
            let handle = plane.handle.clone();
            tokio::spawn(async move { handle.switchover(None, None, true).await.is_ok() });
            tokio::time::sleep(after).await;
        });
    };
    std::thread::scope(|scope| drop(scope.spawn(process)));
}

on_both_flavours! {
    async fn a_proxy_that_follows_takes_up_what_another_one_changes(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        let deciding = Plane::start(&cluster, "cooldown: 0s").await;
        let following = Plane::start(&cluster, "mode: follow").await;
        deciding.handle.switchover(Some("db2"), None, false).await.unwrap();
        wait_for("the switchover", async || (following.primary() == Some(1)).then_some(())).await;
        assert_eq!(following.writable().await, 1);
        deciding.wait_following(&cluster, 0, 1).await;
        let refused = following.handle.switchover(Some("db1"), None, false).await.unwrap_err();
        assert!(refused.to_string().contains("follow"), "{refused}");
        // One that comes later finds the primary, too, whatever its file says.
        let late = Plane::start(&cluster, "mode: follow").await;
        assert_eq!((late.primary(), late.writable().await), (Some(1), 1));
        cluster.server("db2").unwrap().kill();
        let report = deciding.wait_report(ReportKind::Failover).await;
        assert_eq!(report.outcome, Outcome::Done);
        let new = deciding.primary();
        for plane in [&following, &late] {
            wait_for("the failover", async || (plane.primary() == new).then_some(())).await;
            assert_eq!(Some(plane.writable().await), new);
        }
        assert!(!deciding.status(new.unwrap()).await.read_only, "nobody fenced it");
    }

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

    async fn a_second_command_does_not_undo_the_first(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        let plane = Plane::start(&cluster, "mode: automatic").await;
        let handle = &plane.handle;
        let (first, second, third) = tokio::join!(
            handle.switchover(Some("db2"), None, false),
            handle.switchover(Some("db1"), None, false),
            handle.failover(None, true),
        );
        let report = first.unwrap();
        assert_eq!(report.outcome, Outcome::Done, "{}", show(&report));
        for refused in [second, third] {
            let why = refused.unwrap_err().to_string();
            assert!(why.contains("under way already"), "{why}");
        }
        let changes = handle.history().into_iter().filter(|report| report.kind != ReportKind::Rejoin);
        assert_eq!((plane.primary(), changes.count()), (Some(1), 1));
        plane.wait_following(&cluster, 0, 1).await;
        let report = handle.switchover(Some("db1"), None, false).await.unwrap();
        assert_eq!((&report.outcome, plane.primary()), (&Outcome::Done, Some(0)), "{}", show(&report));
    }

    async fn the_primary_is_found_whatever_the_file_says(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        // The file is older than the last switchover, and nobody has written down an epoch.
        let plane = Plane::start_with(&cluster, "db3", "mode: automatic").await;
        assert_eq!((plane.primary(), plane.topology.snapshot().epoch), (Some(0), 1));
        plane.handle.switchover(Some("db2"), None, false).await.unwrap();
        drop(plane);
        // By the row of the epoch, with the number that follows from it.
        let plane = Plane::start(&cluster, "mode: automatic").await;
        assert_eq!((plane.primary(), plane.topology.snapshot().epoch), (Some(1), 2));
        plane.wait_following(&cluster, 0, 1).await;
        // The present one is down at the start: reads wait for nothing, writes for the next one.
        drop(plane);
        cluster.servers()[1].kill();
        let plane = Plane::start(&cluster, "mode: automatic").await;
        let new = wait_for("another primary", async || plane.primary().filter(|primary| *primary != 1)).await;
        assert_eq!((plane.writable().await, plane.topology.snapshot().epoch), (new, 3));
        plane.wait_following(&cluster, 2 - new, new).await;
    }

    async fn a_returned_primary_with_a_surplus_is_kept_out(flavour) {
        // Without semi-synchronous replication, so that the old primary can commit on its own.
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        table(&cluster).await;
        let plane = Plane::start(&cluster, "mode: automatic").await;
        let old = cluster.primary();
        let mut writer = old.connect().await.unwrap();
        insert(&mut writer, 1).await;
        cluster.catch_up().await.unwrap();
        old.kill();
        plane.topology.failed(0);
        let new = wait_for("another primary", async || plane.primary().filter(|primary| *primary != 0)).await;
        plane.wait_report(ReportKind::Failover).await;
        plane.handle.pause();
        assert!(plane.handle.is_paused());
        plane.handle.resume();
        let mut writer = cluster.servers()[new].connect().await.unwrap();
        insert(&mut writer, 2).await;
        insert(&mut writer, 3).await;
        drop(plane);
        // While nobody looks, somebody writes there.
        old.start().await.unwrap();
        let off = match flavour {
            Flavour::MySql => "SET GLOBAL rpl_semi_sync_source_enabled = 0",
            Flavour::MariaDb => "SET GLOBAL rpl_semi_sync_master_enabled = 0",
        };
        old.execute(off).await.unwrap();
        old.execute("INSERT INTO app.t (value) VALUES (99)").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let salvage = format!("mode: automatic, salvage: {}", folder.path().join("salvage").display());
        let plane = Plane::start(&cluster, &salvage).await;
        assert_eq!(plane.primary(), Some(new));
        let why = wait_for("the quarantine", async || {
            plane.topology.snapshot().servers[0].quarantine.clone()
        })
        .await;
        assert!(why.contains("transactions that the primary lacks"), "{why}");
        wait_for("read-only", async || plane.status(0).await.read_only.then_some(())).await;
        let refusal = plane.handle.rejoin("db1", false).await.unwrap_err();
        assert!(refusal.to_string().contains("REJOIN db1 DISCARD"), "{refusal}");
        assert_eq!(values(&cluster, new).await, [1, 2, 3]);

        // Saved, and thrown away where the server can copy the primary.
        let rejoin = plane.handle.rejoin("db1", true);
        let restart = async {
            if flavour == Flavour::MySql {
                wait_for("the end of the clone", async || old.exited().map(drop)).await;
                old.start().await.unwrap();
            }
        };
        let (report, ()) = tokio::join!(rejoin, restart);
        let report = report.unwrap();
        println!("{}", show(&report));
        let saved: Vec<_> = std::fs::read_dir(folder.path().join("salvage")).unwrap().collect();
        let saved = std::fs::read_to_string(saved.into_iter().next().unwrap().unwrap().path()).unwrap();
        assert!(saved.contains("app") && saved.lines().count() > 2, "{saved}");
        if flavour == Flavour::MySql {
            assert_eq!(report.outcome, Outcome::Done);
            is_behind_again(&plane, &cluster, new).await;
            return;
        }
        // What it has is saved, and nothing is thrown away as long as nobody could copy anything.
        assert!(report.outcome.why().is_some_and(|why| why.contains("failover.reclone.command")));
        assert_eq!(values(&cluster, 0).await, [1, 99]);
        let Some(command) = cluster.reclone().unwrap() else {
            assert!(std::env::var_os("CI").is_none(), "mariadb-backup is not installed");
            return println!("NOT TRIED: mariadb-backup is not installed");
        };
        drop(plane);
        let plane = Plane::start(&cluster, &format!("{salvage}, reclone: {{command: {command:?}, timeout: 2m}}")).await;
        wait_for("the quarantine", async || plane.topology.snapshot().servers[0].quarantine.clone()).await;
        let report = attended(&cluster, plane.handle.rejoin("db1", true)).await.unwrap();
        println!("{}", show(&report));
        assert_eq!(report.outcome, Outcome::Done, "{}", show(&report));
        assert!(report.steps.iter().any(|step| step.text.contains("is made anew from")), "{}", show(&report));
        is_behind_again(&plane, &cluster, new).await;
        assert!(!old.datadir.join(".reclone").exists());
    }

    async fn a_program_that_makes_no_copy_is_told_so(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).asynchronous().start().await;
        table(&cluster).await;
        let other = &cluster.replicas()[0];
        for sql in ["SET GLOBAL read_only = 0", "INSERT INTO app.t (value) VALUES (99)"] {
            other.execute(sql).await.unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("told");
        let script = format!(
            "cat > {0}; env | grep ^SPLITRAIL_ >> {0}; echo gtid=",
            told.display()
        );
        let hook = format!("reclone: {{command: [/bin/sh, -c, {script:?}], timeout: 20s}}");
        let salvage = format!("salvage: {}", folder.path().join("salvage").display());
        let plane = Plane::start(&cluster, &format!("mode: manual, {salvage}, {hook}")).await;
        let report = plane.handle.rejoin("db2", true).await.unwrap();
        let why = report.outcome.why().unwrap_or_default();
        assert!(why.contains("did not say where the copy is"), "{}", show(&report));
        let told = std::fs::read_to_string(&told).unwrap();
        let json = told.split('}').next().unwrap();
        let (donor, target) = (cluster.primary().port, other.port);
        assert!(json.contains("\"target\":\"db2\"") && json.contains(&format!("\"target_port\":\"{target}\"")), "{told}");
        assert!(json.contains(&format!("\"donor_port\":\"{donor}\"")) && !json.contains("password"), "{told}");
        assert!(told.contains("SPLITRAIL_PASSWORD=failover") && told.contains("SPLITRAIL_TARGET_DATADIR=/"), "{told}");
        assert_eq!(values(&cluster, 1).await, [99]);
    }

    async fn a_writable_replica_is_made_read_only(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        cluster.replicas()[0].execute("SET GLOBAL read_only = 0").await.unwrap();
        let plane = Plane::start(&cluster, "mode: manual").await;
        wait_for("read-only", async || plane.status(1).await.read_only.then_some(())).await;
        assert!(!plane.status(0).await.read_only);
    }

    async fn a_hook_says_no_and_nothing_has_happened(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        let hook = "before: {command: [/bin/sh, -c, \"echo not today >&2; exit 1\"]}";
        let plane = Plane::start(&cluster, &format!("mode: manual, {hook}")).await;
        let report = plane.handle.switchover(None, None, false).await.unwrap();
        assert!(report.outcome.why().is_some_and(|why| why.contains("not today")), "{}", show(&report));
        assert_eq!((plane.primary(), report.pause), (Some(0), None));
        assert_eq!(plane.topology.gate().writable(), Some(0));
        let refusal = plane.handle.failover(None, false).await.unwrap_err();
        assert!(refusal.to_string().contains("SWITCHOVER"), "{refusal}");
        let check = plane.handle.check(None);
        assert!(check.refusals.is_empty() && check.steps.len() > 4, "{check:?}");
        assert!(plane.handle.check(Some("db1")).steps.is_empty());
        assert!(!format!("{check:?}").contains("IDENTIFIED") && !format!("{check:?}").contains("PASSWORD='replication'"));
    }

    async fn a_switchover_that_cannot_be_is_undone(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        table(&cluster).await;
        let plane = Plane::start(&cluster, "mode: manual").await;
        // The candidate cannot apply what comes: a table is locked.
        let mut lock = cluster.servers()[1].connect().await.unwrap();
        lock.query_drop("LOCK TABLES app.t READ").await.unwrap();
        let mut writer = cluster.primary().connect().await.unwrap();
        insert(&mut writer, 1).await;
        let timeout = Some(Duration::from_millis(1500));
        let done = plane.handle.switchover(Some("db2"), timeout, true).await;
        match &done {
            Ok(report) => assert!(matches!(report.outcome, Outcome::Undone(_)), "{}", show(report)),
            Err(refusal) => println!("{refusal}"),
        }
        assert_eq!((plane.primary(), plane.topology.gate().writable()), (Some(0), Some(0)));
        insert(&mut writer, 2).await;
        drop(lock);
        plane.wait_following(&cluster, 1, 0).await;
        plane.wait_following(&cluster, 2, 0).await;
    }

    async fn a_change_that_is_cut_short_is_completed_or_undone(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        table(&cluster).await;
        let folder = tempfile::tempdir().unwrap();
        let state = format!("mode: automatic, state: {}", folder.path().join("state.json").display());
        // With the file, and without: then the servers alone have to say what was under way.
        let (with_file, without) = (state, "mode: automatic".to_owned());
        for (round, delay) in [3, 20, 30, 40, 55, 65, 75, 90, 110, 140, 200].into_iter().enumerate() {
            let state = if round % 4 == 0 { &with_file } else { &without };
            cut_short(&cluster, state, Duration::from_millis(delay));
            let written = std::fs::read_to_string(folder.path().join("state.json")).unwrap_or_default();
            let plane = Plane::start(&cluster, state).await;
            let primary = plane.primary().unwrap();
            println!("{round}: after {delay} ms: {written:?}, the primary is db{}", primary + 1);
            wait_for("a writable primary", async || (!plane.status(primary).await.read_only).then_some(())).await;
            for server in (0..3).filter(|server| *server != primary) {
                plane.wait_following(&cluster, server, primary).await;
            }
            let mut writer = cluster.servers()[primary].connect().await.unwrap();
            insert(&mut writer, u32::try_from(round).unwrap()).await;
            let position = sandbox_position(&cluster, primary).await;
            for server in (0..3).filter(|server| *server != primary) {
                wait_for("the row", async || (values(&cluster, server).await.len() == round + 1).then_some(())).await;
            }
            assert!(!position.is_empty());
            wait_for("no file", async || (!folder.path().join("state.json").exists()).then_some(())).await;
        }
    }

    async fn a_primary_that_is_started_anew_takes_writes_again(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        table(&cluster).await;
        // Nobody is promoted: one was just now.
        let plane = Plane::start(&cluster, "mode: automatic, cooldown: 1h").await;
        cluster.primary().kill();
        plane.wait_report(ReportKind::Failover).await;
        let old = cluster.primary();
        old.start().await.unwrap();
        plane.wait_following(&cluster, 0, 1).await;
        let primary = &cluster.servers()[1];
        wait_for("writes", async || (!plane.status(1).await.read_only).then_some(())).await;
        primary.kill();
        wait_for("the gate", async || plane.topology.gate().shut_because()).await;
        primary.start().await.unwrap();
        assert!(primary.execute("SELECT @@global.read_only").await.is_ok());
        assert_eq!(plane.writable().await, 1);
        assert_eq!(plane.primary(), Some(1));
        assert!(!plane.status(1).await.read_only);
        plane.wait_following(&cluster, 0, 1).await;
        let said = plane.topology.events().latest(100);
        let refusals = said.iter().filter(|event| event.text.starts_with("nobody is promoted"));
        assert_eq!(refusals.count(), 1, "{said:?}");
        // Whoever makes it read-only while it runs has a reason.
        primary.execute("SET GLOBAL read_only = 1").await.unwrap();
        wait_for("the verdict", async || {
            (plane.handle.analysis().verdict == Verdict::ReadOnly).then_some(())
        })
        .await;
        assert!(plane.status(1).await.read_only);
        assert_eq!(plane.topology.gate().writable(), Some(1));
    }

    async fn servers_that_are_all_started_read_only_get_a_primary(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).option("read-only=1").start().await;
        let plane = Plane::start(&cluster, "mode: automatic").await;
        wait_for("writes", async || (!plane.status(0).await.read_only).then_some(())).await;
        // Whoever makes it read-only has a reason, whenever this process was started.
        drop(plane);
        cluster.primary().execute("SET GLOBAL read_only = 1").await.unwrap();
        let plane = Plane::start(&cluster, "mode: automatic").await;
        let is_left = async || (plane.handle.analysis().verdict == Verdict::ReadOnly).then_some(());
        wait_for("the verdict", is_left).await;
        assert!(plane.status(0).await.read_only && plane.status(0).await.read_only);
        drop(plane);
        // Who is silent may know of a later primary.
        cluster.restart("db1").await.unwrap();
        cluster.servers()[2].pause();
        let plane = Plane::start(&cluster, "mode: automatic").await;
        let is_left = async || (plane.handle.analysis().verdict == Verdict::ReadOnly).then_some(());
        wait_for("the verdict", is_left).await;
        assert!(plane.status(0).await.read_only && plane.status(0).await.read_only);
        cluster.servers()[2].resume();
        wait_for("writes", async || (!plane.status(0).await.read_only).then_some(())).await;
        assert_eq!(plane.primary(), Some(0));
        let all = plane.topology.events().latest(100);
        let said = all.iter().any(|event| event.text.contains("db1 takes writes again"));
        assert!(said, "{all:?}");
    }

    async fn what_an_operator_made_read_only_stays_so(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        let plane = Plane::start(&cluster, "mode: automatic").await;
        let done = plane.handle.switchover(None, None, false).await.unwrap();
        assert_eq!(done.outcome, Outcome::Done, "{}", show(&done));
        println!("{}", show(&done));
        let primary = plane.primary().unwrap();
        drop(plane);
        let server = &cluster.servers()[primary];
        server.execute("SET GLOBAL read_only = 1").await.unwrap();
        let plane = Plane::start(&cluster, "mode: automatic").await;
        assert_eq!(plane.primary(), Some(primary));
        assert!(plane.status(primary).await.read_only);
        drop(plane);
        // A switchover to a reign that never came is under way, by a proxy that is alive.
        let mut other = server.connect().await.unwrap();
        let under_way = "SELECT GET_LOCK('splitrail.change', 1)";
        assert_eq!(other.query_first(under_way).await.unwrap(), Some(1));
        let marker = "INSERT INTO splitrail.changes (epoch, state, from_uuid, from_name, to_name, done_by) \
            SELECT epoch + 1, 'begun', primary_uuid, primary_name, 'nobody', 'test' FROM splitrail.epoch \
            ORDER BY epoch DESC LIMIT 1";
        for sql in ["SET GLOBAL read_only = 0", marker, "SET GLOBAL read_only = 1"] {
            server.execute(sql).await.unwrap();
        }
        let plane = Plane::start(&cluster, "mode: automatic").await;
        assert!(plane.status(primary).await.read_only, "somebody else is at it");
        drop(plane);
        drop(other);
        let plane = Plane::start(&cluster, "mode: automatic").await;
        wait_for("writes", async || (!plane.status(primary).await.read_only).then_some(())).await;
        drop(plane);
        // It is over: what is read-only now is so by hand.
        server.execute("SET GLOBAL read_only = 1").await.unwrap();
        let plane = Plane::start(&cluster, "mode: automatic").await;
        assert!(plane.status(primary).await.read_only);
    }
    async fn what_is_thrown_away_is_saved_with_its_rows(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).asynchronous().start().await;
        table(&cluster).await;
        let own = cluster.client.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
        let path = format!("{own}:{}", std::env::var("PATH").unwrap_or_default());
        let start = Proxy::before(&cluster).environment("PATH", path.trim_start_matches(':'));
        let salvage = start.folder().join("salvage");
        let settings = format!("failover: {{{ACCOUNTS}, mode: automatic, max_gap: 100, salvage: {}}}", salvage.display());
        let proxy = start.with(settings).admin().start().await;
        let mut admin = proxy.admin().await;
        let words = match flavour {
            Flavour::MySql => "REPLICA",
            Flavour::MariaDb => "SLAVE",
        };
        let (old, new) = (cluster.primary(), &cluster.servers()[1]);
        new.execute(format!("STOP {words} IO_THREAD")).await.unwrap();
        old.execute("INSERT INTO app.t (value) VALUES (918273645)").await.unwrap();
        old.kill();
        wait_for("another primary", async || {
            let rows: Vec<bool> = new.query("SELECT @@global.read_only = 0").await.unwrap();
            (rows == [true]).then_some(())
        })
        .await;
        old.start().await.unwrap();
        let quarantined = "SELECT server FROM servers WHERE state = 'quarantine'";
        while admin.query_first::<String, _>(quarantined).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // What comes of it afterwards is another test's.
        let mut rejoining = proxy.admin().await;
        let rejoin = tokio::spawn(async move { rejoining.query_drop("REJOIN db1 DISCARD").await });
        let saved = wait_for("the file", async || {
            let file = std::fs::read_dir(&salvage).ok()?.next()?.ok()?;
            let text = std::fs::read_to_string(file.path()).ok()?;
            (text.lines().count() > 1).then_some(text)
        })
        .await;
        rejoin.abort();
        assert!(saved.contains("### INSERT INTO `app`.`t`") && saved.contains("918273645"), "{saved}");
        assert_eq!(saved.matches("### INSERT INTO").count(), 1, "{saved}");
    }
}
