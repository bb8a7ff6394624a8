//! TLS towards clients and towards servers.

use std::path::PathBuf;

use super::choice::Choice;
use super::reader::{Field, Section};
use super::secrets;

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
    /// As `Prefer` for the clients that use TLS themselves, and as `Off` for the others.
    Follow,
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

impl Choice for ClientTlsMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("off", Self::Off),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
    ];
}

impl Choice for ServerTlsMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("off", Self::Off),
        ("follow", Self::Follow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-identity", Self::VerifyIdentity),
    ];
}

impl Choice for TlsVersion {
    const WORDS: &'static [(&'static str, Self)] = &[("1.2", Self::Tls12), ("1.3", Self::Tls13)];
}

// === impl Tls ===

impl Tls {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let standard = ServerTls {
            mode: ServerTlsMode::Prefer,
            ca: None,
            certificate: None,
            min_version: TlsVersion::Tls12,
        };
        Self {
            client: ClientTls::read(&section.field("client")),
            server: ServerTls::read(&section.field("server"), &standard),
        }
    }
}

// === impl ClientTls ===

impl ClientTls {
    /// A mode, or a section.
    fn read(field: &Field<'_>) -> Self {
        if field.is_scalar() {
            let mode = field.choice_or(ClientTlsMode::Prefer);
            return Self {
                mode,
                ..field.nothing(Self::read_section)
            };
        }
        field.section(Self::read_section)
    }

    fn read_section(section: &Section<'_>) -> Self {
        let client_ca = section.field("client_ca");
        let required = section.field("require_client_certificate");
        let tls = Self {
            mode: section.field("mode").choice_or(ClientTlsMode::Prefer),
            certificate: secrets::certificate_files(&section.field("certificate"), &section.field("key")),
            client_ca: secrets::certificates(&client_ca),
            require_client_certificate: required.choice_or(false),
            min_version: section.field("min_version").choice_or(TlsVersion::Tls12),
        };
        if tls.require_client_certificate && !client_ca.is_given() {
            required.report("nobody is trusted to sign them", "give `client_ca` too");
        }
        if tls.require_client_certificate && tls.mode != ClientTlsMode::Require {
            required.report(
                "a client without TLS would need no certificate",
                "set `tls.client.mode: require`",
            );
        }
        tls
    }
}

// === impl ServerTls ===

impl ServerTls {
    /// A mode, or a section; what it leaves out is `inherited`.
    pub(super) fn read(field: &Field<'_>, inherited: &Self) -> Self {
        if field.is_scalar() {
            let mode = field.choice_or(inherited.mode);
            return Self {
                mode,
                ..field.nothing(|section| Self::read_section(section, inherited))
            };
        }
        field.section(|section| Self::read_section(section, inherited))
    }

    fn read_section(section: &Section<'_>, inherited: &Self) -> Self {
        let ca = section.field("ca");
        let (certificate, key) = (section.field("certificate"), section.field("key"));
        let own = secrets::certificate_files(&certificate, &key);
        Self {
            mode: section.field("mode").choice_or(inherited.mode),
            ca: secrets::certificates(&ca).or_else(|| inherited.ca.clone()),
            certificate: own.or_else(|| inherited.certificate.clone()),
            min_version: section.field("min_version").choice_or(inherited.min_version),
        }
    }

    /// Whether a certificate is checked, for which `ca` must be given.
    pub fn verifies(&self) -> bool {
        matches!(self.mode, ServerTlsMode::VerifyCa | ServerTlsMode::VerifyIdentity)
    }
}
