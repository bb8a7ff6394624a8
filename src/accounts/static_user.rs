//! Accounts that the configuration lists.

use crate::config::ConsistencyLevel;
use crate::util::Secret;
use crate::wire::auth::{Plugin, native};

use super::account::{Account, BackendLogin, Method, Transport};
use super::host::HostPattern;
use super::{ClientAddress, Flavour};

/// A listed account. It wins over a server's account of the same name.
#[derive(Debug, Clone)]
pub struct StaticUser {
    pub user: Vec<u8>,
    /// Host patterns; none for any host.
    pub hosts: Vec<String>,
    pub password: StaticPassword,
    /// The plugin that clients must use; `None`: their own, where it can be verified.
    pub plugin: Option<Plugin>,
    /// The login at servers, where it is not the client's own.
    pub backend: Option<BackendLogin>,
    pub max_connections: Option<u32>,
    /// How much its reads may miss, where that is not the listener's to say.
    pub consistency: Option<ConsistencyLevel>,
}

/// What the configuration tells of a password.
#[derive(Debug, Clone)]
pub enum StaticPassword {
    /// Empty for none.
    Password(Secret),
    /// SHA1(SHA1(password)).
    NativeHash(native::Stored),
}

// === impl StaticUser ===

impl StaticUser {
    /// The account, if this client may have it.
    pub(super) fn account(&self, address: ClientAddress, flavour: Flavour) -> Option<Account> {
        Some(Account {
            user: self.user.clone(),
            host_pattern: self.matching_host(address)?,
            client_host: address.label(address.name(true)),
            flavour,
            methods: vec![self.method(flavour)],
            locked: false,
            password_expired: false,
            refuses_expired: false,
            transport: Transport::Any,
            max_connections: self.max_connections,
            consistency: self.consistency,
            backend: self.backend.clone(),
            lock_policy: None,
            version: 0,
        })
    }

    /// Listed hosts may use every form that either flavour knows.
    fn matching_host(&self, address: ClientAddress) -> Option<String> {
        if self.hosts.is_empty() {
            return Some("%".to_owned());
        }
        let matches =
            |host: &&String| HostPattern::parse(host, Flavour::MySql).matches(address, address.name(true));
        self.hosts.iter().find(matches).cloned()
    }

    pub(super) fn allows(&self, address: ClientAddress) -> bool {
        self.matching_host(address).is_some()
    }

    fn method(&self, flavour: Flavour) -> Method {
        let default = match flavour {
            Flavour::MySql => Plugin::CachingSha2,
            Flavour::MariaDb => Plugin::Native,
        };
        match &self.password {
            StaticPassword::Password(password) if password.is_empty() => {
                Method::Empty(self.plugin.unwrap_or(default))
            }
            StaticPassword::Password(password) => Method::Password {
                password: password.clone(),
                plugin: self.plugin,
            },
            StaticPassword::NativeHash(stored) => Method::Native(vec![stored.clone()]),
        }
    }
}
