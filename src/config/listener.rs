//! Where clients connect: one listener per address, each with its mode, TLS rule and trusted proxies.

use super::{Address, ClientTlsMode, Network};

/// One address that clients connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Unique among the listeners; the address unless given.
    pub name: String,
    pub address: Address,
    pub mode: ListenerMode,
    /// `tls.client.mode` unless overridden.
    pub tls: ClientTlsMode,
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
