//! The configuration read again on SIGHUP while clients are served: what changes takes effect in sessions that are
//! open, no statement fails, and a file that cannot be used changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use splitrail::sandbox::Certificates;

use crate::fixture::proxy::{Signal, wait_for};
use crate::fixture::{Cluster, Proxy, on_both_flavours};

/// Changes the file, and waits until the log says what became of it.
async fn reload(proxy: &Proxy<'_>, change: impl FnOnce(String) -> String) -> String {
    let path = proxy.folder().join("proxy.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, change(text)).unwrap();
    let said = |log: String| -> Vec<String> {
        let lines = log.lines().filter(|line| line.contains("configuration "));
        lines.map(str::to_owned).collect()
    };
    let before = said(proxy.log()).len();
    proxy.signal(Signal::HUP);
    wait_for("the reload", async || said(proxy.log()).get(before).cloned()).await
}

/// Which server answers a read.
async fn port(conn: &mut Conn) -> u16 {
    conn.query_first("SELECT @@port").await.unwrap().unwrap()
}

/// Clients that read, write and execute until told to end; every error is a failure.
struct Load {
    ends: Arc<AtomicBool>,
    statements: Arc<AtomicU64>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    async fn start(proxy: &Proxy<'_>, database: &str) -> Load {
        let mut first = proxy.client().await;
        let sql = format!("CREATE TABLE {database}.t (id INT PRIMARY KEY AUTO_INCREMENT, v INT)");
        first.query_drop(sql).await.unwrap();
        let (ends, statements) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut clients = Vec::new();
        for _ in 0..8 {
            let (ends, statements) = (ends.clone(), statements.clone());
            let options = proxy.options().db_name(Some(database));
            let mut conn = crate::fixture::proxy::connect(options.clone()).await.unwrap();
            clients.push(tokio::spawn(async move {
                for round in 0_u64.. {
                    if ends.load(Ordering::Relaxed) {
                        break;
                    }
                    let mut transaction = conn.start_transaction(Default::default()).await.unwrap();
                    transaction
                        .query_drop("INSERT INTO t (v) VALUES (1)")
                        .await
                        .unwrap();
                    transaction.commit().await.unwrap();
                    let _: Vec<i32> = conn.query("SELECT v FROM t LIMIT 3").await.unwrap();
                    let _: Vec<i32> = conn
                        .exec("SELECT v FROM t WHERE id > ? LIMIT 3", (1,))
                        .await
                        .unwrap();
                    if round % 20 == 0 {
                        conn = crate::fixture::proxy::connect(options.clone()).await.unwrap();
                    }
                    statements.fetch_add(5, Ordering::Relaxed);
                }
            }));
        }
        let load = Load {
            ends,
            statements,
            clients,
        };
        load.go_on().await;
        load
    }

    /// Waits for a good many more statements.
    async fn go_on(&self) {
        let goal = self.statements.load(Ordering::Relaxed) + 200;
        wait_for("statements", async || {
            assert!(
                self.clients.iter().all(|client| !client.is_finished()),
                "a client has failed"
            );
            (self.statements.load(Ordering::Relaxed) >= goal).then_some(())
        })
        .await;
    }

    async fn end(self) {
        self.ends.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
    }
}

on_both_flavours! {
    async fn everything_changes_under_load_without_an_error(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        let database = cluster.new_database().await;
        let proxy = Proxy::before(&cluster)
            .with("pool: {max_connections: 50}\nlimits: {client_connections: 500}\nrouting: {balance: round_robin}")
            .start()
            .await;
        let load = Load::start(&proxy, &database).await;
        let servers: Vec<_> = cluster.servers().iter().map(|server| server.name.clone()).collect();
        let said = reload(&proxy, |text| text.replacen(&format!("name: {}", servers[1]), &format!("weight: 7, name: {}", servers[1]), 1)).await;
        assert!(said.contains(&format!("servers[{}].weight: added 7", servers[1])), "{said}");
        load.go_on().await;
        let said = reload(&proxy, |text| text.replace("weight: 7", "weight: 7, state: drain")).await;
        assert!(said.contains("state: added drain"), "{said}");
        load.go_on().await;
        reload(&proxy, |text| text.replace("state: drain", "state: online")).await;
        let said = reload(&proxy, |text| text.replace("max_connections: 50", "max_connections: 4, acquire_timeout: 20s")).await;
        assert!(said.contains("pool.max_connections: 50 -> 4"), "{said}");
        load.go_on().await;
        reload(&proxy, |text| text.replace("max_connections: 4", "max_connections: 40")).await;
        let said = reload(&proxy, |text| text.replace("round_robin", "random, digests: 50") + "consistency: {level: eventual}\n").await;
        assert!(said.contains("routing.balance: round_robin -> random"), "{said}");
        load.go_on().await;
        let rules = "rules: [{name: kept, match: {tables: [t], verb: select}, cache: {ttl: 50ms}, target: primary}]\n";
        reload(&proxy, |text| text + rules).await;
        load.go_on().await;
        reload(&proxy, |text| text.replace(rules, "")).await;
        let certificates = Certificates::create(&proxy.folder().join("tls")).unwrap();
        let (certificate, key) = (certificates.server_certificate(), certificates.server_key());
        let tls = format!("tls: {{client: {{certificate: \"{}\", key: \"{}\"}}}}\n", certificate.display(), key.display());
        reload(&proxy, |text| text + &tls).await;
        load.go_on().await;
        let said = reload(&proxy, |text| text.replacen("\"}\n", "\", consistency: session}\n", 1)).await;
        assert!(said.contains("consistency: added session"), "{said}");
        load.go_on().await;
        load.end().await;
    }

    async fn open_sessions_take_it_up_and_a_bad_file_changes_nothing(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        let proxy = Proxy::before(&cluster)
            .with("accounts: {backend: true, static: [{name: first, password: secret-one, backend_user: app, backend_password: app}]}")
            .start()
            .await;
        let mut client = proxy.client().await;
        let (primary, replica) = (cluster.primary().port, cluster.servers()[1].port);
        wait_for("a replica that serves reads", async || (port(&mut client).await == replica).then_some(())).await;
        let statement = client.prep("SELECT @@port").await.unwrap();
        reload(&proxy, |text| text + "rules: [{name: up, target: primary}]\n").await;
        assert_eq!(port(&mut client).await, primary);
        let ran: Option<u16> = client.exec_first(&statement, ()).await.unwrap();
        assert_eq!(ran, Some(primary), "a statement that was prepared before follows the new rules");
        let said = reload(&proxy, |text| text.replace("target: primary", "block: not today")).await;
        assert!(said.contains("rules[up].block: added not today"), "{said}");
        assert!(client.query_drop("SELECT 1").await.unwrap_err().to_string().contains("not today"));
        let said = reload(&proxy, |text| text.replace("rules:", "ruels:")).await;
        assert!(said.contains("not reloaded") , "{said}");
        assert!(client.query_drop("SELECT 1").await.is_err());
        reload(&proxy, |text| text.replace("ruels: [{name: up, block: not today}]", "")).await;
        client.query_drop("SELECT 1").await.unwrap();

        let mut first = proxy.connect("first", "secret-one").await.unwrap();
        let said = reload(&proxy, |text| text.replace("secret-one", "secret-two")).await;
        assert!(said.contains("accounts.static[first].password: changed"), "{said}");
        assert!(proxy.connect("first", "secret-one").await.is_err());
        proxy.connect("first", "secret-two").await.unwrap();
        first.query_drop("SELECT 1").await.unwrap();
        assert!(!proxy.log().contains("secret-"), "{}", proxy.log());

        let said = reload(&proxy, |text| text.replace("workers: 2", "workers: 3")).await;
        assert!(said.contains("needs a restart: workers"), "{said}");
        let said = reload(&proxy, |text| text.replacen("role: replica}", "role: replica}\n  - {name: other, address: \"127.0.0.1:1\"}", 1)).await;
        assert!(said.contains("not reloaded") && said.contains("needs a restart: servers"), "{said}");
        client.query_drop("SELECT 1").await.unwrap();
    }
}
