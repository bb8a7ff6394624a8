//! Where clients connect: one listener per address, each with its mode, TLS rule and trusted proxies.

use super::choice::Choice;
use super::destination;
use super::reader::{Field, Section, Unique};
use super::taken::Taken;
use super::{Address, ClientTls, ClientTlsMode, ConsistencyLevel, Network};

/// One address that clients connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Unique among the listeners; the address unless given.
    pub name: String,
    pub address: Address,
    pub mode: ListenerMode,
    /// `tls.client.mode` unless overridden.
    pub tls: ClientTlsMode,
    /// `consistency.level` unless overridden.
    pub consistency: ConsistencyLevel,
    /// Peers that must send a PROXY protocol header, whose addresses are then believed. Empty: no PROXY protocol.
    pub proxy_protocol_trusted: Vec<Network>,
}

/// Where the statements of a listener's clients may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerMode {
    /// Writes to the primary, reads to replicas.
    Split,
    /// Everything to the primary.
    Primary,
    /// Everything to replicas; meant for clients that only read.
    Replica,
}

impl Choice for ListenerMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("split", Self::Split),
        ("primary", Self::Primary),
        ("replica", Self::Replica),
    ];
}

// === impl Listener ===

/// Reachable from this machine only, and beside the servers' own port.
const DEFAULT_HOST: &str = "127.0.0.1";
const DEFAULT_PORT: u16 = 6033;

impl Listener {
    /// All listeners; without any, the default one.
    pub(super) fn read_all(
        field: &Field<'_>,
        tls: &ClientTls,
        level: ConsistencyLevel,
        taken: &mut Taken,
    ) -> Vec<(usize, Self)> {
        if field.is_list() && field.items().is_empty() {
            field.report(
                "there is no listener",
                "list one, or remove the key for the default",
            );
        }
        let mut names = Unique::default();
        let mut listeners = Vec::new();
        for item in field.items() {
            let read = if item.is_scalar() {
                item.nothing(|section| Self::read(section, &item, tls, level))
            } else {
                item.section(|section| Self::read(section, &section.field("address"), tls, level))
            };
            if let Some(listener) = read {
                names.check(&item, "name", &listener.name);
                taken.claim(&item, &listener.holder(), &listener.address);
                listeners.push((item.line, listener));
            }
        }
        if !field.is_given() {
            let address = Address::Tcp {
                host: DEFAULT_HOST.to_owned(),
                port: DEFAULT_PORT,
            };
            let read = field.nothing(|section| {
                let name = address.to_string();
                Self::with_address(section, address, name, tls, level)
            });
            taken.claim(field, &read.holder(), &read.address);
            listeners.push((field.line, read));
        }
        listeners
    }

    fn read(
        section: &Section<'_>,
        address: &Field<'_>,
        tls: &ClientTls,
        level: ConsistencyLevel,
    ) -> Option<Self> {
        let name = section.field("name");
        let given = name.name();
        if !address.is_given() {
            section.whole().report(
                "a listener needs an address",
                "give `address: host:port` or `unix:/path`",
            );
        }
        let parsed = address.address(Some(DEFAULT_PORT));
        if let Some(parsed) = &parsed {
            destination::check_address(address, parsed);
        }
        // The other settings are read even without an address, so that their problems are told as well.
        let stand_in = Address::Tcp {
            host: DEFAULT_HOST.to_owned(),
            port: DEFAULT_PORT,
        };
        let name = given
            .or_else(|| parsed.as_ref().map(Address::to_string))
            .unwrap_or_default();
        let listener = Self::with_address(section, parsed.clone().unwrap_or(stand_in), name, tls, level);
        parsed.map(|_| listener)
    }

    fn holder(&self) -> String {
        format!("listener `{}`", self.name)
    }

    fn with_address(
        section: &Section<'_>,
        address: Address,
        name: String,
        tls: &ClientTls,
        level: ConsistencyLevel,
    ) -> Self {
        section.field("address");
        section.field("name");
        let mode = section.field("tls");
        let listener = Self {
            name,
            mode: section.field("mode").choice_or(ListenerMode::Split),
            tls: mode.choice_or(tls.mode),
            consistency: section.field("consistency").choice_or(level),
            proxy_protocol_trusted: section.field("proxy_protocol").section(trusted),
            address,
        };
        if tls.require_client_certificate && listener.tls != ClientTlsMode::Require && mode.is_given() {
            let help = "set it to require, or `tls.client.require_client_certificate: false`";
            mode.report("a client without TLS would need no certificate", help);
        }
        if matches!(listener.address, Address::Unix(_)) && !listener.proxy_protocol_trusted.is_empty() {
            let help = "give the listener a TCP address, or remove `proxy_protocol`";
            section
                .field("proxy_protocol")
                .report("no network leads to a Unix socket", help);
        }
        listener
    }
}

fn trusted(section: &Section<'_>) -> Vec<Network> {
    let items = section.field("trusted").items();
    items.iter().filter_map(Field::network).collect()
}
