//! The packets that end things: OK with its session tracking, ERR, EOF, and those between login and verdict.
//! The first byte says whether session tracking was negotiated.
#![no_main]

use libfuzzer_sys::fuzz_target;
use splitrail::wire::auth::message::{ServerMessage, more, switch};
use splitrail::wire::eof::EofPacket;
use splitrail::wire::err::ErrPacket;
use splitrail::wire::ok::OkPacket;
use splitrail::wire::track::{Change, Changes};
use splitrail::wire::{Capabilities, Status};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, payload)) = data.split_first() else {
        return;
    };
    let capabilities = if choice & 1 == 0 {
        Capabilities::SESSION_TRACK
    } else {
        Capabilities::NONE
    };
    ok(payload, capabilities);
    others(payload);
    track(payload);
});

fn ok(payload: &[u8], capabilities: Capabilities) {
    let Ok(packet) = OkPacket::parse(payload, capabilities) else {
        return;
    };
    let mut out = Vec::new();
    packet.encode(&mut out, capabilities);
    let mut expected = packet;
    if !capabilities.has(Capabilities::SESSION_TRACK) {
        expected.status = packet.status.without(Status::SESSION_STATE_CHANGED);
    }
    assert_eq!(OkPacket::parse(&out, capabilities), Ok(expected));
    track(packet.track);
}

fn track(bytes: &[u8]) {
    let expected: Vec<Change<'_>> = Changes::new(bytes).flatten().collect();
    let mut out = Vec::new();
    expected.iter().for_each(|change| change.encode(&mut out));
    let again: Vec<_> = Changes::new(&out)
        .map(|change| change.expect("what is written parses"))
        .collect();
    assert_eq!(again, expected);
}

fn others(payload: &[u8]) {
    let mut out = Vec::new();
    if let Ok(packet) = ErrPacket::parse(payload) {
        packet.encode(&mut out);
        assert_eq!(ErrPacket::parse(&out), Ok(packet));
    }
    out.clear();
    if let Ok(packet) = EofPacket::parse(payload) {
        packet.encode(&mut out);
        assert_eq!(EofPacket::parse(&out), Ok(packet));
    }
    match ServerMessage::parse(payload) {
        ServerMessage::Switch { plugin, data } => {
            if let Ok(name) = std::str::from_utf8(plugin) {
                let again = switch(name, data);
                assert_eq!(ServerMessage::parse(&again), ServerMessage::parse(payload));
            }
        }
        ServerMessage::More(data) => assert_eq!(more(data), payload),
        _ => {}
    }
}
