//! The packet that says a statement failed, and the progress report that MariaDB sends in its disguise.

use super::bytes::{Malformed, Put, Reader, Result};

const ERR: u8 = 0xff;
const STATE_MARK: u8 = b'#';

/// What an error without a state of its own means.
pub const GENERAL_STATE: [u8; 5] = *b"HY000";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrPacket<'a> {
    pub code: u16,
    /// [`GENERAL_STATE`] when the packet has none, as before the login.
    pub sqlstate: [u8; 5],
    pub message: &'a [u8],
}

pub fn is_err(payload: &[u8]) -> bool {
    payload.first() == Some(&ERR)
}

/// Whether a payload is MariaDB's report of a long statement's progress: more packets of the result follow.
/// Only sent to clients that asked for it with MARIADB_PROGRESS.
pub fn is_progress(payload: &[u8]) -> bool {
    payload.starts_with(&[ERR, 0xff, 0xff])
}

// === impl ErrPacket ===

impl<'a> ErrPacket<'a> {
    pub fn parse(payload: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != ERR {
            return Err(Malformed("an ERR packet does not start with 0xff"));
        }
        let code = reader.u16()?;
        let message = reader.rest();
        Ok(match message.split_first_chunk::<6>() {
            Some((&[STATE_MARK, ref sqlstate @ ..], message)) => Self {
                code,
                sqlstate: *sqlstate,
                message,
            },
            _ => Self {
                code,
                sqlstate: GENERAL_STATE,
                message,
            },
        })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(ERR);
        out.put_u16(self.code);
        out.put_u8(STATE_MARK);
        out.put_bytes(&self.sqlstate);
        out.put_bytes(self.message);
    }

    /// Appends the payload in the form that goes to a client which has not yet said that it knows protocol
    /// 4.1, that is, instead of a greeting.
    pub fn encode_without_state(&self, out: &mut Vec<u8>) {
        out.put_u8(ERR);
        out.put_u16(self.code);
        out.put_bytes(self.message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn with_a_state_and_without() -> Result<()> {
        const BAD: &[u8] = b"\xff\x13\x04#08S01Bad handshake";
        const OLD: &[u8] = b"\xff\xe3\x04Client does not support";
        let bad = ErrPacket::parse(BAD)?;
        assert_eq!(
            (bad.code, &bad.sqlstate, bad.message),
            (1043, b"08S01", &b"Bad handshake"[..])
        );
        let old = ErrPacket::parse(OLD)?;
        assert_eq!((old.code, old.sqlstate), (1251, GENERAL_STATE));
        let (mut with, mut without) = (Vec::new(), Vec::new());
        bad.encode(&mut with);
        old.encode_without_state(&mut without);
        assert_eq!((&with[..], &without[..]), (BAD, OLD));
        assert!(is_err(BAD) && !is_err(b"\0") && !is_err(b""));
        Ok(())
    }

    #[test]
    fn a_progress_report_is_told_from_errors() {
        const REPORT: &[u8] = b"\xff\xff\xff\x01\x01\x02\x10\x27\0\x05stage";
        assert!(is_progress(REPORT));
        assert!(!is_progress(b"\xff\x13\x04#08S01Bad handshake"));
    }

    #[test]
    fn short_packets_are_errors_or_have_short_messages() {
        const WHOLE: &[u8] = b"\xff\x13\x04#08S01Bad";
        for end in 0..WHOLE.len() {
            assert_eq!(ErrPacket::parse(&WHOLE[..end]).is_ok(), end >= 3, "{end}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            code in 0..=u16::MAX,
            sqlstate in any::<[u8; 5]>(),
            message in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let packet = ErrPacket { code, sqlstate, message: &message };
            let mut out = Vec::new();
            packet.encode(&mut out);
            prop_assert_eq!(ErrPacket::parse(&out), Ok(packet));
        }
    }
}
