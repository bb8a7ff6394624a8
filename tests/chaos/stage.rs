//! Where a run happens: a cluster behind links, a proxy that may promote, and what both are in the end.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, OptsBuilder, Row, Value};
use splitrail::gtid::Position;
use splitrail::sandbox::{Error, Server};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::clock;
use super::history::Content;
use crate::fixture::link::{Door, Origin};
use crate::fixture::network::Network;
use crate::fixture::proxy::{free_port, wait_for};
use crate::fixture::{Cluster, Flavour, Proxy};

/// How long all may take to become well again once nothing is wrong any more.
const CONVERGENCE: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(100);
/// Longer than any command takes.
const COMMAND: Duration = Duration::from_secs(60);
/// Between the end of a proxy and its next start, as a supervisor would have it.
const BETWEEN_PROXIES: Duration = Duration::from_millis(200);
/// How often a command is given again that was refused.
const REFUSALS: u32 = 5;
const OPERATOR: &str = "ops";
/// Nor a database.
const NO_TABLE: [u16; 2] = [1146, 1049];

pub struct Stage<'a> {
    pub cluster: &'a Cluster,
    pub network: &'a Network,
    pub proxy: Proxy<'a>,
    /// The primary, as far as is known.
    pub primary: usize,
    pub semi_sync: bool,
    /// What commands were answered, and other news.
    pub notes: Vec<String>,
    /// Transactions that the proxy said are lost: with the promotion, or when the old primary was back.
    pub lost: u64,
    /// The proxy that was told of writes is gone, and what it knew of them.
    pub forgot: bool,
    /// Changes up to this epoch are of earlier runs.
    epoch: u64,
    /// Which file the proxy's clock follows.
    pub clock: Option<PathBuf>,
    admin: u16,
}

/// A cluster of a primary and two replicas, as docs/failover.md wants them configured.
pub async fn cluster(flavour: Flavour, semi_sync: bool, environment: &[(&str, String)]) -> Cluster {
    let start = Cluster::of(flavour).replicas(2);
    let start = environment
        .iter()
        .fold(start, |start, (name, value)| start.environment(name, value));
    // A replica that is started again goes on by itself, as it does unless told otherwise.
    let start = match flavour {
        Flavour::MySql => start.option("skip-replica-start=OFF"),
        Flavour::MariaDb => start.option("skip-slave-start=OFF"),
    };
    let start = match (semi_sync, flavour) {
        (false, _) => start.asynchronous(),
        // Who waits for an acknowledgement must not give up waiting.
        (true, Flavour::MySql) => start.option("rpl-semi-sync-source-timeout=3600000"),
        (true, Flavour::MariaDb) => start
            .option("rpl-semi-sync-master-timeout=3600000")
            .option("rpl-semi-sync-master-wait-point=AFTER_SYNC"),
    };
    start.start().await
}

// === impl Stage ===

impl<'a> Stage<'a> {
    pub async fn before(
        cluster: &'a Cluster,
        network: &'a Network,
        semi_sync: bool,
        settings: &str,
        clock: Option<&Path>,
    ) -> Stage<'a> {
        let admin = free_port();
        let environment = clock.map_or_else(Vec::new, |file| clock::environment(&file.display().to_string()));
        let proxy = environment
            .iter()
            .fold(Proxy::before(cluster), |proxy, (name, value)| {
                proxy.environment(name, value)
            })
            .with(network.servers(cluster))
            .with(format!(
                "failover: {{mode: automatic, user: failover, password: failover, replication: {{user: replication, \
                 password: replication}}, cooldown: 0s, max_per_hour: 1000, state: failover.json{settings}}}"
            ))
            .with(format!(
                "admin: {{address: \"127.0.0.1:{admin}\", users: [{{name: {OPERATOR}, password: {OPERATOR}, role: \
                 operate}}]}}"
            ))
            .start()
            .await;
        network.processes.know(proxy.pid, Origin::Proxy);
        Stage {
            cluster,
            network,
            proxy,
            primary: 0,
            semi_sync,
            notes: Vec::new(),
            lost: 0,
            forgot: false,
            epoch: 0,
            clock: clock.map(Path::to_owned),
            admin,
        }
    }

    pub fn flavour(&self) -> Flavour {
        self.cluster.flavour
    }

    /// All servers but the primary.
    pub fn others(&self) -> Vec<usize> {
        let all = 0..self.cluster.servers().len();
        all.filter(|index| *index != self.primary).collect()
    }

    /// The server's process ends at once, and its port is refused.
    pub fn kill(&self, server: usize) {
        self.cluster.servers()[server].kill();
        self.network.links[server].door(Door::Closed);
    }

    /// The proxy is killed after a while, and comes back.
    pub async fn break_proxy(&mut self, after: Duration) {
        sleep(after).await;
        self.proxy.kill();
        self.forgot = true;
        sleep(BETWEEN_PROXIES).await;
        self.proxy.start_again().await;
        self.network.processes.know(self.proxy.pid, Origin::Proxy);
    }

    pub async fn switchover(&mut self, to: usize) {
        let sql = format!("SWITCHOVER TO {}", self.cluster.servers()[to].name);
        let answer = self.command(&sql).await;
        self.notes.push(format!("{sql}: {answer:?}"));
    }

    /// A command on the admin port; what it answered, as text.
    pub fn command(&self, sql: &str) -> impl Future<Output = Result<String, String>> + Send + use<> {
        let options = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.admin)
            .user(Some(OPERATOR))
            .pass(Some(OPERATOR))
            .prefer_socket(false)
            .max_allowed_packet(Some(16 << 20))
            .wait_timeout(Some(28_800));
        let sql = sql.to_owned();
        async move {
            let answer = async {
                let mut connection = Conn::new(options).await?;
                let rows: Vec<Row> = connection.query(&sql).await?;
                Ok::<_, mysql_async::Error>(rows.iter().map(line).collect::<Vec<_>>().join("\n"))
            };
            match timeout(COMMAND, answer).await {
                Ok(answer) => answer.map_err(|error| error.to_string()),
                Err(_) => Err("no answer".to_owned()),
            }
        }
    }

    /// Waits until there is one primary that all others follow, and returns it, else what is wrong. Who has more
    /// than the primary is given up by an operator's word, as nobody else may.
    pub async fn converge(&mut self) -> Result<usize, String> {
        let began = Instant::now();
        let mut rejoining: Option<(String, JoinHandle<Result<String, String>>)> = None;
        let (mut restored, mut refusals) = (Vec::new(), 0);
        let mut patience = CONVERGENCE;
        loop {
            self.revive().await;
            let why = match self.primary_of_all().await {
                Ok(primary) => return Ok(primary),
                Err(why) => why,
            };
            if began.elapsed() > patience {
                return Err(why);
            }
            match &mut rejoining {
                None => {
                    if let Some((name, surplus)) = self.quarantined(&restored).await {
                        let after = began.elapsed().as_millis();
                        self.notes
                            .push(format!("{name} in quarantine after {after} ms: {surplus}"));
                        self.count(&surplus).await;
                        patience += COMMAND;
                        let rejoin = self.command(&format!("REJOIN {name} DISCARD"));
                        rejoining = Some((name, tokio::spawn(rejoin)));
                    }
                }
                Some((name, task)) if task.is_finished() => {
                    let answer = task.await.unwrap();
                    self.notes.push(format!("REJOIN DISCARD: {answer:?}"));
                    match (answer, self.flavour()) {
                        // Whoever commands reads why, and commands once more.
                        (Err(why), Flavour::MySql) if refusals == REFUSALS => return Err(why),
                        (Err(_), Flavour::MySql) => refusals += 1,
                        (Err(_), Flavour::MariaDb) => {
                            self.restore(name).await;
                            restored.push(std::mem::take(name));
                        }
                        (Ok(_), _) => restored.push(std::mem::take(name)),
                    }
                    patience = began.elapsed() + CONVERGENCE;
                    rejoining = None;
                }
                Some(_) => {}
            }
            sleep(GLANCE).await;
        }
    }

    /// What a server in quarantine is said to have, since the reign began that it was not part of.
    async fn count(&mut self, surplus: &str) {
        let text = surplus.rsplit("lacks: ").next().unwrap_or_default();
        let mariadb = self.flavour() == Flavour::MariaDb;
        let position =
            |text: &str| Position::parse(mariadb, text.trim().as_bytes()).unwrap_or(Position::Empty);
        let Some(primary) = self.primary_of_the_proxy().await else {
            return;
        };
        let fork = "SELECT fork FROM splitrail.epoch ORDER BY epoch DESC LIMIT 1";
        let fork: Vec<String> = self.cluster.servers()[primary]
            .query(fork)
            .await
            .unwrap_or_default();
        let fork = position(fork.first().map_or("", String::as_str));
        self.lost += position(text).ahead_of(&fork);
    }

    /// What the proxy said is lost when it promoted, and whether anything is. What was acknowledged through a proxy
    /// it knows then; one that was killed knows it when the old primary is back.
    pub async fn said_to_be_lost(&mut self) -> (u64, bool) {
        let sql = "SELECT epoch, lost_transactions FROM failovers";
        let answer = self.command(sql).await.unwrap_or_default();
        let number = |text: &str| text.trim().parse::<u64>().unwrap_or(0);
        let all = answer.lines().filter_map(|line| line.split_once(" | "));
        let all: Vec<_> = all.map(|(epoch, lost)| (number(epoch), number(lost))).collect();
        let told = all
            .iter()
            .filter(|(epoch, _)| *epoch > self.epoch)
            .map(|(_, lost)| lost)
            .sum();
        self.epoch = all
            .iter()
            .fold(self.epoch, |latest, (epoch, _)| latest.max(*epoch));
        if told + self.lost > 0 {
            let text = format!(
                "lost: {told} when promoted, {} in all when it was back",
                self.lost
            );
            self.notes.push(text);
        }
        let lost = std::mem::take(&mut self.lost);
        let has_lost = told + lost > 0;
        match std::mem::take(&mut self.forgot) {
            true => (lost.max(told), has_lost),
            false => (told, has_lost),
        }
    }

    /// How many primaries there have been, as the last of them knows.
    pub async fn reign(&self) -> usize {
        let primary = &self.cluster.servers()[self.primary];
        let sql = "SELECT MAX(epoch) FROM splitrail.epoch".to_owned();
        let epochs: Vec<Option<usize>> = rows(primary, sql).await.unwrap();
        epochs.first().copied().flatten().unwrap_or(1)
    }

    /// A server gets the data of another one, as from a backup: of a replica that follows, else of the primary.
    async fn restore(&mut self, name: &str) {
        let Ok(Some(primary)) = timeout(COMMAND, self.primary_of_the_proxy()).await else {
            return;
        };
        let servers = self.cluster.servers();
        let Some(target) = servers.iter().find(|server| server.name == name) else {
            return;
        };
        let mut source = &servers[primary];
        for (index, server) in servers.iter().enumerate() {
            if index != primary && server.name != name && self.follows(index, primary).await.is_ok() {
                source = server;
            }
        }
        target.stop().await.unwrap();
        source.stop().await.unwrap();
        std::fs::remove_dir_all(&target.datadir).unwrap();
        let copied = Command::new("cp")
            .arg("-a")
            .args([&source.datadir, &target.datadir])
            .status();
        assert!(copied.unwrap().success());
        let _ = std::fs::remove_file(target.datadir.join("auto.cnf"));
        self.revive().await;
        // Relay logs are named for the server that wrote them.
        let port = self.network.links[primary].port;
        for sql in [
            "STOP SLAVE".to_owned(),
            "RESET SLAVE ALL".to_owned(),
            // A primary follows nobody, and has no such position.
            "SET GLOBAL gtid_slave_pos = @@global.gtid_binlog_pos".to_owned(),
            format!(
                "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {port}, MASTER_USER = 'replication', \
                 MASTER_PASSWORD = 'replication', MASTER_USE_GTID = slave_pos, MASTER_HEARTBEAT_PERIOD = 1, \
                 MASTER_CONNECT_RETRY = 1"
            ),
            "START SLAVE".to_owned(),
        ] {
            // A proxy that finds it writable sends all of its clients away.
            wait_for("the restored server to obey", async || {
                target.execute(sql.clone()).await.ok()
            })
            .await;
        }
        let note = format!("{name} is restored with the data of {}", source.name);
        self.notes.push(note);
    }

    /// A server whose data were replaced ends, for whoever looks after it to start it.
    async fn revive(&self) {
        for server in self.cluster.servers() {
            if server.exited().is_some() {
                server.start().await.unwrap();
                self.network.know(self.cluster);
            }
        }
    }

    /// A server that the proxy keeps from all use, and why; none of these, whose state may not be known yet.
    async fn quarantined(&self, restored: &[String]) -> Option<(String, String)> {
        let sql = "SELECT server, problem FROM servers WHERE state = 'quarantine'";
        let answer = self.command(sql).await.ok()?;
        let all = answer.lines().filter_map(|line| line.split_once(" | "));
        let mut others = all.filter(|(name, _)| restored.iter().all(|restored| restored != name));
        others.next().map(|(name, why)| (name.to_owned(), why.to_owned()))
    }

    /// To whom the proxy sends writes.
    pub async fn primary_of_the_proxy(&self) -> Option<usize> {
        let sql = "/* splitrail: primary */ SELECT @@server_id";
        let answer = async {
            let mut connection = Conn::new(self.proxy.options()).await.ok()?;
            connection.query_first::<usize, _>(sql).await.ok()?
        };
        timeout(COMMAND, answer).await.ok()?.map(|id| id - 1)
    }

    async fn primary_of_all(&self) -> Result<usize, String> {
        let mut writable = Vec::new();
        for (index, server) in self.cluster.servers().iter().enumerate() {
            let rows: Vec<bool> = server
                .query("SELECT @@global.read_only = 0")
                .await
                .map_err(|error| error.to_string())?;
            if rows == [true] {
                writable.push(index);
            }
        }
        let [primary] = writable[..] else {
            return Err(format!("servers {writable:?} are writable"));
        };
        for (index, server) in self.cluster.servers().iter().enumerate() {
            if index != primary {
                self.follows(index, primary)
                    .await
                    .map_err(|why| format!("{}: {why}", server.name))?;
            }
        }
        Ok(primary)
    }

    async fn follows(&self, index: usize, primary: usize) -> Result<(), String> {
        let server = &self.cluster.servers()[index];
        let trouble = self.cluster.trouble(server).await;
        if let Some(trouble) = trouble.map_err(|error| error.to_string())? {
            return Err(trouble);
        }
        let rows: Vec<Row> = server
            .query("SHOW REPLICA STATUS")
            .await
            .map_err(|error| error.to_string())?;
        let row = rows.first().ok_or("it follows nobody")?;
        let port: Option<u16> = row
            .get_opt("Source_Port")
            .or_else(|| row.get_opt("Master_Port"))
            .and_then(Result::ok);
        let wanted = self.network.links[primary].port;
        if port != Some(wanted) {
            return Err(format!("it follows port {port:?} and not {wanted}"));
        }
        Ok(())
    }

    /// What each server has in a run's database, the primary's first, when all have the same, or in the end. A server
    /// that does not tell is no server without rows.
    pub async fn contents(&self, database: &str) -> Vec<Content> {
        let deadline = Instant::now() + CONVERGENCE;
        let order = [vec![self.primary], self.others()].concat();
        loop {
            let is_late = Instant::now() > deadline;
            match self.contents_now(&order, database).await {
                Ok(contents) if is_late || contents.iter().all(|content| *content == contents[0]) => {
                    return contents;
                }
                Err(error) if is_late => panic!("{error}"),
                _ => sleep(GLANCE).await,
            }
        }
    }

    async fn contents_now(&self, order: &[usize], database: &str) -> Result<Vec<Content>, Error> {
        let mut contents = Vec::new();
        for index in order {
            contents.push(content(&self.cluster.servers()[*index], database).await?);
        }
        Ok(contents)
    }
}

async fn content(server: &Server, database: &str) -> Result<Content, Error> {
    let writes: Vec<(u64, u32)> =
        rows(server, format!("SELECT token, server FROM {database}.writes")).await?;
    let halves = format!("SELECT token, COUNT(*), MIN(server) FROM {database}.halves GROUP BY token");
    let halves: Vec<(u64, u32, u32)> = rows(server, halves).await?;
    let counters: Vec<(u64, u64)> =
        rows(server, format!("SELECT client, n FROM {database}.counters")).await?;
    Ok(Content {
        writes: writes.into_iter().collect(),
        halves: halves
            .into_iter()
            .map(|(token, count, server)| (token, (count, server)))
            .collect(),
        counters: counters.into_iter().collect(),
    })
}

/// A server that has no such table has nothing in it.
async fn rows<T>(server: &Server, sql: String) -> Result<Vec<T>, Error>
where
    T: FromRow + Send + 'static,
{
    match server.query(sql).await {
        Err(Error::Sql {
            source: mysql_async::Error::Server(error),
            ..
        }) if NO_TABLE.contains(&error.code) => Ok(Vec::new()),
        result => result,
    }
}

/// A row as text, its values in their order.
fn line(row: &Row) -> String {
    let text = |index| match row.as_ref(index) {
        Some(Value::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(Value::NULL) | None => "-".to_owned(),
        Some(other) => other.as_sql(true),
    };
    (0..row.len()).map(text).collect::<Vec<_>>().join(" | ")
}
