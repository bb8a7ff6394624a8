//! The first packet of a connection: the server says who it is and what it can do.
//!
//! MariaDB hides 32 more capability flags in the last four of ten reserved bytes, and says that they are there
//! by leaving out [`Capabilities::LONG_PASSWORD`], a flag that has been meaningless for twenty years.

use super::bytes::{Malformed, Put, Reader, Result};
use super::capability::Capabilities;
use super::status::Status;

/// The bytes a password is mixed with, so that it never travels itself.
pub const SCRAMBLE: usize = 20;

const PROTOCOL: u8 = 10;
const FIRST_HALF: usize = 8;
const SECOND_HALF: usize = SCRAMBLE - FIRST_HALF;
const RESERVED: usize = 6;

/// A greeting of protocol version 10.
///
/// A server that refuses the connection sends an ERR packet instead: look at the first byte before parsing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    pub server_version: Vec<u8>,
    pub connection_id: u32,
    pub scramble: [u8; SCRAMBLE],
    pub capabilities: Capabilities,
    /// The low byte of the server's default collation; there is no room for more.
    pub collation: u8,
    pub status: Status,
    /// Empty unless the capabilities have PLUGIN_AUTH.
    pub plugin: Vec<u8>,
}

// === impl Greeting ===

impl Greeting {
    pub fn parse(payload: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != PROTOCOL {
            return Err(Malformed("a greeting is not of protocol version 10"));
        }
        let server_version = reader.nul_bytes()?.to_vec();
        let connection_id = reader.u32()?;
        let first_half = reader.bytes(FIRST_HALF)?;
        reader.u8()?;
        let low = reader.u16()?;
        let collation = reader.u8()?;
        let status = Status(reader.u16()?);
        let low = u32::from(low) | u32::from(reader.u16()?) << 16;
        let scramble_length = usize::from(reader.u8()?);
        reader.bytes(RESERVED)?;
        let extended = reader.u32()?;
        let mut capabilities = Capabilities::from_parts(low, 0);
        if !capabilities.has(Capabilities::LONG_PASSWORD) {
            capabilities = Capabilities::from_parts(low, extended);
        }
        // The second half is 12 bytes and a zero, which some servers count and some leave out.
        let announced = scramble_length.saturating_sub(FIRST_HALF).max(SECOND_HALF + 1);
        let second_half = reader.bytes(announced.min(reader.remaining()))?;
        let plugin = if capabilities.has(Capabilities::PLUGIN_AUTH) {
            reader.nul_or_rest().to_vec()
        } else {
            Vec::new()
        };
        Ok(Self {
            server_version,
            connection_id,
            scramble: join(first_half, second_half)?,
            capabilities,
            collation,
            status,
            plugin,
        })
    }

    /// Appends the payload. Extended capabilities are written only when LONG_PASSWORD is not among the rest.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (first_half, second_half) = self.scramble.split_at(FIRST_HALF);
        let plugin_auth = self.capabilities.has(Capabilities::PLUGIN_AUTH);
        out.put_u8(PROTOCOL);
        out.put_nul_bytes(&self.server_version);
        out.put_u32(self.connection_id);
        out.put_nul_bytes(first_half);
        out.put_u16(self.capabilities.low() as u16);
        out.put_u8(self.collation);
        out.put_u16(self.status.0);
        out.put_u16((self.capabilities.low() >> 16) as u16);
        out.put_u8(if plugin_auth { SCRAMBLE as u8 + 1 } else { 0 });
        out.put_bytes(&[0; RESERVED]);
        out.put_u32(self.capabilities.announced_extension());
        out.put_nul_bytes(second_half);
        if plugin_auth {
            out.put_nul_bytes(&self.plugin);
        }
    }
}

fn join(first_half: &[u8], second_half: &[u8]) -> Result<[u8; SCRAMBLE]> {
    let second_half = second_half
        .get(..SECOND_HALF)
        .ok_or(Malformed("a greeting's scramble is too short"))?;
    let mut scramble = [0; SCRAMBLE];
    scramble[..FIRST_HALF].copy_from_slice(first_half);
    scramble[FIRST_HALF..].copy_from_slice(second_half);
    Ok(scramble)
}

impl Capabilities {
    /// The extended flags as they may be written into a greeting or a login: readers look at them only when
    /// LONG_PASSWORD is absent, and old ones want zeros there.
    pub(super) fn announced_extension(self) -> u32 {
        if self.has(Self::LONG_PASSWORD) {
            0
        } else {
            self.high()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MYSQL_9: &[u8] =
        b"\x0a9.7.4-2\0\x0f\0\0\0\x55\x3b\x60\x7d\x3d\x01\x01\x0d\0\xff\xff\xff\x02\0\xff\xdf\
        \x15\0\0\0\0\0\0\0\0\0\0\x38\x51\x66\x6f\x09\x3c\x3f\x77\x38\x45\x77\x7c\0caching_sha2_password\0";
    const MARIADB_10: &[u8] =
        b"\x0a5.5.5-10.11.19-MariaDB-0+deb12u1-log\0\x0b\0\0\0\x33\x3e\x7e\x22\x2b\x51\x37\x5d\0\
        \xfe\xf7\x08\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0OS2@-\\hu5D8-\0mysql_native_password\0";

    #[test]
    fn what_real_servers_send_is_understood_and_written_back() -> Result<()> {
        let mysql = Greeting::parse(MYSQL_9)?;
        assert_eq!(mysql.server_version, b"9.7.4-2");
        assert_eq!((mysql.connection_id, mysql.collation), (15, 0xff));
        assert_eq!(mysql.capabilities, Capabilities::from_parts(0xdfff_ffff, 0));
        assert_eq!(mysql.status, Status::AUTOCOMMIT);
        assert_eq!(mysql.plugin, b"caching_sha2_password");
        assert_eq!(&mysql.scramble, b"U;`}=\x01\x01\x0d8Qfo\x09<?w8Ew|");

        let mariadb = Greeting::parse(MARIADB_10)?;
        assert!(mariadb.capabilities.has(Capabilities::MARIADB_BULK));
        assert!(!mariadb.capabilities.has(Capabilities::SSL));
        for (bytes, greeting) in [(MYSQL_9, mysql), (MARIADB_10, mariadb)] {
            let mut out = Vec::new();
            greeting.encode(&mut out);
            assert_eq!(out, bytes);
        }
        Ok(())
    }

    #[test]
    fn a_greeting_cut_short_is_an_error_until_its_plugin() {
        let plugin = MYSQL_9.len() - b"\0caching_sha2_password\0".len();
        for end in 0..MYSQL_9.len() {
            assert_eq!(Greeting::parse(&MYSQL_9[..end]).is_ok(), end >= plugin, "{end}");
        }
    }

    #[test]
    fn the_extended_flags_of_a_server_with_long_password_are_not_read() -> Result<()> {
        let mut bytes = MARIADB_10.to_vec();
        let low = bytes.windows(2).position(|pair| pair == b"\xfe\xf7").unwrap_or(0);
        bytes[low] |= 1;
        assert_eq!(Greeting::parse(&bytes)?.capabilities.high(), 0);
        Ok(())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            version in proptest::collection::vec(1_u8.., 0..40),
            (connection_id, collation, status) in any::<(u32, u8, u16)>(),
            scramble in any::<[u8; SCRAMBLE]>(),
            (low, high) in any::<(u32, u32)>(),
            plugin in proptest::collection::vec(1_u8.., 0..40),
        ) {
            let mut greeting = Greeting {
                server_version: version,
                connection_id,
                scramble,
                capabilities: Capabilities::from_parts(low, if low & 1 == 0 { high } else { 0 }),
                collation,
                status: Status(status),
                plugin,
            };
            if !greeting.capabilities.has(Capabilities::PLUGIN_AUTH) {
                greeting.plugin.clear();
            }
            let mut out = Vec::new();
            greeting.encode(&mut out);
            prop_assert_eq!(Greeting::parse(&out), Ok(greeting));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Greeting::parse(&bytes);
        }
    }
}
