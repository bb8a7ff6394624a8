//! The first words of a statement, which say what it sets out to do.

use super::super::dialect::Dialect;
use super::super::lexer::{Lexer, Token, TokenKind};

/// Tokens of one text that are read one after the other, each compared with words.
pub(super) struct Head<'text> {
    text: &'text [u8],
    lexer: Lexer<'text>,
    token: Token,
}

// === impl Head ===

impl<'text> Head<'text> {
    pub fn new(text: &'text [u8], dialect: Dialect) -> Self {
        let mut lexer = Lexer::new(text, dialect);
        let token = lexer.next_token();
        Self { text, lexer, token }
    }

    pub fn token(&self) -> Token {
        self.token
    }

    pub fn bytes(&self) -> &'text [u8] {
        self.text
            .get(self.token.start..self.token.end)
            .unwrap_or_default()
    }

    pub fn is_end(&self) -> bool {
        self.token.kind == TokenKind::End
    }

    pub fn next(&mut self) {
        self.token = self.lexer.next_token();
    }

    /// Whether the token is this unquoted word.
    pub fn is(&self, word: &str) -> bool {
        self.token.kind == TokenKind::Word && self.bytes().eq_ignore_ascii_case(word.as_bytes())
    }

    pub fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    pub fn is_symbol(&self, byte: u8) -> bool {
        self.token.kind == TokenKind::Symbol(byte)
    }

    /// Goes past this word, if it is here.
    pub fn skip(&mut self, word: &str) -> bool {
        let here = self.is(word);
        if here {
            self.next();
        }
        here
    }

    pub fn skip_any(&mut self, words: &[&str]) -> bool {
        let here = self.is_any(words);
        if here {
            self.next();
        }
        here
    }

    pub fn skip_symbol(&mut self, byte: u8) -> bool {
        let here = self.is_symbol(byte);
        if here {
            self.next();
        }
        here
    }

    /// Whether the token behind this one is this symbol.
    pub fn precedes(&self, byte: u8) -> bool {
        self.lexer.clone().next_token().kind == TokenKind::Symbol(byte)
    }

    pub fn is_name(&self) -> bool {
        matches!(self.token.kind, TokenKind::Word | TokenKind::QuotedName)
    }

    /// The name that this token is, without quotes.
    pub fn name(&self) -> Option<Box<[u8]>> {
        match self.token.kind {
            TokenKind::Word => Some(self.bytes().into()),
            TokenKind::QuotedName => unquoted(self.bytes()),
            _ => None,
        }
    }

    /// The text from this token on.
    pub fn rest(&self) -> &'text [u8] {
        self.text.get(self.token.start..).unwrap_or_default()
    }
}

fn unquoted(name: &[u8]) -> Option<Box<[u8]>> {
    let (&quote, rest) = name.split_first()?;
    let inner = rest.strip_suffix(&[quote])?;
    let mut plain = Vec::with_capacity(inner.len());
    let mut doubled = false;
    for &byte in inner {
        doubled = byte == quote && !doubled;
        if !doubled {
            plain.push(byte);
        }
    }
    Some(plain.into())
}
