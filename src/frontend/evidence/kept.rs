//! What a server has answered to a write, and the client is told only when that is committed.

use crate::wire::err::ErrPacket;
use crate::wire::framing::Kind;
use crate::wire::ok::OkPacket;
use crate::wire::packet::put_with;
use crate::wire::{Capabilities, Malformed, Status};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    Done(Done),
    Failed(Failed),
}

/// What an OK says of the statement before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    pub affected_rows: u64,
    pub last_insert_id: u64,
    pub warnings: u16,
    pub info: Box<[u8]>,
    /// It is part of a transaction that goes on, ...
    pub in_transaction: bool,
    /// ... and that may not write to other tables than temporary ones.
    pub reads_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub code: u16,
    pub sqlstate: [u8; 5],
    pub message: Box<[u8]>,
}

// === impl Kept ===

impl Kept {
    /// What ends a response, if this does.
    pub fn read(
        kind: Kind,
        payload: &[u8],
        capabilities: Capabilities,
    ) -> Result<Option<Box<Self>>, Malformed> {
        let kept = match kind {
            Kind::Ok => Self::Done(Done::of(&OkPacket::parse(payload, capabilities)?)),
            Kind::Error => Self::Failed(Failed::of(&ErrPacket::parse(payload)?)),
            _ => return Ok(None),
        };
        Ok(Some(Box::new(kept)))
    }
}

// === impl Done ===

impl Done {
    fn of(ok: &OkPacket<'_>) -> Self {
        Self {
            affected_rows: ok.affected_rows,
            last_insert_id: ok.last_insert_id,
            warnings: ok.warnings,
            info: ok.info.into(),
            in_transaction: ok.status.has(Status::IN_TRANSACTION),
            reads_only: ok.status.has(Status::IN_READ_ONLY_TRANSACTION),
        }
    }

    /// Says it in an OK that was for another statement; whether that makes a difference.
    pub fn put_into<'a>(&'a self, ok: &mut OkPacket<'a>) -> bool {
        let before = *ok;
        ok.affected_rows = self.affected_rows;
        ok.last_insert_id = self.last_insert_id;
        ok.warnings = self.warnings;
        ok.info = &self.info;
        *ok != before
    }

    /// As the packet that answers a request.
    pub fn packet(&self, sequence: u8, status: Status, capabilities: Capabilities) -> Vec<u8> {
        let mut ok = OkPacket {
            status: status.without(Status::SESSION_STATE_CHANGED),
            ..OkPacket::default()
        };
        self.put_into(&mut ok);
        let mut out = Vec::new();
        put_with(&mut out, sequence, |out| ok.encode(out, capabilities));
        out
    }
}

// === impl Failed ===

impl Failed {
    fn of(error: &ErrPacket<'_>) -> Self {
        Self {
            code: error.code,
            sqlstate: error.sqlstate,
            message: error.message.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ok_says_what_another_one_said() {
        let done = Done {
            affected_rows: 3,
            last_insert_id: 7,
            warnings: 1,
            info: (*b"Records: 3").into(),
            ..Done::default()
        };
        let packet = done.packet(1, Status::AUTOCOMMIT, Capabilities::PROTOCOL_41);
        let ok = OkPacket::parse(&packet[4..], Capabilities::PROTOCOL_41).unwrap();
        assert_eq!(
            (ok.affected_rows, ok.last_insert_id, ok.warnings, ok.info),
            (3, 7, 1, &b"Records: 3"[..])
        );
        assert_eq!(ok.status, Status::AUTOCOMMIT);
        let mut same = ok;
        assert!(!done.put_into(&mut same));
        let nothing = Done::default();
        assert!(nothing.put_into(&mut same) && same.affected_rows == 0);
    }
}
