//! What the two processes say to each other: JSON after its length, in this order: `Hello`, `Offer` (and the
//! descriptors), `Ready`, `Yours`, `Serving`. The old one may answer `Refused` at any time.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::legacy::Legacy;

/// Changes with whatever an older version would misunderstand.
pub const PROTOCOL: u32 = 1;
/// The longest message, in bytes.
const LONGEST: u32 = 1 << 20;
/// The most listeners that are handed over.
pub const MOST_DOORS: usize = 1024;

#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The new process: it speaks this protocol.
    Hello {
        protocol: u32,
        version: String,
    },
    /// The old one: descriptors of these addresses follow, each with a byte.
    Offer {
        version: String,
        doors: Vec<String>,
    },
    /// The new one could begin.
    Ready,
    /// The old one decides nothing and writes nothing of its own any more.
    Yours(Legacy),
    /// The new one lets clients in.
    Serving,
    Refused {
        why: String,
    },
}

#[derive(Debug, Error)]
pub enum Trouble {
    #[error("no answer within {0:?}")]
    Late(Duration),
    #[error("the other process has gone")]
    Gone,
    #[error("{0}")]
    Io(io::Error),
    #[error("it says what nobody understands")]
    Nonsense,
    #[error("it refuses: {0}")]
    Refused(String),
}

// === impl Message ===

impl Message {
    pub async fn send(&self, stream: &mut UnixStream) -> Result<(), Trouble> {
        let text = serde_json::to_vec(self).map_err(io::Error::other)?;
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        stream.write_all(&length.to_be_bytes()).await?;
        Ok(stream.write_all(&text).await?)
    }

    /// No byte beyond the message is read: descriptors may follow.
    pub async fn receive(stream: &mut UnixStream, limit: Duration) -> Result<Self, Trouble> {
        let read = async {
            let length = stream.read_u32().await?;
            if length > LONGEST {
                return Err(Trouble::Nonsense);
            }
            let mut text = vec![0; length as usize];
            stream.read_exact(&mut text).await?;
            serde_json::from_slice(&text).map_err(|_| Trouble::Nonsense)
        };
        match timeout(limit, read).await {
            Err(_) => Err(Trouble::Late(limit)),
            Ok(Ok(Self::Refused { why })) => Err(Trouble::Refused(why)),
            Ok(read) => read,
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        match error.kind() {
            UnexpectedEof | ConnectionReset | BrokenPipe => Self::Gone,
            _ => Self::Io(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn what_is_sent_is_received() {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        let offer = Message::Offer {
            version: "1".to_owned(),
            doors: vec!["127.0.0.1:3306".to_owned()],
        };
        offer.send(&mut here).await.unwrap();
        assert_eq!(Message::receive(&mut there, SOON).await.unwrap(), offer);
        let refused = Message::Refused { why: "no".to_owned() };
        refused.send(&mut here).await.unwrap();
        let told = Message::receive(&mut there, SOON).await.unwrap_err();
        assert!(matches!(told, Trouble::Refused(why) if why == "no"));
    }

    #[tokio::test]
    async fn nonsense_and_an_end_are_told_apart() {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        here.write_all(b"\0\0\0\x02{}").await.unwrap();
        assert!(matches!(
            Message::receive(&mut there, SOON).await,
            Err(Trouble::Nonsense)
        ));
        here.write_all(b"\xff\xff\xff\xff").await.unwrap();
        assert!(matches!(
            Message::receive(&mut there, SOON).await,
            Err(Trouble::Nonsense)
        ));
        here.write_all(b"\0\0").await.unwrap();
        drop(here);
        assert!(matches!(
            Message::receive(&mut there, SOON).await,
            Err(Trouble::Gone)
        ));
    }
}
