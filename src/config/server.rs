//! The database servers behind the proxy.

use std::collections::HashMap;
use std::net::IpAddr;

use super::choice::Choice;
use super::reader::{Field, Section, Unique};
use super::{Address, Pool, Promote, ServerTls, ServerTlsMode};

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Unique among the servers; the host, or host:port where hosts repeat, unless given.
    pub name: String,
    pub address: Address,
    pub role: Role,
    /// Share of the reads, relative to the other servers'. 0: no reads unless nobody else can.
    pub weight: u32,
    /// `tls.server` with this server's own settings laid over it.
    pub tls: ServerTls,
    /// It serves reads only when no other replica can.
    pub backup: bool,
    pub state: ServerState,
    pub promote: Promote,
    /// Where it stands: among equals, one beside the old primary is promoted.
    pub data_center: Option<String>,
    /// Open connections, busy and idle together; `pool.max_connections` unless given.
    pub max_connections: u32,
    /// Its place in the file, whatever its place in a running proxy.
    pub rank: usize,
}

/// What a server may be used for, by the will of whoever runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerState {
    Online,
    /// It gets nothing new; what it has may end.
    Drain,
    /// It is not used at all.
    Maintenance,
    /// The file that was read last has it no more. Nobody can write this.
    Removed,
}

/// What a server is when the proxy starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Primary,
    Replica,
}

impl Choice for Role {
    const WORDS: &'static [(&'static str, Self)] = &[("primary", Self::Primary), ("replica", Self::Replica)];
}

impl Choice for ServerState {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("online", Self::Online),
        ("drain", Self::Drain),
        ("maintenance", Self::Maintenance),
    ];
}

// === impl Server ===

const DEFAULT_PORT: u16 = 3306;

/// Sets of servers are kept in so many bits, for each statement anew.
pub const MOST_SERVERS: usize = 64;

/// A server as far as it can be known before all have been read.
struct Draft<'a> {
    item: Field<'a>,
    role: Option<(Role, Field<'a>)>,
    name: Option<String>,
    state: Field<'a>,
    /// Its name and role are not final.
    server: Server,
}

/// What servers have unless they say otherwise.
#[derive(Clone, Copy)]
struct Defaults<'a> {
    tls: &'a ServerTls,
    pool: &'a Pool,
}

impl Server {
    /// All servers, the items' lines with them.
    pub(super) fn read_all(field: &Field<'_>, tls: &ServerTls, pool: &Pool) -> Vec<(usize, Self)> {
        let items = field.items();
        if items.is_empty() {
            let help = "list at least the primary:\n    servers:\n      - db1.example.com:3306";
            field.report("there is no server", help);
        }
        let count = items.len();
        if let Some(first_too_many) = items.get(MOST_SERVERS) {
            let message = format!("there are {count} servers, and {MOST_SERVERS} at most");
            first_too_many.report(message, "leave it and those after it to another proxy");
        }
        let defaults = Defaults { tls, pool };
        let drafts: Vec<_> = items
            .into_iter()
            .filter_map(|item| Draft::read(item, defaults))
            .collect();
        // With an unreadable server among them, who is the primary cannot be told.
        let roles = roles(&drafts, drafts.len() == count);
        let names = names(&drafts);
        let (mut unique_names, mut addresses) = (Unique::default(), Unique::default());
        let mut servers = Vec::new();
        for ((draft, role), name) in drafts.into_iter().zip(roles).zip(names) {
            unique_names.check(&draft.item, "name", &name);
            addresses.check(&draft.item, "address", &draft.server.address.to_string());
            if role == Role::Primary && draft.server.state != ServerState::Online {
                let help = "mark another server with `role: primary`, or set this one online";
                draft.state.report("nobody else takes the writes", help);
            }
            servers.push((
                draft.item.line,
                Self {
                    name,
                    role,
                    rank: servers.len(),
                    ..draft.server
                },
            ));
        }
        servers
    }

    fn read(section: &Section<'_>, address: Address, defaults: Defaults<'_>) -> Self {
        Self {
            name: String::new(),
            address,
            role: Role::Replica,
            weight: section.field("weight").count(0..=1_000_000, 1),
            tls: ServerTls::read(&section.field("tls"), defaults.tls),
            backup: section.field("backup").choice_or(false),
            state: section.field("state").choice_or(ServerState::Online),
            promote: section.field("promote").choice_or(Promote::Normal),
            data_center: section.field("data_center").name(),
            max_connections: max_connections(&section.field("max_connections"), defaults.pool),
            rank: 0,
        }
    }
}

fn max_connections(field: &Field<'_>, pool: &Pool) -> u32 {
    let most = field.count(1..=100_000, pool.max_connections);
    if field.is_given() && most < pool.min_idle {
        let help = format!("raise it, or lower `pool.min_idle` ({})", pool.min_idle);
        field.report("fewer connections than are kept idle", help);
    }
    most
}

// === impl Draft ===

impl<'a> Draft<'a> {
    /// An address, or a section.
    fn read(item: Field<'a>, defaults: Defaults<'_>) -> Option<Self> {
        let inner = item.clone();
        if item.is_scalar() {
            return item.nothing(|section| Self::read_section(section, inner.clone(), &inner, defaults));
        }
        item.section(|section| Self::read_section(section, inner, &section.field("address"), defaults))
    }

    fn read_section(
        section: &Section<'a>,
        item: Field<'a>,
        at: &Field<'a>,
        defaults: Defaults<'_>,
    ) -> Option<Self> {
        section.field("address");
        let (name, role) = (section.field("name").name(), section.field("role"));
        let role = role.choice().map(|value| (value, role));
        let address = address(&item, at);
        // The other settings are read even without an address, so that their problems are told as well.
        let stand_in = Address::Tcp {
            host: String::new(),
            port: DEFAULT_PORT,
        };
        let server = Server::read(section, address.clone().unwrap_or(stand_in), defaults);
        address?;
        if server.address.host().is_none() && server.tls.mode == ServerTlsMode::VerifyIdentity {
            let help = "use verify-ca, or give the server a TCP address";
            at.report("a Unix socket has no host name to verify", help);
        }
        if server.tls.verifies() && server.tls.ca.is_none() {
            let help = "give `tls.server.ca`, a PEM file";
            let message = "nobody is trusted to sign the server's certificate";
            section.field("tls").report(message, help);
        }
        Some(Self {
            item,
            role,
            name,
            state: section.field("state"),
            server,
        })
    }
}

fn address(item: &Field<'_>, at: &Field<'_>) -> Option<Address> {
    if !at.is_given() {
        item.report("a server needs an address", "give `address: host:port`");
        return None;
    }
    let address = at.address(Some(DEFAULT_PORT))?;
    let is_wildcard = |host: &str| {
        host.parse::<IpAddr>()
            .is_ok_and(|address| address.is_unspecified())
    };
    if address.host().is_some_and(is_wildcard) {
        at.report(
            "no server has this address",
            "give the host that the server runs on",
        );
    }
    Some(address)
}

/// The one marked as primary, or the first when none is marked.
fn roles(drafts: &[Draft<'_>], is_complete: bool) -> Vec<Role> {
    let is_primary = |draft: &&Draft<'_>| matches!(draft.role, Some((Role::Primary, _)));
    let mut primaries = drafts.iter().filter(is_primary);
    let marked = primaries.next();
    for (_, field) in primaries.filter_map(|draft| draft.role.as_ref()) {
        let first = marked.map_or(0, |draft| draft.item.line);
        let first = field.context.sources.tell(first, field.line);
        field.report(
            "there are two primaries",
            format!("keep one; the first is on {first}"),
        );
    }
    if let (None, true, Some((_, field))) = (
        marked,
        is_complete,
        drafts.first().and_then(|first| first.role.as_ref()),
    ) {
        field.report("no server is the primary", "mark one with `role: primary`");
    }
    let role = |(index, draft): (usize, &Draft<'_>)| match &draft.role {
        Some((role, _)) => *role,
        None if marked.is_none() && index == 0 => Role::Primary,
        None => Role::Replica,
    };
    drafts.iter().enumerate().map(role).collect()
}

/// The given names, else the hosts, with the port where a host has several servers.
fn names(drafts: &[Draft<'_>]) -> Vec<String> {
    let mut uses: HashMap<&str, usize> = HashMap::new();
    for host in drafts.iter().filter_map(|draft| draft.server.address.host()) {
        *uses.entry(host).or_default() += 1;
    }
    let name = |draft: &Draft<'_>| match (&draft.name, draft.server.address.host()) {
        (Some(name), _) => name.clone(),
        (None, Some(host)) if uses.get(host) == Some(&1) => host.to_owned(),
        (None, _) => draft.server.address.to_string(),
    };
    drafts.iter().map(name).collect()
}
