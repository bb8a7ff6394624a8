//! The variables that a SET gives a new global value.

use super::dialect::Dialect;
use super::lexer::TokenKind;
use super::tokens::Tokens;

/// Names in lower case, of `SET GLOBAL a = 1, @@PERSIST.b = 2`. Names of more than one word are no session's.
pub fn global_variables(text: &[u8], dialect: Dialect) -> Vec<Box<str>> {
    let mut tokens = Tokens::new(text, dialect);
    let mut found = Vec::new();
    if !tokens.take_word("SET") {
        return found;
    }
    loop {
        // What a name may follow is behind SET or a comma.
        let is_system = tokens.take_sign();
        if (tokens.take_word("GLOBAL") || tokens.take_word("PERSIST"))
            && (!is_system || tokens.take_symbol(b'.'))
        {
            let name = tokens.next_token();
            let is_whole = tokens.take_symbol(b'=') || tokens.take_assignment();
            if let (TokenKind::Word, true, Ok(name)) =
                (name.kind, is_whole, std::str::from_utf8(tokens.text_of(name)))
            {
                found.push(name.to_ascii_lowercase().into());
            }
        }
        if !tokens.skip_past_comma() {
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn global_names_are_found_wherever_they_stand() {
        for (text, names) in [
            ("SET GLOBAL time_zone = '+05:00'", "time_zone"),
            (
                "set @@global.Time_Zone := DEFAULT, @a = 1, persist sql_mode = ''",
                "time_zone sql_mode",
            ),
            (
                "SET a = IF(1, 2, 3), GLOBAL b = (SELECT 1, GLOBAL), @@persist.c = 4",
                "b c",
            ),
            ("SET GLOBAL validate_password.length = 4", ""),
            ("SET SESSION a = 1, @@b = 2", ""),
            ("SET @a = @@global.b", ""),
            ("SELECT @@global.b", ""),
            ("SET GLOBAL", ""),
            ("SET", ""),
        ] {
            assert_eq!(
                global_variables(text.as_bytes(), Dialect::default()).join(" "),
                names,
                "{text}"
            );
        }
    }
}
