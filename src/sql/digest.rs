//! The shape of a statement for people: literals as `?`, lists of them as one, blanks and comments gone.

use sha2::{Digest, Sha256};

use super::dialect::Dialect;
use super::lexer::{Lexer, TokenKind};

/// A shape is cut at this length.
const LONGEST: usize = 4096;

/// The text with literals as `?`, lists of literals and of rows as one, and keywords and names as written.
pub fn digest_text(text: &[u8], dialect: Dialect) -> Vec<u8> {
    let mut lexer = Lexer::new(text, dialect);
    let mut shape = Vec::with_capacity(text.len().min(LONGEST));
    let mut last = TokenKind::End;
    while shape.len() < LONGEST {
        let token = lexer.next_token();
        let literal = match token.kind {
            TokenKind::End => break,
            TokenKind::String | TokenKind::Symbol(b'?') => true,
            TokenKind::Number => last != TokenKind::Symbol(b'.'),
            _ => false,
        };
        if literal && collapse(&mut shape) {
            last = TokenKind::Number;
            continue;
        }
        if wants_blank(last, token.kind) {
            shape.push(b' ');
        }
        if literal {
            shape.push(b'?');
        } else {
            shape.extend_from_slice(text.get(token.start..token.end).unwrap_or_default());
        }
        if token.kind == TokenKind::Symbol(b')') {
            collapse_row(&mut shape);
        }
        last = token.kind;
    }
    while shape.last().is_some_and(|&byte| byte == b';' || byte == b' ') {
        shape.pop();
    }
    shape.truncate(LONGEST);
    shape
}

/// A number for a shape that stays the same from process to process.
pub(super) fn number(shape: &[u8]) -> u64 {
    let hash = Sha256::digest(shape);
    hash.first_chunk::<8>()
        .map_or(0, |head| u64::from_be_bytes(*head))
}

/// A literal after a literal and a comma joins it.
fn collapse(shape: &mut Vec<u8>) -> bool {
    if shape.ends_with(b"?,") {
        shape.pop();
        shape.extend_from_slice(b"...");
        return true;
    }
    if shape.ends_with(b"?...,") {
        shape.pop();
        return true;
    }
    false
}

/// A row like the one before it joins it.
fn collapse_row(shape: &mut Vec<u8>) {
    for row in [&b"(?)"[..], b"(?...)"] {
        for joined in [&b""[..], b", ..."] {
            let tail = [row, joined, b",", row].concat();
            if shape.ends_with(&tail) {
                shape.truncate(shape.len() - tail.len() + row.len());
                shape.extend_from_slice(b", ...");
                return;
            }
        }
    }
}

fn wants_blank(last: TokenKind, next: TokenKind) -> bool {
    let tight = |kind| {
        matches!(
            kind,
            TokenKind::End | TokenKind::SystemSign | TokenKind::Symbol(b'(' | b'.')
        )
    };
    !tight(last) && !matches!(next, TokenKind::Symbol(b',' | b')' | b'.' | b'(' | b';'))
}
