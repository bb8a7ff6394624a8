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
