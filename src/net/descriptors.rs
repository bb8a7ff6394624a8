//! Open sockets from one process to another, over a Unix socket: the kernel gives the receiver descriptors of its own.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// The byte that each descriptor travels with.
const CARRIER: u8 = b'>';

/// Sends one descriptor. What is sent stays open here.
pub async fn send(stream: &UnixStream, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let descriptors = [descriptor];
    let send = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        let bytes = [IoSlice::new(&[CARRIER])];
        Ok(rustix::net::sendmsg(
            stream,
            &bytes,
            &mut ancillary,
            SendFlags::NOSIGNAL,
        )?)
    };
    stream.async_io(Interest::WRITABLE, send).await.map(drop)
}

/// Receives one descriptor, which no program started from here inherits.
pub async fn receive(stream: &UnixStream) -> io::Result<OwnedFd> {
    let receive = || {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [IoSliceMut::new(&mut byte)];
        let got = rustix::net::recvmsg(stream, &mut bytes, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        let mut received = None;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(mut descriptors) = message {
                received = descriptors.next().or(received);
            }
        }
        match (got.bytes, received) {
            (0, _) => Err(io::ErrorKind::UnexpectedEof.into()),
            (_, Some(descriptor)) if byte == [CARRIER] => Ok(descriptor),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    };
    stream.async_io(Interest::READABLE, receive).await
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn what_arrives_is_the_same_socket() {
        let (here, there) = UnixStream::pair().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        send(&here, listener.as_fd()).await.unwrap();
        let received = std::net::TcpListener::from(receive(&there).await.unwrap());
        let address = listener.local_addr().unwrap();
        assert_eq!(received.local_addr().unwrap(), address);
        drop(listener);
        let client = std::net::TcpStream::connect(address).unwrap();
        assert_eq!(received.accept().unwrap().1, client.local_addr().unwrap());
    }

    #[tokio::test]
    async fn bytes_without_a_descriptor_are_none() {
        let (mut here, there) = UnixStream::pair().unwrap();
        here.write_all(b">").await.unwrap();
        assert_eq!(
            receive(&there).await.unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        drop(here);
        assert_eq!(
            receive(&there).await.unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }
}
