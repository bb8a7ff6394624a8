//! The items of a SELECT whose columns have the name of their text.

use std::ops::Range;

use super::dialect::Dialect;
use super::lexer::TokenKind;
use super::tokens::Tokens;

/// Longer names are cut by servers.
const LONGEST: usize = 256;
const MODIFIERS: [&str; 11] = [
    "ALL",
    "DISTINCT",
    "DISTINCTROW",
    "HIGH_PRIORITY",
    "SQL_BIG_RESULT",
    "SQL_BUFFER_RESULT",
    "SQL_CACHE",
    "SQL_CALC_FOUND_ROWS",
    "SQL_NO_CACHE",
    "SQL_SMALL_RESULT",
    "STRAIGHT_JOIN",
];
const BEHIND: [&str; 14] = [
    "EXCEPT",
    "FETCH",
    "FOR",
    "FROM",
    "GROUP",
    "HAVING",
    "INTERSECT",
    "INTO",
    "LIMIT",
    "LOCK",
    "ORDER",
    "PROCEDURE",
    "UNION",
    "WHERE",
];

/// Where those items stand that certainly have no other name: what ends with a number or a parenthesis has none.
pub fn unnamed_items(text: &[u8], dialect: Dialect) -> Vec<Range<usize>> {
    let mut tokens = Tokens::new(text, dialect);
    let mut found = Vec::new();
    if !tokens.take_word("SELECT") {
        return found;
    }
    while MODIFIERS.iter().any(|word| tokens.take_word(word)) {}
    let (mut depth, mut item, mut ends_plainly) = (0_usize, None::<Range<usize>>, false);
    loop {
        let token = tokens.next_token();
        let is_over = depth == 0
            && match token.kind {
                TokenKind::Symbol(b',' | b';') | TokenKind::End => true,
                TokenKind::Word => BEHIND.iter().any(|word| tokens.is_word(token, word)),
                _ => false,
            };
        if is_over || token.kind == TokenKind::End {
            let unnamed = item.take().filter(|item| ends_plainly && item.len() <= LONGEST);
            found.extend(unnamed.filter(|item| !has_comment(&text[item.clone()])));
            if token.kind != TokenKind::Symbol(b',') {
                let is_text = depth == 0 && !tokens.are_broken();
                return if is_text { found } else { Vec::new() };
            }
            continue;
        }
        match token.kind {
            TokenKind::Symbol(b'(') => depth += 1,
            TokenKind::Symbol(b')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        ends_plainly = matches!(token.kind, TokenKind::Symbol(b')') | TokenKind::Number);
        let start = item.map_or(token.start, |item| item.start);
        item = Some(start..token.end);
    }
}

/// Perhaps within a string: then the name is left as it is.
fn has_comment(item: &[u8]) -> bool {
    item.contains(&b'#') || item.windows(2).any(|two| matches!(two, b"/*" | b"--" | b"*/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_without_a_name_of_their_own_are_found() {
        for (text, items) in [
            ("SELECT f() > 0", vec!["f() > 0"]),
            (
                "select distinct  (a), b c, d + (\n1) FROM t",
                vec!["(a)", "d + (\n1)"],
            ),
            (
                "SELECT f(a, b) AS x, g(1) y, h(EXTRACT(DAY FROM c)) WHERE i(2)",
                vec!["h(EXTRACT(DAY FROM c))"],
            ),
            ("SELECT f(1) UNION SELECT g(1)", vec!["f(1)"]),
            ("SELECT f() /* c */ + 1, 'a'", vec![]),
            ("SELECT f(1);", vec!["f(1)"]),
            ("SELECT (1", vec![]),
            ("SELECT", vec![]),
            ("DO f()", vec![]),
        ] {
            let found = unnamed_items(text.as_bytes(), Dialect::default());
            let found: Vec<&str> = found.into_iter().filter_map(|item| text.get(item)).collect();
            assert_eq!(found, items, "{text}");
        }
    }
}
