//! Values and names as they may stand in a statement that the proxy itself sends, on a connection whose
//! sql_mode is not known. The client character set of that connection must be utf8mb4.

/// A string literal that means `value` whether or not a backslash escapes.
///
/// Printable ASCII is quoted as it is. Anything with a backslash or a byte that is not ASCII is written in
/// hexadecimal, with the character set named when it is valid UTF-8.
pub fn quote_string(value: &[u8]) -> Vec<u8> {
    let plain = value
        .iter()
        .all(|&byte| byte != b'\\' && (byte == b'\t' || (0x20..0x7f).contains(&byte)));
    if plain {
        return between(b'\'', value);
    }
    let introducer: &[u8] = if std::str::from_utf8(value).is_ok() {
        b"_utf8mb4 x'"
    } else {
        b"x'"
    };
    let mut quoted = Vec::with_capacity(introducer.len() + 2 * value.len() + 1);
    quoted.extend_from_slice(introducer);
    for byte in value {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        quoted.push(DIGITS[usize::from(byte >> 4)]);
        quoted.push(DIGITS[usize::from(byte & 15)]);
    }
    quoted.push(b'\'');
    quoted
}

/// A name in backticks. Backslashes never escape in one.
pub fn quote_identifier(name: &[u8]) -> Vec<u8> {
    between(b'`', name)
}

fn between(quote: u8, value: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(value.len() + 2);
    quoted.push(quote);
    for &byte in value {
        if byte == quote {
            quoted.push(quote);
        }
        quoted.push(byte);
    }
    quoted.push(quote);
    quoted
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, Lexer, TokenKind};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strings_and_names_are_quoted() {
        assert_eq!(quote_string(b"it's"), b"'it''s'");
        assert_eq!(quote_string(b""), b"''");
        assert_eq!(quote_string(b"a\\b"), b"_utf8mb4 x'615c62'");
        assert_eq!(quote_string("é".as_bytes()), b"_utf8mb4 x'c3a9'");
        assert_eq!(quote_string(b"\xff"), b"x'ff'");
        assert_eq!(quote_identifier(b"a`b"), b"`a``b`");
    }

    proptest! {
        #[test]
        fn nothing_gets_out_of_its_quotes(value in proptest::collection::vec(any::<u8>(), 0..50), plain: bool) {
            let text = quote_string(&value);
            let dialect = Dialect { no_backslash_escapes: plain, ..Dialect::default() };
            let mut lexer = Lexer::new(&text, dialect);
            while lexer.next_token().kind != TokenKind::String {}
            prop_assert_eq!(lexer.next_token().kind, TokenKind::End);
            prop_assert!(!lexer.is_broken());
        }
    }
}
