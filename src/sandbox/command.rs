//! `splitrail sandbox`: servers, replication and a proxy before them, for as long as it runs.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use mysql_async::Conn;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use super::patrol::Patrol;
use super::report::{ADMIN, Report};
use super::server::{dice, free_port};
use super::template::{FAILOVER, MONITOR, REPLICATION};
use super::tools::Tools;
use super::{Cluster, Error, Flavour, Server};
use crate::config::parse_duration;

const PROXY_START_LIMIT: Duration = Duration::from_secs(30);
const PROXY_STOP_LIMIT: Duration = Duration::from_secs(10);

/// What `splitrail sandbox` is asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Which servers to start.
    #[arg(long, value_enum, default_value = "mysql")]
    pub flavour: Flavour,
    /// How many replicas follow the primary.
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub replicas: usize,
    /// Put data and logs into this empty folder and leave them there at the end.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Put `mysql`, `splitrail` and the proxy's configuration and log into this folder, to use them there
    #[arg(long, value_name = "DIR")]
    pub tools: Option<PathBuf>,
    /// Start a server that has ended again after this time, such as 5s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub restart: Option<Duration>,
    /// Print one line of JSON when all is ready, then stay up.
    #[arg(long)]
    pub json: bool,
}

/// The proxy's process. Ends when dropped.
struct Proxy {
    child: Child,
    pid: u32,
    port: u16,
    admin_port: u16,
    http: Http,
}

/// Where its dashboard is, and what opens it.
#[derive(Clone)]
pub(super) struct Http {
    pub(super) port: u16,
    pub(super) token: String,
}

/// Starts everything, tells how to use it, and stays until a signal or until the proxy ends.
pub async fn run(options: Options) -> Result<(), Error> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::io("cannot wait for signals"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::io("cannot wait for signals"))?;
    let asked_to_end = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::pin!(asked_to_end);
    let (cluster, mut proxy, mut tools) = tokio::select! {
        started = start(&options) => started?,
        // What was started so far ends as the future is dropped.
        () = &mut asked_to_end => return Ok(()),
    };
    let report = Report::new(&cluster, (proxy.port, proxy.admin_port), proxy.pid, &proxy.http);
    if let Some(tools) = &mut tools {
        equip(tools, &cluster, &report)?;
    }
    let told = tell(&options, &cluster.client, &report, tools.as_ref());
    let patrol = Patrol {
        cluster: &cluster,
        tools: tools.as_mut(),
        restart: options.restart,
        is_silent: options.json,
    };
    let result = tokio::select! {
        () = &mut asked_to_end => Ok(()),
        result = patrol.walk(&mut proxy.child) => result,
    };
    proxy.end().await;
    cluster.release(proxy.pid);
    cluster.shut_down().await;
    told.and(result)
}

async fn start(options: &Options) -> Result<(Cluster, Proxy, Option<Tools>), Error> {
    let mut tools = options.tools.as_deref().map(Tools::prepare).transpose()?;
    let builder = Cluster::builder(options.flavour).replicas(options.replicas);
    let cluster = builder.keep(options.keep.clone()).start().await?;
    let (port, admin_port) = (free_port(), free_port());
    let own = || cluster.folder().join("proxy.yaml");
    let configuration = tools.as_mut().map_or_else(own, Tools::configuration);
    let http = Http::choose();
    let text = yaml(&cluster, port, admin_port, &http)?;
    std::fs::write(&configuration, text).map_err(Error::path("write", &configuration))?;
    let log = tools.as_mut().map(Tools::log).transpose()?;
    let log = log.map_or_else(Stdio::inherit, |(_, file)| file.into());
    let mut proxy = Proxy::start(&configuration, (port, admin_port), http, log)?;
    cluster.adopt(proxy.pid);
    proxy.wait_until_ready(cluster.primary()).await?;
    Ok((cluster, proxy, tools))
}

fn equip(tools: &mut Tools, cluster: &Cluster, report: &Report) -> Result<(), Error> {
    tools.client(cluster, report)?;
    for server in cluster.servers() {
        if let Some(pid) = server.pid() {
            tools.process(&server.name, pid)?;
        }
    }
    Ok(())
}

fn tell(options: &Options, client: &Path, report: &Report, tools: Option<&Tools>) -> Result<(), Error> {
    let text = if options.json {
        serde_json::to_string(report).map_err(|error| Error::Proxy(error.to_string()))? + "\n"
    } else if let Some(tools) = tools {
        report.page_of_tools(tools.folder(), options.keep.as_deref())
    } else {
        report.page(client, options.keep.as_deref())
    };
    let mut output = std::io::stdout().lock();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .map_err(Error::io("cannot print"))
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| format!("`{text}` is no time such as 5s"))
}

/// The proxy's configuration: the shortest that names everything.
fn yaml(cluster: &Cluster, port: u16, admin_port: u16, http: &Http) -> Result<String, Error> {
    let host = &cluster.primary().host;
    let socket = cluster.proxy_socket();
    let mut text = format!(
        "listeners:\n  - address: \"{host}:{port}\"\n  - address: \"unix:{}\"\nservers:\n",
        socket.display()
    );
    for server in cluster.servers() {
        let (name, address, role) = (&server.name, server.address(), server.role);
        text += &format!("  - {{name: {name}, address: \"{address}\", role: {role}}}\n");
    }
    text += "accounts: backend\ntls: {server: {mode: follow}}\nlimits: {client_connections: 20000}\n";
    text += &format!("monitor: {{user: {MONITOR}, password: {MONITOR}}}\n");
    let folder = cluster.folder().display();
    text += &format!(
        "failover:\n  user: {FAILOVER}\n  password: {FAILOVER}\n  \
         replication: {{user: {REPLICATION}, password: {REPLICATION}}}\n  salvage: \"{folder}/salvage\"\n"
    );
    if let Some(command) = cluster.reclone()? {
        text += &format!("  reclone: {{command: {command:?}, timeout: 10m}}\n");
    }
    let Http { port, token } = http;
    text += &format!(
        "http:\n  address: \"{host}:{port}\"\n  open: read\n  tokens:\n    \
         - {{name: demo, token: {token}, role: operate}}\n"
    );
    text += &format!(
        "admin:\n  address: \"{host}:{admin_port}\"\n  users:\n    \
         - {{name: {ADMIN}, password: {ADMIN}, role: operate}}\n"
    );
    Ok(text)
}

// === impl Http ===

impl Http {
    fn choose() -> Self {
        let letters = (0..8).map(|_| format!("{:04x}", dice(u16::MAX)));
        Self {
            port: free_port(),
            token: letters.collect(),
        }
    }
}

// === impl Proxy ===

impl Proxy {
    fn start(
        configuration: &Path,
        (port, admin_port): (u16, u16),
        http: Http,
        log: Stdio,
    ) -> Result<Proxy, Error> {
        let program = std::env::current_exe().map_err(Error::io("cannot find this program"))?;
        let mut command = Command::new(program);
        command.arg("run").arg("-c").arg(configuration);
        // Standard output is for the report alone.
        command.stdin(Stdio::null()).stdout(std::io::stderr()).stderr(log);
        command.kill_on_drop(true).process_group(0);
        let child = command.spawn().map_err(Error::io("cannot start the proxy"))?;
        let pid = child
            .id()
            .ok_or_else(|| Error::Proxy("it ended at once".to_owned()))?;
        Ok(Proxy {
            child,
            pid,
            port,
            admin_port,
            http,
        })
    }

    async fn wait_until_ready(&mut self, primary: &Server) -> Result<(), Error> {
        let deadline = Instant::now() + PROXY_START_LIMIT;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(Error::Proxy(format!("it ended with {status}")));
            }
            let connecting = Conn::new(primary.options().tcp_port(self.port));
            let reason = match timeout(Duration::from_secs(5), connecting).await {
                Ok(Ok(connection)) => {
                    let _ = timeout(Duration::from_secs(5), connection.disconnect()).await;
                    return Ok(());
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it does not answer".to_owned(),
            };
            if Instant::now() > deadline {
                return Err(Error::Proxy(reason));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn end(&mut self) {
        if let Ok(Some(_)) = self.child.try_wait() {
            return;
        }
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(PROXY_STOP_LIMIT, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}
