//! What a server says between a login and its verdict: use another plugin, or here is more for the plugin.

use super::bytes::{Malformed, Put, Reader, Result};
use super::greeting::SCRAMBLE;

const SWITCH: u8 = 0xfe;
const MORE: u8 = 0x01;

/// The plugin that a switch of one byte means, as servers of before 5.5 send it. Nobody should still answer it.
const OLD_PLUGIN: &[u8] = b"mysql_old_password";

/// The server wants the client to prove itself with another plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthSwitchRequest<'a> {
    pub plugin: &'a [u8],
    /// What the plugin starts from, most often a scramble and a zero; see [`AuthSwitchRequest::scramble`].
    pub data: &'a [u8],
}

/// Data of the plugin's own conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthMoreData<'a> {
    pub data: &'a [u8],
}

// === impl AuthSwitchRequest ===

impl<'a> AuthSwitchRequest<'a> {
    pub fn parse(payload: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != SWITCH {
            return Err(Malformed("a switch of plugin does not start with 0xfe"));
        }
        if reader.is_empty() {
            return Ok(Self {
                plugin: OLD_PLUGIN,
                data: &[],
            });
        }
        Ok(Self {
            plugin: reader.nul_or_rest(),
            data: reader.rest(),
        })
    }

    /// The scramble in the data, for plugins that have one of the usual length: with or without a zero at
    /// its end.
    pub fn scramble(&self) -> Option<[u8; SCRAMBLE]> {
        match self.data.split_first_chunk::<SCRAMBLE>()? {
            (scramble, [] | [0]) => Some(*scramble),
            _ => None,
        }
    }

    /// Appends the payload, with the data as it is.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(SWITCH);
        out.put_nul_bytes(self.plugin);
        out.put_bytes(self.data);
    }

    /// Appends the payload of a switch to a plugin that starts from a scramble, which ends with a zero.
    pub fn encode_with_scramble(out: &mut Vec<u8>, plugin: &[u8], scramble: &[u8; SCRAMBLE]) {
        AuthSwitchRequest {
            plugin,
            data: scramble,
        }
        .encode(out);
        out.put_u8(0);
    }
}

// === impl AuthMoreData ===

impl<'a> AuthMoreData<'a> {
    pub fn parse(payload: &'a [u8]) -> Result<Self> {
        match payload.split_first() {
            Some((&MORE, data)) => Ok(Self { data }),
            _ => Err(Malformed("more data for a plugin does not start with 0x01")),
        }
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(MORE);
        out.put_bytes(self.data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_read_and_written_back() -> Result<()> {
        const BYTES: &[u8] = b"\xfecaching_sha2_password\0U;`}=\x01\x01\x0d8Qfo\x09<?w8Ew|\0";
        let request = AuthSwitchRequest::parse(BYTES)?;
        assert_eq!(request.plugin, b"caching_sha2_password");
        let scramble = request.scramble().unwrap_or_default();
        assert_eq!(&scramble, b"U;`}=\x01\x01\x0d8Qfo\x09<?w8Ew|");
        let (mut raw, mut made) = (Vec::new(), Vec::new());
        request.encode(&mut raw);
        AuthSwitchRequest::encode_with_scramble(&mut made, request.plugin, &scramble);
        assert_eq!((&raw[..], &made[..]), (BYTES, BYTES));
        // Cut anywhere, it is a switch with less data, and never one with a scramble that is too short.
        for end in 1..BYTES.len() {
            let scramble = AuthSwitchRequest::parse(&BYTES[..end])?.scramble();
            assert_eq!(scramble.is_some(), end == BYTES.len() - 1, "{end}");
        }
        assert!(AuthSwitchRequest::parse(b"").is_err() && AuthSwitchRequest::parse(b"\0").is_err());
        assert_eq!(AuthSwitchRequest::parse(b"\xfe")?.plugin, b"mysql_old_password");
        Ok(())
    }

    #[test]
    fn more_data_is_read_and_written_back() -> Result<()> {
        let more = AuthMoreData::parse(b"\x01\x04")?;
        assert_eq!(more.data, b"\x04");
        let mut out = Vec::new();
        more.encode(&mut out);
        assert_eq!(out, b"\x01\x04");
        assert!(AuthMoreData::parse(b"").is_err() && AuthMoreData::parse(b"\x02").is_err());
        Ok(())
    }
}
