//! Settings that lie outside the file: passwords in files, certificates and keys.
//!
//! Every file is opened while the configuration is read, so that a missing one is told with the other problems
//! and not by the first client.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::reader::Field;
use super::tls::CertificateFiles;
use crate::util::Secret;

/// Longest file read: bundles of all the world's authorities are far smaller.
const LARGEST_FILE: u64 = 4 << 20;
/// Longest password a server takes over any plugin, generously.
const LONGEST_SECRET: usize = 4096;

/// A password: the text itself, or `file:/path` for the text in a file, one trailing line end removed.
pub(super) fn secret(field: &Field<'_>) -> Option<Secret> {
    let text = field.text()?;
    let bytes = match text.strip_prefix("file:") {
        None => Zeroizing::new(text.as_bytes().to_vec()),
        Some(path) => {
            let path = field.beside(path);
            match read(&path) {
                Ok(bytes) => bytes,
                Err(error) => {
                    unreadable(field, &path, &error);
                    return None;
                }
            }
        }
    };
    let line = bytes
        .strip_suffix(b"\n")
        .map_or(&bytes[..], |line| line.strip_suffix(b"\r").unwrap_or(line));
    let value = if text.starts_with("file:") {
        line
    } else {
        &bytes[..]
    };
    if value.is_empty() && is_unfilled(field, &text) {
        return None;
    }
    if std::str::from_utf8(value).is_err() || value.contains(&0) || value.len() > LONGEST_SECRET {
        let help = format!("write at most {LONGEST_SECRET} bytes of UTF-8, without a zero byte");
        field.report("the secret is not a text that can be sent", help);
        return None;
    }
    Some(Secret::from(value))
}

/// Reports an empty secret that the file itself does not say is empty: whoever forgot to fill it would otherwise let
/// everybody in.
fn is_unfilled(field: &Field<'_>, text: &str) -> bool {
    let literal = field.literal().unwrap_or_default();
    let variable = literal.strip_prefix("${").and_then(|rest| rest.split_once('}'));
    let message = match (text.strip_prefix("file:"), variable) {
        (Some(path), _) => format!("{} is empty", field.beside(path).display()),
        // `${NAME:-}` says so.
        (None, Some((name, _))) if !name.contains(":-") => {
            format!("the environment variable `{name}` is empty")
        }
        _ => return false,
    };
    field.report(message, "fill it; where no password is meant, write `\"\"` here");
    true
}

/// A PEM file with at least one certificate. A path that cannot be used is reported, and returned so that nobody
/// takes it for missing.
pub(super) fn certificates(field: &Field<'_>) -> Option<PathBuf> {
    let path = field.path()?;
    let is_usable = |bytes: &[u8]| {
        let mut certificates = CertificateDer::pem_slice_iter(bytes).peekable();
        certificates.peek().is_some() && certificates.all(|certificate| certificate.is_ok())
    };
    if opened(field, &path).is_some_and(|bytes| !is_usable(&bytes)) {
        let message = format!("{} holds no readable certificate", path.display());
        field.report(
            message,
            "give a PEM file with `-----BEGIN CERTIFICATE-----` blocks",
        );
    }
    Some(path)
}

/// A PEM file with a private key.
fn private_key(field: &Field<'_>) -> Option<PathBuf> {
    let path = field.path()?;
    if opened(field, &path).is_some_and(|bytes| PrivateKeyDer::from_pem_slice(&bytes).is_err()) {
        let message = format!("{} holds no readable private key", path.display());
        field.report(
            message,
            "give an unencrypted PEM file with a `-----BEGIN PRIVATE KEY-----` block",
        );
    }
    Some(path)
}

/// A certificate and its key: both or neither.
pub(super) fn certificate_files(certificate: &Field<'_>, key: &Field<'_>) -> Option<CertificateFiles> {
    match (certificate.is_given(), key.is_given()) {
        (true, false) => certificate.report("a certificate needs its key", "give `key` too"),
        (false, true) => key.report("a key needs its certificate", "give `certificate` too"),
        _ => {}
    }
    let (chain, private) = (certificates(certificate), private_key(key));
    let files = CertificateFiles {
        certificate: chain?,
        key: private?,
    };
    refuse_strangers(key, &files);
    Some(files)
}

/// Reports a key that is not the certificate's. What cannot be read has been told by now.
fn refuse_strangers(field: &Field<'_>, files: &CertificateFiles) {
    let (Ok(chain), Ok(key)) = (read(&files.certificate), read(&files.key)) else {
        return;
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let (Ok(chain), Ok(key)) = (chain, PrivateKeyDer::from_pem_slice(&key)) else {
        return;
    };
    if chain.is_empty() {
        return;
    }
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let (certificate, key_file) = (files.certificate.display(), files.key.display());
    match CertifiedKey::from_der(chain, key, &provider) {
        Ok(_) => {}
        Err(rustls::Error::InconsistentKeys(_)) => field.report(
            format!("{key_file} is not the key of {certificate}"),
            "give the key that the certificate was made for; a chain begins with that certificate",
        ),
        Err(error) => field.report(
            format!("{certificate} and {key_file} cannot be used: {error}"),
            "give an X.509 certificate and its RSA, ECDSA or Ed25519 key, both PEM",
        ),
    }
}

fn opened(field: &Field<'_>, path: &Path) -> Option<Zeroizing<Vec<u8>>> {
    read(path).map_err(|error| unreadable(field, path, &error)).ok()
}

fn unreadable(field: &Field<'_>, path: &Path, error: &io::Error) {
    field.report(
        format!("cannot read {}: {error}", path.display()),
        "the path is taken from the folder of this file; the proxy's user must be able to read it",
    );
}

/// The whole of a regular file, bounded.
pub(super) fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::Error::other("it is a folder"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(metadata.len().min(LARGEST_FILE) as usize + 1));
    std::fs::File::open(path)?
        .take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(io::Error::other("it is larger than 4 MiB"));
    }
    Ok(bytes)
}
