//! What `splitrail sandbox` tells once all is ready: a page for people, or one line of JSON that scripts rely on.
//! The line's fields are a promise: add some, never rename or drop one.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::Cluster;
use super::command::Http;

/// The proxy's admin user, and its password.
pub const ADMIN: &str = "admin";

/// What a page of tools offers, before and after what needs a replica.
const BEFORE: [(&str, &str); 4] = [
    ("./mysql", "a client; it needs no options"),
    ("./mysql -e 'SELECT @@server_id'", "which server answered"),
    ("./splitrail status", "servers, their lag, what happened last"),
    ("./splitrail ctl help", "all that can be asked and told"),
];
const AFTER: [(&str, &str); 2] = [
    ("kill -9 $(cat db1.pid)", "the primary dies"),
    ("tail -f proxy.log", "what the proxy says"),
];

/// The line of `--json`. Ports of parts that are not there are null.
#[derive(Debug, Serialize)]
pub struct Report {
    #[serde(skip)]
    display_name: String,
    /// `mysql` or `mariadb`.
    pub flavour: &'static str,
    pub version: String,
    /// Where the proxy listens.
    pub host: String,
    pub port: u16,
    /// Its Unix socket.
    pub socket: String,
    /// May do everything on every server, through the proxy and directly.
    pub user: String,
    pub password: String,
    pub database: String,
    pub proxy_pid: u32,
    pub admin_port: Option<u16>,
    pub admin_user: Option<String>,
    pub admin_password: Option<String>,
    pub http_port: Option<u16>,
    /// Opens everything there.
    pub http_token: Option<String>,
    pub servers: Vec<ServerReport>,
}

#[derive(Debug, Serialize)]
pub struct ServerReport {
    pub name: String,
    /// `primary` or `replica`.
    pub role: String,
    pub host: String,
    pub port: u16,
    pub socket: String,
    pub datadir: String,
    pub pid: Option<u32>,
}

// === impl Report ===

impl Report {
    pub(super) fn new(
        cluster: &Cluster,
        (port, admin_port): (u16, u16),
        proxy_pid: u32,
        http: &Http,
    ) -> Report {
        let servers = cluster.servers().iter().map(|server| ServerReport {
            name: server.name.clone(),
            role: server.role.to_string(),
            host: server.host.clone(),
            port: server.port,
            socket: server.socket.display().to_string(),
            datadir: server.datadir.display().to_string(),
            pid: server.pid(),
        });
        Report {
            display_name: cluster.flavour.to_string(),
            flavour: cluster.flavour.name(),
            version: cluster.version.to_string(),
            host: cluster.primary().host.clone(),
            port,
            socket: cluster.proxy_socket().display().to_string(),
            user: cluster.user.clone(),
            password: cluster.password.clone(),
            database: cluster.database.clone(),
            proxy_pid,
            admin_port: Some(admin_port),
            admin_user: Some(ADMIN.to_owned()),
            admin_password: Some(ADMIN.to_owned()),
            http_port: Some(http.port),
            http_token: Some(http.token.clone()),
            servers: servers.collect(),
        }
    }

    /// The page for people who have their tools in a folder.
    pub fn page_of_tools(&self, folder: &Path, kept: Option<&Path>) -> String {
        let mut page = self.heading();
        let here = std::env::current_dir().unwrap_or_default();
        let folder = folder.strip_prefix(&here).unwrap_or(folder).display();
        let _ = writeln!(page, "\n  Try, in another terminal\n    cd {folder}");
        let switchover = self.servers.get(1).map(|replica| {
            let command = format!("./splitrail ctl switchover to {}", replica.name);
            (command, "another server becomes the primary")
        });
        let fixed = |(command, about): (&str, &'static str)| (command.to_owned(), about);
        let commands = BEFORE.into_iter().map(fixed).chain(switchover);
        for (command, about) in commands.chain(AFTER.into_iter().map(fixed)) {
            let _ = writeln!(page, "    {command:<34} {about}");
        }
        end(page, kept)
    }

    /// The page for people.
    pub fn page(&self, client: &Path, kept: Option<&Path>) -> String {
        let Report {
            host,
            port,
            user,
            password,
            database,
            ..
        } = self;
        let mut page = self.heading();
        let at = |port: u16, who: &str, password: &str| {
            format!("{} -h{host} -P{port} -u{who} -p{password}", client.display())
        };
        let app = format!("{} {database}", at(*port, user, password));
        let _ = write!(
            page,
            "\n  Try\n    {app}\n    {app} -e 'SELECT @@port, @@server_id'      which server answered\n"
        );
        if let Some(admin_port) = self.admin_port {
            let admin = at(admin_port, ADMIN, ADMIN);
            let _ = writeln!(page, "    {admin} -e 'SHOW TOPOLOGY'      or SHOW SERVERS, HELP");
            if let Some(replica) = self.servers.get(1) {
                let _ = writeln!(page, "    {admin} -e 'SWITCHOVER TO {}'", replica.name);
            }
        }
        if let Some(primary) = self.servers.first() {
            if let Some(pid) = primary.pid {
                let _ = writeln!(
                    page,
                    "    kill -9 {pid}      and another server becomes the primary: SHOW FAILOVERS"
                );
            }
            let _ = writeln!(page, "    tail -f {}", log_of(primary));
        }
        end(page, kept)
    }

    /// What is up, and where.
    fn heading(&self) -> String {
        let Report {
            version,
            host,
            port,
            user,
            password,
            database,
            ..
        } = self;
        let mut page = format!("\nsplitrail before {} {version}, ready\n\n", self.display_name);
        let _ = writeln!(page, "  {:<8} {host}:{port:<6} pid {}", "proxy", self.proxy_pid);
        for server in &self.servers {
            let ServerReport {
                name,
                role,
                host,
                port,
                ..
            } = server;
            let pid = server.pid.map_or("down".to_owned(), |pid| format!("pid {pid}"));
            let _ = writeln!(page, "  {name:<8} {host}:{port:<6} {pid:<12} {role}");
        }
        if let (Some(port), Some(token)) = (self.http_port, &self.http_token) {
            let _ = writeln!(page, "\n  Watch    http://{host}:{port}/#token={token}");
        }
        let _ = writeln!(
            page,
            "\n  DSN      mysql://{user}:{password}@{host}:{port}/{database}"
        );
        page
    }
}

fn end(mut page: String, kept: Option<&Path>) -> String {
    if let Some(folder) = kept {
        let _ = writeln!(page, "\n  Data and logs stay in {}.", folder.display());
    }
    page.push_str("\n  Ctrl-C ends everything.\n\n");
    page
}

/// The error log lies beside the data directory.
fn log_of(server: &ServerReport) -> String {
    let folder = Path::new(&server.datadir).parent().unwrap_or(Path::new("/"));
    folder.join("error.log").display().to_string()
}
