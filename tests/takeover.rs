//! A new process in the place of the one that runs: nobody is refused, nobody decides twice, and who fails to take
//! over leaves everything as it was.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder, Row};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixDatagram, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::fixture::proxy::{PATIENCE, Signal, connect, wait_for};
use crate::fixture::{Cluster, Flavour, Proxy, on_both_flavours};

/// How long a process stays after it was replaced.
const LINGER: Duration = Duration::from_secs(2);

/// What the clients do while processes come and go.
#[derive(Default)]
struct Load {
    ends: AtomicBool,
    visits: AtomicU64,
    commits: AtomicU64,
    /// Connections that outlived their process's time.
    outlived: AtomicU64,
}

// === impl Load ===

impl Load {
    fn goes_on(&self) -> bool {
        !self.ends.load(Ordering::Relaxed)
    }

    /// Comes, asks and goes, over and over. Nothing may fail, unless the machine is so busy that a visit outlives its
    /// process's time.
    async fn visit(self: Arc<Self>, options: OptsBuilder) {
        while self.goes_on() {
            let mut conn = connect(options.clone()).await.expect("a new connection");
            let began = Instant::now();
            let visited = async {
                let one: Option<u32> = conn.query_first("SELECT 1").await?;
                assert_eq!(one, Some(1));
                conn.disconnect().await
            };
            match visited.await {
                Ok(()) => self.visits.fetch_add(1, Ordering::Relaxed),
                Err(error) => {
                    assert!(began.elapsed() >= LINGER && may_end(&error), "{error}");
                    self.outlived.fetch_add(1, Ordering::Relaxed)
                }
            };
        }
    }

    /// Stays, and writes transactions. Only what a shutdown is documented to do may happen to it, and that between
    /// two transactions.
    async fn stay(self: Arc<Self>, options: OptsBuilder, table: String) {
        while self.goes_on() {
            let mut conn = connect(options.clone()).await.expect("a new connection");
            while self.goes_on() {
                match transaction(&mut conn, &table).await {
                    Ok(()) => drop(self.commits.fetch_add(1, Ordering::Relaxed)),
                    Err((0, error)) => {
                        assert!(may_end(&error), "{error}");
                        self.outlived.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                    Err((step, error)) => panic!("step {step} of a transaction: {error}"),
                }
            }
        }
    }
}

/// The error of a shutdown; or the connection's end, for who was told already and did not look.
fn may_end(error: &Error) -> bool {
    match error {
        Error::Server(error) => error.code == 1053,
        error => matches!(error, Error::Io(_)),
    }
}

/// Answers which statement failed.
async fn transaction(conn: &mut Conn, table: &str) -> Result<(), (usize, Error)> {
    let insert = format!("INSERT INTO {table} () VALUES ()");
    for (step, sql) in ["BEGIN", &insert, "COMMIT"].into_iter().enumerate() {
        conn.query_drop(sql).await.map_err(|error| (step, error))?;
    }
    Ok(())
}

#[allow(clippy::print_stderr)]
async fn under_load(flavour: Flavour, rounds: usize) {
    let cluster = Cluster::of(flavour).replicas(1).start().await;
    let database = cluster.new_database().await;
    let table = format!("{database}.t");
    let create = format!("CREATE TABLE {table} (id INT PRIMARY KEY AUTO_INCREMENT)");
    cluster.primary().execute(create).await.unwrap();
    let (user, password) = (&cluster.user, &cluster.password);
    let start = Proxy::before(&cluster).admin();
    let socket = start.folder().join("clients").display().to_string();
    let mut proxy = start
        .with(format!(
            "failover: {{mode: manual, user: {user}, password: {password}}}"
        ))
        .with(format!(
            "takeover: {{linger: {}s}}\nshutdown: {{grace: 10s}}",
            LINGER.as_secs()
        ))
        // The machine may be busy with anything.
        .with("monitor: {user: monitor, password: monitor, timeout: 5s}")
        .with("pool: {connect_timeout: 20s}")
        .listener(format!("{{address: \"unix:{socket}\"}}"))
        .start()
        .await;
    let load = Arc::new(Load::default());
    let mut clients = JoinSet::new();
    let local = proxy.options().prefer_socket(true).socket(Some(socket));
    for options in [proxy.options(), proxy.options(), local] {
        clients.spawn(load.clone().visit(options));
    }
    for _ in 0..2 {
        clients.spawn(load.clone().stay(proxy.options(), table.clone()));
    }
    let mut former = Vec::new();
    let mut longest = Duration::ZERO;
    for _ in 0..rounds {
        let (visits, began) = (load.visits.load(Ordering::Relaxed), Instant::now());
        former.push(proxy.take_over().await);
        longest = longest.max(began.elapsed());
        wait_for("visits", async || {
            assert!(clients.try_join_next().is_none(), "a client has ended");
            (load.visits.load(Ordering::Relaxed) > visits + 20).then_some(())
        })
        .await;
        // Not too many at a time.
        while former.len() > 3 {
            assert_eq!(former.remove(0).wait_exit().await.code(), Some(0));
        }
    }
    for mut process in former {
        assert_eq!(process.wait_exit().await.code(), Some(0));
    }
    load.ends.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    let rows: Vec<u64> = cluster
        .primary()
        .query(format!("SELECT COUNT(*) FROM {table}"))
        .await
        .unwrap();
    let commits = load.commits.load(Ordering::Relaxed);
    assert_eq!(
        rows,
        [commits],
        "every commit that was acknowledged, and no other"
    );
    let (visits, outlived) = (
        load.visits.load(Ordering::Relaxed),
        load.outlived.load(Ordering::Relaxed),
    );
    eprintln!(
        "{rounds} takeovers, the longest {longest:?}: {visits} visits, {commits} commits, {outlived} told to leave"
    );
    // Each stood down before the next began to decide, and the last one does.
    assert_eq!(proxy.log().matches("standing down").count(), rounds);
    let mut admin = proxy.admin().await;
    wait_for("a healthy primary", async || {
        let verdict = "SELECT value FROM failover_analysis WHERE item = 'verdict'";
        let verdict: Option<String> = admin.query_first(verdict).await.unwrap();
        (verdict.as_deref() == Some("healthy")).then_some(())
    })
    .await;
    let row: Row = admin.query_first("SWITCHOVER TO db2").await.unwrap().unwrap();
    assert_eq!(row.get::<String, _>("outcome").unwrap(), "done");
}

on_both_flavours! {
    async fn nobody_is_refused_while_processes_come_and_go(flavour) {
        under_load(flavour, 5).await;
    }

    #[ignore = "takes minutes: make takeover"]
    async fn a_hundred_takeovers_refuse_nobody(flavour) {
        under_load(flavour, 100).await;
    }

    async fn who_is_there_is_served_until_it_leaves(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let mut proxy = Proxy::before(cluster).with("takeover: {linger: 1h}").start().await;
        let mut client = proxy.client().await;
        client.query_drop("SET @a = 7").await.unwrap();
        let id: Option<u32> = client.query_first("SELECT CONNECTION_ID()").await.unwrap();
        let mut former = proxy.take_over().await;
        assert_eq!(client.query_first("SELECT @a").await.unwrap(), Some(7));
        let mut newer = proxy.client().await;
        let newer_id: Option<u32> = newer.query_first("SELECT CONNECTION_ID()").await.unwrap();
        assert!(newer_id > id, "ids go on: {newer_id:?} after {id:?}");
        assert!(former.exit_status().is_none());
        client.disconnect().await.unwrap();
        assert_eq!(former.wait_exit().await.code(), Some(0));
        assert_eq!(newer.query_first("SELECT 1").await.unwrap(), Some(1));
        proxy.signal(Signal::TERM);
        assert_eq!(proxy.wait_exit().await.code(), Some(0));
        let socket = proxy.folder().join("proxy.yaml.takeover");
        assert!(!socket.exists(), "the last one clears up");
    }
}

on_both_flavours! {
    async fn what_operators_have_set_stays(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let (user, password) = (&cluster.user, &cluster.password);
        let mut proxy = Proxy::before(cluster)
            .admin()
            .with(format!("failover: {{mode: manual, user: {user}, password: {password}}}"))
            .with("takeover: {linger: 0s}")
            .listener("{name: second, address: \"127.0.0.1:{port}\"}")
            .start()
            .await;
        let mut admin = proxy.admin().await;
        for command in [
            "SET SERVER db2 WEIGHT = 7",
            "SET SERVER db2 MAX_CONNECTIONS = 3",
            "SET SERVER db1 WEIGHT = 5",
            "DRAIN db2",
            "PAUSE FAILOVER",
            "PAUSE LISTENER second",
        ] {
            admin.query_drop(command).await.unwrap();
        }
        let copy = proxy.folder().join("copy.yaml");
        admin.query_drop(format!("SAVE CONFIG TO '{}'", copy.display())).await.unwrap();
        let said = admin.info().into_owned();
        assert!(said.ends_with("; not saved: listener second is paused; not saved: failover is paused"), "{said}");
        // What somebody wrote into the file since then counts.
        let file = proxy.folder().join("proxy.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("name: db1,"), "{text}");
        std::fs::write(&file, text.replace("name: db1,", "name: db1, weight: 2,")).unwrap();
        drop(admin);
        proxy.take_over().await.wait_exit().await;
        let mut admin = proxy.admin().await;
        let mut values = async |sql: &str| -> Vec<String> { admin.query(sql).await.unwrap() };
        assert_eq!(values("SELECT weight FROM servers ORDER BY server").await, ["2", "7"]);
        assert_eq!(values("SELECT state FROM servers WHERE server = 'db2'").await, ["drain"]);
        assert_eq!(values("SELECT max_connections FROM servers WHERE server = 'db2'").await, ["3"]);
        assert_eq!(values("SELECT value FROM failover_analysis WHERE item = 'paused'").await, ["yes"]);
        assert_eq!(values("SELECT state FROM listeners WHERE listener = 'second'").await, ["paused"]);
    }
}

const FLAVOUR: Flavour = Flavour::MariaDb;

/// Says something to the running process, and returns its answer.
async fn say(proxy: &Proxy<'_>, text: &str) -> (UnixStream, String) {
    let socket = proxy.folder().join("proxy.yaml.takeover");
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let mut bytes = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    stream.write_all(&bytes).await.unwrap();
    let length = timeout(PATIENCE, stream.read_u32()).await.unwrap().unwrap();
    let mut answer = vec![0; length as usize];
    stream.read_exact(&mut answer).await.unwrap();
    (stream, String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn who_fails_to_take_over_changes_nothing() {
    let cluster = Cluster::shared(FLAVOUR).await;
    let mut proxy = Proxy::before(cluster)
        .with("takeover: {linger: 0s}")
        .start()
        .await;
    let mut client = proxy.client().await;
    let socket = proxy.folder().join("proxy.yaml.takeover");
    proxy.wait_for_log(&["listening"]).await;
    wait_for("the socket", async || std::fs::metadata(&socket).ok()).await;
    assert_eq!(
        std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let (_, answer) = say(&proxy, r#"{"hello": {"protocol": 99, "version": "9"}}"#).await;
    assert!(
        answer.contains("refused") && answer.contains("protocol 99"),
        "{answer}"
    );
    let (_, answer) = say(&proxy, "nonsense").await;
    assert!(answer.contains("refused"), "{answer}");
    // One that dies when it has been given everything.
    let (stream, answer) = say(&proxy, r#"{"hello": {"protocol": 1, "version": "0"}}"#).await;
    assert!(answer.contains(&proxy.address()), "{answer}");
    drop(stream);
    proxy.wait_for_log(&["nobody takes over", "has gone"]).await;
    // One that dies when everything is its own.
    let (mut stream, _) = say(&proxy, r#"{"hello": {"protocol": 1, "version": "0"}}"#).await;
    let ready = br#""ready""#;
    stream
        .write_all(&[&[0, 0, 0, ready.len() as u8][..], ready].concat())
        .await
        .unwrap();
    let mut told = Vec::new();
    while !String::from_utf8_lossy(&told).contains("next_id") {
        // Byte by byte: a longer read ends at each descriptor, and that looks as if there were no more.
        let byte = timeout(PATIENCE, stream.read_u8()).await.unwrap();
        told.push(byte.unwrap());
    }
    drop(stream);
    wait_for("the old one to go on", async || {
        (proxy.log().matches("nobody takes over").count() == 4).then_some(())
    })
    .await;
    // One whose configuration is wrong.
    let file = proxy.folder().join("proxy.yaml");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{good}\ncolour: red\n")).unwrap();
    assert_eq!(proxy.start_beside(&["--takeover"]).await.code(), Some(2));
    std::fs::write(&file, good).unwrap();
    assert_eq!(client.query_first("SELECT 1").await.unwrap(), Some(1));
    assert_eq!(
        proxy.client().await.query_first("SELECT 2").await.unwrap(),
        Some(2)
    );
    assert!(proxy.exit_status().is_none());
    // And one that does it right.
    proxy.take_over().await.wait_exit().await;
    assert_eq!(
        proxy.client().await.query_first("SELECT 3").await.unwrap(),
        Some(3)
    );
}

#[tokio::test]
async fn a_signal_starts_the_successor_and_the_service_manager_is_told() {
    let cluster = Cluster::shared(FLAVOUR).await;
    let start = Proxy::before(cluster);
    let path = start.folder().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let mut proxy = start
        .environment("NOTIFY_SOCKET", path.to_str().unwrap())
        .start()
        .await;
    let next = async || {
        let mut bytes = [0; 256];
        let count = timeout(PATIENCE, manager.recv(&mut bytes))
            .await
            .unwrap()
            .unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    assert_eq!(next().await, "READY=1");
    proxy.signal(Signal::USR2);
    let told = next().await;
    let pid: u32 = told.strip_prefix("MAINPID=").expect(&told).parse().unwrap();
    assert_eq!(next().await, "READY=1");
    assert_eq!(proxy.wait_exit().await.code(), Some(0));
    proxy.pid = pid;
    cluster.adopt(pid);
    assert_eq!(
        proxy.client().await.query_first("SELECT 1").await.unwrap(),
        Some(1)
    );
    proxy.signal(Signal::TERM);
    assert_eq!(next().await, "STOPPING=1");
    wait_for("the end of the successor", async || {
        (!std::path::Path::new(&format!("/proc/{pid}/cmdline")).exists()
            || std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.is_empty()))
        .then_some(())
    })
    .await;
    cluster.release(pid);
}
