//! Rows that speak of the client's own connection: the server means the one that it has with the proxy.

use super::registry::Registry;
use crate::accounts::Accounts;
use crate::net::Link;
use crate::sql::{Features, Flags, Verb};
use crate::wire::bytes::{Put, Reader};
use crate::wire::compress::Algorithm;
use crate::wire::framing::Kind;

/// What the rows of the statement under way may say of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Speaks {
    #[default]
    OfNone,
    /// A list of processes: the client should find itself in it.
    OfProcesses,
    /// Status variables: some are of the connection.
    OfStatus,
    /// Warnings, some of which the server does not know, or not any more.
    OfWarnings,
    /// The same of errors alone.
    OfErrors,
}

/// What is written in place of what the server wrote.
pub enum Rows<'a> {
    Processes {
        registry: &'a Registry,
        server: usize,
    },
    Status(OwnStatus),
    /// These besides.
    More(Vec<Vec<u8>>),
}

/// Encryption and compression between the client and the proxy, as a server names them.
#[derive(Debug, Default)]
pub struct OwnStatus {
    tls_version: &'static str,
    cipher: String,
    /// The algorithm and the level.
    compression: Option<(&'static str, String)>,
    public_key: String,
}

/// A SHOW that is longer says nothing of a status.
const LOOKED_AT: usize = 256;
/// At which level servers and clients compress by zlib.
const ZLIB_LEVEL: &str = "6";

// === impl Speaks ===

impl Speaks {
    pub fn of(text: &[u8], features: &Features) -> Self {
        let asks_status = || {
            let text = &text[..text.len().min(LOOKED_AT)];
            text.windows(6).any(|word| word.eq_ignore_ascii_case(b"status"))
        };
        match features.verb {
            Verb::Show if features.has(Flags::PROCESS_LIST) => Self::OfProcesses,
            Verb::Show if asks_status() => Self::OfStatus,
            _ => Self::OfNone,
        }
    }
}

// === impl Rows ===

impl Rows<'_> {
    /// The row that the client gets in place of this one, if not this one.
    pub fn replace(&self, row: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Processes { registry, server } => process(row, registry, *server),
            Self::Status(own) => own.replace(row),
            Self::More(_) => None,
        }
    }

    /// The rows that the client gets before the packet that ends them.
    pub fn before(&self, kind: Kind) -> &[Vec<u8>] {
        match self {
            Self::More(rows) if kind == Kind::End => rows,
            _ => &[],
        }
    }
}

/// A process begins with the server's id, which a client of ours does not know itself by.
fn process(row: &[u8], registry: &Registry, server: usize) -> Option<Vec<u8>> {
    let mut reader = Reader::new(row);
    let thread = std::str::from_utf8(reader.lenenc_bytes().ok()?).ok()?;
    let client = registry.client_of(server, thread.parse().ok()?)?;
    let mut payload = Vec::with_capacity(row.len() + 8);
    payload.put_lenenc_bytes(client.to_string().as_bytes());
    payload.put_bytes(reader.rest());
    Some(payload)
}

// === impl OwnStatus ===

impl OwnStatus {
    pub fn new(link: &Link, accounts: &Accounts) -> Self {
        let compression = link.compression().map(|(algorithm, level)| match algorithm {
            Algorithm::Zlib => ("zlib", ZLIB_LEVEL.to_owned()),
            Algorithm::Zstd => ("zstd", level.to_string()),
        });
        let tls = link.tls();
        let tls_version = match tls.and_then(|tls| tls.protocol_version()) {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "",
        };
        let suite = tls.and_then(|tls| tls.negotiated_cipher_suite());
        Self {
            tls_version,
            cipher: suite.map_or_else(String::new, |suite| cipher(&format!("{:?}", suite.suite()))),
            compression,
            public_key: accounts.public_key().to_owned(),
        }
    }

    fn replace(&self, row: &[u8]) -> Option<Vec<u8>> {
        let mut reader = Reader::new(row);
        let name = reader.lenenc_bytes().ok()?;
        let value = self.value(name)?;
        reader.lenenc_bytes().ok()?;
        if !reader.is_empty() {
            // Three columns: the status of something else that has this name.
            return None;
        }
        let mut payload = Vec::with_capacity(row.len() + value.len());
        payload.put_lenenc_bytes(name);
        payload.put_lenenc_bytes(value.as_bytes());
        Some(payload)
    }

    fn value(&self, name: &[u8]) -> Option<&str> {
        match name {
            b"Ssl_version" => Some(self.tls_version),
            b"Ssl_cipher" => Some(&self.cipher),
            b"Compression" => Some(if self.compression.is_some() { "ON" } else { "OFF" }),
            b"Compression_algorithm" => {
                Some(self.compression.as_ref().map_or("", |(algorithm, _)| algorithm))
            }
            b"Compression_level" => Some(self.compression.as_ref().map_or("0", |(_, level)| level)),
            b"Rsa_public_key" | b"Caching_sha2_password_rsa_public_key" => Some(&self.public_key),
            _ => None,
        }
    }
}

/// OpenSSL's name of a cipher suite, which is what servers show: from TLS 1.3 on it is the standard's.
fn cipher(name: &str) -> String {
    if let Some(rest) = name.strip_prefix("TLS13_") {
        return format!("TLS_{rest}");
    }
    let name = name
        .trim_start_matches("TLS_")
        .replace("_WITH_", "-")
        .replace('_', "-");
    let name = name.replace("AES-", "AES");
    let short = name
        .strip_suffix("-SHA256")
        .filter(|short| short.ends_with("POLY1305"));
    short.map_or(name.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Dialect, Flavour, scan};

    #[test]
    fn ciphers_have_the_names_that_servers_show() {
        for (name, shown) in [
            ("TLS13_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"),
            ("TLS13_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
            (
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "ECDHE-RSA-AES128-GCM-SHA256",
            ),
            (
                "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
                "ECDHE-ECDSA-CHACHA20-POLY1305",
            ),
        ] {
            assert_eq!(cipher(name), shown);
        }
    }

    #[test]
    fn only_what_is_of_the_connection_is_replaced() {
        let own = OwnStatus {
            tls_version: "TLSv1.2",
            cipher: "SOME-CIPHER".to_owned(),
            compression: Some(("zstd", "11".to_owned())),
            public_key: "a key".to_owned(),
        };
        let row = |columns: &[&str]| {
            let mut row = Vec::new();
            columns
                .iter()
                .for_each(|column| row.put_lenenc_bytes(column.as_bytes()));
            row
        };
        let replaced = |columns: &[&str]| own.replace(&row(columns));
        assert_eq!(
            replaced(&["Ssl_version", ""]),
            Some(row(&["Ssl_version", "TLSv1.2"]))
        );
        assert_eq!(
            replaced(&["Compression", "OFF"]),
            Some(row(&["Compression", "ON"]))
        );
        assert_eq!(
            replaced(&["Compression_level", "0"]),
            Some(row(&["Compression_level", "11"]))
        );
        assert_eq!(
            replaced(&["Rsa_public_key", "another"]),
            Some(row(&["Rsa_public_key", "a key"]))
        );
        assert_eq!(replaced(&["Ssl_accepts", "7"]), None);
        assert_eq!(
            replaced(&["Ssl_version", "InnoDB", "10"]),
            None,
            "a table's status"
        );
        assert_eq!(own.replace(b"\xfe"), None);
    }

    #[test]
    fn a_statement_says_what_its_rows_speak_of() {
        let speaks = |text: &str| {
            Speaks::of(
                text.as_bytes(),
                &scan(text.as_bytes(), Dialect::new(Flavour::MySql, 90_704)),
            )
        };
        assert_eq!(speaks("show session Status like 'Ssl%'"), Speaks::OfStatus);
        assert_eq!(speaks("SHOW PROCESSLIST"), Speaks::OfProcesses);
        assert_eq!(speaks("SHOW TABLES"), Speaks::OfNone);
        assert_eq!(speaks("SELECT 'status'"), Speaks::OfNone);
    }
}
