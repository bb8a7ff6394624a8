//! Words, quoted texts and marks. Comments are left out, except for what stands in `/*! .. */`, which is code.

use super::parser::Bad;

/// The longest text that is looked at.
pub const LONGEST: usize = 64 << 10;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// Letters, digits and what names are made of, or anything between backticks.
    Word(String),
    /// Between quotes, without them.
    Text(String),
    Mark(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub token: Token,
    /// Where it begins in the text.
    pub at: usize,
}

/// The longer ones first.
const MARKS: &[&str] = &[
    "<=>", "!=", "<>", "<=", ">=", "@@", ":=", "=", "<", ">", "(", ")", ",", ";", "*", "+", "@", "?", "-",
    "%", "!", "/", ".", ":", "{", "}", "|", "&", "^", "~", "[", "]",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, Bad> {
    if text.len() > LONGEST {
        return Err(Bad::Malformed("the text is too long".to_owned()));
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let skipped = blank(rest);
        if skipped > 0 {
            at += skipped;
            continue;
        }
        let (token, length) = one(rest)?;
        tokens.push(Placed { token, at });
        at += length;
    }
    Ok(tokens)
}

/// How many bytes of white space or comment the text begins with.
fn blank(text: &str) -> usize {
    let white = text.len() - text.trim_start().len();
    if white > 0 {
        return white;
    }
    if let Some(inside) = text.strip_prefix("/*!").or(text.strip_prefix("/*M!")) {
        let start = text.len() - inside.len();
        let digits = inside.bytes().take_while(u8::is_ascii_digit).count();
        return start + digits;
    }
    if text.starts_with("/*") {
        return text.find("*/").map_or(text.len(), |end| end + 2);
    }
    if text.starts_with("*/") {
        return 2;
    }
    if text.starts_with('#') || text.starts_with("-- ") || text == "--" {
        return text.find('\n').map_or(text.len(), |end| end + 1);
    }
    0
}

fn one(text: &str) -> Result<(Token, usize), Bad> {
    let first = text.chars().next().unwrap_or(' ');
    if matches!(first, '\'' | '"' | '`') {
        let (inside, length) = quoted(text, first)?;
        let token = if first == '`' {
            Token::Word(inside)
        } else {
            Token::Text(inside)
        };
        return Ok((token, length));
    }
    let length = word(text);
    if length > 0 {
        return Ok((Token::Word(text[..length].to_owned()), length));
    }
    match MARKS.iter().find(|mark| text.starts_with(**mark)) {
        Some(mark) => Ok((Token::Mark(mark), mark.len())),
        None => Err(Bad::Malformed(format!("`{first}` is not understood"))),
    }
}

/// Names of servers, users and settings may have `-`, `.`, `:` and `/` within.
fn word(text: &str) -> usize {
    let is_part = |each: char| each.is_alphanumeric() || matches!(each, '_' | '$');
    let is_joint = |each: char| matches!(each, '-' | '.' | ':' | '/');
    let mut length = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, each)) = characters.next() {
        let next_is_part = characters.peek().is_some_and(|(_, next)| is_part(*next));
        // `/*` begins a comment, and `a--b` none.
        if is_part(each) || (at > 0 && is_joint(each) && next_is_part) {
            length = at + each.len_utf8();
        } else {
            break;
        }
    }
    length
}

/// The text between quotes, and the bytes that it takes with them.
fn quoted(text: &str, quote: char) -> Result<(String, usize), Bad> {
    let mut inside = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, each)) = characters.next() {
        if each == '\\' && quote != '`' {
            match characters.next() {
                // Kept for LIKE, which knows them.
                Some((_, next @ ('%' | '_'))) => inside.extend(['\\', next]),
                Some((_, 'n')) => inside.push('\n'),
                Some((_, 't')) => inside.push('\t'),
                Some((_, next)) => inside.push(next),
                None => break,
            }
        } else if each != quote {
            inside.push(each);
        } else if characters.peek().is_some_and(|(_, next)| *next == quote) {
            inside.push(quote);
            characters.next();
        } else {
            return Ok((inside, at + quote.len_utf8()));
        }
    }
    Err(Bad::Malformed(format!("a {quote} is not closed")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<Token> {
        tokens(text)
            .unwrap()
            .into_iter()
            .map(|placed| placed.token)
            .collect()
    }

    fn word(text: &str) -> Token {
        Token::Word(text.to_owned())
    }

    #[test]
    fn words_texts_and_marks() {
        let expected = [
            word("SET"),
            word("SERVER"),
            word("db-1.example.com:3306"),
            word("WEIGHT"),
            Token::Mark("="),
            word("3"),
        ];
        assert_eq!(list("SET SERVER db-1.example.com:3306 WEIGHT=3"), expected);
        assert_eq!(
            list("'it''s' \"a\\\"b\" `x y`")[..2],
            [Token::Text("it's".to_owned()), Token::Text("a\"b".to_owned())]
        );
        assert_eq!(list("a<>1 b>=2")[1], Token::Mark("<>"));
        assert_eq!(list("'a\\%'"), [Token::Text("a\\%".to_owned())]);
    }

    #[test]
    fn comments_are_left_out_and_version_comments_are_not() {
        assert_eq!(list("/* a */ SHOW -- b\n x # c"), [word("SHOW"), word("x")]);
        assert_eq!(
            list("/*!40101 SET NAMES utf8 */"),
            [word("SET"), word("NAMES"), word("utf8")]
        );
        assert_eq!(list("/* open"), []);
    }

    #[test]
    fn what_is_not_closed_is_told() {
        assert!(tokens("'a").is_err());
        assert!(tokens("`a").is_err());
        assert!(tokens("'a\\").is_err());
        assert!(tokens(&"x".repeat(LONGEST + 1)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}") {
            let _ = tokens(&text);
        }
    }
}
