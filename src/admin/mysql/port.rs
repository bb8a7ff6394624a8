//! The port itself: who comes is let in, served, and written down.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use opensrv_mysql::AsyncMysqlIntermediary;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::feed::Feed;
use super::login::{Admitted, BoxStream, Desk, login};
use super::mouth::Mouth;
use super::shim::Shim;
use crate::accounts::{Accounts, ClientAddress, StaticPassword, StaticUser};
use crate::admin::State;
use crate::admin::console::Who;
use crate::config::{Address, AdminUser};
use crate::frontend::audit::{Event, Record};
use crate::frontend::door::{Door, Inherited, OpenDoor};
use crate::net::Socket;
use crate::wire::Capabilities;
use crate::wire::auth::Plugin;
use crate::wire::login::{FILLER, Login};
use crate::wire::packet::put_with;

/// An open port that nobody is served at yet.
pub struct Port {
    door: Door,
    address: Address,
}

#[derive(Debug, Error)]
pub enum PortError {
    #[error("the admin port cannot use {address}: {source}")]
    Listen { address: Address, source: io::Error },
}

/// The library's greeting and its OK.
const PACKETS_OF_THE_LOGIN: usize = 2;

// === impl Port ===

impl Port {
    /// `None`: the configuration wants none.
    pub async fn open(
        admin: &crate::config::Admin,
        inherited: &mut Inherited,
    ) -> Result<Option<Self>, PortError> {
        let Some(address) = admin.address.clone().filter(|_| admin.is_open()) else {
            tracing::info!("no admin port: it takes `admin.users`, and an address that is not off");
            return Ok(None);
        };
        match Door::open(&address, inherited).await {
            Ok(door) => Ok(Some(Self { door, address })),
            Err(source) => Err(PortError::Listen { address, source }),
        }
    }

    /// Lets people in until `closed`; who is in stays.
    pub async fn serve(self, state: Arc<State>, mut closed: oneshot::Receiver<()>) {
        let mut users = state.shared.settings().config.admin.users.clone();
        let accounts = match Accounts::new(listed(&users), None) {
            Ok(accounts) => accounts,
            Err(error) => {
                tracing::error!(%error, "no admin port");
                return;
            }
        };
        let desk = Arc::new(Desk {
            accounts,
            tls: ArcSwapOption::empty(),
        });
        let _listed = state.shared.doors.list(&self.address, &self.door);
        let door = match self.door.attach() {
            Ok(door) => door,
            Err(error) => {
                tracing::error!(%error, "no admin port");
                return;
            }
        };
        tracing::info!(address = %self.address, "admin port open");
        let next = AtomicU32::new(1);
        let mut visitors = JoinSet::new();
        loop {
            let (stream, from, peer) = tokio::select! {
                accepted = accept(&door) => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "the admin port cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
                Some(_) = visitors.join_next() => continue,
                _ = &mut closed => {
                    tracing::info!(address = %self.address, "admin port closed");
                    return visitors.detach_all();
                }
            };
            let settings = state.shared.settings().clone();
            let admin = &settings.config.admin;
            if visitors.len() >= admin.max_connections as usize {
                tracing::warn!(peer, "too many connections to the admin port");
                continue;
            }
            if users != admin.users {
                users.clone_from(&admin.users);
                desk.accounts.set_listed(listed(&users));
            }
            desk.tls.store(state.shared.tls.load_full());
            let (state, desk) = (state.clone(), desk.clone());
            let id = next.fetch_add(1, Ordering::Relaxed);
            visitors.spawn(async move {
                visit(&state, &desk, stream, (id, from, peer)).await;
            });
        }
    }
}

async fn accept(door: &OpenDoor) -> io::Result<(BoxStream, ClientAddress, String)> {
    let (socket, peer) = door.accept().await?;
    let stream: BoxStream = match socket {
        Socket::Tcp(stream) => {
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
        Socket::Unix(stream) => Box::new(stream),
    };
    Ok(match peer {
        Some(peer) => (stream, ClientAddress::from(peer), peer.to_string()),
        None => (stream, ClientAddress::Local, "local".to_owned()),
    })
}

fn listed(users: &[AdminUser]) -> Vec<StaticUser> {
    let listed = users.iter().map(|user| StaticUser {
        user: user.name.clone().into_bytes(),
        hosts: Vec::new(),
        password: StaticPassword::Password(user.password.clone()),
        plugin: None,
        backend: None,
        max_connections: None,
        consistency: None,
    });
    listed.collect()
}

/// One connection from its first byte to its last.
async fn visit(
    state: &Arc<State>,
    desk: &Desk,
    stream: BoxStream,
    (id, from, peer): (u32, ClientAddress, String),
) {
    let limit = state.shared.settings().config.limits.login_timeout;
    let admitted = match tokio::time::timeout(limit, login(desk, stream, id, from)).await {
        Ok(Ok(admitted)) => admitted,
        Ok(Err(error)) => return login_failed(state, &peer, &error.to_string()),
        Err(_) => return login_failed(state, &peer, "it took too long"),
    };
    let user = String::from_utf8_lossy(&admitted.user).into_owned();
    let settings = state.shared.settings().clone();
    let mut users = settings.config.admin.users.iter();
    let Some(role) = users.find(|known| known.name == user).map(|known| known.role) else {
        return;
    };
    tracing::info!(user, peer, role = role.word(), "admin connected");
    state.shared.audit.tell(|| {
        let record = Record::new(Event::AdminLogin).with("user", &user);
        record.with("address", &peer).with("role", role.word())
    });
    let database = admitted.database.as_deref().map(String::from_utf8_lossy);
    let who = Who {
        user: user.clone(),
        role,
        from: peer.clone(),
        id,
        schema: database.map(std::borrow::Cow::into_owned),
    };
    let end = serve(state, who, admitted).await;
    let reason = end
        .err()
        .map_or_else(|| "it left".to_owned(), |error| error.to_string());
    tracing::info!(user, peer, reason, "admin disconnected");
}

fn login_failed(state: &State, peer: &str, reason: &str) {
    tracing::info!(peer, reason, "admin login failed");
    state.shared.audit.tell(|| {
        let record = Record::new(Event::AdminLoginFailed).with("address", peer);
        record.with("reason", reason)
    });
}

async fn serve(state: &Arc<State>, who: Who, admitted: Admitted) -> io::Result<()> {
    let (reader, writer) = tokio::io::split(admitted.stream);
    let first = introduction(&admitted.user, admitted.capabilities);
    let feed = Feed::new(reader, first, state.shared.settings().config.admin.idle_timeout);
    let mouth = Mouth::new(writer, PACKETS_OF_THE_LOGIN);
    AsyncMysqlIntermediary::run_on(Shim::new(state.clone(), who), feed, mouth).await
}

/// The login that the library sees: it lets everybody in, and has to know what the client understands.
fn introduction(user: &[u8], capabilities: Capabilities) -> Vec<u8> {
    use Capabilities as C;
    let known = capabilities & (C::LONG_PASSWORD | C::PROTOCOL_41 | C::DEPRECATE_EOF);
    let login = Login {
        // With the last one it writes an OK's text as servers do for every client.
        capabilities: known | C::PROTOCOL_41 | C::SECURE_CONNECTION | C::PLUGIN_AUTH | C::SESSION_TRACK,
        max_packet: 1 << 24,
        collation: 45,
        filler: [0; FILLER],
        user,
        auth: b"proved",
        database: None,
        plugin: Some(Plugin::Native.name().as_bytes()),
        attributes: None,
        zstd_level: None,
    };
    let mut packet = Vec::new();
    put_with(&mut packet, 1, |out| login.encode(out));
    packet
}
