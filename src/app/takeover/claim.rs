//! The new process's side: it asks for the listeners, and begins when the old one has stopped.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::legacy::Legacy;
use super::message::{MOST_DOORS, Message, PROTOCOL, Trouble};
use super::offer::{STAND_DOWN, is_trusted};
use crate::frontend::door::Inherited;
use crate::net::descriptors;

/// On the way to be the one that serves.
pub struct Claim {
    stream: UnixStream,
}

/// For everything that takes the other process no time.
const SOON: Duration = Duration::from_secs(10);

// === impl Claim ===

impl Claim {
    /// `None`: nobody runs there.
    pub async fn make(socket: &Path) -> Result<Option<(Self, Inherited)>, Trouble> {
        let mut stream = match UnixStream::connect(socket).await {
            Ok(stream) => stream,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                tracing::info!(socket = %socket.display(), "nobody to take over from");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        if !is_trusted(&stream.peer_cred()?) {
            return Err(Trouble::Refused("it runs as another user".to_owned()));
        }
        let hello = Message::Hello {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        hello.send(&mut stream).await?;
        let Message::Offer { version, doors } = Message::receive(&mut stream, SOON).await? else {
            return Err(Trouble::Nonsense);
        };
        if doors.len() > MOST_DOORS {
            return Err(Trouble::Nonsense);
        }
        let mut inherited = Inherited::default();
        tracing::info!(version, doors = doors.len(), "taking over");
        for address in doors {
            let descriptor = timeout(SOON, descriptors::receive(&stream)).await;
            inherited.push(address, descriptor.map_err(|_| Trouble::Late(SOON))??);
        }
        Ok(Some((Self { stream }, inherited)))
    }

    /// Everything is ready. Returns when the old process has stopped deciding and writing of its own.
    pub async fn ready(&mut self) -> Result<Legacy, Trouble> {
        Message::Ready.send(&mut self.stream).await?;
        match Message::receive(&mut self.stream, STAND_DOWN + SOON).await? {
            Message::Yours(legacy) => Ok(legacy),
            _ => Err(Trouble::Nonsense),
        }
    }

    /// Clients are let in. Returns when the old process has taken note; one that has not goes on itself.
    pub async fn serving(mut self) -> Result<(), Trouble> {
        Message::Serving.send(&mut self.stream).await?;
        // It hangs up when it has told the service manager who serves now.
        match timeout(SOON, self.stream.read_u8()).await {
            Ok(Ok(_)) => Err(Trouble::Nonsense),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Trouble::Late(SOON)),
        }
    }
}
