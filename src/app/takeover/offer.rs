//! The running process's side: it waits for one that wants to take over, and goes on as before unless that works.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::net::unix::UCred;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{sleep, timeout};

use super::legacy::Legacy;
use super::message::{MOST_DOORS, Message, PROTOCOL, Trouble};
use crate::app::notify::notify;
use crate::config::Address;
use crate::failover;
use crate::frontend::door::{Door, Inherited, Listed, OpenDoor};
use crate::frontend::shared::Shared;
use crate::net::{Socket, descriptors};

pub struct Offer {
    /// `None`: nobody can take over.
    door: Option<(OpenDoor, Option<Listed>)>,
    path: Option<PathBuf>,
    shared: Arc<Shared>,
    failover: failover::Handle,
}

/// Another process serves. While this is kept, this one decides nothing and writes nothing of its own.
pub struct Replaced {
    _resting: failover::Resting,
    _pen: OwnedMutexGuard<()>,
}

/// Removes the socket's file, unless another process has it now.
struct Sign(Option<PathBuf>);

/// From the connection to the first word.
const SOON: Duration = Duration::from_secs(5);
/// How long the new process may take to get ready, and then to begin.
const READY: Duration = Duration::from_secs(60);
/// How long a change of the primary may take that is under way.
pub const STAND_DOWN: Duration = Duration::from_secs(20);
const BREATH: Duration = Duration::from_millis(50);

/// The same user as this process, or root.
pub fn is_trusted(peer: &UCred) -> bool {
    let own = rustix::process::geteuid();
    peer.uid() == own.as_raw() || peer.uid() == 0
}

// === impl Offer ===

impl Offer {
    /// Where that does not work, the proxy runs all the same.
    pub async fn open(shared: &Arc<Shared>, failover: failover::Handle, inherited: &mut Inherited) -> Self {
        let (mut door, mut path) = (None, None);
        if let Some(socket) = &shared.settings().config.takeover.socket {
            match listen(shared, socket, inherited).await {
                Ok(open) => (door, path) = (Some(open), Some(socket.clone())),
                Err(error) => tracing::warn!(
                    socket = %socket.display(), %error,
                    "no other process will be able to take over: see `takeover.socket`"
                ),
            }
        }
        Self {
            door,
            path,
            shared: shared.clone(),
            failover,
        }
    }

    /// Returns once another process serves.
    pub async fn taken(self) -> Replaced {
        let Some((door, _listed)) = &self.door else {
            return std::future::pending().await;
        };
        let mut sign = Sign(self.path.clone());
        loop {
            let mut stream = match door.accept().await {
                Ok((Socket::Unix(stream), _)) => stream,
                Ok(_) => continue,
                Err(error) => {
                    tracing::warn!(%error, "cannot speak to a process that may want to take over");
                    sleep(BREATH).await;
                    continue;
                }
            };
            match self.hand_over(&mut stream).await {
                Ok(replaced) => {
                    sign.0 = None;
                    return replaced;
                }
                Err(error) => {
                    tracing::warn!(%error, "nobody takes over: this process goes on");
                    let why = match error {
                        Trouble::Refused(why) => why,
                        other => other.to_string(),
                    };
                    let _ = timeout(BREATH, Message::Refused { why }.send(&mut stream)).await;
                }
            }
        }
    }

    async fn hand_over(&self, stream: &mut UnixStream) -> Result<Replaced, Trouble> {
        let peer = stream.peer_cred()?;
        if !is_trusted(&peer) {
            return Err(Trouble::Refused(
                "only the same user and root may take over".to_owned(),
            ));
        }
        self.offer(stream).await?;
        match Message::receive(stream, READY).await? {
            Message::Ready => {}
            _ => return Err(Trouble::Nonsense),
        }
        let resting = self.failover.stand_down(STAND_DOWN).await;
        let resting = resting.map_err(|refusal| Trouble::Refused(refusal.to_string()))?;
        let pen = timeout(SOON, self.shared.topology.gate().pen().clone().lock_owned()).await;
        let pen = pen.map_err(|_| Trouble::Refused("a heartbeat is being written".to_owned()))?;
        let yours = Message::Yours(Legacy::of(&self.shared, &self.failover));
        yours.send(stream).await?;
        match Message::receive(stream, READY).await? {
            Message::Serving => {}
            _ => return Err(Trouble::Nonsense),
        }
        if let Some(pid) = peer.pid() {
            notify(&format!("MAINPID={pid}"));
        }
        tracing::info!(pid = peer.pid(), "another process has taken over");
        Ok(Replaced {
            _resting: resting,
            _pen: pen,
        })
    }

    async fn offer(&self, stream: &mut UnixStream) -> Result<(), Trouble> {
        let (protocol, version) = match Message::receive(stream, SOON).await? {
            Message::Hello { protocol, version } => (protocol, version),
            _ => return Err(Trouble::Nonsense),
        };
        if protocol != PROTOCOL {
            let why =
                format!("version {version} hands over in another way (protocol {protocol}, here {PROTOCOL})");
            return Err(Trouble::Refused(why));
        }
        let mut doors = self.shared.doors.all();
        doors.truncate(MOST_DOORS);
        tracing::info!(version, doors = doors.len(), "another process wants to take over");
        let offer = Message::Offer {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            doors: doors.iter().map(|(address, _)| address.to_string()).collect(),
        };
        offer.send(stream).await?;
        for (_, door) in &doors {
            let sent = timeout(SOON, descriptors::send(stream, door.as_fd())).await;
            sent.map_err(|_| Trouble::Late(SOON))??;
        }
        Ok(())
    }
}

impl Drop for Sign {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

async fn listen(
    shared: &Arc<Shared>,
    socket: &std::path::Path,
    inherited: &mut Inherited,
) -> io::Result<(OpenDoor, Option<Listed>)> {
    // Another process may have another working directory.
    let path = std::path::absolute(socket)?;
    let address = Address::Unix(path.clone());
    let door = Door::open(&address, inherited).await?;
    // Others are refused whatever they can open.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let listed = shared.doors.list(&address, &door);
    Ok((door.attach()?, listed))
}
