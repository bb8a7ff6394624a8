//! The accounts that may log in, from the configuration.

use std::time::Duration;

use mysql_async::{ClientIdentity, OptsBuilder, SslOpts};
use tokio::sync::watch;

use crate::accounts::{Accounts, BackendLogin, Credential, Directory, Source, StaticPassword, StaticUser};
use crate::config::{
    self, Account, AccountCredential, AccountPlugin, Address, Config, ServerTls, ServerTlsMode,
};
use crate::util::Secret;
use crate::wire::auth::Plugin;

/// Where the servers' own accounts are read: the primary, with the monitor's login.
pub fn source(config: &Config) -> Source {
    let primary = config
        .servers
        .iter()
        .find(|server| server.role == config::Role::Primary);
    let server = primary.unwrap_or(&config.servers[0]);
    let mut opts = OptsBuilder::default()
        .prefer_socket(false)
        .max_allowed_packet(Some(1 << 24));
    opts = opts.wait_timeout(Some(28_800));
    opts = match &server.address {
        Address::Tcp { host, port } => opts
            .ip_or_hostname(host.clone())
            .tcp_port(*port)
            .ssl_opts(encryption(&server.tls)),
        Address::Unix(path) => opts.socket(Some(path.display().to_string())),
    };
    if let Some(login) = &config.monitor.login {
        let password = login.password.expose_text().map(str::to_owned);
        opts = opts.user(Some(login.user.clone())).pass(password);
    }
    Source {
        server: server.name.clone(),
        opts: opts.into(),
        plain_too: matches!(server.tls.mode, ServerTlsMode::Follow | ServerTlsMode::Prefer),
    }
}

/// What clients' connections demand of the server, this one does, too.
fn encryption(tls: &ServerTls) -> Option<SslOpts> {
    let encrypted = match tls.mode {
        ServerTlsMode::Off => return None,
        ServerTlsMode::Follow | ServerTlsMode::Prefer | ServerTlsMode::Require => SslOpts::default()
            .with_danger_accept_invalid_certs(true)
            .with_danger_skip_domain_validation(true),
        // The driver cannot leave out the name alone, so with `verify-ca` it has to be right as well.
        ServerTlsMode::VerifyCa | ServerTlsMode::VerifyIdentity => SslOpts::default(),
    };
    let roots = tls.ca.iter().map(|path| path.clone().into()).collect();
    let identity = tls.certificate.as_ref();
    let identity =
        identity.map(|files| ClientIdentity::new(files.certificate.clone().into(), files.key.clone().into()));
    Some(
        encrypted
            .with_root_certs(roots)
            .with_disable_built_in_roots(tls.ca.is_some())
            .with_client_identity(identity),
    )
}

pub fn build(config: &Config, source: watch::Receiver<Source>) -> Result<Accounts, String> {
    let timeout = config.monitor.timeout.max(Duration::from_secs(1));
    let directory = config.accounts.backend.then(|| Directory::start(source, timeout));
    let listed = config
        .accounts
        .listed
        .iter()
        .map(listed)
        .collect::<Result<_, _>>()?;
    Accounts::new(listed, directory).map_err(|error| error.to_string())
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
    })
}

fn credential(password: &Secret) -> Credential {
    if password.expose().is_empty() {
        Credential::Empty
    } else {
        Credential::Password(password.clone())
    }
}
