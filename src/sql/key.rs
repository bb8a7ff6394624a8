//! The key of a text in the cache of facts: everything that the facts depend on, and nothing of what they do not.
//!
//! Literals and blanks are left out and names are taken as written, byte for byte. Whether a call's parenthesis
//! or a variable follows at once matters to the servers, so it is in the key. The hash is keyed with numbers of
//! this process, so that nobody can find two statements that share one.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use super::dialect::{Dialect, Flavour};
use super::lexer::{Lexer, Token, TokenKind};

/// The secret of one cache.
#[derive(Clone, Copy)]
pub(super) struct Keys {
    start: u64,
    factor: u64,
    other: u64,
}

/// Longer texts are analysed each time: they are rarely asked twice, and cost more to send than to analyse.
pub(super) const LONGEST: usize = 16 * 1024;

/// What is mixed in for a token, above the byte of a symbol.
mod tag {
    pub const WORD: u64 = 1 << 8;
    pub const QUOTED: u64 = 2 << 8;
    pub const STRING: u64 = 3 << 8;
    pub const NUMBER: u64 = 4 << 8;
    pub const VARIABLE: u64 = 5 << 8;
    pub const SIGN: u64 = 6 << 8;
    pub const ASSIGN: u64 = 7 << 8;
    pub const SYMBOL: u64 = 8 << 8;
    pub const LIST: u64 = 9 << 8;
    pub const HINT: u64 = 10 << 8;
    /// The token follows the one before it at once.
    pub const ADJOINS: u64 = 1 << 16;
}

// === impl Keys ===

impl Keys {
    pub fn random() -> Self {
        let random = RandomState::new();
        Self {
            start: random.hash_one(1),
            factor: random.hash_one(2) | 1,
            other: random.hash_one(3),
        }
    }

    /// The key of a text, `None` for one whose facts must be found anew each time.
    pub fn of(&self, text: &[u8], dialect: Dialect) -> Option<u64> {
        if text.len() > LONGEST {
            return None;
        }
        let mut mixer = Mixer {
            keys: self,
            state: self.start,
        };
        mixer.number(dialect_number(dialect));
        let mut lexer = Lexer::new(text, dialect);
        mixer.tokens(text, &mut lexer)?;
        if lexer.is_broken() || lexer.met_code_comment() {
            return None;
        }
        for range in lexer.hints() {
            mixer.bytes(tag::HINT, text, range.start, range.end);
        }
        Some(mixer.state)
    }
}

fn dialect_number(dialect: Dialect) -> u64 {
    let bits = [
        dialect.flavour == Flavour::MariaDb,
        dialect.no_backslash_escapes,
        dialect.ansi_quotes,
    ];
    let bits = bits.iter().fold(0, |sum, &bit| sum << 1 | u64::from(bit));
    u64::from(dialect.version) << 16 | (dialect.charset as u64) << 8 | bits
}

struct Mixer<'keys> {
    keys: &'keys Keys,
    state: u64,
}

/// Where in a list of literals the reader is.
#[derive(Clone, Copy, PartialEq)]
enum List {
    Outside,
    /// Behind a literal.
    One,
    /// Behind a comma that follows a literal, with the state before it.
    Comma(u64),
    /// Behind a literal that is not the first.
    More,
    MoreComma(u64),
}

// === impl Mixer ===

impl Mixer<'_> {
    fn tokens(&mut self, text: &[u8], lexer: &mut Lexer<'_>) -> Option<()> {
        let mut list = List::Outside;
        let (mut last_end, mut after_dot) = (0, false);
        loop {
            let token = lexer.next_token();
            let next = match token.kind {
                TokenKind::End => return Some(()),
                TokenKind::Word => {
                    self.bytes(tag::WORD, text, token.start, token.end);
                    List::Outside
                }
                TokenKind::Number if !after_dot => self.literal(tag::NUMBER, list),
                TokenKind::String => {
                    let quote = text.get(token.start).copied().unwrap_or_default();
                    self.literal(tag::STRING | u64::from(quote), list)
                }
                TokenKind::Symbol(byte) => self.symbol(byte, token, last_end, list, text)?,
                _ => self.rare(token, last_end, text),
            };
            list = next;
            last_end = token.end;
            after_dot = matches!(token.kind, TokenKind::Symbol(b'.'));
        }
    }

    fn symbol(&mut self, byte: u8, token: Token, last_end: usize, list: List, text: &[u8]) -> Option<List> {
        let before = self.state;
        let adjoins = byte == b'(' && token.start == last_end;
        self.number(tag::SYMBOL | u64::from(byte) | if adjoins { tag::ADJOINS } else { 0 });
        match (byte, list) {
            (b',', List::One) => return Some(List::Comma(before)),
            (b',', List::More) => return Some(List::MoreComma(before)),
            // More than one statement, or what may be taken for it.
            (b';', _) if !text.get(token.end..).is_some_and(ends) => return None,
            _ => {}
        }
        Some(List::Outside)
    }

    fn literal(&mut self, tag: u64, list: List) -> List {
        match list {
            List::Comma(before) => {
                self.state = before;
                self.number(tag::LIST);
                List::More
            }
            List::MoreComma(before) => {
                self.state = before;
                List::More
            }
            _ => {
                self.number(tag);
                List::One
            }
        }
    }

    fn rare(&mut self, token: Token, last_end: usize, text: &[u8]) -> List {
        let tag = match token.kind {
            TokenKind::QuotedName => tag::QUOTED,
            TokenKind::UserVariable if token.start == last_end => tag::VARIABLE | tag::ADJOINS,
            TokenKind::UserVariable => tag::VARIABLE,
            TokenKind::SystemSign => tag::SIGN,
            TokenKind::Assign => tag::ASSIGN,
            _ => tag::NUMBER,
        };
        self.bytes(tag, text, token.start, token.end);
        List::Outside
    }

    #[inline]
    fn bytes(&mut self, tag: u64, text: &[u8], start: usize, end: usize) {
        const CHUNK: usize = 16;
        let length = end.saturating_sub(start);
        self.state ^= tag | (length as u64) << 32;
        let mut at = start;
        // Reading past the name is quicker than copying it, where the text goes on for long enough.
        while end - at > CHUNK {
            let chunk = text.get(at..).and_then(|rest| rest.first_chunk::<CHUNK>());
            self.wide(chunk.map_or(0, |chunk| u128::from_le_bytes(*chunk)));
            at += CHUNK;
        }
        let kept = u128::MAX
            .checked_shr(8 * (CHUNK - (end - at)) as u32)
            .unwrap_or(0);
        let packed = match text.get(at..).and_then(|rest| rest.first_chunk::<CHUNK>()) {
            Some(chunk) => u128::from_le_bytes(*chunk) & kept,
            None => pack(text.get(at..end).unwrap_or_default()),
        };
        self.wide(packed);
    }

    #[inline]
    fn number(&mut self, number: u64) {
        self.state = fold(self.state ^ number, self.keys.factor);
    }

    #[inline]
    fn wide(&mut self, bytes: u128) {
        self.state = fold(self.state ^ bytes as u64, self.keys.other ^ (bytes >> 64) as u64);
        self.state = self.state.rotate_left(23).wrapping_add(self.keys.factor);
    }
}

/// Whether nothing but what the servers cut off follows.
fn ends(rest: &[u8]) -> bool {
    rest.iter()
        .all(|byte| matches!(byte, b';' | b'\t'..=b'\r' | b' '))
}

fn pack(name: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(name) {
        *to = *from;
    }
    u128::from_le_bytes(bytes)
}

/// Both halves of the product, so that every bit of the input reaches every bit of the state.
#[inline]
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_blanks_do_not_matter_and_names_do() {
        let keys = Keys::random();
        let dialect = Dialect::new(Flavour::MySql, 90_700);
        let key = |text: &str| keys.of(text.as_bytes(), dialect);
        let same = |one: &str, other: &str| assert_eq!(key(one), key(other), "{one} | {other}");
        let differ = |one: &str, other: &str| assert_ne!(key(one), key(other), "{one} | {other}");
        same(
            "SELECT a FROM t WHERE b=1",
            "SELECT  a\nFROM t -- x\nWHERE b = 27",
        );
        same("SELECT a IN (1, 2)", "SELECT a IN (3,4,5,6)");
        same("SELECT 'a'", "SELECT 'it''s'");
        differ("SELECT a IN (1)", "SELECT a IN (1, 2)");
        differ("SELECT a", "SELECT b");
        differ("SELECT a", "SELECT A");
        differ("SELECT count(a)", "SELECT count (a)");
        differ("SELECT a@b", "SELECT a @b");
        differ("SELECT a.1e", "SELECT a.2e");
        differ("SELECT abcdefghijklmnopq", "SELECT abcdefghijklmnopr");
        differ("SELECT ab", "SELECT a b");
        differ(
            "SELECT 1 /* splitrail: primary */",
            "SELECT 1 /* splitrail: replica */",
        );
        differ("SELECT 1 /* splitrail: primary */", "SELECT 1");
        assert_eq!(key("SELECT 1; SELECT 2"), None);
        assert_eq!(key("SELECT 'a"), None);
        assert_eq!(key("SELECT /*! 1 */"), None);
        assert_eq!(key(&" ".repeat(LONGEST + 1)), None);
        let other = Dialect {
            ansi_quotes: true,
            ..dialect
        };
        assert_ne!(keys.of(b"SELECT 1", dialect), keys.of(b"SELECT 1", other));
    }
}
