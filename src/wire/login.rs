//! What a client answers to the greeting: a request for TLS, or who it is and how it proves it.
//!
//! Clients differ in what they leave out at the end, so what is absent there is absent, not an error; what is
//! announced with a length and then cut short is.

use std::fmt;

use super::attributes::Attributes;
use super::bytes::{Malformed, Put, Reader, Result};
use super::capability::Capabilities;

/// The fixed part of a login, which sent alone is the request for TLS.
const FIXED: usize = 32;
pub const FILLER: usize = 18;

/// The first packet a client sends, and the second one when the first asked for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening<'a> {
    Tls(TlsRequest),
    Login(Login<'a>),
    /// A client of before MySQL 4.1: it is told that its protocol is not supported (error 1251).
    TooOld,
}

/// A request to go on under TLS: the login follows there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsRequest {
    pub capabilities: Capabilities,
    pub max_packet: u32,
    pub collation: u16,
}

/// A login of protocol 4.1.
#[derive(Clone, PartialEq, Eq)]
pub struct Login<'a> {
    /// MariaDB's extended flags included. The optional fields below are written when, and only when, their
    /// flag is here: CONNECT_WITH_DB, PLUGIN_AUTH, CONNECT_ATTRS, ZSTD.
    pub capabilities: Capabilities,
    pub max_packet: u32,
    /// As it was sent. Some clients write two bytes, but a server reads only the first (so do MySQL 9.7 and
    /// MariaDB 10.11) and such a client then names its collation by SET NAMES: see [`Login::collation_read`].
    pub collation: u16,
    /// What lies between the collation and the extended flags. Zeros, but kept as it was sent.
    pub filler: [u8; FILLER],
    pub user: &'a [u8],
    /// The proof: a scrambled password, or under TLS with some plugins the password itself. Never logged.
    pub auth: &'a [u8],
    /// Never empty: an empty name means none.
    pub database: Option<&'a [u8]>,
    pub plugin: Option<&'a [u8]>,
    /// The raw block of names and values; see [`Login::attributes`].
    pub attributes: Option<&'a [u8]>,
    pub zstd_level: Option<u8>,
}

// === impl Opening ===

impl<'a> Opening<'a> {
    /// A payload longer than a request for TLS is a login even if it has the SSL flag: rightly so under TLS; on
    /// a plain connection it is for the caller to refuse.
    pub fn parse(payload: &'a [u8]) -> Result<Self> {
        let flags = Capabilities::from_parts(u32::from(Reader::new(payload).u16()?), 0);
        if !flags.has(Capabilities::PROTOCOL_41) {
            return Ok(Self::TooOld);
        }
        if payload.len() == FIXED && flags.has(Capabilities::SSL) {
            return TlsRequest::parse(payload).map(Self::Tls);
        }
        Login::parse(payload).map(Self::Login)
    }
}

// === impl TlsRequest ===

impl TlsRequest {
    fn parse(payload: &[u8]) -> Result<Self> {
        let fixed = Fixed::parse(&mut Reader::new(payload))?;
        Ok(Self {
            capabilities: fixed.capabilities,
            max_packet: fixed.max_packet,
            collation: fixed.collation,
        })
    }

    /// Appends the payload; the SSL flag is set whether or not the capabilities have it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let fixed = Fixed {
            capabilities: self.capabilities | Capabilities::SSL,
            max_packet: self.max_packet,
            collation: self.collation,
            filler: [0; FILLER],
        };
        fixed.encode(out);
    }
}

// === impl Fixed ===

/// The part that a request for TLS and a login have in common.
struct Fixed {
    capabilities: Capabilities,
    max_packet: u32,
    collation: u16,
    filler: [u8; FILLER],
}

impl Fixed {
    fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let low = reader.u32()?;
        let max_packet = reader.u32()?;
        let collation = reader.u16()?;
        let mut filler = [0; FILLER];
        filler.copy_from_slice(reader.bytes(FILLER)?);
        let extended = reader.u32()?;
        let mut capabilities = Capabilities::from_parts(low, 0);
        if !capabilities.has(Capabilities::LONG_PASSWORD) {
            capabilities = Capabilities::from_parts(low, extended);
        }
        Ok(Self {
            capabilities,
            max_packet,
            collation,
            filler,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.capabilities.low());
        out.put_u32(self.max_packet);
        out.put_u16(self.collation);
        out.put_bytes(&self.filler);
        out.put_u32(self.capabilities.announced_extension());
    }
}

// === impl Login ===

impl<'a> Login<'a> {
    /// Parses a login that is known to be one: see [`Opening::parse`].
    pub fn parse(payload: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(payload);
        let fixed = Fixed::parse(&mut reader)?;
        let has = |flag| fixed.capabilities.has(flag);
        if !has(Capabilities::PROTOCOL_41) {
            return Err(Malformed("a login is of the protocol before 4.1"));
        }
        let user = reader.nul_bytes()?;
        let auth = read_auth(&mut reader, fixed.capabilities)?;
        let database = has(Capabilities::CONNECT_WITH_DB).then(|| reader.nul_or_rest());
        let plugin = has(Capabilities::PLUGIN_AUTH).then(|| reader.nul_or_rest());
        let attributes = if has(Capabilities::CONNECT_ATTRS) && !reader.is_empty() {
            Some(reader.lenenc_bytes()?)
        } else {
            None
        };
        let zstd_level = if has(Capabilities::ZSTD) {
            reader.u8().ok()
        } else {
            None
        };
        Ok(Self {
            capabilities: fixed.capabilities,
            max_packet: fixed.max_packet,
            collation: fixed.collation,
            filler: fixed.filler,
            user,
            auth,
            database: database.filter(|name| !name.is_empty()),
            plugin,
            attributes,
            zstd_level,
        })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let has = |flag| self.capabilities.has(flag);
        let fixed = Fixed {
            capabilities: self.capabilities,
            max_packet: self.max_packet,
            collation: self.collation,
            filler: self.filler,
        };
        fixed.encode(out);
        out.put_nul_bytes(self.user);
        put_auth(out, self.capabilities, self.auth);
        if has(Capabilities::CONNECT_WITH_DB) {
            out.put_nul_bytes(self.database.unwrap_or_default());
        }
        if has(Capabilities::PLUGIN_AUTH) {
            out.put_nul_bytes(self.plugin.unwrap_or_default());
        }
        if has(Capabilities::CONNECT_ATTRS) {
            out.put_lenenc_bytes(self.attributes.unwrap_or_default());
        }
        if has(Capabilities::ZSTD) {
            out.put_u8(self.zstd_level.unwrap_or(DEFAULT_ZSTD_LEVEL));
        }
    }

    /// The collation that a server takes from this login.
    pub fn collation_read(&self) -> u8 {
        self.collation as u8
    }

    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.attributes.unwrap_or_default())
    }
}

/// The level that the servers and their clients use when none is asked for.
pub const DEFAULT_ZSTD_LEVEL: u8 = 3;

fn read_auth<'a>(reader: &mut Reader<'a>, capabilities: Capabilities) -> Result<&'a [u8]> {
    if capabilities.has(Capabilities::PLUGIN_AUTH_LENENC) {
        reader.lenenc_bytes()
    } else if capabilities.has(Capabilities::SECURE_CONNECTION) {
        let length = usize::from(reader.u8()?);
        reader.bytes(length)
    } else {
        Ok(reader.nul_or_rest())
    }
}

fn put_auth(out: &mut Vec<u8>, capabilities: Capabilities, auth: &[u8]) {
    if capabilities.has(Capabilities::PLUGIN_AUTH_LENENC) {
        out.put_lenenc_bytes(auth);
    } else if capabilities.has(Capabilities::SECURE_CONNECTION) {
        put_short_bytes(out, auth);
    } else {
        out.put_nul_bytes(auth);
    }
}

/// Bytes after a length of one byte. No proof is longer; one that were would fail anyway, so it is cut.
pub(super) fn put_short_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(0xff)];
    out.put_u8(bytes.len() as u8);
    out.put_bytes(bytes);
}

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("capabilities", &self.capabilities)
            .field("max_packet", &self.max_packet)
            .field("collation", &self.collation)
            .field("user", &self.user.escape_ascii().to_string())
            .field(
                "database",
                &self.database.map(|name| name.escape_ascii().to_string()),
            )
            .field("plugin", &self.plugin.map(|name| name.escape_ascii().to_string()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A login with everything in it, to MariaDB: its extended flags are 0x1d.
    const FULL: &[u8] = b"\x08\xa2\x9b\x01\0\0\0\x01\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x1d\0\0\0\
        app\0\x03abcapp\0mysql_native_password\0\x12\x0c_client_name\x04wire";
    const PLAIN: Capabilities = Capabilities(1 << 9 | 1 << 15 | 1);

    fn login(capabilities: Capabilities, tail: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u32(capabilities.low());
        out.put_u32(1 << 24);
        out.put_u16(45);
        out.put_bytes(&[0; 22]);
        out.put_bytes(tail);
        out
    }

    #[test]
    fn a_login_with_everything_is_read_and_written_back() -> Result<()> {
        let Opening::Login(login) = Opening::parse(FULL)? else {
            panic!("not a login")
        };
        assert!(
            login
                .capabilities
                .has(Capabilities::MARIADB_BULK | Capabilities::SESSION_TRACK)
        );
        assert_eq!((login.user, login.auth), (&b"app"[..], &b"abc"[..]));
        assert_eq!(login.database, Some(&b"app"[..]));
        assert_eq!(login.plugin, Some(&b"mysql_native_password"[..]));
        assert_eq!(
            login.attributes().next(),
            Some((&b"_client_name"[..], &b"wire"[..]))
        );
        let mut out = Vec::new();
        login.encode(&mut out);
        assert_eq!(out, FULL);
        Ok(())
    }

    #[test]
    fn what_clients_forget_at_the_end_is_absent_and_what_is_cut_is_an_error() {
        let attributes = FULL.len() - 0x13;
        let required = 32 + b"app\0\x03abc".len();
        for end in 0..FULL.len() {
            let whole = (required..=attributes).contains(&end);
            assert_eq!(Login::parse(&FULL[..end]).is_ok(), whole, "{end}");
        }
    }

    #[test]
    fn odd_forms_are_read_as_servers_read_them() -> Result<()> {
        // No scramble length at all: MySQL and MariaDB say "Bad handshake" too.
        assert!(Login::parse(&login(PLAIN, b"app\0")).is_err());
        assert!(Login::parse(&login(PLAIN, b"app\0\x14abc")).is_err());
        let plugin = PLAIN | Capabilities::PLUGIN_AUTH | Capabilities::CONNECT_WITH_DB;
        let bytes = login(plugin, b"app\0\0\0native");
        let parsed = Login::parse(&bytes)?;
        assert_eq!((parsed.database, parsed.plugin), (None, Some(&b"native"[..])));
        // Before SECURE_CONNECTION the proof ends with a zero.
        let bytes = login(Capabilities::PROTOCOL_41, b"app\0secret\0");
        assert_eq!(Login::parse(&bytes)?.auth, b"secret");
        Ok(())
    }

    #[test]
    fn only_the_first_byte_of_a_collation_counts() -> Result<()> {
        let mut bytes = login(PLAIN, b"app\0\0");
        bytes[8..10].copy_from_slice(&303_u16.to_le_bytes());
        let parsed = Login::parse(&bytes)?;
        assert_eq!((parsed.collation, parsed.collation_read()), (303, 47));
        Ok(())
    }

    #[test]
    fn a_request_for_tls_is_the_fixed_part_alone() -> Result<()> {
        let request = TlsRequest {
            capabilities: PLAIN | Capabilities::SSL,
            max_packet: 1 << 24,
            collation: 255,
        };
        let mut out = Vec::new();
        request.encode(&mut out);
        assert_eq!(out.len(), 32);
        assert_eq!(Opening::parse(&out)?, Opening::Tls(request));
        out.put_bytes(b"app\0\0");
        assert!(matches!(Opening::parse(&out)?, Opening::Login(_)));
        Ok(())
    }

    #[test]
    fn a_client_of_before_4_1_is_recognised() {
        assert_eq!(
            Opening::parse(b"\x05\0\0\0\x01app\0scramble\0"),
            Ok(Opening::TooOld)
        );
        assert!(Opening::parse(b"\x05").is_err());
    }

    #[test]
    fn the_proof_is_not_in_the_debug_form() -> Result<()> {
        let bytes = login(PLAIN, b"app\0\x06secret");
        let debug = format!("{:?}", Opening::parse(&bytes)?);
        assert!(debug.contains("app") && !debug.contains("secret") && !debug.contains("115"));
        Ok(())
    }

    fn name() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(1_u8.., 1..20)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            flags in any::<(u32, u32)>(),
            numbers in any::<(u32, u16, u8, [u8; FILLER])>(),
            (user, database, plugin) in (name(), name(), name()),
            auth in proptest::collection::vec(1_u8.., 0..255),
            block in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let low = flags.0 | 1 << 9;
            let capabilities = Capabilities::from_parts(low, if low & 1 == 0 { flags.1 } else { 0 });
            let has = |flag| capabilities.has(flag);
            let login = Login {
                capabilities,
                max_packet: numbers.0,
                collation: numbers.1,
                filler: numbers.3,
                user: &user,
                auth: &auth,
                database: has(Capabilities::CONNECT_WITH_DB).then_some(&database),
                plugin: has(Capabilities::PLUGIN_AUTH).then_some(&plugin),
                attributes: has(Capabilities::CONNECT_ATTRS).then_some(&block),
                zstd_level: has(Capabilities::ZSTD).then_some(numbers.2),
            };
            let mut out = Vec::new();
            login.encode(&mut out);
            prop_assert_eq!(Opening::parse(&out), Ok(Opening::Login(login)));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Opening::Login(login)) = Opening::parse(&bytes) {
                let _ = login.attributes().count();
            }
            let _ = Login::parse(&bytes);
        }
    }
}
