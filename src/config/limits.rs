//! Bounds on what clients may take of the proxy.

use std::time::Duration;

/// Every bound on clients. `None` is "no limit of its own".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open client connections in the whole process.
    pub client_connections: u32,
    /// Open client connections of one account name.
    pub per_user: Option<u32>,
    /// Open client connections from one address.
    pub per_address: Option<u32>,
    /// From accept to the end of the login.
    pub login_timeout: Duration,
    /// A client that sends nothing for this long is disconnected.
    pub idle_timeout: Option<Duration>,
    /// Longest payload, in bytes, over all the packets it is split into.
    pub max_allowed_packet: u64,
    /// Bytes of buffers in the whole process.
    pub buffer_memory: u64,
    /// Prepared statements open per session.
    pub prepared_per_session: u32,
    /// Commands read ahead of the one being answered; beyond that the client is not read from.
    pub pipelined_commands: u32,
}
