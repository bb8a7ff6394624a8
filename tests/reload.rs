//! The configuration read again on SIGHUP while clients are served: what changes takes effect in sessions that are
//! open, no statement fails, and a file that cannot be used changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use splitrail::sandbox::Certificates;

use crate::fixture::proxy::{Signal, free_port, wait_for};
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

/// A server's state and its open connections that are in use, as SHOW SERVERS and SHOW POOLS have them.
async fn state(admin: &mut Conn, name: &str) -> Option<(String, u64)> {
    let row: Option<mysql_async::Row> = admin
        .query_first(format!("SHOW SERVERS WHERE server = '{name}'"))
        .await
        .unwrap();
    let row = row?;
    Some((row.get("state").unwrap(), row.get("in_flight").unwrap()))
}

/// Waits until no connection to the server is left.
async fn drained(admin: &mut Conn, name: &str) {
    wait_for("the last connection to close", async || {
        let sql = format!("SHOW SERVERS WHERE server = '{name}'");
        let row: Option<mysql_async::Row> = admin.query_first(sql).await.unwrap();
        row.is_none_or(|row| row.get::<u64, _>("connections") == Some(0))
            .then_some(())
    })
    .await;
}

/// Waits until reads come from there.
async fn serves(client: &mut Conn, wanted: u16) {
    wait_for("reads from the server", async || {
        (port(client).await == wanted).then_some(())
    })
    .await;
}

/// What the HTTP listener says to who asks with this token.
async fn status(port: u16, token: &str) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!(
        "GET /api/v1/servers HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
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
        client.query_drop("SELECT 1").await.unwrap();
    }

    async fn servers_come_and_go_under_load_without_an_error(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        let database = cluster.new_database().await;
        let proxy = Proxy::before(&cluster).with("routing: {balance: round_robin}").admin().start().await;
        let mut admin = proxy.admin().await;
        let load = Load::start(&proxy, &database).await;
        let (primary, replica) = (&cluster.servers()[0], &cluster.servers()[2]);
        let line = |text: &str, name: &str| {
            let is = |line: &&str| line.contains(&format!("name: {name},"));
            format!("{}\n", text.lines().find(is).unwrap())
        };

        // What runs there when it is removed ends there.
        let hint = format!("/* splitrail: server={} */", replica.name);
        let mut slow = proxy.client().await;
        let sql = format!("{hint} SELECT @@port + SLEEP(2)");
        let slow = tokio::spawn(async move { slow.query_first::<u16, _>(sql).await });
        wait_for("the slow read", async || {
            let sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%SELECT @@port + SLEEP(2)'";
            (replica.query::<u64>(sql).await.unwrap()[0] == 1).then_some(())
        })
        .await;
        let text = std::fs::read_to_string(proxy.folder().join("proxy.yaml")).unwrap();
        let entry = line(&text, &replica.name);
        let said = reload(&proxy, |text| text.replace(&entry, "")).await;
        assert!(said.contains(&format!("servers[{}]", replica.name)), "{said}");
        assert_eq!(state(&mut admin, &replica.name).await.unwrap().0, "removed");
        load.go_on().await;
        assert_eq!(slow.await.unwrap().unwrap(), Some(replica.port));
        let mut client = proxy.client().await;
        for _ in 0..20 {
            assert_ne!(port(&mut client).await, replica.port);
        }
        drained(&mut admin, &replica.name).await;
        load.go_on().await;

        // It comes back, under its own name and another one, and then by another address.
        reload(&proxy, |text| text.replacen("servers:\n", &format!("servers:\n{entry}"), 1)).await;
        serves(&mut client, replica.port).await;
        load.go_on().await;
        reload(&proxy, |text| text.replace(&format!("name: {},", replica.name), "name: fresh,")).await;
        serves(&mut client, replica.port).await;
        drained(&mut admin, &replica.name).await;
        load.go_on().await;
        let moved = |text: String| text.replace(&format!("fresh, address: \"127.0.0.1:{}", replica.port), &format!("fresh, address: \"localhost:{}", replica.port));
        let said = reload(&proxy, moved).await;
        assert!(said.contains("servers[fresh].address: 127.0.0.1"), "{said}");
        serves(&mut client, replica.port).await;
        load.go_on().await;

        // A rule may name a server that came later, whatever its place.
        let rules = "rules: [{name: there, match: {verb: select}, target: {servers: [fresh]}}]\n";
        let said = reload(&proxy, |text| text + rules).await;
        assert!(said.contains("rules[there]"), "{said}");
        for _ in 0..5 {
            assert_eq!(port(&mut client).await, replica.port);
        }
        reload(&proxy, |text| text.split("rules:").next().unwrap().to_owned()).await;
        load.go_on().await;

        let without = |text: String| text.replace(&line(&text, &primary.name), "").replacen("role: replica", "role: primary", 1);
        let said = reload(&proxy, without).await;
        assert!(said.contains("not reloaded") && said.contains("SWITCHOVER"), "{said}");
        load.go_on().await;
        load.end().await;
    }

    async fn listeners_and_operators_come_and_go(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        let database = cluster.new_database().await;
        let proxy = Proxy::before(&cluster).admin().start().await;
        let load = Load::start(&proxy, &database).await;
        let port = free_port();
        let added = format!("listeners:\n  - {{name: more, address: \"127.0.0.1:{port}\", mode: primary}}\n");
        let said = reload(&proxy, |text| text.replacen("listeners:\n", &added, 1)).await;
        assert!(said.contains("listeners[more].address: added"), "{said}");
        let options = proxy.options().tcp_port(port);
        let mut stays = crate::fixture::proxy::connect(options.clone()).await.unwrap();
        load.go_on().await;
        reload(&proxy, |text| text.replacen(&added, "listeners:\n", 1)).await;
        proxy.wait_for_log(&["listens no more"]).await;
        assert!(crate::fixture::proxy::connect(options).await.is_err());
        stays.query_drop("SELECT 1").await.unwrap();

        // Operators: their accounts, where they come in, and the rhythm of the probes.
        let mut watching = crate::fixture::proxy::connect(proxy.admin_options("watch")).await.unwrap();
        let said = reload(&proxy, |text| text.replace("password: watch", "password: other")).await;
        assert!(said.contains("admin.users[watch].password: changed"), "{said}");
        assert!(crate::fixture::proxy::connect(proxy.admin_options("watch")).await.is_err());
        let options = proxy.admin_options("watch").pass(Some("other"));
        crate::fixture::proxy::connect(options).await.unwrap();
        watching.query_drop("SHOW SERVERS").await.unwrap();
        reload(&proxy, |text| text.replace("{name: watch, password: other, role: read}", "{name: eye, password: eye}")).await;
        assert!(watching.query_drop("SHOW SERVERS").await.is_err(), "the account is gone");
        let said = reload(&proxy, |text| text.replace("password: monitor}", "password: monitor, interval: 200ms, heartbeat: off}")).await;
        assert!(said.contains("monitor.interval: added 200ms"), "{said}");
        load.go_on().await;

        let site = free_port();
        let http = |token: &str| format!("http: {{address: \"127.0.0.1:{site}\", tokens: [{{name: t, token: {token}}}]}}");
        let (old, new) = (http("0123456789abcdef"), http("fedcba9876543210"));
        reload(&proxy, |text| text.replace("http: {address: off}", &old)).await;
        assert_eq!(status(site, "0123456789abcdef").await, 200);
        let said = reload(&proxy, |text| text.replace(&old, &new)).await;
        assert!(said.contains("http.tokens[t].token: changed") && !proxy.log().contains("fedcba"), "{said}");
        assert_eq!(status(site, "0123456789abcdef").await, 401);
        assert_eq!(status(site, "fedcba9876543210").await, 200);
        let moved = free_port();
        reload(&proxy, |text| text.replace(&format!(":{site}\""), &format!(":{moved}\""))).await;
        assert_eq!(status(moved, "fedcba9876543210").await, 200);
        wait_for("the old address to close", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", site)).await.is_err().then_some(())
        }).await;
        // The admin port is moved by whoever sits there, and gets the answer.
        let mut admin = proxy.admin().await;
        let path = proxy.folder().join("proxy.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        let (from, to) = (proxy.admin_port.unwrap(), free_port());
        std::fs::write(&path, text.replace(&format!(":{from}\""), &format!(":{to}\""))).unwrap();
        admin.query_drop("RELOAD CONFIG").await.unwrap();
        assert!(crate::fixture::proxy::connect(proxy.admin_options("admin")).await.is_err());
        let mut admin = crate::fixture::proxy::connect(proxy.admin_options("admin").tcp_port(to)).await.unwrap();
        admin.query_drop("SHOW SERVERS").await.unwrap();
        load.go_on().await;
        load.end().await;
    }

    async fn what_was_set_at_run_time_is_saved(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        let proxy = Proxy::before(&cluster).admin().start().await;
        let mut admin = proxy.admin().await;
        let name = &cluster.servers()[1].name;
        let path = proxy.folder().join("proxy.yaml");
        let before = std::fs::read_to_string(&path).unwrap();
        admin.query_drop(format!("SET SERVER {name} WEIGHT = 7")).await.unwrap();
        admin.query_drop(format!("DRAIN {name}")).await.unwrap();
        let shown: Vec<mysql_async::Row> = admin.query("SHOW CONFIG LIKE '%weight'").await.unwrap();
        assert!(!shown.is_empty(), "what differs is shown");
        admin.query_drop("SAVE CONFIG").await.unwrap();
        let after = std::fs::read_to_string(&path).unwrap();
        let entry = before.lines().find(|line| line.contains(&format!("name: {name},"))).unwrap();
        let saved = entry.replace('}', ", weight: 7, state: drain}");
        assert_eq!(after, before.replace(entry, &saved));
        // Nothing is left to save, and nothing that is in the file has been undone.
        admin.query_drop("SAVE CONFIG").await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        assert_eq!(state(&mut admin, name).await.unwrap().0, "drain");
        std::fs::write(&path, format!("{after}# by hand\n")).unwrap();
        admin.query_drop(format!("RESUME {name}")).await.unwrap();
        let refused = admin.query_drop("SAVE CONFIG").await.unwrap_err().to_string();
        assert!(refused.contains("changed since it was read"), "{refused}");
    }
}
