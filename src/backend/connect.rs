//! Opens a connection to a server: TCP or Unix socket, TLS, login, compression, session tracking.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls_pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};

use super::connection::{Answer, Connection, Sessions};
use super::error::BackendError;
use super::pool::Key;
use super::prepared::Prepared;
use super::profile::Profile;
use super::server::Server;
use super::slots::Permit;
use crate::accounts::{ServerAuth, ServerChannel, ServerStep};
use crate::config::{Address, ServerCompression, ServerTlsMode};
use crate::net::zip::Zip;
use crate::net::{Link, Socket};
use crate::session::{State, Variables, tracked};
use crate::util::clock;
use crate::wire::attributes::put_attribute;
use crate::wire::change_user::ChangeUser;
use crate::wire::command::Command;
use crate::wire::compress::Algorithm;
use crate::wire::err::{ErrPacket, is_err};
use crate::wire::greeting::Greeting;
use crate::wire::login::{FILLER, Login, TlsRequest};
use crate::wire::ok::OkPacket;
use crate::wire::packet::put_with;
use crate::wire::{Capabilities, Status};

/// What a client said of itself that the server should hear.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    /// Raw names and values.
    pub block: &'a [u8],
    /// It has just logged in: it should get a connection with its own attributes, if one can be had.
    pub is_login: bool,
    pub filler: [u8; FILLER],
}

impl<'a> Attributes<'a> {
    /// What an idle connection has to be opened with, for a client that has just logged in.
    pub fn known_by(&self) -> Option<&'a [u8]> {
        self.is_login.then_some(self.block)
    }
}

/// No packet of a login is longer.
const LONGEST: usize = 1 << 20;
const MAX_PACKET: u32 = 1 << 30;
/// What a server answers to every other statement of somebody whose password has expired.
const MUST_CHANGE_PASSWORD: u16 = 1820;

static SERIAL: AtomicU64 = AtomicU64::new(0);

/// Opens a connection for sessions with `key`; it has the wanted schema, and no variables set yet.
pub async fn connect(
    server: &Arc<Server>,
    key: &Key,
    permit: Permit,
    wanted: &State,
    attributes: Attributes<'_>,
) -> Result<Box<Connection>, BackendError> {
    let limit = server.connect_timeout();
    match tokio::time::timeout(limit, Box::pin(open(server, key, permit, wanted, attributes))).await {
        Ok(connected) => connected,
        Err(_) => Err(BackendError::ConnectTimeout {
            server: server.name().to_owned(),
            limit,
        }),
    }
}

/// Reads a server's greeting and leaves.
pub async fn greet(server: &Server) -> Result<Profile, BackendError> {
    let limit = server.connect_timeout();
    let greeted = async {
        let mut link = Link::new(dial(server).await?);
        let (greeting, _) = read_greeting(server, &mut link).await?;
        Ok(Profile::of(&greeting))
    };
    let late = || BackendError::ConnectTimeout {
        server: server.name().to_owned(),
        limit,
    };
    let profile = tokio::time::timeout(limit, greeted)
        .await
        .unwrap_or_else(|_| Err(late()))?;
    Ok(profile)
}

async fn open(
    server: &Arc<Server>,
    key: &Key,
    permit: Permit,
    wanted: &State,
    attributes: Attributes<'_>,
) -> Result<Box<Connection>, BackendError> {
    // What is outdated while it is opened is outdated.
    let generation = server.generation();
    let mut link = reach(server).await?;
    let (greeting, sequence) = read_greeting(server, &mut link).await?;
    let mut login = LoginAttempt {
        server,
        key,
        link: &mut link,
        sequence,
        capabilities: Capabilities::NONE,
    };
    let status = login.run(&greeting, wanted, attributes).await?;
    let (capabilities, now) = (login.capabilities, clock::now());
    compress(server, capabilities, &mut link);
    let mut connection = Box::new(Connection {
        link,
        server: server.clone(),
        key: key.clone(),
        thread: greeting.connection_id.into(),
        capabilities,
        state: State {
            schema: wanted.schema.clone(),
            ..State::default()
        },
        reads_alone: false,
        initial: Variables::default(),
        told: Variables::default(),
        sessions: Sessions::default(),
        insert_id: Some(0),
        was_pooled: false,
        tells_transactions: Profile::of(&greeting).tells_transactions(),
        told_transaction: tracked::NO_TRANSACTION,
        status,
        prepared: Prepared::default(),
        scramble: greeting.scramble,
        plugin: greeting.plugin.clone(),
        attributes: attributes.block.into(),
        serial: SERIAL.fetch_add(1, Ordering::Relaxed),
        opened: now,
        used: now,
        generation,
        option_changed: false,
        password_expired: false,
        permit: Some(permit),
    });
    if key.was_reset {
        connection.reset().await?;
    } else {
        connection.track().await?;
    }
    Ok(connection)
}

// === impl Connection ===

impl Connection {
    /// Makes the server tell what becomes of the session.
    pub async fn track(&mut self) -> Result<(), BackendError> {
        let [track, ask] = self.tracking();
        let [tracked, _] = self
            .run_all([(Command::QUERY, &track), (Command::QUERY, &ask)])
            .await?;
        self.tracked(tracked)
    }

    /// The statements that ask for it, and for what the login has made of the session.
    fn tracking(&self) -> [Vec<u8>; 2] {
        let server = &self.server;
        let sql = tracked::statement(server.is_mariadb(), server.keeps_results());
        [self.as_query(&sql), self.as_query(tracked::FROM_LOGIN.as_bytes())]
    }

    fn tracked(&mut self, answer: Answer) -> Result<(), BackendError> {
        self.told_transaction = tracked::NO_TRANSACTION;
        match answer {
            Answer::Ok => {
                self.initial = std::mem::take(&mut self.told);
                Ok(())
            }
            Answer::Error {
                code: MUST_CHANGE_PASSWORD,
                ..
            } => {
                self.password_expired = true;
                Ok(())
            }
            Answer::Error { message, .. } => Err(login_failed(&self.server, &message)),
        }
    }

    /// Leaves tracking to the client, which sets it itself: the connection is its own from here on.
    pub async fn untrack(&mut self) -> Result<(), BackendError> {
        let sql = tracked::undo_statement(self.server.is_mariadb());
        let body = self.as_query(&sql);
        match self.run(Command::QUERY, &body).await? {
            Answer::Ok => Ok(()),
            Answer::Error { message, .. } => Err(login_failed(&self.server, &message)),
        }
    }

    /// Makes the server's session what it is after a login, by way of a change of user to the same one.
    pub async fn login_again(&mut self, wanted: &State) -> Result<(), BackendError> {
        let credential = &self.key.identity.credential;
        let channel = channel(&self.link);
        let (mut auth, first) = ServerAuth::begin(credential, &self.plugin, self.scramble.into(), channel);
        let request = ChangeUser {
            user: &self.key.identity.user,
            auth: &first.reply,
            database: wanted.schema.as_deref(),
            // A login has one byte for it.
            collation: Some(self.key.collation & 0xff),
            plugin: Some(first.plugin.name().as_bytes()),
            attributes: Some(&self.attributes),
        };
        let mut payload = Vec::new();
        request.encode(&mut payload, self.capabilities);
        let limit = self.server.pool().acquire_timeout;
        let again = async {
            let sent = self.link.send_payload(0, &payload).await;
            sent.map_err(|error| lost(&self.server, error))?;
            converse(&self.server, &mut self.link, &mut auth, self.capabilities).await
        };
        let silent = |_| BackendError::Silent {
            server: self.server.name().to_owned(),
            limit,
        };
        self.status = tokio::time::timeout(limit, again).await.map_err(silent)??;
        self.prepared.clear();
        (self.insert_id, self.sessions.warned) = (Some(0), 0);
        self.state = State {
            schema: wanted.schema.clone(),
            ..State::default()
        };
        if self.key.was_reset {
            self.reset().await
        } else {
            self.track().await
        }
    }

    /// Empties the server's session, but for the schema.
    pub async fn reset(&mut self) -> Result<(), BackendError> {
        let [track, ask] = self.tracking();
        let commands = [
            (Command::RESET_CONNECTION, &[][..]),
            (Command::QUERY, &track),
            (Command::QUERY, &ask),
        ];
        let [reset, tracked, _] = self.run_all(commands).await?;
        if let Answer::Error { message, .. } = reset {
            return Err(login_failed(&self.server, &message));
        }
        self.state.variables = Default::default();
        self.state.user_variables = Default::default();
        self.prepared.clear();
        (self.insert_id, self.sessions.warned) = (Some(0), 0);
        self.tracked(tracked)
    }
}

/// A link that can be given up from its first byte on: a server that is given up while it is dialled is not to be
/// used through a back door.
async fn reach(server: &Server) -> Result<Link, BackendError> {
    let cutoff = server.cutoff();
    let mut link = Link::new(dial(server).await?);
    link.obey(cutoff);
    Ok(link)
}

async fn dial(server: &Server) -> Result<Socket, BackendError> {
    let connected = match &server.endpoint().address {
        Address::Tcp { host, port } => TcpStream::connect((host.as_str(), *port)).await.map(Socket::Tcp),
        Address::Unix(path) => UnixStream::connect(path).await.map(Socket::Unix),
    };
    let socket = connected.map_err(|source| BackendError::Connect {
        server: server.name().to_owned(),
        source,
    })?;
    socket.tune();
    Ok(socket)
}

async fn read_greeting(server: &Server, link: &mut Link) -> Result<(Greeting, u8), BackendError> {
    let header = link.packet(LONGEST).await.map_err(|error| lost(server, error))?;
    let payload = link.payload(header);
    if is_err(payload) {
        return Err(refused(server, payload));
    }
    let greeting = Greeting::parse(payload).map_err(|error| login_failed(server, &error.to_string()))?;
    server.set_profile(Profile::of(&greeting));
    link.inbox.consume(header.total());
    Ok((greeting, header.sequence.wrapping_add(1)))
}

fn compress(server: &Server, capabilities: Capabilities, link: &mut Link) {
    let (zlib, zstd) = server.endpoint().levels;
    let (zlib, zstd) = (zlib as u8, zstd as u8);
    if capabilities.has(Capabilities::ZSTD) {
        link.compress(Zip::with_server(Algorithm::Zstd, zstd));
    } else if capabilities.has(Capabilities::COMPRESS) {
        link.compress(Zip::with_server(Algorithm::Zlib, zlib));
    }
}

/// The part of opening a connection that depends on what the two sides can.
struct LoginAttempt<'a> {
    server: &'a Server,
    key: &'a Key,
    link: &'a mut Link,
    sequence: u8,
    capabilities: Capabilities,
}

// === impl LoginAttempt ===

impl LoginAttempt<'_> {
    async fn run(
        &mut self,
        greeting: &Greeting,
        wanted: &State,
        attributes: Attributes<'_>,
    ) -> Result<Status, BackendError> {
        self.capabilities = self.choose(greeting.capabilities, wanted);
        self.start_tls(greeting).await?;
        let scramble = greeting.scramble.into();
        let credential = &self.key.identity.credential;
        let (mut auth, first) = ServerAuth::begin(credential, &greeting.plugin, scramble, channel(self.link));
        let mut block = attributes.block.to_vec();
        put_attribute(
            &mut block,
            b"_proxy",
            concat!("splitrail ", env!("CARGO_PKG_VERSION")).as_bytes(),
        );
        let login = Login {
            capabilities: self.capabilities,
            max_packet: MAX_PACKET,
            collation: self.key.collation,
            filler: attributes.filler,
            user: &self.key.identity.user,
            auth: &first.reply,
            database: wanted.schema.as_deref(),
            plugin: Some(first.plugin.name().as_bytes()),
            attributes: Some(&block),
            zstd_level: Some(self.server.endpoint().levels.1 as u8),
        };
        let mut out = Vec::new();
        put_with(&mut out, self.sequence, |out| login.encode(out));
        self.link
            .send(&out)
            .await
            .map_err(|error| lost(self.server, error))?;
        converse(self.server, self.link, &mut auth, self.capabilities).await
    }

    /// What the client negotiated, so that results can pass as they are, and what we need ourselves.
    fn choose(&self, offered: Capabilities, wanted: &State) -> Capabilities {
        use Capabilities as C;
        let own = C::COMPRESS | C::ZSTD | C::SSL | C::CONNECT_WITH_DB | C::MULTI_FACTOR;
        let mut chosen = self.key.capabilities.without(own) | C::PROTOCOL_41 | C::SECURE_CONNECTION;
        chosen |= C::PLUGIN_AUTH | C::PLUGIN_AUTH_LENENC | C::CONNECT_ATTRS | C::SESSION_TRACK;
        if wanted.schema.is_some() {
            chosen |= C::CONNECT_WITH_DB;
        }
        match self.server.endpoint().compression {
            ServerCompression::Off => {}
            ServerCompression::Zlib => chosen |= C::COMPRESS,
            ServerCompression::Zstd if offered.has(C::ZSTD) => chosen |= C::ZSTD,
            ServerCompression::Zstd => chosen |= C::COMPRESS,
        }
        chosen & offered
    }

    async fn start_tls(&mut self, greeting: &Greeting) -> Result<(), BackendError> {
        let tls = |reason: String| BackendError::Tls {
            server: self.server.name().to_owned(),
            reason,
        };
        let endpoint = Arc::clone(&self.server.endpoint());
        let follows = endpoint.tls_mode == ServerTlsMode::Follow;
        let Some(config) = endpoint.tls.as_ref().filter(|_| self.key.tls || !follows) else {
            return Ok(());
        };
        if !greeting.capabilities.has(Capabilities::SSL) {
            return match endpoint.tls_mode {
                ServerTlsMode::Off | ServerTlsMode::Follow | ServerTlsMode::Prefer => Ok(()),
                _ => Err(tls("the server does not offer TLS".to_owned())),
            };
        }
        self.capabilities |= Capabilities::SSL;
        let request = TlsRequest {
            capabilities: self.capabilities,
            max_packet: MAX_PACKET,
            collation: self.key.collation,
        };
        let mut out = Vec::new();
        self.sequence = put_with(&mut out, self.sequence, |out| request.encode(out));
        self.link
            .send(&out)
            .await
            .map_err(|error| lost(self.server, error))?;
        let host = endpoint.address.host().unwrap_or("localhost").to_owned();
        let name = ServerName::try_from(host).map_err(|error| tls(error.to_string()))?;
        let session =
            rustls::ClientConnection::new(config.clone(), name).map_err(|error| tls(error.to_string()))?;
        let secured = self.link.start_tls(session.into()).await;
        secured.map_err(|error| handshake_ended(self.server, error))
    }
}

/// The exchange in which we prove who we are, up to the server's verdict.
async fn converse(
    server: &Server,
    link: &mut Link,
    auth: &mut ServerAuth,
    capabilities: Capabilities,
) -> Result<Status, BackendError> {
    loop {
        let header = link.packet(LONGEST).await.map_err(|error| lost(server, error))?;
        let payload = link.payload(header);
        let step = auth
            .receive(payload)
            .map_err(|error| login_failed(server, &error.to_string()))?;
        let reply = match step {
            ServerStep::Accepted => {
                let ok = OkPacket::parse(payload, capabilities);
                let status = ok.map_or(Status::AUTOCOMMIT, |ok| ok.status);
                link.inbox.consume(header.total());
                return Ok(status);
            }
            ServerStep::Refused => return Err(refused(server, payload)),
            ServerStep::Reply(reply) => Some(reply),
            ServerStep::Read => None,
        };
        link.inbox.consume(header.total());
        if let Some(reply) = reply {
            let sequence = header.sequence.wrapping_add(1);
            let sent = link.send_payload(sequence, &reply).await;
            sent.map_err(|error| lost(server, error))?;
        }
    }
}

fn channel(link: &Link) -> ServerChannel {
    match (link.tls(), link.socket().is_unix()) {
        (Some(_), _) => ServerChannel::Tls,
        (None, true) => ServerChannel::Local,
        (None, false) => ServerChannel::Plain,
    }
}

/// What TLS itself has against the server stays so; a connection that ends meanwhile is a server that goes away.
fn handshake_ended(server: &Server, error: io::Error) -> BackendError {
    let is_verdict = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    if !is_verdict {
        return lost(server, error);
    }
    BackendError::Tls {
        server: server.name().to_owned(),
        reason: error.to_string(),
    }
}

fn lost(server: &Server, source: io::Error) -> BackendError {
    BackendError::Lost {
        server: server.name().to_owned(),
        source,
    }
}

fn login_failed(server: &Server, reason: &str) -> BackendError {
    BackendError::Login {
        server: server.name().to_owned(),
        reason: reason.to_owned(),
    }
}

fn refused(server: &Server, payload: &[u8]) -> BackendError {
    match ErrPacket::parse(payload) {
        Ok(error) => BackendError::Refused {
            server: server.name().to_owned(),
            code: error.code,
            sqlstate: error.sqlstate,
            message: String::from_utf8_lossy(error.message).into_owned(),
        },
        Err(error) => login_failed(server, &error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    #[test]
    fn a_server_that_goes_away_in_a_handshake_is_lost_and_one_that_is_not_believed_is_not() {
        let yaml = "listeners: [{address: \"127.0.0.1:1\"}]\nservers: [{name: db1, address: \"127.0.0.1:2\"}]\n\
                    monitor: {user: m, password: m}\n";
        let server = Server::new(0, &Config::parse(yaml, Path::new("test.yaml")).unwrap(), None);
        for kind in [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset] {
            assert!(handshake_ended(&server, kind.into()).is_lost(), "{kind}");
        }
        let verdict = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let error = io::Error::new(io::ErrorKind::InvalidData, verdict);
        let told = handshake_ended(&server, error);
        assert!(
            matches!(&told, BackendError::Tls { reason, .. } if reason.contains("UnknownIssuer")),
            "{told}"
        );
        assert!(!told.is_lost());
    }
}
