//! TLS for both sides, from the configuration.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{
    CertificateFiles, ClientTls, ClientTlsMode, Config, ServerTls, ServerTlsMode, TlsVersion,
};
use crate::net::tls::{self, Certificate, TlsError, Verify};

/// Where distributions keep the authorities that they trust.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What clients meet; `None` when no listener offers TLS.
pub fn for_clients(config: &Config) -> Result<Option<Arc<rustls::ServerConfig>>, TlsError> {
    if config
        .listeners
        .iter()
        .all(|listener| listener.tls == ClientTlsMode::Off)
    {
        return Ok(None);
    }
    let ClientTls {
        certificate,
        client_ca,
        require_client_certificate,
        min_version,
        ..
    } = &config.tls.client;
    let certificate = match certificate {
        Some(files) => load(files)?,
        None => Certificate::self_signed()?,
    };
    let only_13 = *min_version == TlsVersion::Tls13;
    tls::server(
        certificate,
        client_ca.as_deref(),
        *require_client_certificate,
        only_13,
    )
    .map(Some)
}

/// What one server meets; `None` when TLS is off.
pub fn for_server(settings: &ServerTls) -> Result<Option<Arc<rustls::ClientConfig>>, TlsError> {
    let verify = match settings.mode {
        ServerTlsMode::Off => return Ok(None),
        ServerTlsMode::Follow | ServerTlsMode::Prefer | ServerTlsMode::Require => Verify::Nothing,
        ServerTlsMode::VerifyCa => Verify::Authority,
        ServerTlsMode::VerifyIdentity => Verify::Identity,
    };
    let certificate = settings.certificate.as_ref().map(load).transpose()?;
    let only_13 = settings.min_version == TlsVersion::Tls13;
    tls::client(verify, settings.ca.as_deref(), certificate, only_13).map(Some)
}

fn load(files: &CertificateFiles) -> Result<Certificate, TlsError> {
    Certificate::load(&files.certificate, &files.key)
}

/// How the collector of traces is met; `None`: without TLS.
pub fn for_collector(config: &Config) -> Result<Option<Arc<rustls::ClientConfig>>, TlsError> {
    let endpoint = config.traces.endpoint.as_ref();
    if !endpoint.is_some_and(|endpoint| endpoint.is_secure) {
        return Ok(None);
    }
    let ca = match &config.traces.ca {
        Some(ca) => ca.clone(),
        None => trusted().ok_or_else(|| {
            let why = "traces.endpoint: this system has no list of whom it trusts; give traces.ca";
            TlsError::Settings(why.to_owned())
        })?,
    };
    tls::client(Verify::Identity, Some(&ca), None, false).map(Some)
}

fn trusted() -> Option<PathBuf> {
    let places = SYSTEM.map(PathBuf::from);
    places.into_iter().find(|place| place.is_file())
}

/// What the HTTP listener shows; `None`: plain HTTP.
pub fn for_http(config: &Config) -> Result<Option<Arc<rustls::ServerConfig>>, TlsError> {
    let Some(files) = &config.http.tls else {
        return Ok(None);
    };
    let mut settings = Arc::unwrap_or_clone(tls::server(load(files)?, None, false, false)?);
    settings.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(settings)))
}
