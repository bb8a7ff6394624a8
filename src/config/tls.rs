//! TLS towards clients and towards servers.

use std::path::PathBuf;

/// Both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub client: ClientTls,
    /// What servers inherit; each [`Server`](super::Server) carries its own copy.
    pub server: ServerTls,
}

/// TLS that clients may or must use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTls {
    pub mode: ClientTlsMode,
    /// `None`: a self-signed certificate is made when the proxy starts.
    pub certificate: Option<CertificateFiles>,
    /// Who may have signed the clients' certificates; `None`: clients are not asked for any.
    pub client_ca: Option<PathBuf>,
    /// True only with `client_ca`.
    pub require_client_certificate: bool,
    pub min_version: TlsVersion,
}

/// Whether clients use TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientTlsMode {
    /// Not offered.
    Off,
    /// Offered.
    Prefer,
    /// A login without it is refused.
    Require,
}

/// TLS towards a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    pub mode: ServerTlsMode,
    /// Always given with the two verifying modes.
    pub ca: Option<PathBuf>,
    /// Shown to servers that ask for a client certificate.
    pub certificate: Option<CertificateFiles>,
    pub min_version: TlsVersion,
}

/// Whether a server connection uses TLS, and what is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerTlsMode {
    Off,
    /// TLS where the server offers it, nothing verified.
    Prefer,
    /// TLS or no connection, nothing verified.
    Require,
    /// The certificate must be signed by `ca`.
    VerifyCa,
    /// As `VerifyCa`, and it must name the server's host.
    VerifyIdentity,
}

/// A certificate chain and its private key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The oldest version accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}
