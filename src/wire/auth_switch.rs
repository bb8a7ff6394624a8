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
