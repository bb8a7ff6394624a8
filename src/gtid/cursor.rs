//! Walks a position's text byte by byte. White space means nothing to the servers, and nothing here.

use thiserror::Error;

/// No position is longer: a server with more than this has far more gaps than transactions in order.
pub(super) const LONGEST_TEXT: usize = 16 << 20;

/// A text that no server would take for a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    #[error("not a GTID position: {expected} expected at byte {at}")]
    Expected { expected: &'static str, at: usize },
    #[error("a GTID position of more than {limit} {what}")]
    TooLong { limit: usize, what: &'static str },
}

/// What is left of a text.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8]) -> Result<Self, Malformed> {
        if text.len() > LONGEST_TEXT {
            return Err(Malformed::TooLong {
                limit: LONGEST_TEXT,
                what: "bytes",
            });
        }
        let mut cursor = Self { text, at: 0 };
        cursor.skip_space();
        Ok(cursor)
    }

    /// The next byte that is no white space.
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Steps over `byte` and the white space after it, if it is next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.at += 1;
            self.skip_space();
        }
        is_next
    }

    /// The next bytes for which `belongs`, and steps over the white space after them.
    pub(super) fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.text[self.at..];
        let end = rest.iter().position(|byte| !belongs(*byte)).unwrap_or(rest.len());
        self.at += end;
        self.skip_space();
        &rest[..end]
    }

    /// A decimal number of at most `limit`.
    pub(super) fn number(&mut self, limit: u64) -> Result<u64, Malformed> {
        let start = self.clone();
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        let add = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
        let number = digits.iter().try_fold(0, add).filter(|number| *number <= limit);
        match number {
            Some(number) if !digits.is_empty() => Ok(number),
            _ => Err(start.expected("a number")),
        }
    }

    pub(super) fn expected(&self, expected: &'static str) -> Malformed {
        Malformed::Expected {
            expected,
            at: self.at,
        }
    }

    fn skip_space(&mut self) {
        while self
            .peek()
            .is_some_and(|byte| byte.is_ascii_whitespace() || byte == 0x0b)
        {
            self.at += 1;
        }
    }
}
