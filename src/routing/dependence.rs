//! What the result of a read depends on, and what a write spoils: judged from the facts about a text, and in doubt
//! against keeping a result.

use super::results::{Tables, table_name};
use crate::sql::{Class, Dialect, Facts, Flags, Lexer, Reason, Table, TokenKind, Verb};

/// Functions that answer differently each time, or to each session; some need no parentheses. Sorted.
#[rustfmt::skip]
const FICKLE: &[&str] = &[
    "benchmark", "connection_id", "curdate", "current_date", "current_role", "current_time", "current_timestamp",
    "curtime", "default", "encrypt", "found_rows", "get_lock", "icu_version", "is_free_lock", "is_used_lock",
    "last_insert_id", "lastval", "load_file", "localtime", "localtimestamp", "mysql_query_attribute_string",
    "nextval", "now", "previous", "ps_current_thread_id", "rand", "random_bytes", "row_count", "rownum", "setval",
    "sleep", "statement_digest", "sys_guid", "sysdate", "system_time", "tablesample", "unix_timestamp", "utc_date",
    "utc_time", "utc_timestamp", "uuid", "uuid_short", "uuid_v4", "uuid_v7",
];

/// What makes a result the session's own, or one of a moment.
const OWN: Flags = Flags::BROKEN
    .union(Flags::SEVERAL)
    .union(Flags::VERSION_COMMENT)
    .union(Flags::STORED_PROGRAM)
    .union(Flags::UNKNOWN_CALL)
    .union(Flags::ASSIGNS_USER_VARIABLE)
    .union(Flags::READS_USER_VARIABLE)
    .union(Flags::READS_SYSTEM_VARIABLE)
    .union(Flags::LAST_INSERT_ID)
    .union(Flags::FOUND_ROWS)
    .union(Flags::CALC_FOUND_ROWS)
    .union(Flags::ROW_COUNT)
    .union(Flags::DIAGNOSTICS)
    .union(Flags::CONNECTION_ID)
    .union(Flags::PROCESS_LIST)
    .union(Flags::SLEEP)
    .union(Flags::LOCKING_READ)
    .union(Flags::INTO_FILE)
    .union(Flags::SPANS_OVERFLOW)
    .union(Flags::SET_STATEMENT);

/// Schemas that a server fills for itself, or whose tables change without a write that names them.
const SYSTEM: [&[u8]; 4] = [b"mysql", b"information_schema", b"performance_schema", b"sys"];

pub fn is_system(schema: &[u8]) -> bool {
    SYSTEM.iter().any(|system| system.eq_ignore_ascii_case(schema))
}

/// Verbs that change no table, and end no transaction of another session.
const HARMLESS: [Verb; 11] = [
    Verb::Select,
    Verb::Table,
    Verb::Values,
    Verb::Show,
    Verb::Explain,
    Verb::Help,
    Verb::Kill,
    Verb::Empty,
    Verb::Use,
    Verb::Checksum,
    Verb::GetDiagnostics,
];

/// Verbs of statements that name all tables that they write to.
const NAMING: [Verb; 5] = [
    Verb::Insert,
    Verb::Replace,
    Verb::Update,
    Verb::Delete,
    Verb::Truncate,
];

/// What may run anything.
const UNFORESEEN: Flags = Flags::UNKNOWN_CALL
    .union(Flags::BROKEN)
    .union(Flags::STORED_PROGRAM)
    .union(Flags::VERSION_COMMENT);

/// The tables that a read's result depends on, if it depends on nothing else and the same text gives the same
/// result again until one of them changes.
pub fn repeatable(
    facts: &Facts,
    text: &[u8],
    dialect: Dialect,
    schema: Option<&[u8]>,
) -> Option<Box<[Box<[u8]>]>> {
    let selects = matches!(facts.features.verb, Verb::Select | Verb::Table);
    if facts.class != Class::Read || !selects || facts.features.has(OWN) {
        return None;
    }
    if !facts.features.spans().is_empty() || is_fickle(text, dialect) {
        return None;
    }
    let tables = facts.tables.as_deref().filter(|tables| !tables.is_empty())?;
    let named: Option<Vec<_>> = tables.iter().map(|table| full_name(table, schema)).collect();
    named.map(Into::into)
}

fn is_fickle(text: &[u8], dialect: Dialect) -> bool {
    let mut lexer = Lexer::new(text, dialect);
    loop {
        let token = lexer.next_token();
        match token.kind {
            TokenKind::End => return false,
            TokenKind::Word | TokenKind::QuotedName => {
                let word = text.get(token.start..token.end).unwrap_or_default();
                let word = word.trim_ascii_start();
                let word = word.strip_prefix(b"`").unwrap_or(word);
                let word = word.strip_suffix(b"`").unwrap_or(word);
                let lower = || word.iter().map(u8::to_ascii_lowercase);
                let found = FICKLE.binary_search_by(|known| known.bytes().cmp(lower()));
                if found.is_ok() {
                    return true;
                }
            }
            _ => {}
        }
    }
}

/// The one name of a table. There is none where letters of other character sets make it two, or where the table
/// is not one that only writes change.
fn full_name(table: &Table, schema: Option<&[u8]>) -> Option<Box<[u8]>> {
    let schema = table.schema.as_deref().or(schema)?;
    let is_plain = schema.is_ascii() && table.name.is_ascii();
    (is_plain && !is_system(schema)).then(|| table_name(schema, &table.name))
}

/// What a statement that runs on the primary may write to. `only_reads`: the functions that it calls are known to
/// change nothing.
pub fn written(facts: &Facts, schema: Option<&[u8]>, only_reads: bool) -> Option<Tables> {
    let features = &facts.features;
    match facts.class {
        Class::Read | Class::Last | Class::Begin { .. } => return None,
        Class::ReadIf => return (!only_reads).then_some(Tables::All),
        Class::Session => {
            let runs = [
                Verb::Execute,
                Verb::ExecuteImmediate,
                Verb::Compound,
                Verb::Xa,
                Verb::Do,
            ];
            let runs = runs.into_iter().any(|verb| features.verbs.contains(verb));
            let any = runs || features.has(UNFORESEEN) || facts.reason == Reason::PreparedText;
            return any.then_some(Tables::All);
        }
        Class::Write => {}
    }
    if features.has(UNFORESEEN.union(Flags::SEVERAL)) || facts.reason == Reason::Sequence {
        return Some(Tables::All);
    }
    if HARMLESS.contains(&features.verb) {
        return None;
    }
    let temporary = features.has(Flags::CREATE_TEMPORARY | Flags::DROP_TEMPORARY);
    if temporary && matches!(features.verb, Verb::Create | Verb::Drop) {
        return None;
    }
    let tables = facts.tables.as_deref().filter(|tables| !tables.is_empty());
    let named = tables
        .filter(|_| NAMING.contains(&features.verb))
        .and_then(|tables| {
            let names = tables.iter().map(|table| full_name(table, schema));
            names.collect::<Option<Vec<_>>>()
        });
    Some(named.map_or(Tables::All, |named| Tables::Named(named.into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Flavour, analyse};

    fn depends(text: &str) -> Option<Vec<String>> {
        let dialect = Dialect::new(Flavour::MySql, 0);
        let facts = analyse(text.as_bytes(), dialect);
        let tables = repeatable(&facts, text.as_bytes(), dialect, Some(b"shop"))?;
        Some(tables.iter().map(|table| show(table)).collect())
    }

    fn show(table: &[u8]) -> String {
        String::from_utf8_lossy(table).replace('\0', ".")
    }

    fn spoils(text: &str) -> Option<String> {
        let facts = analyse(text.as_bytes(), Dialect::new(Flavour::MySql, 0));
        written(&facts, Some(b"shop"), false).map(|tables| match tables {
            Tables::All => "all".to_owned(),
            Tables::Named(named) => named
                .iter()
                .map(|table| show(table))
                .collect::<Vec<_>>()
                .join(" "),
        })
    }

    #[test]
    fn the_list_is_sorted() {
        assert!(FICKLE.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_plain_read_depends_on_its_tables() {
        assert_eq!(depends("SELECT a FROM T WHERE id = 1").unwrap(), ["shop.t"]);
        assert_eq!(
            depends("SELECT 'now()' FROM t JOIN x.u USING (a)").unwrap(),
            ["shop.t", "x.u"]
        );
        assert_eq!(
            depends("WITH c AS (SELECT * FROM t) SELECT COUNT(*) FROM c")
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn what_may_differ_the_next_time_is_not_repeatable() {
        for text in [
            "SELECT 1",
            "SELECT NOW() FROM t",
            "SELECT a FROM t WHERE b > CURRENT_TIMESTAMP",
            "SELECT a FROM t ORDER BY rand( )",
            "SELECT UUID(), a FROM t",
            "SELECT CONNECTION_ID() FROM t",
            "SELECT a, @x FROM t",
            "SELECT a, @@sql_mode FROM t",
            "SELECT a FROM t FOR UPDATE",
            "SELECT my_function(a) FROM t",
            "SELECT SQL_CALC_FOUND_ROWS a FROM t",
            "SELECT a FROM t; SELECT b FROM t",
            "SELECT a FROM mysql.user",
            "SELECT a FROM information_schema.tables",
            "SELECT a FROM t\u{e4}",
            "SHOW TABLES",
            "UPDATE t SET a = 1",
        ] {
            assert_eq!(depends(text), None, "{text}");
        }
    }

    #[test]
    fn a_write_spoils_what_it_names_or_everything() {
        let named = |text: &str| spoils(text).unwrap();
        assert_eq!(named("INSERT INTO t SELECT * FROM x.u"), "shop.t x.u");
        assert_eq!(named("UPDATE T SET a = 1"), "shop.t");
        assert_eq!(named("DELETE FROM x.t"), "x.t");
        assert_eq!(named("TRUNCATE t"), "shop.t");
        for text in [
            "CALL p()",
            "INSERT INTO t VALUES (f(1))",
            "INSERT INTO t VALUES (1); DELETE FROM u",
            "ALTER TABLE t ADD b INT",
            "DROP DATABASE shop",
            "LOAD DATA INFILE 'x' INTO TABLE t",
            "EXECUTE s",
            "XA COMMIT 'x'",
            "SELECT f(a) FROM t",
            "GRANT SELECT ON t TO u",
            "nonsense",
        ] {
            assert_eq!(spoils(text).as_deref(), Some("all"), "{text}");
        }
        for text in [
            "SELECT a FROM t FOR UPDATE",
            "BEGIN",
            "COMMIT",
            "SET NAMES utf8mb4",
            "USE x",
            "SHOW STATUS",
            "CREATE TEMPORARY TABLE x (a INT)",
        ] {
            assert_eq!(spoils(text), None, "{text}");
        }
    }
}
