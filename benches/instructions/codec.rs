//! What a response costs on its way: finding its end, reading its OK, and passing bytes between two links.

use std::cell::RefCell;
use std::hint::black_box;

use splitrail::frontend::request::pass_packet;
use splitrail::net::{Link, Socket};
use splitrail::wire::Capabilities;
use splitrail::wire::bytes::Put;
use splitrail::wire::framing::{Expect, Framer, Next};
use splitrail::wire::ok::OkPacket;
use splitrail::wire::packet::put_packet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

use crate::Case;

pub const CASES: &[Case] = &[
    ("codec/frame one row", || frame(1)),
    ("codec/frame 1000 rows", || frame(1000)),
    ("codec/read an OK", || {
        black_box(OkPacket::parse(black_box(OK), Capabilities::SESSION_TRACK)).ok();
    }),
    ("relay/pass one packet", || {
        PAIR.with_borrow_mut(|pair| pair.pass())
    }),
];

const OK: &[u8] = &[0, 1, 0, 2, 0x40, 0, 0, 0, 5, 4, 3, 2, b'd', b'b'];

thread_local! {
    static RESPONSES: RefCell<Vec<(usize, Vec<u8>)>> = const { RefCell::new(Vec::new()) };
    static PAIR: RefCell<Pair> = RefCell::new(Pair::new());
}

fn frame(rows: usize) {
    RESPONSES.with_borrow_mut(|known| {
        if !known.iter().any(|(count, _)| *count == rows) {
            known.push((rows, response(rows)));
        }
        let Some((_, bytes)) = known.iter().find(|(count, _)| *count == rows) else {
            return;
        };
        let mut framer = Framer::new(Capabilities::DEPRECATE_EOF, Expect::Results);
        let mut position = 0;
        while let Ok(Next::Packet { length, .. }) = framer.next(black_box(bytes), &mut position) {
            position += length;
        }
        assert!(framer.is_done());
    });
}

/// One column of a hundred characters, as sysbench has it.
fn response(rows: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sequence = put_packet(&mut out, 1, &[1]);
    sequence = put_packet(
        &mut out,
        sequence,
        b"\x03def\x06sbtest\x07sbtest1\x07sbtest1\x01c\x01c\x0c\x2d\0\0\0\0\0\0\0\0\0\0\0",
    );
    for _ in 0..rows {
        let mut row = Vec::new();
        row.put_lenenc_bytes(&[b'x'; 100]);
        sequence = put_packet(&mut out, sequence, &row);
    }
    put_packet(&mut out, sequence, &[0xfe, 0, 0, 2, 0, 0, 0]);
    out
}

/// Two links with a peer each, on an event loop like the proxy's own.
struct Pair {
    runtime: Runtime,
    from: (UnixStream, Link),
    to: (UnixStream, Link),
    packet: Vec<u8>,
    buffer: Vec<u8>,
}

impl Pair {
    fn new() -> Self {
        #[allow(clippy::expect_used)]
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let pair = || {
            let _guard = runtime.enter();
            #[allow(clippy::expect_used)]
            let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
            (ours, Link::new(Socket::Unix(theirs)))
        };
        let (from, to) = (pair(), pair());
        let mut packet = Vec::new();
        put_packet(&mut packet, 0, b"\x03SELECT c FROM sbtest1 WHERE id=12345");
        let buffer = vec![0; packet.len()];
        Self {
            runtime,
            from,
            to,
            packet,
            buffer,
        }
    }

    fn pass(&mut self) {
        let passed: std::io::Result<()> = self.runtime.block_on(async {
            self.from.0.write_all(&self.packet).await?;
            let limit = 1 << 20;
            if pass_packet(&mut self.from.1, &mut self.to.1, limit)
                .await
                .is_err()
            {
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
            self.to.0.read_exact(&mut self.buffer).await.map(drop)
        });
        assert!(passed.is_ok() && self.buffer == self.packet);
    }
}
