//! Where a response ends: found the same whether its bytes come all at once or in pieces.
//! The first byte chooses what was asked and negotiated, the second the size of the pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use splitrail::wire::Capabilities;
use splitrail::wire::framing::{Expect, Framer, Kind, Next};

fuzz_target!(|data: &[u8]| {
    let [choice, piece, bytes @ ..] = data else {
        return;
    };
    let expect = match choice & 3 {
        0 => Expect::Results,
        1 => Expect::Rows,
        2 => Expect::Prepared,
        _ => Expect::Text,
    };
    let mut capabilities = Capabilities::PROTOCOL_41;
    for (bit, flag) in [
        (4, Capabilities::DEPRECATE_EOF),
        (8, Capabilities::SESSION_TRACK),
        (16, Capabilities::OPTIONAL_RESULTSET_METADATA),
        (32, Capabilities::MARIADB_CACHE_METADATA),
    ] {
        if choice & bit != 0 {
            capabilities |= flag;
        }
    }
    let whole = follow(Framer::new(capabilities, expect), bytes, bytes.len().max(1));
    let pieces = follow(Framer::new(capabilities, expect), bytes, usize::from(*piece) + 1);
    assert_eq!(pieces, whole);
});

#[derive(Debug, PartialEq)]
enum Event {
    Packet(usize, Kind, usize),
    Done(usize),
    Failed,
}

fn follow(mut framer: Framer, bytes: &[u8], piece: usize) -> Vec<Event> {
    let mut events = Vec::new();
    let (mut position, mut end) = (0, 0);
    while end < bytes.len() {
        end = (end + piece).min(bytes.len());
        loop {
            match framer.next(&bytes[..end], &mut position) {
                Ok(Next::More) => break,
                Ok(Next::Packet { kind, length }) => {
                    assert!(length > 0 && position + length <= end);
                    events.push(Event::Packet(position, kind, length));
                    position += length;
                    if kind == Kind::LocalInfile {
                        framer.file_sent();
                    }
                }
                Ok(Next::Done) => {
                    events.push(Event::Done(position));
                    return events;
                }
                Err(_) => {
                    events.push(Event::Failed);
                    return events;
                }
            }
            assert!(position <= end);
        }
    }
    events
}
