//! Where a client is, as the accounts' host patterns see it.

use std::net::{IpAddr, SocketAddr};

/// The client's real address: behind another proxy, the one that its PROXY header gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientAddress {
    Ip(IpAddr),
    /// A Unix socket, which accounts call `localhost`.
    Local,
}

// === impl ClientAddress ===

impl ClientAddress {
    /// The address without the mapping of IPv4 into IPv6.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address.to_canonical()),
            Self::Local => None,
        }
    }

    /// The client's name without asking DNS. A server calls its own machine `localhost`, unless it was told
    /// not to resolve names.
    pub fn name(self, resolves: bool) -> Option<&'static str> {
        match self.ip() {
            None => Some("localhost"),
            Some(address) if resolves && address.is_loopback() => Some("localhost"),
            Some(_) => None,
        }
    }

    /// What an error message calls a client whose name, if it has any, is this.
    pub fn label(self, name: Option<&str>) -> String {
        match (name, self.ip()) {
            (Some(name), _) => name.to_owned(),
            (None, Some(address)) => address.to_string(),
            (None, None) => "localhost".to_owned(),
        }
    }
}

impl From<SocketAddr> for ClientAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address.ip())
    }
}
