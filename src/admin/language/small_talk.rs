//! What clients ask about the connection before anybody has typed anything: SELECT without a table.

use super::parser::{Bad, Parser};
use super::tokens::Token;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub expression: Expression,
    /// What the column is called.
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// @@name, in small letters and without its scope.
    Variable(String),
    /// In small letters.
    Function(String),
    Number(String),
    Text(String),
    Null,
}

/// More are not asked at once.
const MOST: usize = 100;

pub(super) fn items(parser: &mut Parser<'_>) -> Result<Vec<Item>, Bad> {
    let mut items = Vec::new();
    loop {
        items.push(Item::read(parser)?);
        if items.len() > MOST {
            return Err(Bad::Malformed(format!("at most {MOST} columns")));
        }
        if !parser.takes_mark(",") {
            return Ok(items);
        }
    }
}

// === impl Item ===

impl Item {
    pub(super) fn read(parser: &mut Parser<'_>) -> Result<Self, Bad> {
        let from = parser.at();
        let expression = Expression::read(parser)?;
        let mut name = parser.text_since(from).trim().to_owned();
        if parser.takes("AS") {
            name = parser.value("a name")?;
        } else if let Some(Token::Word(word)) = parser.peek()
            && !["LIMIT", "FROM", "WHERE"]
                .iter()
                .any(|end| word.eq_ignore_ascii_case(end))
        {
            name = parser.value("a name")?;
        } else if let Expression::Text(text) = &expression {
            name.clone_from(text);
        }
        Ok(Self { expression, name })
    }
}

// === impl Expression ===

impl Expression {
    fn read(parser: &mut Parser<'_>) -> Result<Self, Bad> {
        if parser.takes_mark("@@") {
            let mut name = parser.word("a variable")?.to_ascii_lowercase();
            for scope in ["session", "global", "local"] {
                if name == scope && parser.takes_mark(".") {
                    name = parser.word("a variable")?.to_ascii_lowercase();
                } else if let Some(rest) = name.strip_prefix(scope).and_then(|rest| rest.strip_prefix('.')) {
                    name = rest.to_owned();
                }
            }
            return Ok(Self::Variable(name));
        }
        if parser.takes_mark("@") {
            // Nobody can set one here.
            parser.word("a variable")?;
            return Ok(Self::Null);
        }
        if let Some(Token::Text(_)) = parser.peek() {
            return parser.value("a text").map(Self::Text);
        }
        let word = parser.word("an expression")?;
        if parser.takes_mark("(") {
            if !parser.takes_mark(")") {
                let text = format!(
                    "{word}(..) is not worked out here; COUNT(*) and functions without arguments are"
                );
                return Err(Bad::Malformed(text));
            }
            return Ok(Self::Function(word.to_ascii_lowercase()));
        }
        if word.bytes().next().is_some_and(|first| first.is_ascii_digit()) {
            return Ok(Self::Number(word));
        }
        match word.to_ascii_lowercase().as_str() {
            "null" => Ok(Self::Null),
            name @ ("current_user" | "current_timestamp") => Ok(Self::Function(name.to_owned())),
            _ => Err(Bad::Malformed(format!("`{word}` is not known"))),
        }
    }
}
