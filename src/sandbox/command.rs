//! `splitrail sandbox`: servers, replication and a proxy before them, for as long as it runs.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{getpid, set_child_subreaper};
use tokio::signal::unix::{SignalKind, signal};

use super::patrol::Patrol;
use super::proxy::Proxy;
use super::report::{ADMIN, Report};
use super::server::{dice, free_port};
use super::template::{FAILOVER, MONITOR, REPLICATION};
use super::tools::Tools;
use super::{Cluster, Error, Flavour};
use crate::config::parse_duration;

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
    /// More of the proxy's configuration: settings that the sandbox's own does not have
    #[arg(long, value_name = "FILE")]
    pub include: Option<PathBuf>,
    /// Print one line of JSON when all is ready, then stay up.
    #[arg(long)]
    pub json: bool,
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
    let report = Report::new(&cluster, (proxy.port, proxy.admin_port), proxy.pid(), &proxy.http);
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
        result = patrol.walk(&mut proxy) => result,
    };
    proxy.end(&cluster).await;
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
    let text = yaml(&cluster, options.include.as_deref(), (port, admin_port, &http))?;
    std::fs::write(&configuration, text).map_err(Error::path("write", &configuration))?;
    let log = tools.as_mut().map(Tools::log).transpose()?;
    let log = log.map_or_else(Stdio::inherit, |(_, file)| file.into());
    // Who takes over from the proxy is nobody's child when the proxy has ended, and has to be waited for here.
    set_child_subreaper(Some(getpid())).map_err(|error| Error::io("cannot adopt processes")(error.into()))?;
    let proxy = Proxy::start(&cluster, &configuration, (port, admin_port, http), log)?;
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
    tools.process("proxy", report.proxy_pid)
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
fn yaml(
    cluster: &Cluster,
    include: Option<&Path>,
    (port, admin_port, http): (u16, u16, &Http),
) -> Result<String, Error> {
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
    if let Some(file) = include {
        let file = file.canonicalize().map_err(Error::path("find", file))?;
        text += &format!("includes: {file:?}\n");
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
