//! Which named lock a statement takes or releases, when it does nothing else and names it plainly.

use super::assignments::unquote;
use super::dialect::Dialect;
use super::lexer::TokenKind;
use super::tokens::Tokens;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockCall {
    /// In lower case: servers do not tell cases apart here.
    pub name: Box<[u8]>,
    /// DO tells nobody what came of it.
    pub is_do: bool,
}

/// `SELECT GET_LOCK('name', ..`, `SELECT RELEASE_LOCK('name')` and the latter with DO. What follows a SELECT's
/// name is not looked at.
pub fn lock_call(text: &[u8], dialect: Dialect) -> Option<LockCall> {
    let mut tokens = Tokens::new(text, dialect);
    let is_do = tokens.take_word("DO");
    if !is_do && !tokens.take_word("SELECT") {
        return None;
    }
    let takes = !is_do && tokens.take_word("GET_LOCK");
    if !(takes || tokens.take_word("RELEASE_LOCK")) || !tokens.take_symbol(b'(') {
        return None;
    }
    let literal = tokens.next_token();
    if literal.kind != TokenKind::String {
        return None;
    }
    let name = unquote(tokens.text_of(literal), dialect)?.to_ascii_lowercase();
    if is_do {
        let closed = tokens.take_symbol(b')');
        tokens.take_symbol(b';');
        if !closed || tokens.next_token().kind != TokenKind::End {
            return None;
        }
    } else if !(tokens.take_symbol(b',') || tokens.take_symbol(b')')) {
        return None;
    }
    // Other letters have more than one spelling that is the same to the server.
    let plain = name.is_ascii() && name.last() != Some(&b' ');
    (plain && !tokens.are_broken()).then(|| LockCall {
        name: name.into(),
        is_do,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found() {
        let read = |text: &str| {
            let call = lock_call(text.as_bytes(), Dialect::default())?;
            Some((String::from_utf8_lossy(&call.name).into_owned(), call.is_do))
        };
        let is = |name: &str, is_do| Some((name.to_owned(), is_do));
        assert_eq!(read("SELECT GET_LOCK('A''b', 10)"), is("a'b", false));
        assert_eq!(read("SELECT RELEASE_LOCK(\"x\") AS done"), is("x", false));
        assert_eq!(read("do release_lock('x');"), is("x", true));
        for text in [
            "DO GET_LOCK('x', 1)",
            "DO RELEASE_LOCK('x'), SLEEP(1)",
            "DO RELEASE_LOCK(CONCAT('x'))",
            "DO RELEASE_LOCK('x' 'y')",
            "SELECT RELEASE_LOCK('x' 'y')",
            "SELECT GET_LOCK(@x, 1)",
            "SELECT 1",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
