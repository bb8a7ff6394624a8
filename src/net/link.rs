//! One connection: a socket, under it perhaps TLS and compression, and the bytes read from it.
//!
//! On a plain link bytes go between the socket and the caller's memory with no copy in between. The layers cost
//! memory only for those who asked for them.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::buffer::Inbox;
use super::cutoff::{self, Cutoff};
use super::signal::{Interrupt, Signal};
use super::socket::Socket;
use super::zip::Zip;
use crate::wire::compress::Algorithm;
use crate::wire::packet::{HEADER, Header, put_packet};

/// How much plaintext is encrypted before it is written out.
const CHUNK: usize = 64 << 10;
/// How much is read at once of what has to be unpacked or decrypted.
const RAW_LENGTH: usize = 16 << 10;

thread_local! {
    /// What was read is taken apart at once, so a thread needs no more than one, and nobody has to clear it.
    static RAW: RefCell<Box<[u8]>> = RefCell::new(vec![0; RAW_LENGTH].into());
}

#[derive(Debug)]
pub struct Link {
    socket: Socket,
    pub inbox: Inbox,
    /// Goes out before whatever is sent next.
    held: Vec<u8>,
    layers: Option<Box<Layers>>,
    /// By which somebody else can give the connection up.
    cutoff: Option<Arc<Cutoff>>,
}

#[derive(Debug, Default)]
struct Layers {
    tls: Option<rustls::Connection>,
    zip: Option<Zip>,
    /// Plaintext of TLS on its way into decompression.
    between: Vec<u8>,
    /// Bytes for the socket that it has not taken yet.
    pending: Vec<u8>,
    written: usize,
    /// The peer has said goodbye in TLS, and waits for us to hang up.
    ended: bool,
}

/// What came of waiting for bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Filled {
    Bytes,
    End,
    Interrupted(Interrupt),
    /// Somebody needs the server connection that is kept for the peer.
    Wanted,
    /// A server connection may have been given up.
    Evicted,
}

// === impl Link ===

impl Link {
    pub fn new(socket: Socket) -> Self {
        Self {
            socket,
            inbox: Inbox::default(),
            held: Vec::new(),
            layers: None,
            cutoff: None,
        }
    }

    /// From here on whoever has the other half can end all waiting.
    pub fn obey(&mut self, cutoff: Arc<Cutoff>) {
        self.cutoff = Some(cutoff);
    }

    pub fn is_cut(&self) -> bool {
        self.cutoff.as_ref().is_some_and(|cutoff| cutoff.is_cut())
    }

    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    pub fn is_plain(&self) -> bool {
        self.layers.is_none()
    }

    pub fn tls(&self) -> Option<&rustls::Connection> {
        self.layers.as_ref()?.tls.as_ref()
    }

    /// A channel on which a password may be sent as it is.
    pub fn is_secure(&self) -> bool {
        self.socket.is_unix() || self.tls().is_some()
    }

    /// Under compression, the number of the next compressed packet that is sent.
    pub fn next_number(&self) -> Option<u8> {
        Some(self.layers.as_ref()?.zip.as_ref()?.next_number())
    }

    /// How, and how hard, what is sent is compressed, if it is.
    pub fn compression(&self) -> Option<(Algorithm, u8)> {
        Some(self.layers.as_ref()?.zip.as_ref()?.kind())
    }

    /// From here on both directions are compressed.
    pub fn compress(&mut self, zip: Zip) {
        let layers = self.layers.get_or_insert_default();
        layers.zip = Some(zip);
    }

    /// Reads some bytes, at least one unless the stream has ended.
    pub async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|context| self.poll_fill(context)).await
    }

    /// Reads some bytes, or is called away.
    pub async fn fill_unless(&mut self, signal: &Signal, threshold: Interrupt) -> io::Result<Filled> {
        poll_fn(|context| {
            if let Some(interrupt) = signal.get().filter(|interrupt| *interrupt >= threshold) {
                return Poll::Ready(Ok(Filled::Interrupted(interrupt)));
            }
            // In the middle of a statement nothing can be given up.
            let between = threshold < Interrupt::Stop;
            if between && signal.is_evicted.take() {
                return Poll::Ready(Ok(Filled::Evicted));
            }
            match self.poll_fill(context) {
                Poll::Ready(Ok(0)) => Poll::Ready(Ok(Filled::End)),
                Poll::Ready(Ok(_)) => Poll::Ready(Ok(Filled::Bytes)),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                // A peer that has spoken meanwhile, of which the event loop is about to tell, may ask for what would
                // be given up.
                Poll::Pending if between && signal.is_wanted.get() && self.socket.is_quiet() => {
                    signal.is_wanted.set(false);
                    Poll::Ready(Ok(Filled::Wanted))
                }
                Poll::Pending => {
                    signal.listen(context);
                    Poll::Pending
                }
            }
        })
        .await
    }

    pub fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let polled = self.poll_read(context);
        match &self.cutoff {
            // What has arrived may be the answer that somebody waits for: the event loop is about to tell of it.
            Some(cutoff) if polled.is_pending() && cutoff.listen(context) && self.socket.is_quiet() => {
                Poll::Ready(Err(cutoff::error()))
            }
            _ => polled,
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(layers) = &mut self.layers else {
            let polled = self.socket.poll_fill(context, &mut self.inbox);
            if polled.is_pending() {
                self.inbox.release();
            }
            return polled;
        };
        loop {
            let before = self.inbox.bytes().len();
            layers.decode(&[], &mut self.inbox)?;
            let more = self.inbox.bytes().len() - before;
            if more > 0 {
                return Poll::Ready(Ok(more));
            }
            if layers.ended {
                return Poll::Ready(Ok(0));
            }
            let (socket, inbox) = (&mut self.socket, &mut self.inbox);
            let read = RAW.with_borrow_mut(|raw| {
                let count = ready!(socket.poll_read(context, raw))?;
                layers.decode(&raw[..count], inbox)?;
                Poll::Ready(io::Result::Ok(count))
            });
            match read {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(0)),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.inbox.release();
                    return Poll::Pending;
                }
            }
            let more = self.inbox.bytes().len() - before;
            layers.collect_tls()?;
            let flushed = layers.poll_pending(&mut self.socket, context);
            // A peer that hears no more may have said something all the same.
            if more > 0 {
                return Poll::Ready(Ok(more));
            }
            let _ = flushed?;
        }
    }

    /// Writes all of `bytes`.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        if !self.held.is_empty() {
            let mut all = std::mem::take(&mut self.held);
            all.extend_from_slice(bytes);
            let mut rest = &all[..];
            return poll_fn(|context| self.poll_send(context, &mut rest)).await;
        }
        poll_fn(|context| self.poll_send(context, &mut rest)).await
    }

    /// Writes all of `bytes` to a peer that nothing was sent to before: there is room, and the event loop, which
    /// does not know yet, is not waited for.
    pub async fn send_first(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = match self.layers {
            None => self.socket.write_now(bytes).unwrap_or_default(),
            Some(_) => 0,
        };
        self.send(&bytes[sent..]).await
    }

    /// Writes what it can of `rest`, moving it on; ready when nothing is left.
    pub fn poll_send(&mut self, context: &mut Context<'_>, rest: &mut &[u8]) -> Poll<io::Result<()>> {
        if self.is_cut() {
            return Poll::Ready(Err(cutoff::error()));
        }
        let polled = self.poll_write(context, rest);
        match &self.cutoff {
            Some(cutoff) if polled.is_pending() && cutoff.listen(context) => {
                Poll::Ready(Err(cutoff::error()))
            }
            _ => polled,
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>, rest: &mut &[u8]) -> Poll<io::Result<()>> {
        let Some(layers) = &mut self.layers else {
            while !rest.is_empty() {
                let count = ready!(self.socket.poll_write(context, rest))?;
                if count == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                *rest = &rest[count..];
            }
            return Poll::Ready(Ok(()));
        };
        loop {
            ready!(layers.poll_pending(&mut self.socket, context))?;
            if rest.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let (chunk, tail) = rest.split_at(rest.len().min(CHUNK));
            *rest = tail;
            layers.encode(chunk)?;
        }
    }

    /// Sends what belongs to a clean end of TLS. Never waits: the peer may be gone.
    pub fn say_goodbye(&mut self) {
        let Some(layers) = &mut self.layers else { return };
        if let Some(tls) = &mut layers.tls {
            tls.send_close_notify();
        }
        let mut context = Context::from_waker(std::task::Waker::noop());
        if layers.collect_tls().is_ok() {
            let _ = layers.poll_pending(&mut self.socket, &mut context);
        }
    }

    /// The end of a connection whose peer does not expect it.
    pub fn part(&mut self) {
        self.say_goodbye();
        self.socket.part();
    }

    /// Whether an idle link is still there, with nothing said that nobody asked for.
    pub fn is_quiet(&self) -> bool {
        self.inbox.bytes().is_empty() && self.socket.is_quiet()
    }

    /// Starts TLS. Bytes already read are the peer's first of the handshake.
    pub async fn start_tls(&mut self, tls: rustls::Connection) -> io::Result<()> {
        let early = self.inbox.bytes().to_vec();
        self.inbox.consume(early.len());
        let layers = self.layers.get_or_insert_default();
        layers.tls = Some(tls);
        layers.decode(&early, &mut self.inbox)?;
        poll_fn(|context| self.poll_handshake(context)).await
    }

    fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(layers) = &mut self.layers else {
            return Poll::Ready(Ok(()));
        };
        loop {
            layers.collect_tls()?;
            ready!(layers.poll_pending(&mut self.socket, context))?;
            if layers
                .tls
                .as_ref()
                .is_none_or(|tls| !tls.is_handshaking() && !tls.wants_write())
            {
                return Poll::Ready(Ok(()));
            }
            let mut raw = [0; 16 << 10];
            match ready!(self.socket.poll_read(context, &mut raw))? {
                0 => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                count => {
                    if let Err(error) = layers.decode(&raw[..count], &mut self.inbox) {
                        // The peer should learn why: the alert is waiting to be written.
                        let _ = layers.collect_tls();
                        let _ = layers.poll_pending(&mut self.socket, context);
                        return Poll::Ready(Err(error));
                    }
                }
            }
        }
    }
}

// === impl Layers ===

impl Layers {
    /// Takes bytes of the socket apart and appends what they carry to the inbox.
    fn decode(&mut self, mut raw: &[u8], inbox: &mut Inbox) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return match &mut self.zip {
                Some(zip) => zip.unpack(raw, inbox),
                None => {
                    inbox.extend(raw);
                    Ok(())
                }
            };
        };
        loop {
            if !raw.is_empty() {
                tls.read_tls(&mut raw)?;
            }
            let state = tls
                .process_new_packets()
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            self.ended |= state.peer_has_closed();
            let plain = state.plaintext_bytes_to_read();
            if plain > 0 {
                self.between.resize(plain, 0);
                tls.reader().read_exact(&mut self.between)?;
                match &mut self.zip {
                    Some(zip) => zip.unpack(&self.between, inbox)?,
                    None => inbox.extend(&self.between),
                }
                self.between.clear();
            }
            if raw.is_empty() {
                return Ok(());
            }
        }
    }

    fn encode(&mut self, plain: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return match &mut self.zip {
                Some(zip) => zip.pack(plain, &mut self.pending),
                None => {
                    self.pending.extend_from_slice(plain);
                    Ok(())
                }
            };
        };
        match &mut self.zip {
            Some(zip) => {
                let mut packed = Vec::new();
                zip.pack(plain, &mut packed)?;
                write_tls(tls, &packed, &mut self.pending)
            }
            None => write_tls(tls, plain, &mut self.pending),
        }
    }

    fn collect_tls(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut self.pending)?;
            }
        }
        Ok(())
    }

    fn poll_pending(&mut self, socket: &mut Socket, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.pending.len() {
            let count = ready!(socket.poll_write(context, &self.pending[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        if self.pending.capacity() > CHUNK {
            self.pending = Vec::new();
        }
        self.pending.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

/// Encrypts all of `plain`. The writer takes what fits its buffer, so it is emptied in between.
fn write_tls(tls: &mut rustls::Connection, mut plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    while !plain.is_empty() {
        let count = tls.writer().write(plain)?;
        plain = &plain[count..];
        while tls.wants_write() {
            tls.write_tls(out)?;
        }
    }
    Ok(())
}

// === packets ===

impl Link {
    /// Waits until a whole packet stands at the front of the inbox. Longer ones than `limit` are an error.
    pub async fn packet(&mut self, limit: usize) -> io::Result<Header> {
        loop {
            if let Some(header) = Header::parse(self.inbox.bytes()) {
                if header.length > limit {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a packet is too long"));
                }
                if self.inbox.bytes().len() >= header.total() {
                    return Ok(header);
                }
            }
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The payload of the packet at the front, which [`Link::packet`] has seen to be whole.
    pub fn payload(&self, header: Header) -> &[u8] {
        &self.inbox.bytes()[HEADER..header.total()]
    }

    /// Sends one payload, split over packets where it must be; returns the next sequence number.
    pub async fn send_payload(&mut self, sequence: u8, payload: &[u8]) -> io::Result<u8> {
        let mut out = Vec::with_capacity(HEADER + payload.len());
        let next = put_packet(&mut out, sequence, payload);
        self.send(&out).await?;
        Ok(next)
    }

    /// Keeps one payload for the next [`Link::send`], in one piece with what is sent then; returns the next
    /// sequence number.
    pub fn hold_payload(&mut self, sequence: u8, payload: &[u8]) -> u8 {
        put_packet(&mut self.held, sequence, payload)
    }

    /// Puts the socket into the event loop of the thread that calls.
    pub fn reattach(self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.detach()?.attach()?,
            ..self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tls::{self, Certificate, Verify};

    #[tokio::test]
    async fn what_a_peer_has_said_comes_before_what_is_wanted_of_it() {
        let (one, two) = tokio::net::UnixStream::pair().unwrap();
        let (mut client, mut server) = (Link::new(Socket::Unix(one)), Link::new(Socket::Unix(two)));
        let signal = Signal::default();
        client.send(b"a question").await.unwrap();
        signal.want_connection();
        let filled = server.fill_unless(&signal, Interrupt::Drain).await.unwrap();
        assert!(matches!(filled, Filled::Bytes), "{filled:?}");
        let filled = server.fill_unless(&signal, Interrupt::Drain).await.unwrap();
        assert!(matches!(filled, Filled::Wanted), "{filled:?}");
    }

    #[tokio::test]
    async fn a_goodbye_in_tls_ends_the_stream_though_the_socket_stays_open() {
        let (one, two) = tokio::net::UnixStream::pair().unwrap();
        let (mut client, mut server) = (Link::new(Socket::Unix(one)), Link::new(Socket::Unix(two)));
        let settings = tls::client(Verify::Nothing, None, None, false).unwrap();
        let name = "localhost".try_into().unwrap();
        let client_tls = rustls::ClientConnection::new(settings, name).unwrap();
        let settings = tls::server(Certificate::self_signed().unwrap(), None, false, false).unwrap();
        let server_tls = rustls::ServerConnection::new(settings).unwrap();
        let (ours, theirs) = tokio::join!(
            client.start_tls(client_tls.into()),
            server.start_tls(server_tls.into())
        );
        ours.and(theirs).unwrap();
        client.send(b"last words").await.unwrap();
        client.say_goodbye();
        assert_eq!(server.fill().await.unwrap(), 10);
        assert_eq!(server.fill().await.unwrap(), 0);
    }
}
