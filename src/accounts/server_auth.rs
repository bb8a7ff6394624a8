//! The proxy's side of a login at a server, for a new connection and for COM_CHANGE_USER, without any I/O.

use thiserror::Error;

use crate::wire::auth::message::ServerMessage;
use crate::wire::auth::scramble::ED25519_NONCE;
use crate::wire::auth::{Plugin, Scramble, clear, ed25519, native, rsa, sha2};

use super::Credential;

/// More packets than any login takes; a server that sends as many is not taken seriously.
const MOST_PACKETS: u8 = 16;

/// How safe the connection to the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerChannel {
    Tls,
    /// A Unix socket.
    Local,
    /// TCP that others may read.
    Plain,
}

/// What the login packet or COM_CHANGE_USER should say.
#[derive(Clone, PartialEq, Eq)]
pub struct FirstReply {
    pub plugin: Plugin,
    pub reply: Vec<u8>,
}

/// One login under way.
pub struct ServerAuth {
    credential: Credential,
    channel: ServerChannel,
    plugin: Plugin,
    /// What the current plugin's reply, and an encrypted password, start from.
    scramble: Scramble,
    awaits_key: bool,
    lacked: Option<ServerAuthError>,
    packets: u8,
}

/// What to do after a server's packet.
#[derive(Clone, PartialEq, Eq)]
pub enum ServerStep {
    /// Send this payload, then read on.
    Reply(Vec<u8>),
    Read,
    /// The packet was OK: logged in.
    Accepted,
    /// The packet was an error, for the caller to read.
    Refused,
}

/// Why the proxy cannot answer a server. The connection is of no use any more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ServerAuthError {
    #[error("the server wants the plugin {0}, which the proxy cannot do")]
    Unsupported(String),
    #[error("the server wants the plugin {0}, which needs the password; only a hash of it is known")]
    NeedsPassword(&'static str),
    #[error("the server wants the plugin {0}, which would show the password to anyone: use TLS")]
    Insecure(&'static str),
    #[error("the server's public key cannot be used")]
    PublicKey,
    #[error("the server broke the rules of the plugin {0}")]
    Unexpected(&'static str),
}

type Result<T> = std::result::Result<T, ServerAuthError>;

// === impl ServerAuth ===

impl ServerAuth {
    /// `plugin` and `scramble` are those of the server's greeting. Where the greeting's plugin cannot be
    /// answered, another one is named, and the server switches to what the account needs.
    pub fn begin(
        credential: &Credential,
        plugin: &[u8],
        scramble: Scramble,
        channel: ServerChannel,
    ) -> (Self, FirstReply) {
        let plugin = match (Plugin::from_name(plugin), credential) {
            (Some(Plugin::CachingSha2), Credential::Password(_) | Credential::Empty) => Plugin::CachingSha2,
            _ => Plugin::Native,
        };
        let auth = Self {
            credential: credential.clone(),
            channel,
            plugin,
            scramble,
            awaits_key: false,
            lacked: None,
            packets: 0,
        };
        let reply = match plugin {
            Plugin::CachingSha2 => auth.sha2_reply().unwrap_or_default(),
            _ => auth.native_reply(),
        };
        (auth, FirstReply { plugin, reply })
    }

    /// Takes the payload of the server's next packet.
    pub fn receive(&mut self, packet: &[u8]) -> Result<ServerStep> {
        self.packets += 1;
        if self.packets > MOST_PACKETS {
            return Err(self.unexpected());
        }
        match ServerMessage::parse(packet) {
            ServerMessage::Ok => Ok(ServerStep::Accepted),
            ServerMessage::Error => Ok(ServerStep::Refused),
            ServerMessage::Switch { plugin, data } => self.switch(plugin, data).map(ServerStep::Reply),
            ServerMessage::More(data) => self.more(data),
            ServerMessage::Unknown => Err(self.unexpected()),
        }
    }

    /// What the server also asked for and did not get, for the log when it refuses in the end.
    pub fn lacked(&self) -> Option<&ServerAuthError> {
        self.lacked.as_ref()
    }

    fn switch(&mut self, name: &[u8], data: &[u8]) -> Result<Vec<u8>> {
        self.awaits_key = false;
        self.plugin = Plugin::from_name(name).ok_or_else(|| unsupported(name))?;
        match self.plugin {
            Plugin::Native => {
                self.scramble = Scramble::parse(data).ok_or_else(|| self.unexpected())?;
                Ok(self.native_reply())
            }
            Plugin::CachingSha2 => {
                self.scramble = Scramble::parse(data).ok_or_else(|| self.unexpected())?;
                self.sha2_reply()
            }
            Plugin::Ed25519 => {
                let nonce = data.try_into().map_err(|_| self.unexpected())?;
                self.ed25519_reply(nonce)
            }
            Plugin::Sha256 => {
                self.scramble = Scramble::parse(data).ok_or_else(|| self.unexpected())?;
                self.sha256_reply()
            }
            Plugin::Clear => self.clear_password(),
        }
    }

    /// A public key that was asked for, or what only `caching_sha2_password` says after a reply.
    fn more(&mut self, data: &[u8]) -> Result<ServerStep> {
        if std::mem::take(&mut self.awaits_key) {
            let cipher = rsa::encrypt(self.password()?, &self.scramble, data);
            return cipher.map(ServerStep::Reply).ok_or(ServerAuthError::PublicKey);
        }
        if self.plugin != Plugin::CachingSha2 {
            return Err(self.unexpected());
        }
        match (data, self.channel) {
            ([sha2::FAST_OK], _) => Ok(ServerStep::Read),
            ([sha2::FULL], ServerChannel::Plain) => {
                self.awaits_key = true;
                Ok(ServerStep::Reply(vec![sha2::REQUEST_PUBLIC_KEY]))
            }
            ([sha2::FULL], _) => self.clear_password().map(ServerStep::Reply),
            _ => Err(self.unexpected()),
        }
    }

    fn native_reply(&self) -> Vec<u8> {
        match &self.credential {
            Credential::Empty => Vec::new(),
            Credential::Password(password) => {
                native::reply(&native::stage1(password.expose()), &self.scramble).to_vec()
            }
            Credential::NativeHash(hash) => match hash.expose().try_into() {
                Ok(hash) => native::reply(hash, &self.scramble).to_vec(),
                Err(_) => Vec::new(),
            },
        }
    }

    fn sha2_reply(&self) -> Result<Vec<u8>> {
        match self.password()? {
            [] => Ok(Vec::new()),
            password => Ok(sha2::reply(&sha2::stage1(password), &self.scramble).to_vec()),
        }
    }

    /// The account may have another plugin besides, which the server goes on to after a wrong reply.
    fn ed25519_reply(&mut self, nonce: &[u8; ED25519_NONCE]) -> Result<Vec<u8>> {
        match self.password() {
            Ok(password) => Ok(ed25519::reply(password, nonce).to_vec()),
            Err(error) => {
                self.lacked = Some(error);
                Ok(vec![0; ed25519::SIGNATURE])
            }
        }
    }

    fn sha256_reply(&mut self) -> Result<Vec<u8>> {
        match (self.password()?, self.channel) {
            ([], _) => Ok(vec![0]),
            (_, ServerChannel::Tls) => self.clear_password(),
            // This plugin, unlike the one that came after it, does not take a Unix socket for safe.
            (_, ServerChannel::Local | ServerChannel::Plain) => {
                self.awaits_key = true;
                Ok(vec![sha2::SHA256_REQUEST_PUBLIC_KEY])
            }
        }
    }

    fn clear_password(&self) -> Result<Vec<u8>> {
        match self.channel {
            ServerChannel::Plain => Err(ServerAuthError::Insecure(self.plugin.name())),
            ServerChannel::Tls | ServerChannel::Local => Ok(clear::reply(self.password()?)),
        }
    }

    fn password(&self) -> Result<&[u8]> {
        match &self.credential {
            Credential::Password(password) => Ok(password.expose()),
            Credential::Empty => Ok(b""),
            Credential::NativeHash(_) => Err(ServerAuthError::NeedsPassword(self.plugin.name())),
        }
    }

    fn unexpected(&self) -> ServerAuthError {
        ServerAuthError::Unexpected(self.plugin.name())
    }
}

/// Servers name plugins in 64 characters at most; more are not repeated.
fn unsupported(name: &[u8]) -> ServerAuthError {
    let name = match name {
        [] => "mysql_old_password".into(),
        _ => String::from_utf8_lossy(&name[..name.len().min(64)]),
    };
    ServerAuthError::Unsupported(name.escape_default().to_string())
}
