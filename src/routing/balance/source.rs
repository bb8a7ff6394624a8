//! Where a client comes from, as one number: what `source_hash` goes by.

use std::hash::BuildHasher;
use std::net::IpAddr;

/// The same in every proxy, so that a client behind several of them keeps its server.
pub fn source_of(address: Option<IpAddr>) -> u64 {
    foldhash::fast::FixedState::default().hash_one(address)
}
