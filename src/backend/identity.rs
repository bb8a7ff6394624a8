//! As whom a connection is logged in to a server.

use std::hash::{Hash, Hasher};

use crate::accounts::Credential;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub user: Vec<u8>,
    /// Part of the identity: after a change of password nobody gets a connection opened with the old one.
    pub credential: Credential,
    /// The server lets such an account do nothing but change its password: not so on the connections of before.
    pub expired: bool,
    /// Which account it was at the login: servers look only then at what an account may do everywhere, or in the schema
    /// that it is in.
    pub version: u64,
}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.user.hash(state);
    }
}
