//! The user variable that a KILL takes its id from.

use std::ops::Range;

use super::dialect::Dialect;
use super::lexer::TokenKind;
use super::tokens::Tokens;

/// Where the variable stands in `KILL [HARD | SOFT] [CONNECTION | QUERY] @id`, and nothing behind it.
pub fn killed_variable(text: &[u8], dialect: Dialect) -> Option<Range<usize>> {
    let mut tokens = Tokens::new(text, dialect);
    if !tokens.take_word("KILL") {
        return None;
    }
    let _how = tokens.take_word("HARD") || tokens.take_word("SOFT");
    let _what = tokens.take_word("CONNECTION") || tokens.take_word("QUERY");
    let variable = tokens.next_token();
    tokens.take_symbol(b';');
    let is_all = variable.kind == TokenKind::UserVariable && tokens.next_token().kind == TokenKind::End;
    (is_all && !tokens.are_broken()).then_some(variable.start..variable.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_variable_alone_is_found() {
        let read = |text: &'static str| {
            let range = killed_variable(text.as_bytes(), Dialect::default())?;
            text.get(range)
        };
        for (text, variable) in [
            ("KILL @id", "@id"),
            ("kill query @`a b`;", "@`a b`"),
            ("KILL /* this */ HARD CONNECTION @'x'", "@'x'"),
        ] {
            assert_eq!(read(text), Some(variable), "{text}");
        }
        for text in [
            "KILL 5",
            "KILL @id + 1",
            "KILL @@id",
            "KILL",
            "KILL @id; SELECT 1",
            "KILL USER @u",
            "KILL QUERY ID @q",
            "SELECT @id",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
