//! From a fresh connection to a client that is served: PROXY header, greeting, TLS, proof, first server connection.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use super::audit::{Event, Record};
use super::authentication::{Accepted, Exchange, Proof, logged};
use super::client::{Client, Login};
use super::meeting;
use super::outcome::End;
use super::registry::{Entry, Place};
use super::reply;
use super::rules::Steering;
use super::shared::Newcomer;
use super::worker::Worker;
use crate::accounts::{ClientAddress, Refusal};
use crate::backend::{BackendError, Identity, Key, Profile};
use crate::config::{ClientTlsMode, Listener, ServerVersion};
use crate::net::zip::Zip;
use crate::net::{Link, Signal, Socket};
use crate::routing::Policy;
use crate::routing::balance::source_of;
use crate::session::{Hold, Session};
use crate::sql::{Charset, Dialect, Flavour};
use crate::wire::compress::Algorithm;
use crate::wire::greeting::Greeting;
use crate::wire::login::{self, FILLER, Opening};
use crate::wire::packet::put_with;
use crate::wire::proxy_protocol::ProxyHeader;
use crate::wire::{Capabilities, Status};

/// No login is longer: names, a proof and at most 64 KiB of attributes.
const LONGEST: usize = 256 << 10;

/// What the client said of itself, after TLS if it asked for that.
pub struct Opened {
    pub capabilities: Capabilities,
    pub collation: u16,
    pub filler: [u8; FILLER],
    pub user: Vec<u8>,
    pub proof: Vec<u8>,
    pub plugin: Option<Vec<u8>>,
    pub database: Option<Vec<u8>>,
    pub attributes: Box<[u8]>,
    pub zstd_level: Option<u8>,
    /// What the greeting asked to be proven with.
    pub scramble: [u8; 20],
}

struct Arrival {
    link: Link,
    worker: Rc<Worker>,
    listener: Arc<Listener>,
    place: Place,
    id: u32,
    signal: Rc<Signal>,
    address: Option<SocketAddr>,
    /// The sequence number of the next packet we send.
    sequence: u8,
    /// None before the login: an error has no SQLSTATE then.
    capabilities: Capabilities,
    user: Vec<u8>,
    /// Why the client is refused, for the log.
    why: Option<String>,
}

/// Who has proved to be whom.
struct Proved {
    opened: Opened,
    accepted: Accepted,
    profile: Arc<Profile>,
}

/// Serves one connection from its first byte to its last, and says so in the log.
pub async fn run(worker: Rc<Worker>, newcomer: Newcomer<Socket>, (id, signal): (u32, Rc<Signal>)) {
    let started = Instant::now();
    let Newcomer {
        socket,
        peer: address,
        listener,
        place,
    } = newcomer;
    let arrival = Arrival {
        link: Link::new(socket),
        worker,
        listener,
        place,
        id,
        signal,
        address,
        sequence: 0,
        capabilities: Capabilities::NONE,
        user: Vec::new(),
        why: None,
    };
    // Boxed: what a login needs is not to be kept for as long as the client stays.
    let Some(mut client) = Box::pin(arrival.arrive(started)).await else {
        return;
    };
    let end = client.serve().await;
    client.leave();
    if end.is_expected() {
        client.link.say_goodbye();
    } else {
        client.link.part();
    }
    let reason = client.why.as_deref().unwrap_or(end.reason());
    client.tell_audit(Event::Logout, |record| record.with("reason", reason));
    let user = String::from_utf8_lossy(&client.login.user).into_owned();
    tracing::info!(
        client = id,
        user,
        peer = peer(client.address),
        listener = client.listener,
        reason,
        seconds = started.elapsed().as_secs_f64(),
        statements = client.statements,
        "client disconnected"
    );
}

/// A client's address as the log shows it.
pub fn peer(address: Option<SocketAddr>) -> String {
    address.map_or_else(|| "local".to_owned(), |address| address.to_string())
}

// === impl Arrival ===

impl Arrival {
    async fn arrive(mut self, started: Instant) -> Option<Client> {
        let (id, listener) = (self.id, self.listener.name.clone());
        // How long a server takes is not for the client to answer for: that has limits of its own.
        let shared = self.worker.shared.clone();
        let limit = shared.settings().config.limits.login_timeout;
        let proved = tokio::time::timeout(limit, self.prove()).await;
        let (address, user) = (self.address, String::from_utf8_lossy(&self.user).into_owned());
        let (end, why) = match proved.unwrap_or(Err(End::LoginTimeout)) {
            Err(end) => (end, self.why),
            Ok(proved) => {
                let (sequence, zstd_level) = (self.sequence, proved.opened.zstd_level);
                let mut client = self.admit(proved);
                // Before the client hears that it is in: it may name its id to others at once.
                client.enlist();
                match client.welcome(sequence).await {
                    Ok(()) => {
                        client.start_compression(zstd_level);
                        client.tell_audit(Event::Login, |record| record);
                        tracing::info!(
                            client = id,
                            user,
                            peer = peer(address),
                            listener,
                            "client connected"
                        );
                        return Some(client);
                    }
                    Err(end) => (end, client.why),
                }
            }
        };
        let reason = why.as_deref().unwrap_or(end.reason());
        // Whoever only looks whether somebody listens has not tried to log in.
        if matches!(end, End::LoginFailed | End::LoginTimeout) {
            shared.audit.tell(|| {
                let record = Record::new(Event::LoginFailed).with_number("client", id.into());
                let record = record.with("user", &user).with("address", peer(address));
                record.with("listener", &listener).with("reason", reason)
            });
        }
        tracing::info!(
            client = id,
            user,
            peer = peer(address),
            listener,
            reason,
            seconds = started.elapsed().as_secs_f64(),
            "client refused"
        );
        None
    }

    async fn prove(&mut self) -> Result<Proved, End> {
        self.proxy_header().await?;
        let limits = self.worker.shared.settings().config.limits.clone();
        if self.worker.shared.registry.connections() > limits.client_connections as usize {
            return Err(self.refuse(1040, b"08004", "Too many connections").await);
        }
        let address = self.address.map(|address| address.ip());
        let per_address = limits.per_address.map(|limit| limit as usize);
        if self.place.comes_from(address, per_address).is_err() {
            return Err(self
                .refuse(1040, b"08004", "Too many connections from this address")
                .await);
        }
        let Some(profile) = meeting::meet(&self.worker.shared).await else {
            let text = format!(
                "cannot connect to server '{}', and no other has answered yet since the proxy was started",
                self.worker.shared.primary().name()
            );
            return Err(self.refuse(1158, b"08S01", &text).await);
        };
        let offered = self.offer(&profile);
        let scramble = self.greet(&profile, offered).await?;
        let opened = self.open(offered, scramble).await?;
        let accepted = self.authenticate(&opened, &profile).await?;
        Ok(Proved {
            opened,
            accepted,
            profile,
        })
    }

    async fn authenticate(&mut self, opened: &Opened, profile: &Profile) -> Result<Accepted, End> {
        let from = self
            .address
            .map_or(ClientAddress::Local, |address| ClientAddress::Ip(address.ip()));
        let mut exchange = Exchange {
            link: &mut self.link,
            worker: &self.worker,
            sequence: self.sequence,
            capabilities: opened.capabilities,
        };
        let proof = Proof {
            user: &opened.user,
            reply: &opened.proof,
            plugin: opened.plugin.as_deref(),
            scramble: opened.scramble,
            change_user: false,
        };
        let accepted = exchange.run(proof, from, profile).await;
        self.sequence = exchange.sequence;
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(Some(refusal)) => return Err(self.reject(&refusal).await),
            Err(None) => return Err(End::Gone),
        };
        let per_user = self.worker.shared.settings().config.limits.per_user;
        if let Err(text) = accepted.count(&mut self.place, &opened.user, per_user) {
            return Err(self.refuse(1226, b"42000", &text).await);
        }
        Ok(accepted)
    }

    /// A balancer that is trusted says for whom it speaks.
    async fn proxy_header(&mut self) -> Result<(), End> {
        let from = self
            .address
            .map_or(IpAddr::from([127, 0, 0, 1]), |address| address.ip());
        if !self
            .listener
            .proxy_protocol_trusted
            .iter()
            .any(|network| network.contains(from))
        {
            return Ok(());
        }
        loop {
            match ProxyHeader::parse(self.link.inbox.bytes()) {
                ProxyHeader::Proxied { source, length, .. } => {
                    self.address = Some(source);
                    self.link.inbox.consume(length);
                    return Ok(());
                }
                ProxyHeader::Local { length } => {
                    self.link.inbox.consume(length);
                    return Ok(());
                }
                ProxyHeader::Invalid(reason) => {
                    self.why = Some(format!("bad PROXY header: {reason}"));
                    return Err(End::Malformed);
                }
                ProxyHeader::NeedMore => {
                    if self.link.fill().await.map_err(|_| End::Broken)? == 0 {
                        return Err(End::Gone);
                    }
                }
            }
        }
    }

    /// What the server can, as far as it is not ours to give.
    fn offer(&self, profile: &Profile) -> Capabilities {
        use Capabilities as C;
        let compression = self.worker.shared.settings().config.compression.client;
        let mut offered = profile
            .capabilities
            .without(C::SSL | C::COMPRESS | C::ZSTD | C::MULTI_FACTOR);
        // A client's cached metadata would be that of another connection's prepare.
        offered = offered.without(C::MARIADB_CACHE_METADATA);
        if self.listener.tls != ClientTlsMode::Off && self.worker.shared.tls.load().is_some() {
            offered |= C::SSL;
        }
        if compression.zlib {
            offered |= C::COMPRESS;
        }
        if compression.zstd && !profile.is_mariadb() {
            offered |= C::ZSTD;
        }
        offered
    }

    async fn greet(&mut self, profile: &Profile, offered: Capabilities) -> Result<[u8; 20], End> {
        let scramble = crate::wire::auth::Scramble::generate().map_err(|_| End::Broken)?;
        let version = match &self.worker.shared.settings().config.server_version {
            ServerVersion::Mirror => profile.version.clone(),
            ServerVersion::Fixed(version) => version.clone().into_bytes(),
        };
        let greeting = Greeting {
            server_version: version,
            connection_id: self.id,
            scramble: *scramble.as_bytes(),
            capabilities: offered,
            collation: profile.collation,
            status: profile.status,
            plugin: profile.plugin.clone(),
        };
        let mut out = Vec::new();
        put_with(&mut out, self.sequence, |out| greeting.encode(out));
        self.link.send_first(&out).await.map_err(|_| End::Broken)?;
        Ok(*scramble.as_bytes())
    }

    /// Reads the login, behind TLS if the client asks for that first.
    async fn open(&mut self, offered: Capabilities, scramble: [u8; 20]) -> Result<Opened, End> {
        loop {
            let header = match self.link.packet(LONGEST).await {
                Ok(header) => header,
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                    return Err(self.bad().await);
                }
                Err(_) => return Err(End::Gone),
            };
            self.sequence = header.sequence.wrapping_add(1);
            let opened = match Opening::parse(self.link.payload(header)) {
                Ok(Opening::Login(login)) => {
                    self.capabilities = login.capabilities & offered;
                    Opened::new(&login, offered, scramble)
                }
                Ok(Opening::Tls(_)) if self.link.tls().is_none() && offered.has(Capabilities::SSL) => {
                    self.link.inbox.consume(header.total());
                    self.start_tls().await?;
                    continue;
                }
                Ok(Opening::TooOld) => {
                    let text = "Client does not support authentication protocol requested by server; \
                                consider upgrading MySQL client";
                    return Err(self.refuse(1251, b"08004", text).await);
                }
                Ok(Opening::Tls(_)) | Err(_) => return Err(self.bad().await),
            };
            self.link.inbox.consume(header.total());
            self.user.clone_from(&opened.user);
            if self.listener.tls == ClientTlsMode::Require && !self.link.is_secure() {
                let text = "Connections using insecure transport are prohibited while \
                            --require_secure_transport=ON.";
                return Err(self.refuse(3159, b"HY000", text).await);
            }
            return Ok(opened);
        }
    }

    async fn start_tls(&mut self) -> Result<(), End> {
        let Some(config) = self.worker.shared.tls.load_full() else {
            return Err(End::Malformed);
        };
        let session = rustls::ServerConnection::new(config).map_err(|_| End::Broken)?;
        self.link.start_tls(session.into()).await.map_err(|error| {
            self.why = Some(format!("TLS failed: {error}"));
            End::LoginFailed
        })
    }

    async fn bad(&mut self) -> End {
        self.refuse(1043, b"08S01", "Bad handshake").await
    }

    async fn reject(&mut self, refusal: &Refusal) -> End {
        let end = self
            .refuse(refusal.code, &refusal.sqlstate, &refusal.message)
            .await;
        self.why = Some(logged(refusal));
        end
    }

    async fn refuse(&mut self, code: u16, sqlstate: &[u8; 5], message: &str) -> End {
        let packet = reply::error(self.sequence, self.capabilities, code, sqlstate, message);
        let _ = self.link.send(&packet).await;
        self.why = Some(format!("{code} {message}"));
        End::LoginFailed
    }

    /// The client has proved who it is; now the server has to agree.
    fn admit(self, proved: Proved) -> Client {
        let Proved {
            opened,
            accepted,
            profile,
        } = proved;
        let server = self.worker.shared.server_for(self.listener.mode);
        let key = opened.key(server.index, accepted.identity);
        let mut session = Session::new(dialect(&profile, opened.collation));
        session.state.schema = opened.database.as_deref().map(Into::into);
        let entry = Arc::new(Entry::new(self.worker.index, opened.user.clone(), key.clone()));
        let (capabilities, login) = (opened.capabilities, opened.login(key));
        let levels = [Some(self.listener.consistency), accepted.consistency];
        let settings = self.worker.shared.settings().clone();
        let policy = Policy::new(&settings.config).with_levels(levels);
        let mut client = Client {
            link: self.link,
            worker: self.worker,
            signal: self.signal,
            place: self.place,
            id: self.id,
            capabilities,
            server,
            login,
            session,
            entry,
            aim: None,
            seats: Vec::new(),
            connection: None,
            aside: None,
            ran_last: None,
            counted_at: None,
            statements: 0,
            mode: self.listener.mode,
            policy,
            configured_policy: policy,
            account_level: accepted.consistency,
            settings,
            steering: Steering::default(),
            caching: Default::default(),
            source: source_of(self.address.map(|address| address.ip())),
            speaks: Default::default(),
            trace: Default::default(),
            underway: Default::default(),
            gateway: Default::default(),
            replay: Default::default(),
            evidence: Default::default(),
            listener: self.listener.name.clone(),
            address: self.address,
            why: None,
        };
        client.begin_seeing();
        client.select_rules();
        client
    }
}

// === impl Opened ===

impl Opened {
    fn new(login: &login::Login<'_>, offered: Capabilities, scramble: [u8; 20]) -> Self {
        Self {
            capabilities: login.capabilities & offered,
            collation: login.collation,
            filler: login.filler,
            user: login.user.to_vec(),
            proof: login.auth.to_vec(),
            plugin: login.plugin.map(<[u8]>::to_vec),
            database: login.database.map(<[u8]>::to_vec),
            attributes: login.attributes.unwrap_or_default().into(),
            zstd_level: login.zstd_level,
            scramble,
        }
    }

    /// What is kept of it for as long as the client is here.
    fn login(self, key: Key) -> Login {
        Login {
            key,
            user: self.user,
            attributes: self.attributes,
            filler: self.filler,
            scramble: self.scramble,
            failed_changes: 0,
        }
    }

    /// What its connections to a server have to be like.
    fn key(&self, server: usize, identity: Arc<Identity>) -> Key {
        Key {
            server,
            identity,
            capabilities: self.capabilities,
            collation: self.collation,
            has_schema: self.database.is_some(),
            was_reset: false,
            tls: false,
        }
    }
}

pub fn dialect(profile: &Profile, collation: u16) -> Dialect {
    let flavour = if profile.is_mariadb() {
        Flavour::MariaDb
    } else {
        Flavour::MySql
    };
    Dialect {
        charset: Charset::from_collation(collation),
        ..Dialect::new(flavour, profile.number())
    }
}

// === impl Client ===

impl Client {
    /// For the audit log: what the client did, or what was done to it.
    pub fn tell_audit(&self, event: Event, more: impl FnOnce(Record) -> Record) {
        self.worker.shared.audit.tell(|| {
            let record = Record::new(event).with_number("client", self.id.into());
            let record = record
                .with("user", &self.login.user)
                .with("address", peer(self.address));
            more(record.with("listener", &self.listener))
        });
    }

    /// Proves to the client that the server knows it, too.
    pub async fn welcome(&mut self, sequence: u8) -> Result<(), End> {
        if let Err(error) = self.bind_for_login().await {
            let (code, sqlstate, message) = error.for_client();
            self.why = Some(error.to_string());
            let packet = reply::error(sequence, self.capabilities, code, &sqlstate, &message);
            let _ = self.link.send(&packet).await;
            return Err(End::LoginFailed);
        }
        let mut status = Status::AUTOCOMMIT;
        if let Some(connection) = &self.connection {
            status = connection.status;
            self.session
                .holds
                .set(Hold::PasswordExpired, connection.password_expired);
        }
        self.session.status = status;
        self.unbind();
        let schema = self.session.state.schema.as_deref();
        let packet = reply::welcome(sequence, self.capabilities, status, schema);
        self.link.send(&packet).await.map_err(|_| End::Broken)
    }

    /// A client that comes while there is no primary waits for one.
    async fn bind_for_login(&mut self) -> Result<(), BackendError> {
        loop {
            match self.bind_strictly().await {
                Err(error) if self.may_wait(&error) => self.wait_for_primary(&error).await?,
                bound => {
                    if bound.is_ok() && self.gateway.turn.take().is_some() {
                        self.worker.shared.lot.works(self.server.index);
                    }
                    return bound;
                }
            }
        }
    }

    /// Only now: the OK that ends a login is not compressed yet.
    fn start_compression(&mut self, zstd_level: Option<u8>) {
        let levels = self.worker.shared.settings().config.compression.clone();
        if self.capabilities.has(Capabilities::COMPRESS) {
            self.link
                .compress(Zip::with_client(Algorithm::Zlib, levels.zlib_level as u8));
        } else if self.capabilities.has(Capabilities::ZSTD) {
            let level = zstd_level.unwrap_or(levels.zstd_level as u8);
            self.link.compress(Zip::with_client(Algorithm::Zstd, level));
        }
    }
}
