//! A request on its way from the client to a server: forwarded as it comes, however long it is.

use std::io;

use crate::net::Link;
use crate::wire::packet::{HEADER, Header};

/// Which of the two ends failed.
#[derive(Debug)]
pub enum PassError {
    Client(io::Error),
    Server(io::Error),
}

/// Forwards one command, over all the packets it is split into; answers its length. Clients that compress may number
/// these in their own way.
pub async fn pass_packet(from: &mut Link, to: &mut Link, limit: u64) -> Result<u64, PassError> {
    let mut number = 0;
    let number = from.next_number().is_some().then_some(&mut number);
    pass_numbered(from, to, limit, number).await
}

/// The same, with sequence numbers of our own from `number` on.
pub async fn pass_numbered(
    from: &mut Link,
    to: &mut Link,
    limit: u64,
    mut number: Option<&mut u8>,
) -> Result<u64, PassError> {
    let mut total = 0;
    loop {
        let header = header(from).await.map_err(PassError::Client)?;
        total += header.length as u64;
        if total > limit {
            return Err(PassError::Client(too_long()));
        }
        if let Some(number) = &mut number {
            from.inbox.bytes_mut()[HEADER - 1] = **number;
            **number = number.wrapping_add(1);
        }
        let mut left = header.total();
        while left > 0 {
            if from.inbox.bytes().is_empty() {
                fill(from).await.map_err(PassError::Client)?;
            }
            let count = left.min(from.inbox.bytes().len());
            to.send(&from.inbox.bytes()[..count])
                .await
                .map_err(PassError::Server)?;
            from.inbox.consume(count);
            left -= count;
        }
        if !header.is_continued() {
            return Ok(total);
        }
    }
}

/// Reads one payload and throws it away.
pub async fn skip_packet(from: &mut Link) -> io::Result<()> {
    loop {
        let header = header(from).await?;
        let mut left = header.total();
        while left > 0 {
            if from.inbox.bytes().is_empty() {
                fill(from).await?;
            }
            let count = left.min(from.inbox.bytes().len());
            from.inbox.consume(count);
            left -= count;
        }
        if !header.is_continued() {
            return Ok(());
        }
    }
}

/// Reads one whole payload of at most `limit` bytes.
pub async fn read_packet(from: &mut Link, limit: u64) -> io::Result<Vec<u8>> {
    let mut payload = Vec::new();
    loop {
        let header = header(from).await?;
        if payload.len() as u64 + header.length as u64 > limit {
            return Err(too_long());
        }
        from.inbox.consume(HEADER);
        let mut left = header.length;
        while left > 0 {
            if from.inbox.bytes().is_empty() {
                fill(from).await?;
            }
            let count = left.min(from.inbox.bytes().len());
            payload.extend_from_slice(&from.inbox.bytes()[..count]);
            from.inbox.consume(count);
            left -= count;
        }
        if !header.is_continued() {
            return Ok(payload);
        }
    }
}

async fn header(from: &mut Link) -> io::Result<Header> {
    loop {
        if let Some(header) = Header::parse(from.inbox.bytes()) {
            return Ok(header);
        }
        fill(from).await?;
    }
}

async fn fill(from: &mut Link) -> io::Result<()> {
    match from.fill().await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

pub fn too_long() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "a packet is longer than max_allowed_packet",
    )
}
