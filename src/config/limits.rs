//! Bounds on what clients may take of the proxy.

use std::time::Duration;

use super::reader::Section;

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

// === impl Limits ===

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

impl Limits {
    pub(super) fn read(section: &Section<'_>) -> Self {
        Self {
            client_connections: section.field("client_connections").count(1..=1_000_000, 10_000),
            per_user: section.field("per_user").optional_count(1..=1_000_000, None),
            per_address: section.field("per_address").optional_count(1..=1_000_000, None),
            login_timeout: section
                .field("login_timeout")
                .duration(SECOND / 10..=SECOND * 600, SECOND * 10),
            idle_timeout: section
                .field("idle_timeout")
                .optional_duration(SECOND..=HOUR * 8760, Some(HOUR * 8)),
            max_allowed_packet: section.field("max_allowed_packet").size(1024..=GIB, GIB),
            buffer_memory: section.field("buffer_memory").size(MIB..=1024 * GIB, 256 * MIB),
            prepared_per_session: section.field("prepared_per_session").count(1..=1_000_000, 16_382),
            pipelined_commands: section.field("pipelined_commands").count(1..=65_536, 256),
        }
    }
}
