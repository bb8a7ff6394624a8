//! A question to one table: which rows, which columns, in which order, how many.

use super::parser::{Bad, Parser};
use super::tokens::Token;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    pub source: Source,
    /// None: all of them.
    pub columns: Vec<String>,
    /// Only how many rows there are.
    pub count: bool,
    /// For the table's first column that is a text.
    pub like: Option<String>,
    /// All of them hold.
    pub conditions: Vec<Condition>,
    pub order: Vec<Order>,
    /// Rows to leave out, and rows to show.
    pub limit: Option<(usize, usize)>,
}

/// Where the rows come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// By its name, in small letters.
    Table(String),
    /// The columns of a table.
    Describe(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub column: String,
    pub operator: Operator,
    /// `None` is NULL.
    pub value: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
    NotLike,
    Is,
    IsNot,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub column: String,
    pub descending: bool,
}

impl Default for Source {
    fn default() -> Self {
        Self::Table(String::new())
    }
}

// === impl Query ===

impl Query {
    pub fn of(table: &str) -> Self {
        Self {
            source: Source::Table(table.to_ascii_lowercase()),
            ..Self::default()
        }
    }

    /// What follows the table's name.
    pub(super) fn read_rest(mut self, parser: &mut Parser<'_>) -> Result<Self, Bad> {
        if parser.takes("LIKE") {
            self.like = Some(parser.value("a pattern")?);
        }
        if parser.takes("WHERE") {
            loop {
                let condition = Condition::read(parser)?;
                self.conditions.extend(condition);
                if !parser.takes("AND") {
                    break;
                }
            }
        }
        if parser.takes("ORDER") {
            parser.expects("BY")?;
            loop {
                let column = column(parser)?;
                let descending = parser.takes("DESC");
                if !descending {
                    parser.takes("ASC");
                }
                self.order.push(Order { column, descending });
                if !parser.takes_mark(",") {
                    break;
                }
            }
        }
        if parser.takes("LIMIT") {
            let first = parser.number("a number of rows")?;
            self.limit = Some(if parser.takes_mark(",") {
                (first, parser.number("a number of rows")?)
            } else if parser.takes("OFFSET") {
                (parser.number("a number of rows")?, first)
            } else {
                (0, first)
            });
        }
        Ok(self)
    }
}

/// A column's name, without the table's.
pub(super) fn column(parser: &mut Parser<'_>) -> Result<String, Bad> {
    let mut name = parser.word("a column")?;
    while parser.takes_mark(".") {
        name = parser.word("a column")?;
    }
    Ok(name.rsplit('.').next().unwrap_or_default().to_owned())
}

// === impl Condition ===

impl Condition {
    /// `None`: one that always holds, such as 1=1, which tools like to begin with.
    fn read(parser: &mut Parser<'_>) -> Result<Option<Self>, Bad> {
        if parser.takes_mark("(") {
            let condition = Self::read(parser)?;
            parser.expects_mark(")")?;
            return Ok(condition);
        }
        let column = column(parser)?;
        let operator = Operator::read(parser)?;
        if operator == Operator::Is && parser.takes("NOT") {
            parser.expects("NULL")?;
            return Ok(Some(Self {
                column,
                operator: Operator::IsNot,
                value: None,
            }));
        }
        let is_null = matches!(parser.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case("NULL"));
        let value = parser.value("a value")?;
        if column.bytes().all(|each| each.is_ascii_digit()) && column == value {
            return Ok(None);
        }
        Ok(Some(Self {
            column,
            operator,
            value: (!is_null).then_some(value),
        }))
    }
}

// === impl Operator ===

impl Operator {
    fn read(parser: &mut Parser<'_>) -> Result<Self, Bad> {
        const MARKS: &[(&str, Operator)] = &[
            ("=", Operator::Equal),
            ("<=>", Operator::Equal),
            ("!=", Operator::Unequal),
            ("<>", Operator::Unequal),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        if let Some((_, operator)) = MARKS.iter().find(|(mark, _)| parser.takes_mark(mark)) {
            return Ok(*operator);
        }
        if parser.takes("LIKE") {
            return Ok(Self::Like);
        }
        if parser.takes("NOT") {
            parser.expects("LIKE")?;
            return Ok(Self::NotLike);
        }
        if parser.takes("IS") {
            return Ok(Self::Is);
        }
        Err(parser.unexpected("=, !=, <, <=, >, >=, LIKE or IS"))
    }
}
