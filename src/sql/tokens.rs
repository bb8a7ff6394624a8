//! A text as a row of tokens with one token of foresight, for the few statements that are read word by word.

use super::dialect::Dialect;
use super::facts::Table;
use super::lexer::{Lexer, Token, TokenKind};

pub(super) struct Tokens<'text> {
    text: &'text [u8],
    lexer: Lexer<'text>,
    ahead: Option<Token>,
}

// === impl Tokens ===

impl<'text> Tokens<'text> {
    pub(super) fn new(text: &'text [u8], dialect: Dialect) -> Self {
        Self {
            text,
            lexer: Lexer::new(text, dialect),
            ahead: None,
        }
    }

    pub(super) fn are_broken(&self) -> bool {
        self.lexer.is_broken()
    }

    pub(super) fn next_token(&mut self) -> Token {
        match self.ahead.take() {
            Some(token) => token,
            None => self.lexer.next_token(),
        }
    }

    fn peek(&mut self) -> Token {
        let token = self.next_token();
        self.ahead = Some(token);
        token
    }

    pub(super) fn text_of(&self, token: Token) -> &'text [u8] {
        self.text.get(token.start..token.end).unwrap_or_default()
    }

    pub(super) fn is_word(&self, token: Token, word: &str) -> bool {
        token.kind == TokenKind::Word && self.text_of(token).eq_ignore_ascii_case(word.as_bytes())
    }

    /// Goes past this word, if it is next.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let token = self.peek();
        let is = self.is_word(token, word);
        if is {
            self.ahead = None;
        }
        is
    }

    /// Goes past these words, if they are next; the first alone is an error of the text.
    pub(super) fn take_words(&mut self, words: &[&str]) -> bool {
        words.iter().all(|word| self.take_word(word))
    }

    pub(super) fn take_symbol(&mut self, symbol: u8) -> bool {
        self.take_kind(TokenKind::Symbol(symbol))
    }

    pub(super) fn take_sign(&mut self) -> bool {
        self.take_kind(TokenKind::SystemSign)
    }

    pub(super) fn take_assignment(&mut self) -> bool {
        self.take_kind(TokenKind::Assign)
    }

    fn take_kind(&mut self, kind: TokenKind) -> bool {
        let is = self.peek().kind == kind;
        if is {
            self.ahead = None;
        }
        is
    }

    /// Goes to what stands behind the next comma that is in no parentheses; there may be none.
    pub(super) fn skip_past_comma(&mut self) -> bool {
        let mut depth = 0_usize;
        loop {
            match self.next_token().kind {
                TokenKind::Symbol(b'(') => depth += 1,
                TokenKind::Symbol(b')') => depth = depth.saturating_sub(1),
                TokenKind::Symbol(b',') if depth == 0 => return true,
                TokenKind::End => return false,
                _ => {}
            }
        }
    }

    /// A name with an optional schema.
    pub(super) fn table(&mut self) -> Option<Table> {
        let first = self.name()?;
        if !self.take_symbol(b'.') {
            return Some(Table {
                schema: None,
                name: first,
            });
        }
        Some(Table {
            schema: Some(first),
            name: self.name()?,
        })
    }

    fn name(&mut self) -> Option<Box<[u8]>> {
        let token = self.next_token();
        let text = self.text_of(token);
        match token.kind {
            TokenKind::Word => Some(text.into()),
            TokenKind::QuotedName => {
                let [quote, inner @ .., _] = text else {
                    return None;
                };
                let mut name = Vec::with_capacity(inner.len());
                let mut bytes = inner.iter();
                while let Some(byte) = bytes.next() {
                    name.push(*byte);
                    if byte == quote {
                        bytes.next();
                    }
                }
                Some(name.into())
            }
            _ => None,
        }
    }
}
