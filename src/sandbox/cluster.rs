//! A primary and its replicas, started together and gone together.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::arguments::Plan;
use super::certificates::Certificates;
use super::reclone::Backup;
use super::server::{DATABASE, Launch, PASSWORD, USER, free_port};
use super::workspace::Workspace;
use super::{Error, Flavour, Installation, Role, Server, Version, replication, template};

/// How often a server is started anew because somebody took its port first.
const PORT_ATTEMPTS: usize = 5;

/// What kind of cluster to start.
#[derive(Clone, Debug)]
pub struct Builder {
    flavour: Flavour,
    replicas: usize,
    keep: Option<PathBuf>,
    semi_sync: bool,
    options: Vec<String>,
    environment: Vec<(String, String)>,
}

/// Running servers. Dropping it ends them and removes what they wrote, unless that is kept.
pub struct Cluster {
    pub flavour: Flavour,
    pub version: Version,
    /// The account that may do everything on every server, from anywhere.
    pub user: String,
    pub password: String,
    /// An empty database.
    pub database: String,
    /// The command-line client that came with the servers; a bare name where PATH has it.
    pub client: PathBuf,
    pub certificates: Certificates,
    /// What copies a running server's data, where it is there.
    pub(super) backup: Option<Backup>,
    /// The primary, then the replicas: `db1`, `db2`, ... Before the workspace, so that they end before it goes.
    servers: Vec<Server>,
    workspace: Workspace,
}

// === impl Builder ===

impl Builder {
    pub fn replicas(mut self, replicas: usize) -> Builder {
        self.replicas = replicas;
        self
    }

    /// Data and logs go to this folder, which must be empty, and stay there.
    pub fn keep(mut self, folder: Option<PathBuf>) -> Builder {
        self.keep = folder;
        self
    }

    /// Whether commits wait until a replica has them; they do unless told otherwise.
    pub fn semi_sync(mut self, on: bool) -> Builder {
        self.semi_sync = on;
        self
    }

    /// An option for every server, such as `max_connections=20`; it wins over the sandbox's own.
    pub fn option(mut self, option: impl Into<String>) -> Builder {
        self.options.push(option.into());
        self
    }

    /// A variable of the environment of every server.
    pub fn environment(mut self, name: &str, value: &str) -> Builder {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Finds the servers, starts them, and returns when replication runs.
    pub async fn start(self) -> Result<Cluster, Error> {
        let installation = Installation::find(self.flavour)?;
        let workspace = Workspace::create(self.keep.as_deref())?;
        let certificates = Certificates::create(&workspace.run().join("tls"))?;
        let template = template::template(&installation, &workspace).await?;
        let starter = Starter {
            builder: &self,
            installation: &installation,
            workspace: &workspace,
        };
        let mut servers = Vec::new();
        for number in 0..=self.replicas {
            servers.push(starter.launch(number, &template, &certificates)?);
        }
        for server in &mut servers {
            starter.make_ready(server, &certificates).await?;
        }
        if let [primary, replicas @ ..] = &servers[..] {
            for replica in replicas {
                replication::join(primary, replica).await?;
            }
            if self.semi_sync {
                replication::wait_for_semi_sync(primary, replicas).await?;
            }
        }
        Ok(Cluster {
            flavour: self.flavour,
            version: installation.version.clone(),
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
            database: DATABASE.to_owned(),
            client: installation.client(),
            certificates,
            backup: Backup::find(&installation),
            servers,
            workspace,
        })
    }
}

/// What starting one server of a cluster needs.
struct Starter<'a> {
    builder: &'a Builder,
    installation: &'a Installation,
    workspace: &'a Workspace,
}

// === impl Starter ===

impl Starter<'_> {
    fn launch(&self, number: usize, template: &Path, certificates: &Certificates) -> Result<Server, Error> {
        let folder = self.workspace.data().join(name(number));
        template::copy(template, &folder.join("data"))?;
        self.spawn(number, certificates)
    }

    fn spawn(&self, number: usize, certificates: &Certificates) -> Result<Server, Error> {
        let name = name(number);
        let folder = self.workspace.data().join(&name);
        let (datadir, log) = (folder.join("data"), folder.join("error.log"));
        let socket = self.workspace.run().join(format!("{name}.sock"));
        let pid_file = self.workspace.run().join(format!("{name}.pid"));
        let temporary = self.workspace.run().join(format!("{name}.tmp"));
        std::fs::create_dir_all(&temporary).map_err(Error::path("create", &temporary))?;
        let role = if number == 0 { Role::Primary } else { Role::Replica };
        let port = free_port();
        let arguments = Plan {
            installation: self.installation,
            id: number + 1,
            role,
            port,
            socket: &socket,
            datadir: &datadir,
            log: &log,
            pid_file: &pid_file,
            temporary: &temporary,
            certificates: Some(certificates),
            semi_sync: self.builder.semi_sync && role == Role::Primary && self.builder.replicas > 0,
            extra: &self.builder.options,
        }
        .arguments();
        Server::launch(Launch {
            name,
            role,
            port,
            socket,
            datadir,
            log,
            flavour: self.installation.flavour,
            program: self.installation.program.clone(),
            arguments,
            environment: self.builder.environment.clone(),
            watchdog: Arc::clone(self.workspace.watchdog()),
        })
    }

    /// Waits for a server; takes another port where the chosen one was taken meanwhile.
    async fn make_ready(&self, server: &mut Server, certificates: &Certificates) -> Result<(), Error> {
        for _ in 1..PORT_ATTEMPTS {
            match server.wait_until_ready().await {
                Err(Error::NotStarted { .. }) if server.lost_its_port() => {
                    let _ = std::fs::remove_file(&server.log);
                    let number = server.name.trim_start_matches("db").parse::<usize>().unwrap_or(1) - 1;
                    *server = self.spawn(number, certificates)?;
                }
                other => return other,
            }
        }
        server.wait_until_ready().await
    }
}

fn name(number: usize) -> String {
    format!("db{}", number + 1)
}

// === impl Cluster ===

impl Cluster {
    pub fn builder(flavour: Flavour) -> Builder {
        Builder {
            flavour,
            replicas: 1,
            keep: None,
            semi_sync: true,
            options: vec![],
            environment: vec![],
        }
    }

    /// The primary first.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    pub fn primary(&self) -> &Server {
        &self.servers[0]
    }

    pub fn replicas(&self) -> &[Server] {
        &self.servers[1..]
    }

    pub fn server(&self, name: &str) -> Result<&Server, Error> {
        let found = self.servers.iter().find(|server| server.name == name);
        found.ok_or_else(|| Error::NoSuchServer(name.to_owned()))
    }

    /// The folder of sockets, certificates and generated files; removed at the end.
    pub fn folder(&self) -> &Path {
        self.workspace.run()
    }

    /// Where a proxy before the cluster listens beside its port.
    pub fn proxy_socket(&self) -> PathBuf {
        self.folder().join("proxy.sock")
    }

    /// Starts a server that is down, with its replication if it is a replica.
    pub async fn restart(&self, name: &str) -> Result<(), Error> {
        let server = self.server(name)?;
        if server.exited().is_none() {
            server.stop().await?;
        }
        server.start().await?;
        match server.role {
            Role::Primary => Ok(()),
            Role::Replica => replication::resume(server).await,
        }
    }

    /// Waits until all replicas acknowledge what the primary commits.
    pub async fn wait_for_semi_sync(&self) -> Result<(), Error> {
        replication::wait_for_semi_sync(self.primary(), self.replicas()).await
    }

    /// Waits until every running replica has applied what the primary has.
    pub async fn catch_up(&self) -> Result<(), Error> {
        let position = replication::position(self.primary()).await?;
        for replica in self.replicas().iter().filter(|replica| replica.pid().is_some()) {
            replication::wait_for_position(replica, &position).await?;
        }
        Ok(())
    }

    /// Why a replica does not replicate; None when it does.
    pub async fn trouble(&self, replica: &Server) -> Result<Option<String>, Error> {
        let state = replication::state(replica).await?;
        Ok(if state.is_empty() { None } else { Some(state) })
    }

    /// Lets `pid` end with this cluster, however that ends: a proxy that was started before it.
    pub fn adopt(&self, pid: u32) {
        self.workspace.watchdog().add(pid);
    }

    /// `pid` has ended and was waited for.
    pub fn release(&self, pid: u32) {
        self.workspace.watchdog().remove(pid);
    }

    /// Ends all servers, in good order if their data are kept.
    pub async fn shut_down(self) {
        if !self.workspace.is_kept() {
            return;
        }
        for server in self.servers.iter().rev() {
            if let Err(error) = tokio::time::timeout(Duration::from_secs(20), server.stop()).await {
                tracing::warn!("{} is killed: {error}", server.name);
            }
        }
    }
}
