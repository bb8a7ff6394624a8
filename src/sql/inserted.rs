//! The values that an INSERT may write into an AUTO_INCREMENT column itself. The server's answer names such a value
//! as it names one that it has made, and only for the latter does `LAST_INSERT_ID()` change.

use super::dialect::Dialect;
use super::features::Features;
use super::flags::Flags;
use super::lexer::{Lexer, Token, TokenKind};
use super::verb::Verb;

/// A set of numbers that may say yes too often, and never no too often. Nothing known: every number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InsertedIds {
    bits: [u64; WORDS],
    any: bool,
    /// Dates are numbers, too.
    dates: bool,
}

const WORDS: usize = 4;
/// Longer texts are not read once more: to ask the server costs less.
const LONGEST: usize = 16 << 10;
/// The first date, as a number.
const FIRST_DATE: u64 = 10_000_101;

/// Words that stand for no number that anybody counts by. Sorted.
const HARMLESS: &[&str] = &[
    "_binary",
    "_latin1",
    "_utf8",
    "_utf8mb3",
    "_utf8mb4",
    "date",
    "default",
    "false",
    "null",
    "row",
    "time",
    "timestamp",
    "true",
];

/// The same for calls. Sorted.
const CALLS: &[&str] = &[
    "from_unixtime",
    "json_array",
    "json_object",
    "md5",
    "point",
    "random_bytes",
    "sha",
    "sha1",
    "sha2",
    "st_geomfromtext",
    "st_pointfromtext",
    "str_to_date",
    "unhex",
    "uuid",
    "uuid_to_bin",
];

/// Calls, and words without parentheses, whose values are dates. Sorted.
const DATES: &[&str] = &[
    "curdate",
    "current_date",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "now",
    "sysdate",
    "utc_date",
    "utc_timestamp",
];

/// The values that a text may write: of its own, that is, and not with its parameters.
pub fn inserted_ids(text: &[u8], features: &Features, dialect: Dialect) -> InsertedIds {
    const MORE: Flags = Flags::BROKEN
        .union(Flags::SEVERAL)
        .union(Flags::STORED_PROGRAM)
        .union(Flags::VERSION_COMMENT)
        .union(Flags::UNKNOWN_CALL);
    if features.has(MORE) || text.len() > LONGEST {
        return InsertedIds::ANY;
    }
    match features.verb {
        Verb::Insert | Verb::Replace => {}
        Verb::Select | Verb::Update | Verb::Delete | Verb::Set | Verb::Do => return InsertedIds::NONE,
        _ => return InsertedIds::ANY,
    }
    let mut reader = Reader {
        lexer: Lexer::new(text, dialect),
        text,
        found: InsertedIds::NONE,
    };
    match reader.run() {
        Some(()) if !reader.lexer.is_broken() => reader.found,
        _ => InsertedIds::ANY,
    }
}

struct Reader<'text> {
    lexer: Lexer<'text>,
    text: &'text [u8],
    found: InsertedIds,
}

// === impl InsertedIds ===

impl Default for InsertedIds {
    fn default() -> Self {
        Self::ANY
    }
}

impl InsertedIds {
    pub const ANY: Self = Self {
        any: true,
        ..Self::NONE
    };
    pub const NONE: Self = Self {
        bits: [0; WORDS],
        any: false,
        dates: false,
    };

    pub fn may_have(&self, id: u64) -> bool {
        let (word, bit) = Self::place(id);
        self.any || (self.dates && id >= FIRST_DATE) || self.bits[word] & bit != 0
    }

    pub fn add(&mut self, id: u64) {
        let (word, bit) = Self::place(id);
        self.bits[word] |= bit;
    }

    /// A number that is rounded, one way or the other.
    pub fn add_float(&mut self, value: f64) {
        // Beyond what fits a cast ends at the last number that does.
        let whole = value.abs() as u64;
        self.add(whole);
        self.add(whole.saturating_add(1));
    }

    /// A text, of which the number that it begins with counts.
    pub fn add_text(&mut self, text: &[u8]) {
        let text = text.trim_ascii_start();
        let is_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
        let length = text.iter().take_while(|byte| is_number(byte)).count();
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        // A date or an identifier ends its number at the first sign that makes none of it.
        let texts = [text.get(..length), text.get(..digits)];
        for number in texts.into_iter().flatten() {
            let number = std::str::from_utf8(number).unwrap_or_default();
            if let Ok(number) = number.parse::<u64>() {
                self.add(number);
            } else if let Ok(number) = number.parse::<f64>() {
                self.add_float(number);
            }
        }
    }

    pub fn add_date(&mut self) {
        self.dates = true;
    }

    pub fn add_any(&mut self) {
        self.any = true;
    }

    fn place(id: u64) -> (usize, u64) {
        let hash = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        (hash as usize / 64 % WORDS, 1 << (hash % 64))
    }
}

// === impl Reader ===

impl Reader<'_> {
    /// `None`: there may be any value.
    fn run(&mut self) -> Option<()> {
        let assigns = self.reach_values()?;
        let mut before = TokenKind::Symbol(b',');
        let mut token = self.lexer.next_token();
        loop {
            let next = self.lexer.next_token();
            match token.kind {
                TokenKind::End => return Some(()),
                TokenKind::Word if self.word(token).eq_ignore_ascii_case(b"returning") => return Some(()),
                TokenKind::Word | TokenKind::QuotedName
                    if assigns && next.kind == TokenKind::Symbol(b'=') => {}
                TokenKind::Word => self.take_word(token, next)?,
                TokenKind::Number => self.take_number(token),
                TokenKind::String if before == TokenKind::String => return None,
                TokenKind::String => self.take_string(token),
                TokenKind::Symbol(b'(' | b')' | b',' | b';' | b'?') => {}
                TokenKind::Symbol(b'=') if assigns => {}
                // A sign, and not a difference.
                TokenKind::Symbol(b'-' | b'+') if matches!(before, TokenKind::Symbol(b'(' | b',' | b'=')) => {
                }
                _ => return None,
            }
            (before, token) = (token.kind, next);
        }
    }

    /// Reads up to the values. True: they are assigned to columns one by one.
    fn reach_values(&mut self) -> Option<bool> {
        loop {
            let token = self.lexer.next_token();
            let word = match token.kind {
                TokenKind::End => return None,
                TokenKind::Word => self.word(token).to_ascii_lowercase(),
                _ => continue,
            };
            match &*word {
                b"values" | b"value" => return Some(false),
                b"set" => return Some(true),
                b"select" | b"table" | b"with" => return None,
                _ => {}
            }
        }
    }

    fn word(&self, token: Token) -> &[u8] {
        self.text.get(token.start..token.end).unwrap_or_default()
    }

    fn take_word(&mut self, token: Token, next: Token) -> Option<()> {
        let word = self.word(token).to_ascii_lowercase();
        let word = std::str::from_utf8(&word).ok()?;
        let calls = next.kind == TokenKind::Symbol(b'(');
        if DATES.binary_search(&word).is_ok() {
            self.found.add_date();
            return Some(());
        }
        let known = if calls { CALLS } else { HARMLESS };
        if word == "true" {
            self.found.add(1);
        }
        // Behind it comes a text in hexadecimal or binary digits.
        known.binary_search(&word).ok().map(drop)
    }

    fn take_number(&mut self, token: Token) {
        match self.word(token) {
            [b'0', b'x' | b'b', ..] => self.found.add_any(),
            number => {
                let number = number.to_vec();
                self.found.add_text(&number);
            }
        }
    }

    fn take_string(&mut self, token: Token) {
        let inner = self.text.get(token.start + 1..token.end.saturating_sub(1));
        let inner = inner.unwrap_or_default().trim_ascii_start();
        // An escape may be a digit, or a blank.
        if inner.first() == Some(&b'\\') {
            return self.found.add_any();
        }
        self.found.add_text(inner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::scan;

    fn ids(text: &str) -> InsertedIds {
        let dialect = Dialect::default();
        inserted_ids(text.as_bytes(), &scan(text.as_bytes(), dialect), dialect)
    }

    #[test]
    fn the_lists_are_sorted() {
        for list in [HARMLESS, CALLS, DATES] {
            assert!(list.is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn a_value_in_the_text_may_be_the_id() {
        for text in [
            "INSERT INTO t VALUES (42, 'x')",
            "INSERT INTO t (id) VALUES (NULL), ('42')",
            "INSERT t SET a = 'x', id = 42",
            "INSERT t SET id=41.7",
            "REPLACE INTO t VALUES (' 42')",
            "INSERT INTO t VALUES (4.2e1)",
            "INSERT INTO t VALUES (0x2a)",
            "INSERT INTO t VALUES (x'2a')",
            "INSERT INTO t VALUES ('4' '2')",
            "INSERT INTO t VALUES ('\\42')",
            "INSERT INTO t VALUES (40 + 2)",
            "INSERT INTO t VALUES (50-8)",
            "INSERT INTO t VALUES (@id)",
            "INSERT INTO t VALUES (@@port)",
            "INSERT INTO t VALUES (LENGTH('x'))",
            "INSERT INTO t (a, id) VALUES (7, a)",
            "INSERT INTO t SELECT 1",
            "INSERT INTO t TABLE u",
            "INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = 2",
            "INSERT INTO t VALUES (own(1))",
            "INSERT INTO t VALUES (1); SELECT 1",
            "LOAD DATA INFILE 'x' INTO TABLE t",
            "CALL p()",
        ] {
            assert!(ids(text).may_have(42), "{text}");
        }
        assert!(ids("INSERT INTO t VALUES (NOW())").may_have(20_261_121));
        assert!(ids("INSERT INTO t VALUES (TRUE)").may_have(1));
        let long = format!("INSERT INTO t VALUES (1, '{}')", "x".repeat(LONGEST));
        assert!(ids(&long).may_have(42));
    }

    #[test]
    fn what_no_value_can_be_the_server_has_made() {
        for text in [
            "INSERT INTO t (a, b) VALUES (7, 'x'), (NULL, DEFAULT)",
            "INSERT INTO t42 (`42`) VALUES (-7, '2026-11-21', NOW(), UUID(), ?)",
            "INSERT IGNORE t SET a = 7, `b` = ?, c=TRUE;",
            "INSERT INTO t (a) VALUES (7) RETURNING id + 42",
            "UPDATE t SET a = 42",
            "SELECT 42",
        ] {
            assert!(!ids(text).may_have(42), "{text}");
        }
    }

    #[test]
    fn values_of_parameters_count() {
        let mut found = InsertedIds::NONE;
        found.add(5);
        found.add_float(8.6);
        found.add_text(b"0012");
        assert!([5, 8, 9, 12].into_iter().all(|id| found.may_have(id)));
        found.add_date();
        assert!(found.may_have(20_261_121) && !found.may_have(6));
        found.add_any();
        assert!(found.may_have(6));
    }
}
