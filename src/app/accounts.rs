//! The accounts that may log in, from the configuration.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::accounts::{Accounts, BackendLogin, Credential, Source, StaticPassword, StaticUser, Whereabouts};
use crate::config::{self, Account, AccountCredential, AccountPlugin, Config};
use crate::topology::Topology;
use crate::util::Secret;
use crate::wire::auth::Plugin;

/// Where the servers' own accounts are read at first: the primary of the file, with the monitor's login.
pub fn source(config: &Config) -> Source {
    let primary = config
        .servers
        .iter()
        .find(|server| server.role == config::Role::Primary);
    let server = primary.unwrap_or(&config.servers[0]);
    Source::of(config, server)
}

/// Has them read on the primary of the moment. Ends when nobody reads them.
pub async fn follow_primary(
    sources: watch::Sender<Source>,
    topology: Arc<Topology>,
    mut configs: watch::Receiver<Arc<Config>>,
) {
    let mut known = topology.primary();
    loop {
        tokio::select! {
            primary = topology.primary_changed_from(known) => known = primary,
            Ok(()) = configs.changed() => {}
        }
        let config = configs.borrow_and_update().clone();
        let Some(server) = known.and_then(|index| config.servers.get(index)) else {
            continue;
        };
        // Without a directory nobody listens.
        let _ = sources.send(Source::of(&config, server));
    }
}

pub fn build(config: &Config, source: watch::Receiver<Source>) -> Result<Accounts, String> {
    let timeout = config.monitor.timeout.max(Duration::from_secs(1));
    let directory = config.accounts.backend.then_some(Whereabouts { source, timeout });
    Accounts::new(all_listed(config)?, directory).map_err(|error| error.to_string())
}

pub fn all_listed(config: &Config) -> Result<Vec<StaticUser>, String> {
    config.accounts.listed.iter().map(listed).collect()
}

fn listed(account: &Account) -> Result<StaticUser, String> {
    let password = match &account.credential {
        AccountCredential::Password(secret) => StaticPassword::Password(secret.clone()),
        AccountCredential::NativeHash(hash) => {
            let hash: [u8; 20] = hash
                .expose()
                .try_into()
                .map_err(|_| format!("'{}': a hash has 20 bytes", account.name))?;
            StaticPassword::NativeHash(hash.into())
        }
    };
    let plugin = match account.plugin {
        AccountPlugin::Mirror => None,
        AccountPlugin::MysqlNativePassword => Some(Plugin::Native),
        AccountPlugin::CachingSha2Password => Some(Plugin::CachingSha2),
        AccountPlugin::Ed25519 => Some(Plugin::Ed25519),
        AccountPlugin::Parsec => {
            return Err(format!(
                "'{}': parsec is not supported towards clients",
                account.name
            ));
        }
    };
    let backend = match &account.backend {
        config::BackendLogin::Same => None,
        config::BackendLogin::Other(login) => {
            let credential = credential(&login.password);
            Some(BackendLogin {
                user: login.user.clone().into_bytes(),
                credential,
            })
        }
    };
    Ok(StaticUser {
        user: account.name.clone().into_bytes(),
        hosts: account.hosts.iter().map(ToString::to_string).collect(),
        password,
        plugin,
        backend,
        max_connections: account.max_connections,
        consistency: account.consistency,
    })
}

fn credential(password: &Secret) -> Credential {
    if password.expose().is_empty() {
        Credential::Empty
    } else {
        Credential::Password(password.clone())
    }
}
