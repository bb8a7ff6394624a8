//! A second opinion: a full parser reads the text as our lexer sees it. It may turn a read into a write, and add
//! tables; it never turns a write into a read, and a text that it does not understand stays what it was.

use std::ops::ControlFlow;

use sqlparser::ast::{ObjectName, Query, SetExpr, Statement, Visit, Visitor};
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;

use super::super::dialect::Dialect;
use super::super::facts::Table;
use super::super::lexer::TokenKind;
use super::head::Head;

/// What the parser makes of a text.
pub(super) struct Opinion {
    pub is_query: bool,
    /// All tables, and perhaps names that WITH gives; `None` for names in a form that is not known.
    pub tables: Option<Vec<Table>>,
}

/// Texts beyond these are not given to the parser: it works recursively, and so does what cleans up after it.
const TOKENS: usize = 3_000;
const OPERATORS: usize = 250;
const DEEPEST: usize = 20;
const RECURSION: usize = 40;

/// `None` when the text does not parse, or is too much for the parser.
pub(super) fn opinion(text: &[u8], dialect: Dialect) -> Option<Opinion> {
    let plain = render(text, dialect)?;
    let statements = Parser::new(&MySqlDialect {})
        .with_recursion_limit(RECURSION)
        .try_with_sql(&plain)
        .ok()?
        .parse_statements()
        .ok()?;
    let mut reader = Reader {
        reads: !statements.is_empty() && statements.iter().all(is_query),
        tables: Some(Vec::new()),
        common: Vec::new(),
    };
    let _ = statements.visit(&mut reader);
    let Reader {
        reads,
        tables,
        common,
    } = reader;
    Some(Opinion {
        is_query: reads,
        tables: tables.map(|tables| {
            tables
                .into_iter()
                .filter(|table| !is_common(table, &common))
                .collect()
        }),
    })
}

/// A name that WITH gives somewhere: whether a table is meant here is told by those who follow scopes.
fn is_common(table: &Table, common: &[Box<[u8]>]) -> bool {
    table.schema.is_none() && common.contains(&table.name)
}

/// The tokens as the parser would write them, with one literal for all: its own lexer does not know the client's
/// character set and modes, and nothing that is kept may depend on a literal.
fn render(text: &[u8], dialect: Dialect) -> Option<String> {
    let mut head = Head::new(text, dialect);
    let mut plain = String::with_capacity(text.len().min(4_096));
    let (mut tokens, mut operators, mut depth) = (0, 0, 0usize);
    let mut list = List::default();
    while !head.is_end() {
        match head.token().kind {
            TokenKind::Symbol(b'(') => depth += 1,
            TokenKind::Symbol(b')') => depth = depth.saturating_sub(1),
            TokenKind::Symbol(b',' | b'.' | b';') => {}
            TokenKind::Symbol(_) | TokenKind::Assign => operators += 1,
            TokenKind::Word if head.is_any(OPERATOR_WORDS) => operators += 1,
            _ => {}
        }
        tokens += 1;
        if tokens > TOKENS || operators > OPERATORS || depth > DEEPEST {
            return None;
        }
        if !list.drops(&head, &mut plain) {
            write(&head, &mut plain)?;
        } else {
            tokens -= 2;
        }
        head.next();
    }
    Some(plain)
}

/// Words that may stand in a row as long as one likes.
const OPERATOR_WORDS: &[&str] = &[
    "and",
    "or",
    "xor",
    "not",
    "div",
    "mod",
    "is",
    "like",
    "rlike",
    "regexp",
    "between",
    "in",
    "collate",
    "union",
    "except",
    "intersect",
    "binary",
    "case",
    "interval",
    "minus",
];

fn write(head: &Head<'_>, plain: &mut String) -> Option<()> {
    let tight = plain.ends_with('.') || plain.ends_with("@@") || head.is_symbol(b'.');
    if !tight {
        plain.push(' ');
    }
    match head.token().kind {
        TokenKind::Word => plain.push_str(std::str::from_utf8(head.bytes()).ok()?),
        TokenKind::QuotedName => {
            let name = String::from_utf8(head.name()?.into()).ok()?;
            plain.push('`');
            plain.push_str(&name.replace('`', "``"));
            plain.push('`');
        }
        TokenKind::Number if plain.ends_with('.') => plain.push_str(std::str::from_utf8(head.bytes()).ok()?),
        TokenKind::Number => plain.push('1'),
        TokenKind::String => plain.push_str("'x'"),
        TokenKind::UserVariable => plain.push_str("@v"),
        TokenKind::SystemSign => plain.push_str("@@"),
        TokenKind::Assign => plain.push_str(":="),
        TokenKind::Symbol(byte) => plain.push(byte.is_ascii().then_some(char::from(byte))?),
        TokenKind::End => {}
    }
    Some(())
}

/// Drops all but two of the literals in a list.
#[derive(Default)]
struct List {
    /// Literals in a row, with a comma between any two.
    literals: usize,
    comma: bool,
}

// === impl List ===

impl List {
    /// Whether the token goes away, and the comma before it with it.
    fn drops(&mut self, head: &Head<'_>, plain: &mut String) -> bool {
        match head.token().kind {
            TokenKind::String | TokenKind::Number if !plain.ends_with('.') => {
                self.literals = if self.comma { self.literals + 1 } else { 1 };
                self.comma = false;
                let drops = self.literals > 2;
                if drops && plain.ends_with(" ,") {
                    plain.truncate(plain.len() - 2);
                }
                drops
            }
            TokenKind::Symbol(b',') if self.literals > 0 && !self.comma => {
                self.comma = true;
                false
            }
            _ => {
                *self = Self::default();
                false
            }
        }
    }
}

fn is_query(statement: &Statement) -> bool {
    match statement {
        Statement::Query(_) | Statement::ExplainTable { .. } => true,
        Statement::Explain { statement, .. } => is_query(statement),
        _ => false,
    }
}

struct Reader {
    reads: bool,
    tables: Option<Vec<Table>>,
    common: Vec<Box<[u8]>>,
}

// === impl Reader ===

impl Visitor for Reader {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.reads &= query.locks.is_empty() && body_reads(&query.body);
        let names = query.with.iter().flat_map(|with| &with.cte_tables);
        self.common
            .extend(names.map(|table| table.alias.name.value.as_bytes().into()));
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let parts: Option<Vec<&str>> = relation
            .0
            .iter()
            .map(|part| part.as_ident().map(|ident| ident.value.as_str()))
            .collect();
        let table = match parts.as_deref() {
            Some([name]) => Some((None, *name)),
            Some([schema, name]) => Some((Some(schema.as_bytes().into()), *name)),
            _ => None,
        };
        match (&mut self.tables, table) {
            (Some(tables), Some((schema, name))) => tables.push(Table {
                schema,
                name: name.as_bytes().into(),
            }),
            _ => self.tables = None,
        }
        ControlFlow::Continue(())
    }
}

/// Whether nothing in a query writes; queries inside it are visited on their own.
fn body_reads(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.into.is_none(),
        SetExpr::SetOperation { left, right, .. } => body_reads(left) && body_reads(right),
        SetExpr::Query(_) | SetExpr::Values(_) | SetExpr::Table(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Flavour;
    use super::*;

    const DIALECT: Dialect = Dialect {
        flavour: Flavour::MySql,
        version: 90_700,
        charset: super::super::super::Charset::Utf8,
        no_backslash_escapes: false,
        ansi_quotes: false,
    };

    fn told(text: &str) -> Option<bool> {
        opinion(text.as_bytes(), DIALECT).map(|opinion| opinion.is_query)
    }

    #[test]
    fn queries_are_told_from_the_rest() {
        assert_eq!(told("SELECT a FROM t WHERE b IN (1, 2, 3, 4)"), Some(true));
        assert_eq!(told("WITH c AS (SELECT 1) SELECT * FROM c"), Some(true));
        assert_eq!(told("WITH c AS (SELECT 1) DELETE FROM t"), Some(false));
        assert_eq!(told("WITH c AS (SELECT 1) UPDATE t SET a = 1"), Some(false));
        assert_eq!(told("SELECT (SELECT a FROM t FOR UPDATE)"), Some(false));
        assert_eq!(told("DELETE FROM t"), Some(false));
        assert_eq!(told("FROB"), None);
    }

    #[test]
    fn the_parser_sees_what_the_lexer_sees() {
        let text = b"SELECT \"it's\", 'a\\', 'b', 5, 6.5 FROM `t``u` x -- c";
        let plain = Dialect {
            no_backslash_escapes: true,
            ansi_quotes: true,
            ..DIALECT
        };
        assert_eq!(
            render(text, plain).as_deref(),
            Some(" SELECT `it's` , 'x' , 'x' FROM `t``u` x")
        );
    }

    #[test]
    fn what_is_deep_or_long_is_left_alone() {
        for text in [
            format!("SELECT {}", "a=1 OR ".repeat(100_000)),
            format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
            format!("SELECT {}", "NOT ".repeat(100_000)),
            "SELECT 1 UNION ".repeat(100_000),
            format!("SELECT {}", "a,".repeat(100_000)),
        ] {
            assert!(opinion(text.as_bytes(), DIALECT).is_none());
        }
        let deep = |open: &str, close: &str| format!("SELECT {}1{}", open.repeat(19), close.repeat(19));
        for text in [
            format!("SELECT {} 1", "a=1 OR ".repeat(120)),
            format!("SELECT {} 1", "NOT ".repeat(200)),
            format!("{} SELECT 1", "SELECT 1 UNION ".repeat(240)),
            deep("(", ")"),
            deep("(SELECT ", ")"),
            deep("f(", ")"),
            deep("CASE WHEN (", ") THEN 1 END"),
            deep("a IN (SELECT 1 FROM ", ")"),
            format!("SELECT * FROM {}t{}", "(".repeat(19), ")".repeat(19)),
            format!(
                "SELECT * FROM {}t{}",
                "(SELECT * FROM ".repeat(19),
                ") x".repeat(19)
            ),
            format!("SELECT * FROM {}", "(t JOIN ".repeat(19)),
            format!("SELECT {}", "(".repeat(19)),
            format!("SELECT * FROM {}", "(".repeat(19)),
            format!("SELECT 1 WHERE {}", "EXISTS (SELECT 1 FROM t WHERE ".repeat(19)),
        ] {
            let _ = opinion(text.as_bytes(), DIALECT);
        }
    }
}
