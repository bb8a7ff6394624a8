//! A question to one table: which rows, which columns, in which order, how many.

use super::list::DATABASE;
use super::parser::{Bad, Parser};
use super::small_talk::{Expression, Item};
use super::tokens::Token;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    pub source: Source,
    /// None: all of them.
    pub columns: Vec<String>,
    /// What some of the columns are called instead.
    pub names: Vec<(usize, String)>,
    /// Columns that are not the table's, and have the same value in each row.
    pub fixed: Vec<(String, Expression)>,
    /// Rows that are the same are one.
    pub distinct: bool,
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
    /// SHOW CREATE TABLE.
    Create(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub column: String,
    pub operator: Operator,
    /// `None` is NULL.
    pub value: Option<String>,
    /// With [`Operator::In`] and [`Operator::NotIn`], the other values.
    pub others: Vec<String>,
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
    In,
    NotIn,
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
                self.conditions.extend(Condition::read_all(parser)?);
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

// === impl Query: the columns ===

impl Query {
    /// What stands between SELECT and FROM.
    pub(super) fn read_columns(&mut self, parser: &mut Parser<'_>) -> Result<(), Bad> {
        self.distinct = parser.takes("DISTINCT");
        if parser.takes("COUNT") {
            parser.expects_mark("(")?;
            if !parser.takes_mark("*") {
                parser.value("*")?;
            }
            parser.expects_mark(")")?;
            self.count = true;
            let name = Self::read_name(parser)?;
            self.names.extend(name.map(|name| (0, name)));
            return Ok(());
        }
        if parser.takes_all_columns() {
            return Ok(());
        }
        loop {
            self.read_column(parser)?;
            if !parser.takes_mark(",") {
                return Ok(());
            }
        }
    }

    fn read_column(&mut self, parser: &mut Parser<'_>) -> Result<(), Bad> {
        if !parser.is_at_expression() {
            let column = column(parser)?;
            let name = Self::read_name(parser)?;
            self.names.extend(name.map(|name| (self.columns.len(), name)));
            self.columns.push(column);
            return Ok(());
        }
        let item = Item::read(parser)?;
        // No column of a table has a number for its name.
        let column = format!("{} {}", self.fixed.len(), item.name);
        self.names.push((self.columns.len(), item.name));
        self.columns.push(column.clone());
        self.fixed.push((column, item.expression));
        Ok(())
    }

    fn read_name(parser: &mut Parser<'_>) -> Result<Option<String>, Bad> {
        if parser.takes("AS") {
            return parser.value("a name").map(Some);
        }
        match parser.peek() {
            Some(Token::Word(word)) if !word.eq_ignore_ascii_case("FROM") => parser.value("a name").map(Some),
            _ => Ok(None),
        }
    }
}

// === impl Condition ===

impl Condition {
    fn new(column: &str, operator: Operator, value: Option<String>) -> Self {
        Self {
            column: column.to_owned(),
            operator,
            value,
            others: Vec::new(),
        }
    }

    /// A column has this value.
    pub fn equal(column: &str, value: &str) -> Self {
        Self::new(column, Operator::Equal, Some(value.to_owned()))
    }

    /// One, or two for BETWEEN. None: one that always holds, such as 1=1, which tools like to begin with.
    fn read_all(parser: &mut Parser<'_>) -> Result<Vec<Self>, Bad> {
        if parser.takes_mark("(") {
            let mut conditions = Self::read_all(parser)?;
            while parser.takes("AND") {
                conditions.extend(Self::read_all(parser)?);
            }
            parser.expects_mark(")")?;
            return Ok(conditions);
        }
        let mut conditions = Self::read(parser)?;
        while parser.takes("OR") {
            let other = Self::read(parser)?;
            conditions = vec![Self::either(&conditions, &other)?];
        }
        Ok(conditions)
    }

    /// Alternatives for one column are a list of values.
    fn either(left: &[Self], right: &[Self]) -> Result<Self, Bad> {
        let listed = |condition: &Self| matches!(condition.operator, Operator::Equal | Operator::In);
        match (left, right) {
            ([left], [right])
                if left.column.eq_ignore_ascii_case(&right.column) && listed(left) && listed(right) =>
            {
                let mut both = left.clone();
                both.operator = Operator::In;
                both.others.extend(right.value.clone());
                both.others.extend(right.others.clone());
                Ok(both)
            }
            _ => {
                let only = "OR joins only values of one column here; ask twice";
                Err(Bad::Malformed(only.to_owned()))
            }
        }
    }

    fn read(parser: &mut Parser<'_>) -> Result<Vec<Self>, Bad> {
        let column = column(parser)?;
        let is_not = parser.takes("NOT");
        if parser.takes("IN") {
            let operator = if is_not { Operator::NotIn } else { Operator::In };
            return Ok(vec![Self::read_list(&column, operator, parser)?]);
        }
        if !is_not && parser.takes("BETWEEN") {
            let least = Self::read_value(parser)?;
            parser.expects("AND")?;
            let most = Self::read_value(parser)?;
            return Ok(vec![
                Self::new(&column, Operator::GreaterOrEqual, least),
                Self::new(&column, Operator::LessOrEqual, most),
            ]);
        }
        let operator = match is_not {
            true => {
                parser.expects("LIKE")?;
                Operator::NotLike
            }
            false => Operator::read(parser)?,
        };
        if operator == Operator::Is && parser.takes("NOT") {
            parser.expects("NULL")?;
            return Ok(vec![Self::new(&column, Operator::IsNot, None)]);
        }
        let value = Self::read_value(parser)?;
        let is_number = column.bytes().all(|each| each.is_ascii_digit());
        if is_number && Some(&column) == value.as_ref() {
            return Ok(Vec::new());
        }
        Ok(vec![Self::new(&column, operator, value)])
    }

    fn read_list(column: &str, operator: Operator, parser: &mut Parser<'_>) -> Result<Self, Bad> {
        parser.expects_mark("(")?;
        let mut condition = Self::new(column, operator, Self::read_value(parser)?);
        while parser.takes_mark(",") {
            condition.others.extend(Self::read_value(parser)?);
        }
        parser.expects_mark(")")?;
        Ok(condition)
    }

    /// `None`: NULL.
    fn read_value(parser: &mut Parser<'_>) -> Result<Option<String>, Bad> {
        for function in ["DATABASE", "SCHEMA"] {
            if parser.takes(function) {
                parser.expects_mark("(")?;
                parser.expects_mark(")")?;
                return Ok(Some(DATABASE.to_owned()));
            }
        }
        let is_null = matches!(parser.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case("NULL"));
        let value = parser.value("a value")?;
        Ok((!is_null).then_some(value))
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
        if parser.takes("IS") {
            return Ok(Self::Is);
        }
        Err(parser.unexpected("=, !=, <, <=, >, >=, LIKE, IN, BETWEEN or IS"))
    }
}
