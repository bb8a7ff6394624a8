//! From a fresh connection to somebody who has proved who he is: greeting, TLS, proof.

use std::io;

use arc_swap::ArcSwapOption;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::accounts::{Accounts, ClientAddress, ClientChannel, ClientLogin, Flavour, Refusal, Then};
use crate::admin::catalog::process::server_version;
use crate::wire::auth::{Plugin, Scramble};
use crate::wire::err::ErrPacket;
use crate::wire::greeting::Greeting;
use crate::wire::login::{Login, Opening};
use crate::wire::ok::OkPacket;
use crate::wire::packet::{HEADER, Header, put_with};
use crate::wire::{Capabilities, Status};

/// No packet of a login is longer.
const LONGEST: usize = 64 << 10;
/// utf8mb4_general_ci.
const COLLATION: u8 = 45;

pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub type BoxStream = Box<dyn Stream>;

/// What logins need, and all connections share.
pub struct Desk {
    pub accounts: Accounts,
    /// `None`: TLS is not offered.
    pub tls: ArcSwapOption<rustls::ServerConfig>,
}

/// Somebody who may come in.
pub struct Admitted {
    pub stream: BoxStream,
    pub user: Vec<u8>,
    pub capabilities: Capabilities,
    pub database: Option<Vec<u8>>,
}

#[derive(Debug, Error)]
pub enum LoginError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the login is malformed")]
    Malformed,
    #[error("{} {}", .0.code, .0.message)]
    Refused(Refusal),
}

struct Arrival {
    stream: BoxStream,
    /// Of the next packet that is sent.
    sequence: u8,
    channel: ClientChannel,
}

/// What the port can do for clients.
fn offered(desk: &Desk) -> Capabilities {
    use Capabilities as C;
    let offered = C::LONG_PASSWORD
        | C::PROTOCOL_41
        | C::TRANSACTIONS
        | C::SECURE_CONNECTION
        | C::PLUGIN_AUTH
        | C::PLUGIN_AUTH_LENENC
        | C::CONNECT_WITH_DB
        | C::CONNECT_ATTRS
        | C::DEPRECATE_EOF;
    match &*desk.tls.load() {
        Some(_) => offered | C::SSL,
        None => offered,
    }
}

/// Takes as long as the client takes: the caller has the clock.
pub async fn login(
    desk: &Desk,
    stream: BoxStream,
    id: u32,
    from: ClientAddress,
) -> Result<Admitted, LoginError> {
    let channel = ClientChannel {
        secure: from == ClientAddress::Local,
        ..ClientChannel::default()
    };
    let mut arrival = Arrival {
        stream,
        sequence: 0,
        channel,
    };
    let offered = offered(desk);
    let scramble = Scramble::generate().map_err(|_| LoginError::Malformed)?;
    arrival.greet(id, &scramble, offered).await?;
    let payload = arrival.opening(desk).await?;
    let Ok(Opening::Login(login)) = Opening::parse(&payload) else {
        return Err(LoginError::Malformed);
    };
    let capabilities = login.capabilities & offered;
    match arrival.prove(desk, &login, scramble, from).await {
        Ok(()) => {
            let ok = OkPacket {
                status: Status::AUTOCOMMIT,
                ..OkPacket::default()
            };
            arrival
                .send(|out| ok.encode(out, Capabilities::PROTOCOL_41))
                .await?;
            Ok(Admitted {
                user: login.user.to_vec(),
                database: login.database.map(<[u8]>::to_vec),
                capabilities,
                stream: arrival.stream,
            })
        }
        Err(LoginError::Refused(refusal)) => {
            let packet = ErrPacket {
                code: refusal.code,
                sqlstate: refusal.sqlstate,
                message: refusal.message.as_bytes(),
            };
            arrival.send(|out| packet.encode(out)).await?;
            Err(LoginError::Refused(refusal))
        }
        Err(error) => Err(error),
    }
}

// === impl Arrival ===

impl Arrival {
    async fn greet(&mut self, id: u32, scramble: &Scramble, offered: Capabilities) -> io::Result<()> {
        let greeting = Greeting {
            server_version: server_version().into_bytes(),
            connection_id: id,
            scramble: *scramble.as_bytes(),
            capabilities: offered,
            collation: COLLATION,
            status: Status::AUTOCOMMIT,
            plugin: Plugin::CachingSha2.name().as_bytes().to_vec(),
        };
        self.send(|out| greeting.encode(out)).await
    }

    /// The login, behind TLS if the client asks for that first.
    async fn opening(&mut self, desk: &Desk) -> Result<Vec<u8>, LoginError> {
        let payload = self.receive().await?;
        let asks = matches!(Opening::parse(&payload), Ok(Opening::Tls(_)));
        let Some(tls) = desk.tls.load_full().filter(|_| asks) else {
            return Ok(payload);
        };
        let plain = std::mem::replace(
            &mut self.stream,
            Box::new(tokio::io::join(tokio::io::empty(), tokio::io::sink())),
        );
        self.stream = Box::new(TlsAcceptor::from(tls).accept(plain).await?);
        (self.channel.secure, self.channel.tls) = (true, true);
        self.receive().await.map_err(LoginError::from)
    }

    async fn prove(
        &mut self,
        desk: &Desk,
        login: &Login<'_>,
        scramble: Scramble,
        from: ClientAddress,
    ) -> Result<(), LoginError> {
        let accounts = &desk.accounts;
        let account = accounts.find(login.user, from, Flavour::MySql, None).await;
        let claim = ClientLogin {
            user: login.user,
            reply: login.auth,
            plugin: login.plugin,
            scramble,
            channel: self.channel,
            change_user: false,
            can_handle_expired: false,
        };
        let (mut auth, mut step) = accounts.begin(account.map_err(LoginError::Refused)?, claim);
        loop {
            if let Some(payload) = step.send.take() {
                self.send(|out| out.extend_from_slice(&payload)).await?;
            }
            match step.then {
                Then::Accept(_) => return Ok(()),
                Then::Refuse(refusal) => return Err(LoginError::Refused(refusal)),
                Then::Read => {}
            }
            let packet = self.receive().await?;
            step = auth.receive(accounts, &packet);
        }
    }

    async fn send(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut out = Vec::new();
        self.sequence = put_with(&mut out, self.sequence, write);
        self.stream.write_all(&out).await?;
        self.stream.flush().await
    }

    async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut header = [0; HEADER];
        self.stream.read_exact(&mut header).await?;
        let long = || io::Error::new(io::ErrorKind::InvalidData, "a packet of the login is too long");
        let header = Header::parse(&header)
            .filter(|header| header.length <= LONGEST)
            .ok_or_else(long)?;
        self.sequence = header.sequence.wrapping_add(1);
        let mut payload = vec![0; header.length];
        self.stream.read_exact(&mut payload).await?;
        Ok(payload)
    }
}
