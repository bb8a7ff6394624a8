//! How the monitor's account connects to a server: with what clients' connections demand of that server, too.

use std::fmt;

use mysql_async::{ClientIdentity, Conn, DriverError, Error, Opts, OptsBuilder, SslOpts};

use crate::config::{Address, Config, Login, Server, ServerTls, ServerTlsMode};

/// What the servers' own settings would make of our statements: strings that are names or nothing, padded names, writes
/// that are not committed, answers cut short.
const OWN_SETTINGS: &str = "SET SESSION sql_mode='STRICT_ALL_TABLES', autocommit=1, \
    sql_select_limit=18446744073709551615, sql_safe_updates=0, completion_type='NO_CHAIN'";

/// Where accounts are read and servers are watched.
#[derive(Clone)]
pub struct Source {
    /// The server's name in messages.
    pub server: String,
    /// How the monitor account connects to it.
    pub opts: Opts,
    /// Without TLS as well, if the server offers none.
    pub plain_too: bool,
}

// === impl Source ===

impl Source {
    pub fn of(config: &Config, server: &Server) -> Self {
        // A Unix socket found by asking the server would be one of another machine.
        let mut opts = OptsBuilder::default()
            .prefer_socket(false)
            .stmt_cache_size(0)
            .max_allowed_packet(Some(1 << 24))
            .wait_timeout(Some(28_800))
            .setup(vec![OWN_SETTINGS]);
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
        Self {
            server: server.name.clone(),
            opts: opts.into(),
            plain_too: matches!(server.tls.mode, ServerTlsMode::Follow | ServerTlsMode::Prefer),
        }
    }

    /// The same server, as another account.
    pub fn with_login(self, login: &Login) -> Self {
        let password = login.password.expose_text().map(str::to_owned);
        let opts = OptsBuilder::from_opts(self.opts)
            .user(Some(login.user.clone()))
            .pass(password);
        Self {
            opts: opts.into(),
            ..self
        }
    }

    /// Takes as long as it takes: the caller has the clock.
    pub async fn connect(&self) -> mysql_async::Result<Conn> {
        let opts = OptsBuilder::from_opts(self.opts.clone())
            .prefer_socket(false)
            .stmt_cache_size(0);
        match Conn::new(opts.clone()).await {
            Err(Error::Driver(DriverError::NoClientSslFlagFromServer)) if self.plain_too => {
                Conn::new(opts.ssl_opts(None)).await
            }
            connected => connected,
        }
    }
}

impl fmt::Debug for Source {
    /// The options hold the monitor account's password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Source")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

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
