//! An account as a login needs it: who, from where, how it is proven, and what else must hold.

use crate::config::ConsistencyLevel;
use crate::util::Secret;
use crate::wire::auth::{Plugin, crypt, native};

use super::lockouts::Policy;
use super::{Credential, Flavour};

/// An account that a client may prove to own, or, for a name that nobody has, one that no client can.
#[derive(Debug, Clone)]
pub struct Account {
    /// The account's own name; empty for an anonymous account, whatever name the client gave.
    pub user: Vec<u8>,
    /// The host part of the account, `%` for any.
    pub host_pattern: String,
    /// The client's host as the server would print it in an error.
    pub client_host: String,
    pub flavour: Flavour,
    /// Tried in this order; one is enough.
    pub methods: Vec<Method>,
    pub locked: bool,
    pub password_expired: bool,
    /// The server lets nobody in whose password has expired, unless the client knows what that means.
    pub refuses_expired: bool,
    pub transport: Transport,
    /// Open client connections at once, where the account limits them.
    pub max_connections: Option<u32>,
    /// How much its reads may miss, where the account has a say in that.
    pub consistency: Option<ConsistencyLevel>,
    /// The login at servers, where it is not the client's own.
    pub backend: Option<BackendLogin>,
    /// When wrong passwords lock it.
    pub lock_policy: Option<Policy>,
    /// Another number once the account, or what it may do, has changed at the server.
    pub version: u64,
}

/// A name and what proves it at a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendLogin {
    pub user: Vec<u8>,
    pub credential: Credential,
}

/// One way to prove that an account is one's own.
#[derive(Debug, Clone)]
pub enum Method {
    /// The password is known here, so any plugin will do; `plugin` is asked for, else the client's own.
    Password {
        password: Secret,
        plugin: Option<Plugin>,
    },
    /// There is no password.
    Empty(Plugin),
    /// Any of these stored hashes.
    Native(Vec<native::Stored>),
    /// Any of these stored hashes.
    CachingSha2(Vec<crypt::Stored>),
    /// Any of these stored hashes.
    Sha256(Vec<crypt::Stored>),
    /// A plugin that cannot be verified here, by the server's name for it.
    Unsupported(String),
}

/// What an account demands of the client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Any,
    Tls,
    Certificate,
    /// A certain cipher, issuer or subject, which is not looked at here and therefore never given.
    Particular,
}

// === impl Account ===

impl Account {
    /// An account that is not there. It is asked for its password as the others are.
    pub fn unknown(user: &[u8], client_host: String, flavour: Flavour) -> Self {
        let method = match flavour {
            Flavour::MySql => Method::CachingSha2(vec![crypt::Stored::unknown()]),
            Flavour::MariaDb => Method::Native(Vec::new()),
        };
        Self {
            user: user.to_vec(),
            host_pattern: String::new(),
            client_host,
            flavour,
            methods: vec![method],
            locked: false,
            password_expired: false,
            refuses_expired: false,
            transport: Transport::Any,
            max_connections: None,
            consistency: None,
            backend: None,
            lock_policy: None,
            version: 0,
        }
    }
}

// === impl Method ===

impl Method {
    /// What a server stores for `plugin`, by the server's name for it.
    pub fn stored(plugin: &str, authentication: &[&[u8]]) -> Self {
        let known = match plugin {
            "" => Plugin::Native,
            name => match Plugin::from_name(name.as_bytes()) {
                Some(known @ (Plugin::Native | Plugin::CachingSha2 | Plugin::Sha256)) => known,
                _ => return Self::Unsupported(plugin.to_owned()),
            },
        };
        let stored = authentication.iter().copied();
        match (known, authentication) {
            (_, [] | [[]]) => Self::Empty(known),
            (Plugin::CachingSha2, _) => Self::CachingSha2(stored.filter_map(crypt::Stored::parse).collect()),
            (Plugin::Sha256, _) => Self::Sha256(stored.filter_map(crypt::Stored::parse_sha256).collect()),
            _ => Self::Native(stored.filter_map(native::Stored::parse).collect()),
        }
    }
}
