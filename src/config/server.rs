//! The database servers behind the proxy.

use std::collections::HashMap;
use std::net::IpAddr;

use super::choice::Choice;
use super::reader::{Field, Section, Unique};
use super::{Address, ServerTls, ServerTlsMode};

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

// === impl Server ===

const DEFAULT_PORT: u16 = 3306;

/// A server as far as it can be known before all have been read.
struct Draft<'a> {
    item: Field<'a>,
    role: Option<(Role, Field<'a>)>,
    name: Option<String>,
    address: Address,
    weight: u32,
    tls: ServerTls,
}

impl Server {
    /// All servers, the items' lines with them.
    pub(super) fn read_all(field: &Field<'_>, tls: &ServerTls) -> Vec<(usize, Self)> {
        let items = field.items();
        if items.is_empty() {
            let help = "list at least the primary:\n    servers:\n      - db1.example.com:3306";
            field.report("there is no server", help);
        }
        let count = items.len();
        let drafts: Vec<_> = items
            .into_iter()
            .filter_map(|item| Draft::read(item, tls))
            .collect();
        // With an unreadable server among them, who is the primary cannot be told.
        let roles = roles(&drafts, drafts.len() == count);
        let names = names(&drafts);
        let (mut unique_names, mut addresses) = (Unique::default(), Unique::default());
        let mut servers = Vec::new();
        for ((draft, role), name) in drafts.into_iter().zip(roles).zip(names) {
            unique_names.check(&draft.item, "name", &name);
            addresses.check(&draft.item, "address", &draft.address.to_string());
            let Draft {
                item,
                address,
                weight,
                tls,
                ..
            } = draft;
            servers.push((
                item.line,
                Self {
                    name,
                    address,
                    role,
                    weight,
                    tls,
                },
            ));
        }
        servers
    }
}

// === impl Draft ===

impl<'a> Draft<'a> {
    /// An address, or a section.
    fn read(item: Field<'a>, tls: &ServerTls) -> Option<Self> {
        let inner = item.clone();
        if item.is_scalar() {
            return item.nothing(|section| Self::read_section(section, inner.clone(), &inner, tls));
        }
        item.section(|section| Self::read_section(section, inner, &section.field("address"), tls))
    }

    fn read_section(section: &Section<'a>, item: Field<'a>, at: &Field<'a>, tls: &ServerTls) -> Option<Self> {
        section.field("address");
        let (name, role) = (section.field("name"), section.field("role"));
        let tls_field = section.field("tls");
        let name = name.name();
        let weight = section.field("weight").count(0..=1_000_000, 1);
        let tls = ServerTls::read(&tls_field, tls);
        let role = role.choice().map(|value| (value, role));
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
        if address.host().is_none() && tls.mode == ServerTlsMode::VerifyIdentity {
            let help = "use verify-ca, or give the server a TCP address";
            at.report("a Unix socket has no host name to verify", help);
        }
        if tls.verifies() && tls.ca.is_none() {
            let help = "give `tls.server.ca`, a PEM file";
            tls_field.report("nobody is trusted to sign the server's certificate", help);
        }

        Some(Self {
            item,
            role,
            name,
            address,
            weight,
            tls,
        })
    }
}

/// The one marked as primary, or the first when none is marked.
fn roles(drafts: &[Draft<'_>], is_complete: bool) -> Vec<Role> {
    let is_primary = |draft: &&Draft<'_>| matches!(draft.role, Some((Role::Primary, _)));
    let mut primaries = drafts.iter().filter(is_primary);
    let marked = primaries.next();
    for (_, field) in primaries.filter_map(|draft| draft.role.as_ref()) {
        let first = marked.map_or(0, |draft| draft.item.line);
        field.report(
            "there are two primaries",
            format!("keep one; the first is on line {first}"),
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
    for host in drafts.iter().filter_map(|draft| draft.address.host()) {
        *uses.entry(host).or_default() += 1;
    }
    let name = |draft: &Draft<'_>| match (&draft.name, draft.address.host()) {
        (Some(name), _) => name.clone(),
        (None, Some(host)) if uses.get(host) == Some(&1) => host.to_owned(),
        (None, _) => draft.address.to_string(),
    };
    drafts.iter().map(name).collect()
}
