//! `SET @name = literal, ..`: what it assigns, when it assigns nothing but literals to user variables and so
//! could be said again elsewhere with the same effect. Everything else is `None`, and up to the server.

use super::dialect::{Charset, Dialect};
use super::lexer::{Token, TokenKind};
use super::tokens::Tokens;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAssignment {
    /// Without the sign, in lower case: servers do not tell cases apart here.
    pub name: Box<[u8]>,
    pub value: Literal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    Null,
    /// A number, or bytes in hexadecimal or binary digits: text that means the same in every session.
    Exact(Box<[u8]>),
    /// A string, what stood before it (`_utf8mb4`, without the underscore) and behind it (COLLATE).
    Text {
        bytes: Box<[u8]>,
        charset: Option<Box<[u8]>>,
        collation: Option<Box<[u8]>>,
    },
}

/// Character sets with a name that means the same in all versions, and in which ASCII is ASCII.
const INTRODUCED: [&[u8]; 5] = [b"ascii", b"binary", b"latin1", b"utf8mb3", b"utf8mb4"];

/// All that the text assigns, in order.
pub fn user_assignments(text: &[u8], dialect: Dialect) -> Option<Vec<UserAssignment>> {
    let mut parser = Parser {
        tokens: Tokens::new(text, dialect),
        text,
        dialect,
    };
    let found = parser.run()?;
    (!parser.tokens.are_broken()).then_some(found)
}

/// The user variables that the text names, in order; `None` where two of them might be one.
pub fn user_variables(text: &[u8], dialect: Dialect) -> Option<Vec<Box<[u8]>>> {
    let mut tokens = Tokens::new(text, dialect);
    let mut found = Vec::new();
    loop {
        let token = tokens.next_token();
        match token.kind {
            TokenKind::UserVariable => found.push(plain_name(tokens.text_of(token))?),
            TokenKind::End => break,
            _ => {}
        }
    }
    (!tokens.are_broken()).then_some(found)
}

/// Only names of which there is no doubt whether two are the same.
fn plain_name(token: &[u8]) -> Option<Box<[u8]>> {
    let name = token.get(1..)?;
    let name = match name {
        [quote @ (b'`' | b'\'' | b'"'), inner @ .., last] if quote == last => inner,
        name => name,
    };
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.');
    let usable = !name.is_empty() && name.len() <= 64 && name.iter().all(plain);
    usable.then(|| name.to_ascii_lowercase().into())
}

struct Parser<'text> {
    tokens: Tokens<'text>,
    text: &'text [u8],
    dialect: Dialect,
}

// === impl Parser ===

impl Parser<'_> {
    fn run(&mut self) -> Option<Vec<UserAssignment>> {
        if !self.tokens.take_word("SET") {
            return None;
        }
        let mut found = Vec::new();
        loop {
            let name = self.name()?;
            if !matches!(
                self.tokens.next_token().kind,
                TokenKind::Assign | TokenKind::Symbol(b'=')
            ) {
                return None;
            }
            let value = self.value()?;
            found.push(UserAssignment { name, value });
            match self.tokens.next_token().kind {
                TokenKind::Symbol(b',') => {}
                TokenKind::Symbol(b';') if self.tokens.next_token().kind == TokenKind::End => {
                    return Some(found);
                }
                TokenKind::End => return Some(found),
                _ => return None,
            }
        }
    }

    fn name(&mut self) -> Option<Box<[u8]>> {
        let token = self.tokens.next_token();
        if token.kind != TokenKind::UserVariable {
            return None;
        }
        plain_name(self.tokens.text_of(token))
    }

    fn value(&mut self) -> Option<Literal> {
        let token = self.tokens.next_token();
        match token.kind {
            TokenKind::Number => Some(Literal::Exact(self.tokens.text_of(token).into())),
            TokenKind::Symbol(sign @ (b'-' | b'+')) => {
                let number = self.tokens.next_token();
                let digits = self.tokens.text_of(number);
                let decimal = number.kind == TokenKind::Number && !matches!(digits, [b'0', b'x' | b'b', ..]);
                decimal.then(|| Literal::Exact([&[sign], digits].concat().into()))
            }
            TokenKind::String => self.string(token, None),
            TokenKind::Word => self.word(token),
            _ => None,
        }
    }

    fn word(&mut self, token: Token) -> Option<Literal> {
        let word = self.tokens.text_of(token).to_ascii_lowercase();
        match &*word {
            b"null" => return Some(Literal::Null),
            b"true" | b"false" => return Some(Literal::Exact(word.into())),
            _ => {}
        }
        let next = self.tokens.next_token();
        if next.kind != TokenKind::String {
            return None;
        }
        match &*word {
            b"x" | b"b" if next.start == token.end => {
                let literal = self.text.get(token.start..next.end)?;
                let digits = literal.get(2..literal.len() - 1)?;
                let plain = literal.get(1) == Some(&b'\'') && digits.iter().all(u8::is_ascii_hexdigit);
                plain.then(|| Literal::Exact(literal.into()))
            }
            [b'_', charset @ ..] if INTRODUCED.contains(&charset) => self.string(next, Some(charset.into())),
            _ => None,
        }
    }

    fn string(&mut self, token: Token, charset: Option<Box<[u8]>>) -> Option<Literal> {
        let bytes = unquote(self.tokens.text_of(token), self.dialect)?;
        if !self.tokens.take_word("COLLATE") {
            return Some(Literal::Text {
                bytes,
                charset,
                collation: None,
            });
        }
        let name = self.tokens.next_token();
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let text = self.tokens.text_of(name);
        let usable = name.kind == TokenKind::Word && text.iter().all(plain);
        usable.then(|| Literal::Text {
            bytes,
            charset,
            collation: Some(text.to_ascii_lowercase().into()),
        })
    }
}

/// What stands in the quotes; `None` where bytes above ASCII could be anything.
pub(super) fn unquote(literal: &[u8], dialect: Dialect) -> Option<Box<[u8]>> {
    let [quote @ (b'\'' | b'"'), inner @ .., _] = literal else {
        return None;
    };
    let known = matches!(dialect.charset, Charset::Utf8 | Charset::Latin1);
    if !known && !inner.is_ascii() {
        return None;
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied();
    while let Some(byte) = rest.next() {
        if byte == *quote {
            // Doubled, or the lexer would have ended the string.
            rest.next();
            bytes.push(byte);
        } else if byte == b'\\' && !dialect.no_backslash_escapes {
            match rest.next()? {
                b'0' => bytes.push(0),
                b'b' => bytes.push(8),
                b'n' => bytes.push(b'\n'),
                b'r' => bytes.push(b'\r'),
                b't' => bytes.push(b'\t'),
                b'Z' => bytes.push(26),
                kept @ (b'%' | b'_') => bytes.extend_from_slice(&[b'\\', kept]),
                other => bytes.push(other),
            }
        } else {
            bytes.push(byte);
        }
    }
    Some(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<String> {
        let found = user_assignments(text.as_bytes(), Dialect::default())?;
        let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let parts = found.iter().map(|one| {
            let value = match &one.value {
                Literal::Null => "null".to_owned(),
                Literal::Exact(text) => show(text),
                Literal::Text {
                    bytes,
                    charset,
                    collation,
                } => {
                    let or = |name: &Option<Box<[u8]>>| name.as_deref().map(show).unwrap_or_default();
                    format!("[{}|{}|{}]", show(bytes), or(charset), or(collation))
                }
            };
            format!("{}={value}", show(&one.name))
        });
        Some(parts.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn literals_are_read() {
        for (text, expected) in [
            ("SET @a = 5, @B := -1.5e3 ;", "a=5 b=-1.5e3"),
            ("set @`c`=NULL, @'d'=true, @e.f=0x1F", "c=null d=true e.f=0x1F"),
            ("SET @a=x'41', @b=B'01'", "a=x'41' b=B'01'"),
            ("SET @a='it''s', @b=\"a\\n\\%\\q\"", "a=[it's||] b=[a\n\\%q||]"),
            (
                "SET @a=_utf8mb4'x' COLLATE utf8mb4_bin, @b='y' collate latin1_bin",
                "a=[x|utf8mb4|utf8mb4_bin] b=[y||latin1_bin]",
            ),
            ("/*!40101 SET @a=1 */", "a=1"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_more_than_a_literal_is_not() {
        for text in [
            "SET @a = 1 + 1",
            "SET @a = @b",
            "SET @a = 'x' 'y'",
            "SET @a = 1, sql_mode = ''",
            "SET @a = NOW()",
            "SET @a = (SELECT 1)",
            "SET @a = _gbk'x'",
            "SET @a = n'x'",
            "SET @a = -x'41'",
            "SET @a = - -1",
            "SET @a = DATE '2020-01-01'",
            "SET @`a b` = 1",
            "SET @a = 1; SET @b = 2",
            "SET @a = 'x",
            "SET @a",
            "SET",
            "SELECT @a := 1",
            "SET STATEMENT sql_mode='' FOR SET @a = 1",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "(SET)?( ?(@[a`']{1,3}|[=:,;'x_\\\\\"-]|1|NULL|COLLATE|é)){0,12}") {
            let _ = user_assignments(text.as_bytes(), Dialect::default());
        }
    }
}
