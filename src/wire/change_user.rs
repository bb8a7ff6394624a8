//! COM_CHANGE_USER: a login in the middle of a connection, with a layout of its own.

use std::fmt;

use super::attributes::Attributes;
use super::bytes::{Malformed, Put, Reader, Result};
use super::capability::Capabilities;
use super::command::Command;
use super::login::put_short_bytes;

#[derive(Clone, PartialEq, Eq)]
pub struct ChangeUser<'a> {
    pub user: &'a [u8],
    /// The proof, never logged. Its length is one byte whatever the capabilities say of lengths.
    pub auth: &'a [u8],
    /// Never empty: an empty name means none.
    pub database: Option<&'a [u8]>,
    /// Both bytes are read here, unlike at login, so that ids above 255 work. Absent from what the oldest clients send, and with it all below.
    pub collation: Option<u16>,
    pub plugin: Option<&'a [u8]>,
    /// The raw block of names and values; see [`ChangeUser::attributes`].
    pub attributes: Option<&'a [u8]>,
}

// === impl ChangeUser ===

impl<'a> ChangeUser<'a> {
    /// Parses a payload, the command's byte included, as a client with these capabilities writes it.
    pub fn parse(payload: &'a [u8], capabilities: Capabilities) -> Result<Self> {
        let mut reader = Reader::new(payload);
        if Command(reader.u8()?) != Command::CHANGE_USER {
            return Err(Malformed("a change of user is another command"));
        }
        let user = reader.nul_bytes()?;
        let auth = if capabilities.has(Capabilities::SECURE_CONNECTION) {
            let length = usize::from(reader.u8()?);
            reader.bytes(length)?
        } else {
            reader.nul_bytes()?
        };
        let database = Some(reader.nul_or_rest()).filter(|name| !name.is_empty());
        let collation = if reader.remaining() >= 2 {
            Some(reader.u16()?)
        } else {
            reader.rest();
            None
        };
        let has = |flag, reader: &Reader<'_>| capabilities.has(flag) && !reader.is_empty();
        let plugin = has(Capabilities::PLUGIN_AUTH, &reader).then(|| reader.nul_or_rest());
        let attributes = if has(Capabilities::CONNECT_ATTRS, &reader) {
            Some(reader.lenenc_bytes()?)
        } else {
            None
        };
        Ok(Self {
            user,
            auth,
            database,
            collation,
            plugin,
            attributes,
        })
    }

    /// Appends the payload, the command's byte included, for a connection with these capabilities. A field is
    /// written only when those before it are there, since nothing marks its place.
    pub fn encode(&self, out: &mut Vec<u8>, capabilities: Capabilities) {
        out.put_u8(Command::CHANGE_USER.0);
        out.put_nul_bytes(self.user);
        if capabilities.has(Capabilities::SECURE_CONNECTION) {
            put_short_bytes(out, self.auth);
        } else {
            out.put_nul_bytes(self.auth);
        }
        out.put_nul_bytes(self.database.unwrap_or_default());
        let Some(collation) = self.collation else {
            return;
        };
        out.put_u16(collation);
        if capabilities.has(Capabilities::PLUGIN_AUTH) {
            let Some(plugin) = self.plugin else {
                return;
            };
            out.put_nul_bytes(plugin);
        }
        if let Some(attributes) = self.attributes
            && capabilities.has(Capabilities::CONNECT_ATTRS)
        {
            out.put_lenenc_bytes(attributes);
        }
    }

    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.attributes.unwrap_or_default())
    }
}

impl fmt::Debug for ChangeUser<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeUser")
            .field("user", &self.user.escape_ascii().to_string())
            .field(
                "database",
                &self.database.map(|name| name.escape_ascii().to_string()),
            )
            .field("collation", &self.collation)
            .field("plugin", &self.plugin.map(|name| name.escape_ascii().to_string()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MODERN: Capabilities =
        Capabilities(1 << 9 | 1 << 15 | Capabilities::PLUGIN_AUTH.0 | Capabilities::CONNECT_ATTRS.0);
    const FULL: &[u8] = b"\x11app\0\x03abcdb\0\xf6\x04mysql_native_password\0\x04\x01a\x01b";

    #[test]
    fn everything_is_read_and_written_back() -> Result<()> {
        let change = ChangeUser::parse(FULL, MODERN)?;
        assert_eq!(
            (change.user, change.auth, change.database),
            (&b"app"[..], &b"abc"[..], Some(&b"db"[..]))
        );
        assert_eq!(change.collation, Some(1270));
        assert_eq!(change.attributes().next(), Some((&b"a"[..], &b"b"[..])));
        let mut out = Vec::new();
        change.encode(&mut out, MODERN);
        assert_eq!(out, FULL);
        assert!(!format!("{change:?}").contains("abc"));
        Ok(())
    }

    #[test]
    fn what_is_left_out_at_the_end_is_absent_and_what_is_cut_is_an_error() {
        let attributes = FULL.len() - 5;
        let required = b"\x11app\0\x03abc".len();
        for end in 0..FULL.len() {
            let whole = (required..=attributes).contains(&end);
            assert_eq!(ChangeUser::parse(&FULL[..end], MODERN).is_ok(), whole, "{end}");
        }
    }

    fn name() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(1_u8.., 1..20)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            (user, database, plugin) in (name(), name(), name()),
            auth in proptest::collection::vec(1_u8.., 0..255),
            collation in any::<u16>(),
            block in proptest::collection::vec(any::<u8>(), 0..300),
            secure in any::<bool>(),
        ) {
            let capabilities = if secure { MODERN } else { MODERN.without(Capabilities::SECURE_CONNECTION) };
            let change = ChangeUser {
                user: &user,
                auth: &auth,
                database: Some(&database),
                collation: Some(collation),
                plugin: Some(&plugin),
                attributes: Some(&block),
            };
            let mut out = Vec::new();
            change.encode(&mut out, capabilities);
            prop_assert_eq!(ChangeUser::parse(&out, capabilities), Ok(change));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = ChangeUser::parse(&bytes, MODERN);
            let _ = ChangeUser::parse(&bytes, Capabilities::NONE);
        }
    }
}
