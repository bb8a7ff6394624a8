//! The database servers behind the proxy.

use super::{Address, ServerTls};

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
