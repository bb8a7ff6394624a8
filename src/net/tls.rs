//! TLS settings for both sides, made from files.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    SignatureScheme, SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use thiserror::Error as ThisError;

#[derive(Debug, ThisError)]
pub enum TlsError {
    #[error("cannot read {path}: {reason}")]
    File { path: String, reason: String },
    #[error("{0}")]
    Settings(String),
}

/// A certificate chain and its key.
#[derive(Debug)]
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// How much is believed of a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    Nothing,
    Authority,
    Identity,
}

// === impl Certificate ===

impl Certificate {
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(|error| unreadable(certificate, &error))?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
        Ok(Self { chain, key })
    }

    /// For those who gave none: encrypts, and proves nothing, like the one a server makes for itself.
    pub fn self_signed() -> Result<Self, TlsError> {
        let settings = |error: rcgen::Error| TlsError::Settings(error.to_string());
        let made = rcgen::generate_simple_self_signed(vec!["splitrail".to_owned()]).map_err(settings)?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        Ok(Self {
            chain: vec![made.cert.der().clone()],
            key: key.into(),
        })
    }
}

fn unreadable(path: &Path, error: &dyn std::error::Error) -> TlsError {
    TlsError::File {
        path: path.display().to_string(),
        reason: error.to_string(),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn versions(only_13: bool) -> &'static [&'static SupportedProtocolVersion] {
    static ONLY_13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
    static BOTH: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
    if only_13 { &ONLY_13 } else { &BOTH }
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(path, &error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unreadable(path, &error))?;
        roots.add(certificate).map_err(|error| unreadable(path, &error))?;
    }
    if roots.is_empty() {
        return Err(unreadable(path, &io::Error::other("it holds no certificate")));
    }
    Ok(roots)
}

/// What clients meet. With `client_ca` they may show a certificate, and must if it is required.
pub fn server(
    certificate: Certificate,
    client_ca: Option<&Path>,
    require_client_certificate: bool,
    only_13: bool,
) -> Result<Arc<ServerConfig>, TlsError> {
    let settings = |error: Error| TlsError::Settings(error.to_string());
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions(only_13));
    let builder = builder.map_err(settings)?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(path)?), provider());
            let verifier = if require_client_certificate {
                verifier
            } else {
                verifier.allow_unauthenticated()
            };
            let verifier = verifier
                .build()
                .map_err(|error| TlsError::Settings(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    builder
        .with_single_cert(certificate.chain, certificate.key)
        .map(Arc::new)
        .map_err(settings)
}

/// What servers meet.
pub fn client(
    verify: Verify,
    ca: Option<&Path>,
    certificate: Option<Certificate>,
    only_13: bool,
) -> Result<Arc<ClientConfig>, TlsError> {
    let settings = |error: Error| TlsError::Settings(error.to_string());
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(versions(only_13));
    let inner = match ca {
        Some(path) if verify != Verify::Nothing => {
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(path)?), provider());
            Some(
                verifier
                    .build()
                    .map_err(|error| TlsError::Settings(error.to_string()))?,
            )
        }
        _ if verify != Verify::Nothing => {
            return Err(TlsError::Settings("verifying a server needs a CA".to_owned()));
        }
        _ => None,
    };
    let verifier = Arc::new(Verifier {
        inner,
        verify,
        provider: provider(),
    });
    let builder = builder
        .map_err(settings)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match certificate {
        Some(certificate) => builder
            .with_client_auth_cert(certificate.chain, certificate.key)
            .map_err(settings)?,
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

/// Checks what it was told to check, and always that the peer has the certificate's key.
#[derive(Debug)]
struct Verifier {
    inner: Option<Arc<WebPkiServerVerifier>>,
    verify: Verify,
    provider: Arc<CryptoProvider>,
}

// === impl Verifier ===

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else {
            return Ok(ServerCertVerified::assertion());
        };
        match inner.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.verify == Verify::Authority => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
