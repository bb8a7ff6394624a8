//! The statements that a rule is for. What is not given matches everything.

use super::super::account::LONGEST_NAME;
use super::super::reader::{Field, Section};
use super::super::values::Bad;
use super::super::{Listener, Network};
use super::Pattern;
use crate::sql::Verb;

/// All of these must match, and of each list one. An empty list matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleMatch {
    /// Account names as the client gave them.
    pub users: Vec<String>,
    /// The session's schema, letters of either case.
    pub schemas: Vec<String>,
    /// Statements as examples: literals count as `?`.
    pub digests: Vec<String>,
    pub text: Option<Pattern>,
    /// One of them is named in the statement.
    pub tables: Vec<TablePattern>,
    pub verbs: Vec<Verb>,
    /// Where the client comes from; no client of a Unix socket does.
    pub networks: Vec<Network>,
    /// Names of listeners.
    pub listeners: Vec<String>,
}

/// `schema.table`, `schema.*`, or `table` in any schema; letters of either case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablePattern {
    /// `None`: any.
    pub schema: Option<String>,
    /// `None`: any.
    pub table: Option<String>,
}

/// What the rules of a file may refer to.
#[derive(Clone, Copy)]
pub(in super::super) struct Surroundings<'a> {
    /// The names, unless some server could not be read.
    pub servers: Option<&'a [String]>,
    pub listeners: &'a [Listener],
}

const LONGEST_PATTERN: usize = 4096;
const LONGEST_DIGEST: usize = 16_384;

// === impl RuleMatch ===

impl RuleMatch {
    pub(super) fn read(section: &Section<'_>, around: Surroundings<'_>) -> Self {
        let name = |item: Field<'_>| item.word(LONGEST_NAME);
        Self {
            users: list(&section.field("user"), name),
            schemas: list(&section.field("schema"), name),
            digests: list(&section.field("digest"), |item| statement(&item)),
            text: section.field("text").pattern(LONGEST_PATTERN),
            tables: list(&section.field("tables"), |item| TablePattern::read(&item)),
            verbs: list(&section.field("verb"), |item| item.choice()),
            networks: list(&section.field("network"), |item| item.network()),
            listeners: list(&section.field("listener"), |item| listener(&item, around)),
        }
    }
}

fn list<'a, T>(field: &Field<'a>, read: impl FnMut(Field<'a>) -> Option<T>) -> Vec<T> {
    let items = field.items();
    if field.is_given() && items.is_empty() && !field.is_map() {
        field.report(
            "an empty list",
            "remove the key to match everything, or list something",
        );
    }
    items.into_iter().filter_map(read).collect()
}

fn statement(field: &Field<'_>) -> Option<String> {
    let text = field.literal()?;
    if text.trim().is_empty() || text.len() > LONGEST_DIGEST {
        let help = format!("give a statement of at most {LONGEST_DIGEST} bytes");
        field.report("this text cannot be used", help);
        return None;
    }
    Some(text.to_owned())
}

fn listener(field: &Field<'_>, around: Surroundings<'_>) -> Option<String> {
    let name = field.word(128)?;
    let names = || around.listeners.iter().map(|listener| listener.name.as_str());
    if !names().any(|each| each == name) {
        let names: Vec<_> = names().collect();
        let help = format!("the listeners are: {}", names.join(", "));
        field.report(
            format!("no listener is called `{name}`, so nothing matches"),
            help,
        );
    }
    Some(name)
}

// === impl TablePattern ===

impl TablePattern {
    fn read(field: &Field<'_>) -> Option<Self> {
        let help = "write `table`, `schema.table` or `schema.*`, without quotes of SQL";
        field.parse(help, |text| Self::parse(text).ok_or(Bad::NotA("a table")))
    }

    fn parse(text: &str) -> Option<Self> {
        let (schema, table) = match text.split_once('.') {
            Some((schema, table)) => (Some(schema), table),
            None => (None, text),
        };
        let is_name = |name: &str| {
            !name.is_empty()
                && name.chars().count() <= LONGEST_NAME
                && !name
                    .chars()
                    .any(|each| each.is_control() || matches!(each, '`' | '*' | '.'))
        };
        if schema.is_some_and(|schema| !is_name(schema)) {
            return None;
        }
        let table = match table {
            "*" if schema.is_some() => None,
            table if is_name(table) => Some(table.to_owned()),
            _ => return None,
        };
        Some(Self {
            schema: schema.map(str::to_owned),
            table,
        })
    }

    /// Whether this is a table that the pattern means. `schema` is the session's where the statement gives none.
    pub fn matches(&self, schema: Option<&[u8]>, table: &[u8]) -> bool {
        let is_schema = match (&self.schema, schema) {
            (None, _) => true,
            (Some(mine), Some(schema)) => mine.as_bytes().eq_ignore_ascii_case(schema),
            (Some(_), None) => false,
        };
        let is_table = |mine: &String| mine.as_bytes().eq_ignore_ascii_case(table);
        is_schema && self.table.as_ref().is_none_or(is_table)
    }
}
