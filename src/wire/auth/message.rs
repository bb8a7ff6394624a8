//! The two messages between a login and its verdict: "use another plugin" and "here is more for the plugin".

use super::Scramble;

const SWITCH: u8 = 0xfe;
const MORE: u8 = 0x01;

/// What a server says while a login is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerMessage<'a> {
    Ok,
    Error,
    /// `plugin` is to be used; it starts from `data`. Both are empty in the switch of one byte, which servers
    /// of before 5.5 send to ask for a reply in their old and broken way.
    Switch {
        plugin: &'a [u8],
        data: &'a [u8],
    },
    More(&'a [u8]),
    Unknown,
}

// === impl ServerMessage ===

impl<'a> ServerMessage<'a> {
    pub fn parse(payload: &'a [u8]) -> Self {
        match payload.split_first() {
            Some((0x00, _)) => Self::Ok,
            Some((0xff, _)) => Self::Error,
            Some((&MORE, data)) => Self::More(data),
            Some((&SWITCH, rest)) => {
                let end = rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len());
                Self::Switch {
                    plugin: &rest[..end],
                    data: rest.get(end + 1..).unwrap_or_default(),
                }
            }
            _ => Self::Unknown,
        }
    }
}

/// The payload that tells a client to use `plugin` with this data.
pub fn switch(plugin: &str, data: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(plugin.len() + data.len() + 2);
    payload.push(SWITCH);
    payload.extend_from_slice(plugin.as_bytes());
    payload.push(0);
    payload.extend_from_slice(data);
    payload
}

/// [`switch`] for a plugin that starts from a scramble, which a zero ends.
pub fn switch_with_scramble(plugin: &str, scramble: &Scramble) -> Vec<u8> {
    let mut payload = switch(plugin, scramble.as_bytes());
    payload.push(0);
    payload
}

/// The payload that gives a client more of the plugin's data.
pub fn more(data: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(data.len() + 1);
    payload.push(MORE);
    payload.extend_from_slice(data);
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(
            ServerMessage::parse(&switch("client_ed25519", b"data")),
            ServerMessage::Switch {
                plugin: b"client_ed25519",
                data: b"data"
            }
        );
        assert_eq!(ServerMessage::parse(&more(b"\x04")), ServerMessage::More(b"\x04"));
        assert_eq!(
            ServerMessage::parse(b"\xfe"),
            ServerMessage::Switch {
                plugin: b"",
                data: b""
            }
        );
        assert_eq!(ServerMessage::parse(b""), ServerMessage::Unknown);
    }
}
