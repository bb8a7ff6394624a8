//! Packets that the proxy itself sends to clients.

use crate::wire::err::ErrPacket;
use crate::wire::ok::OkPacket;
use crate::wire::packet::put_with;
use crate::wire::track::Change;
use crate::wire::{Capabilities, Status};

pub fn error(
    sequence: u8,
    capabilities: Capabilities,
    code: u16,
    sqlstate: &[u8; 5],
    message: &str,
) -> Vec<u8> {
    let packet = ErrPacket {
        code,
        sqlstate: *sqlstate,
        message: message.as_bytes(),
    };
    failure(sequence, capabilities, &packet)
}

pub fn failure(sequence: u8, capabilities: Capabilities, packet: &ErrPacket<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    put_with(&mut out, sequence, |out| {
        if capabilities.has(Capabilities::PROTOCOL_41) {
            packet.encode(out);
        } else {
            packet.encode_without_state(out);
        }
    });
    out
}

/// The answer to a login, which tells clients that follow their session of the schema that they chose.
pub fn welcome(sequence: u8, capabilities: Capabilities, status: Status, schema: Option<&[u8]>) -> Vec<u8> {
    let Some(schema) = schema.filter(|_| capabilities.has(Capabilities::SESSION_TRACK)) else {
        return ok(sequence, status);
    };
    let (mut out, mut track) = (Vec::new(), Vec::new());
    Change::Schema(schema).encode(&mut track);
    let packet = OkPacket {
        status: status | Status::SESSION_STATE_CHANGED,
        track: &track,
        ..OkPacket::default()
    };
    put_with(&mut out, sequence, |out| packet.encode(out, capabilities));
    out
}

pub fn ok(sequence: u8, status: Status) -> Vec<u8> {
    let mut out = Vec::new();
    let packet = OkPacket {
        status,
        ..OkPacket::default()
    };
    put_with(&mut out, sequence, |out| {
        packet.encode(out, Capabilities::PROTOCOL_41)
    });
    out
}
