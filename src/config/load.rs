//! [`Config`] itself: a whole file read, checked and ready to use.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use super::Address;
use super::choice::Choice;
use super::destination;
use super::operators::is_local;
use super::problem::{Problem, Problems};
use super::reader::{Context, Field, Section};
use super::rules::{Surroundings, unreachable};
use super::taken::Taken;
use super::values::Bad;
use super::written::Written;
use super::{
    Accounts, Admin, Audit, Compression, Consistency, Failover, Http, Limits, Listener, Log, Monitor, Pool,
    Routing, Rule, Server, Statistics, Switchover, Takeover, Tls, Traces,
};

/// A validated configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// At least one; addresses and names are unique.
    pub listeners: Vec<Listener>,
    /// At least one; addresses and names are unique; exactly one is the primary.
    pub servers: Vec<Server>,
    pub accounts: Accounts,
    pub monitor: Monitor,
    pub failover: Failover,
    pub switchover: Switchover,
    pub admin: Admin,
    pub http: Http,
    pub pool: Pool,
    pub routing: Routing,
    pub consistency: Consistency,
    /// In the order in which they are asked; names are unique.
    pub rules: Vec<Rule>,
    pub tls: Tls,
    pub compression: Compression,
    pub limits: Limits,
    pub shutdown: Shutdown,
    pub takeover: Takeover,
    pub log: Log,
    pub statistics: Statistics,
    pub traces: Traces,
    pub audit: Audit,
    /// Threads that serve clients.
    pub workers: usize,
    pub scheduling: Scheduling,
    pub server_version: ServerVersion,
}

/// How the kernel lets the threads run that serve clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduling {
    /// A thread that is woken waits for its turn, and finds more to do at once when it comes.
    Batch,
    /// As the process was started.
    Normal,
}

/// How the proxy ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// How long open transactions may take to end.
    pub grace: Duration,
}

/// The version that clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerVersion {
    /// The primary's.
    Mirror,
    Fixed(String),
}

impl Choice for Scheduling {
    const WORDS: &'static [(&'static str, Self)] = &[("batch", Self::Batch), ("normal", Self::Normal)];
}

// === impl Config ===

impl Config {
    /// Reads a file. Values come from the environment where it says `${NAME}`.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        Self::of(&Written::read(path)?)
    }

    /// Reads a text as if it stood in the file `name`, which relative paths start from.
    pub fn parse(text: &str, name: &Path) -> Result<Self, Problems> {
        Self::of(&Written::parse(text.to_owned().into(), name))
    }

    /// What is written there, checked.
    pub fn of(written: &Written) -> Result<Self, Problems> {
        let context = Context::new(&written.sources, &|name| std::env::var(name).ok());
        Self::read(written, &context)
    }

    /// What is allowed but cannot be meant.
    pub fn warnings(&self, file: &Path) -> Vec<Problem> {
        let warning = |(place, why): (usize, String)| Problem {
            file: self.rules[place].file.clone(),
            line: self.rules[place].line,
            key: format!("rules[{place}]"),
            message: format!("`{}` can never match: {why}", self.rules[place].name),
            help: "move it up, change what it matches, or remove it".to_owned(),
        };
        let unreachable = unreachable(&self.rules, &self.listeners, &self.accounts);
        let mut warnings: Vec<_> = unreachable.into_iter().map(warning).collect();
        if self.accounts.backend && self.monitor.login.is_none() {
            warnings.push(Problem {
                file: file.to_owned(),
                line: 0,
                key: "accounts.backend".to_owned(),
                message: "the servers' accounts cannot be read without an account: they cannot log in"
                    .to_owned(),
                help: "give `monitor: {user: .., password: ..}`, or only list users under `accounts.static`"
                    .to_owned(),
            });
        }
        warnings.extend(destination::warnings(self, file));
        warnings
    }

    pub(super) fn read(written: &Written, context: &Context<'_>) -> Result<Self, Problems> {
        for fault in &written.faults {
            context.report(fault.line, &fault.key, &fault.message, &fault.help);
        }
        // Without a tree the faults say why, and nothing else is worth telling.
        let root = written
            .root
            .as_ref()
            .ok_or_else(|| context.finish().unwrap_or(Problems(Vec::new())))?;
        let config = context.root(root).section(Self::read_sections);
        context.finish().map_or(Ok(config), Err)
    }

    fn read_sections(section: &Section<'_>) -> Self {
        for item in section.field("includes").items() {
            // They have been read by now; what is left is the form.
            item.text();
        }
        let tls = section.field("tls").section(Tls::read);
        let pool = section.field("pool").section(Pool::read);
        let consistency = section.field("consistency").section(Consistency::read);
        let mut taken = Taken::default();
        let listeners = Listener::read_all(
            &section.field("listeners"),
            &tls.client,
            consistency.level,
            &mut taken,
        );
        let servers = Server::read_all(&section.field("servers"), &tls.server, &pool);
        refuse_loops(section, &listeners, &servers);
        let listeners: Vec<_> = listeners.into_iter().map(|(_, listener)| listener).collect();
        let names: Vec<_> = servers.iter().map(|(_, server)| server.name.clone()).collect();
        let is_complete = section.field("servers").items().len() == servers.len();
        let around = Surroundings {
            servers: is_complete.then_some(names.as_slice()),
            listeners: &listeners,
        };
        let rules = Rule::read_all(&section.field("rules"), around);
        let (monitor, failover) = read_care(section);
        let (admin, http) = read_operators(section, &mut taken);
        Self {
            rules,
            listeners,
            servers: servers.into_iter().map(|(_, server)| server).collect(),
            accounts: Accounts::read(&section.field("accounts")),
            monitor,
            failover,
            switchover: section.field("switchover").section(Switchover::read),
            admin,
            http,
            pool,
            routing: section.field("routing").section(Routing::read),
            consistency,
            tls,
            compression: section.field("compression").section(Compression::read),
            limits: section.field("limits").section(Limits::read),
            shutdown: section.field("shutdown").section(Shutdown::read),
            takeover: section.field("takeover").section(Takeover::read),
            log: section.field("log").section(Log::read),
            statistics: section.field("statistics").section(Statistics::read),
            traces: section.field("traces").section(Traces::read),
            audit: section.field("audit").section(Audit::read),
            workers: workers(&section.field("workers")),
            scheduling: section.field("scheduling").choice_or(Scheduling::Batch),
            server_version: ServerVersion::read(&section.field("server_version")),
        }
    }
}

/// How servers are watched and replaced: one account may do both.
fn read_care(section: &Section<'_>) -> (Monitor, Failover) {
    let (monitor, is_monitored) = section
        .field("monitor")
        .section(|part| (Monitor::read(part), part.field("user").is_given()));
    let failover = section.field("failover");
    (
        monitor,
        failover.section(|part| Failover::read(part, is_monitored)),
    )
}

/// The places for operators, after the listeners, whose addresses they may not have.
fn read_operators(section: &Section<'_>, taken: &mut Taken) -> (Admin, Http) {
    let admin = section.field("admin").section(|part| {
        let admin = Admin::read(part);
        if let Some(address) = admin.address.as_ref().filter(|_| admin.is_open()) {
            taken.claim(&part.field("address"), "admin.address", address);
        }
        admin
    });
    let http = section.field("http").section(|part| {
        let http = Http::read(part);
        if let Some(address) = http.address.as_ref().filter(|_| http.is_chosen) {
            taken.claim(&part.field("address"), "http.address", address);
        }
        http
    });
    (admin, http)
}

/// A proxy that is its own server would connect to itself until something runs out.
fn refuse_loops(section: &Section<'_>, listeners: &[(usize, Listener)], servers: &[(usize, Server)]) {
    for (line, server) in servers {
        let reached = |(_, listener): &&(usize, Listener)| listens_at(&listener.address, &server.address);
        if let Some((_, listener)) = listeners.iter().find(reached) {
            section.whole().context.report(
                *line,
                "servers",
                format!("the proxy itself listens at {}", server.address),
                format!(
                    "give the database's address, or move listener `{}`",
                    listener.name
                ),
            );
        }
    }
}

/// Whether a connection to `server` from this machine would surely arrive at `listener`.
fn listens_at(listener: &Address, server: &Address) -> bool {
    let (
        Address::Tcp { host, port },
        Address::Tcp {
            host: to,
            port: to_port,
        },
    ) = (listener, server)
    else {
        return listener == server;
    };
    let is_wildcard = host
        .parse::<IpAddr>()
        .is_ok_and(|address| address.is_unspecified());
    port == to_port && (host == to || is_wildcard && is_local(to))
}

/// As many as there are cores, unless given.
fn workers(field: &Field<'_>) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let default = u32::try_from(cores).unwrap_or(u32::MAX);
    usize::try_from(field.count(1..=1024, default)).unwrap_or(cores)
}

// === impl Shutdown ===

impl Shutdown {
    fn read(section: &Section<'_>) -> Self {
        let range = Duration::ZERO..=Duration::from_secs(3600);
        Self {
            grace: section.field("grace").duration(range, Duration::from_secs(30)),
        }
    }
}

// === impl ServerVersion ===

impl ServerVersion {
    fn read(field: &Field<'_>) -> Self {
        if !field.is_given() {
            return Self::Mirror;
        }
        let version = field.parse(
            "write a version such as 8.4.3 in at most 60 ASCII characters",
            |text| {
                let is_version = text.len() <= 60
                    && text.starts_with(|each: char| each.is_ascii_digit())
                    && text.bytes().all(|byte| byte.is_ascii_graphic());
                if is_version {
                    Ok(text.to_owned())
                } else {
                    Err(Bad::NotA("a version that clients understand"))
                }
            },
        );
        version.map_or(Self::Mirror, Self::Fixed)
    }
}
