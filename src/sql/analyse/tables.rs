//! The tables that a text names: every name that stands where a table can. A name too many does little harm, one
//! that is missing does, so a clause ends only at words that cannot be names, and what is odd has no answer.

use super::super::dialect::{Dialect, Flavour};
use super::super::facts::Table;
use super::super::features::Features;
use super::super::flags::Flags;
use super::class::{Explained, analyzed, explained};
use super::head::Head;
use super::scopes::Scopes;

/// More tables, or deeper parentheses, than anyone would look through.
const TABLES: usize = 256;
const DEEPEST: usize = 200;

pub(super) fn of(text: &[u8], dialect: Dialect, features: &Features) -> Option<Vec<Table>> {
    if features.has(Flags::BROKEN | Flags::STORED_PROGRAM) {
        return None;
    }
    let mut reader = Reader::new(Head::new(text, dialect));
    reader.mariadb = dialect.flavour == Flavour::MariaDb;
    reader.statements()?;
    reader.tables.sort_unstable();
    reader.tables.dedup();
    Some(reader.tables)
}

struct Reader<'text> {
    head: Head<'text>,
    mariadb: bool,
    frames: Vec<Frame>,
    expects: Expects,
    scopes: Scopes,
    tables: Vec<Table>,
}

/// What is known at one depth of parentheses.
#[derive(Clone, Copy, Default)]
struct Frame {
    /// SELECT was seen, so that FROM starts a clause.
    selected: bool,
    /// In a list of tables: a comma goes on with it.
    list: bool,
    /// The statement defines a table.
    defines: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Expects {
    Nothing,
    /// A table to read, or a function that gives one.
    Source,
    /// A table whose name a list of columns may follow.
    Target,
}

// === impl Reader ===

impl<'text> Reader<'text> {
    fn new(head: Head<'text>) -> Self {
        Self {
            head,
            mariadb: false,
            frames: Vec::new(),
            expects: Expects::Nothing,
            scopes: Scopes::default(),
            tables: Vec::new(),
        }
    }

    fn statements(&mut self) -> Option<()> {
        while !self.head.is_end() {
            if !self.head.skip_symbol(b';') {
                self.statement()?;
            }
        }
        Some(())
    }

    fn statement(&mut self) -> Option<()> {
        self.frames.clear();
        self.frames.push(Frame::default());
        self.expects = Expects::Nothing;
        self.scopes = Scopes::default();
        self.start()?;
        while !self.head.is_end() && !self.head.is_symbol(b';') {
            self.token()?;
        }
        (self.frames.len() == 1).then_some(())
    }

    /// The first words.
    fn start(&mut self) -> Option<()> {
        let head = &mut self.head;
        match () {
            () if head.is_symbol(b'(') || head.is_any(&["select", "with", "table", "values", "do"]) => {
                Some(())
            }
            () if head.skip_any(&["insert", "replace", "truncate"]) => self.expect(Expects::Target),
            () if head.skip("update") => self.list(Expects::Target),
            () if head.skip("delete") => {
                self.frame()?.selected = true;
                Some(())
            }
            () if head.is_any(&["explain", "describe", "desc", "analyze"]) => self.explain(),
            () if head.skip("show") => self.show(),
            () if head.is_any(&["create", "alter", "drop", "rename"]) => self.definition(),
            () if head.skip("set") => {
                // What a server may store is not looked at: FOR leads to another statement.
                (!head.is("statement")).then_some(())
            }
            () if head.is_any(&[
                "load",
                "commit",
                "rollback",
                "begin",
                "start",
                "savepoint",
                "release",
                "use",
                "xa",
                "help",
                "deallocate",
                "unlock",
            ]) =>
            {
                Some(())
            }
            () => None,
        }
    }

    fn explain(&mut self) -> Option<()> {
        if self.head.skip("analyze") {
            return if self.mariadb && analyzed(&mut self.head) {
                self.start()
            } else {
                None
            };
        }
        self.head.next();
        match explained(&mut self.head) {
            Explained::Statement { .. } => self.start(),
            Explained::Table => {
                self.expects = Expects::Target;
                self.path()?;
                self.skip_rest();
                Some(())
            }
            Explained::Connection => {
                self.skip_rest();
                Some(())
            }
        }
    }

    fn show(&mut self) -> Option<()> {
        while self.head.skip_any(&["extended", "full"]) {}
        if self
            .head
            .skip_any(&["columns", "fields", "index", "indexes", "keys"])
        {
            if !self.head.skip_any(&["from", "in"]) {
                return None;
            }
            self.expects = Expects::Target;
            self.path()?;
            if self.head.skip_any(&["from", "in"]) {
                self.tables.last_mut()?.schema = Some(self.head.name()?);
            }
        } else if self.head.skip("create") && self.head.skip_any(&["table", "view", "sequence"]) {
            while self.head.skip_any(&["if", "not", "exists"]) {}
            self.expects = Expects::Target;
            self.path()?;
        } else if self.mariadb && self.head.is_any(&["table", "tables"]) {
            // Later servers list the temporary tables of the session.
            return None;
        }
        self.skip_rest();
        Some(())
    }

    fn definition(&mut self) -> Option<()> {
        let list = self.head.skip_any(&["drop", "rename"]);
        if !list {
            self.head.next();
        }
        while self
            .head
            .skip_any(&["or", "replace", "temporary", "online", "offline", "ignore"])
        {}
        if !self.head.skip_any(&["table", "tables"]) {
            return None;
        }
        let frame = self.frame()?;
        (frame.defines, frame.list) = (true, list);
        self.expect(Expects::Target)
    }

    fn skip_rest(&mut self) {
        while !self.head.is_end() && !self.head.is_symbol(b';') {
            self.head.next();
        }
    }
}

// === impl Reader: tokens ===

impl Reader<'_> {
    fn frame(&mut self) -> Option<&mut Frame> {
        self.frames.last_mut()
    }

    fn expect(&mut self, expects: Expects) -> Option<()> {
        self.expects = expects;
        Some(())
    }

    /// A list of tables starts here.
    fn list(&mut self, expects: Expects) -> Option<()> {
        self.frame()?.list = true;
        self.expect(expects)
    }

    fn end_list(&mut self) -> Option<()> {
        self.frame()?.list = false;
        self.expect(Expects::Nothing)
    }

    fn token(&mut self) -> Option<()> {
        if self.head.is_symbol(b'(') {
            self.open()?;
        } else if self.head.is_symbol(b')') {
            self.close()?;
        } else if self.head.is_symbol(b',') {
            self.scopes.comma(self.frames.len());
            let list = self.frame()?.list;
            self.expects = if list { Expects::Source } else { Expects::Nothing };
        } else if self.head.is_name() {
            return self.word();
        } else if self.head.is_symbol(b'{') {
            self.head.next();
            self.head.skip("oj");
            return Some(());
        } else if self.expects != Expects::Nothing {
            // A variable behind INTO, or a name in a spelling that nobody uses.
            if self.head.is_symbol(b'.') {
                return None;
            }
            self.expects = Expects::Nothing;
        }
        self.head.next();
        Some(())
    }

    fn open(&mut self) -> Option<()> {
        let joins = self.expects == Expects::Source;
        let defines = self.frame()?.defines;
        self.scopes.open(self.frames.len());
        self.frames.push(Frame {
            list: joins,
            defines,
            selected: false,
        });
        if !joins {
            self.expects = Expects::Nothing;
        }
        (self.frames.len() < DEEPEST).then_some(())
    }

    fn close(&mut self) -> Option<()> {
        self.frames.pop();
        self.scopes.close(self.frames.len());
        self.expects = Expects::Nothing;
        (!self.frames.is_empty()).then_some(())
    }

    fn word(&mut self) -> Option<()> {
        if self.scopes.takes(&self.head, self.frames.len()) || self.clause()? {
            self.head.next();
            return Some(());
        }
        if self.expects == Expects::Nothing || self.modifies() {
            self.pass();
            return Some(());
        }
        self.path()
    }

    /// Goes past a name with all its dots, so that no part of it is taken for a keyword.
    fn pass(&mut self) {
        self.head.next();
        while self.head.skip_symbol(b'.') {
            if self.head.is_name() {
                self.head.next();
            }
        }
    }

    /// Words that stand between the keyword and the name of a table.
    fn modifies(&self) -> bool {
        self.head.is_any(&[
            "low_priority",
            "high_priority",
            "delayed",
            "ignore",
            "if",
            "not",
            "exists",
        ]) || (self.head.is("lateral") && self.head.precedes(b'('))
    }

    /// A word that starts or ends a list of tables. True when there is no more to it.
    fn clause(&mut self) -> Option<bool> {
        let Frame {
            selected,
            list,
            defines,
        } = *self.frame()?;
        let head = &self.head;
        match () {
            () if head.is("select") => {
                self.frame()?.selected = true;
                self.end_list()?;
            }
            () if head.is("delete") && self.follows_with() => self.frame()?.selected = true,
            () if head.is("from") && selected => self.list(Expects::Source)?,
            () if head.is("join") || (head.is("straight_join") && list) => self.list(Expects::Source)?,
            () if head.is("using") && selected && !head.precedes(b'(') => self.list(Expects::Source)?,
            () if head.is_any(&["into", "table"]) => {
                self.frame()?.list = false;
                self.expects = Expects::Target;
            }
            () if selected && head.is_any(&["outfile", "dumpfile"]) && self.expects == Expects::Target => {
                self.end_list()?;
            }
            () if head.is("update") && self.follows_with() => self.list(Expects::Target)?,
            () if head.is("union") && defines && head.precedes(b'=') => return None,
            () if defines && head.is_any(&["like", "references", "to", "rename"]) => {
                self.expects = Expects::Target;
            }
            () if head.is("with") => {
                self.scopes.with(self.frames.len());
                self.end_list()?;
            }
            () if head.is_any(ENDS_LIST) => self.end_list()?,
            () => return Some(false),
        }
        Some(true)
    }

    /// Whether the statement that a WITH clause stands before starts here.
    fn follows_with(&self) -> bool {
        let outermost = self.frames.len() == 1 && self.frames.iter().all(|frame| !frame.selected);
        outermost && self.scopes.is_used()
    }

    fn path(&mut self) -> Option<()> {
        let source = std::mem::replace(&mut self.expects, Expects::Nothing) == Expects::Source;
        let is_dual = self.head.is("dual");
        let mut table = Table {
            schema: None,
            name: self.head.name()?,
        };
        self.head.next();
        while self.head.skip_symbol(b'.') {
            // DELETE may name its tables as `t.*`.
            if self.head.skip_symbol(b'*') {
                break;
            }
            if table.schema.is_some() {
                return None;
            }
            table.schema = Some(std::mem::replace(&mut table.name, self.head.name()?));
            self.head.next();
        }
        let is_function = source && self.head.is_symbol(b'(');
        let alone = table.schema.is_none();
        let is_common = source && alone && self.scopes.contains(&table.name);
        let is_table = !is_function && !is_common;
        if is_table && (!is_dual || !alone) {
            self.tables.push(table);
        }
        (self.tables.len() <= TABLES).then_some(())
    }
}

/// Words at which a list of tables is over; all of them reserved.
const ENDS_LIST: &[&str] = &[
    "where",
    "group",
    "having",
    "order",
    "limit",
    "union",
    "set",
    "values",
    "procedure",
    "window",
    "update",
];

#[cfg(test)]
mod tests {
    use super::super::super::{Flavour, scan};
    use super::*;

    fn tables(text: &str) -> String {
        let dialect = Dialect::new(Flavour::MySql, 90_700);
        match of(text.as_bytes(), dialect, &scan(text.as_bytes(), dialect)) {
            None => "?".to_owned(),
            Some(tables) => {
                let mut names: Vec<_> = tables.iter().map(ToString::to_string).collect();
                names.sort();
                names.join(" ")
            }
        }
    }

    #[test]
    fn tables_are_found_wherever_they_stand() {
        for (text, expected) in [
            ("SELECT 1", ""),
            ("SELECT a, b FROM t", "t"),
            (
                "SELECT a FROM t AS x, d.u y, `v``w` WHERE a IN (1, 2)",
                "d.u t v`w",
            ),
            (
                "SELECT a FROM t JOIN u ON (t.a = u.a AND u.b IN (1, 2)) LEFT JOIN v USING (a, b)",
                "t u v",
            ),
            (
                "SELECT (SELECT max(a) FROM u), b FROM (SELECT * FROM v, w) x ORDER BY a, c",
                "u v w",
            ),
            (
                "SELECT a FROM ((t, u) JOIN (v)) WHERE EXISTS (SELECT 1 FROM w)",
                "t u v w",
            ),
            (
                "(SELECT a FROM t) UNION ALL (SELECT b FROM u, v) ORDER BY a, b LIMIT 1",
                "t u v",
            ),
            (
                "SELECT EXTRACT(YEAR FROM a), TRIM(LEADING 'x' FROM b) FROM t",
                "t",
            ),
            (
                "SELECT a FROM t PARTITION (p, q), u USE INDEX (i, j) FOR UPDATE",
                "t u",
            ),
            (
                "SELECT a FROM t, JSON_TABLE(t.b, '$' COLUMNS (c INT PATH '$')) AS j, u",
                "t u",
            ),
            ("SELECT a FROM { OJ t LEFT OUTER JOIN u ON t.a = u.a }", "t u"),
            ("SELECT a FROM DUAL", ""),
            ("SELECT a FROM t, LATERAL (SELECT * FROM u) x", "t u"),
            (
                "SELECT a FROM t GROUP BY a WITH ROLLUP UNION SELECT b FROM u",
                "t u",
            ),
            ("SELECT x.from, y.join FROM t", "t"),
            ("TABLE t", "t"),
            ("SELECT 1 UNION TABLE t", "t"),
            ("VALUES ROW(1), ROW((SELECT a FROM t))", "t"),
            (
                "INSERT INTO t (a, b) VALUES (1, 2), (3, (SELECT c FROM u)) ON DUPLICATE KEY UPDATE a = 1, b = 2",
                "t u",
            ),
            ("INSERT IGNORE d.t SELECT a, b FROM u, v", "d.t u v"),
            ("REPLACE INTO t SET a = 1, b = 2", "t"),
            (
                "UPDATE t, u JOIN v SET t.a = 1, u.b = (SELECT 1 FROM w) WHERE t.a = u.a",
                "t u v w",
            ),
            ("DELETE FROM t WHERE a IN (SELECT b FROM u)", "t u"),
            ("DELETE t.*, x FROM t, u AS x", "t u"),
            ("DELETE FROM t, u USING t JOIN u JOIN v USING (a, b)", "t u v"),
            ("SELECT a INTO @x FROM t", "t"),
            ("SELECT a FROM t INTO OUTFILE 'f'", "t"),
            ("LOAD DATA LOCAL INFILE 'f' INTO TABLE d.t (a, b)", "d.t"),
            (
                "CREATE TEMPORARY TABLE IF NOT EXISTS t (a INT, b INT REFERENCES u (a))",
                "t u",
            ),
            ("CREATE TABLE t LIKE d.u", "d.u t"),
            ("CREATE TABLE t AS SELECT * FROM u", "t u"),
            ("DROP TEMPORARY TABLE IF EXISTS t, u", "t u"),
            ("ALTER TABLE t ADD a INT, RENAME TO u", "t u"),
            ("RENAME TABLE a TO b, c TO d", "a b c d"),
            ("TRUNCATE TABLE t", "t"),
            ("DESC t", "t"),
            ("EXPLAIN FORMAT=TREE SELECT * FROM t", "t"),
            ("SHOW FULL COLUMNS FROM t FROM d", "d.t"),
            ("SHOW CREATE TABLE d.t", "d.t"),
            ("SHOW TABLES FROM d", ""),
            ("SET @x = (SELECT a FROM t)", "t"),
            ("SELECT 1 FROM a; SELECT 2 FROM b", "a b"),
            ("COMMIT", ""),
            ("CALL p()", "?"),
            ("CREATE VIEW v AS SELECT 1", "?"),
            ("SELECT a FROM .t", "?"),
            ("SELECT a FROM t)", "?"),
        ] {
            assert_eq!(tables(text), expected, "{text}");
        }
    }

    #[test]
    fn common_tables_hide_others_only_where_they_are_seen() {
        for (text, expected) in [
            ("WITH c AS (SELECT * FROM t) SELECT a, b FROM c, u", "t u"),
            (
                "WITH c (a, b) AS (SELECT 1, 2), d AS (SELECT * FROM c, t) SELECT * FROM d JOIN c",
                "t",
            ),
            ("WITH t AS (SELECT * FROM t) SELECT * FROM t", "t"),
            (
                "WITH RECURSIVE t (n) AS (SELECT 1 UNION SELECT n FROM t) SELECT n FROM t",
                "",
            ),
            ("SELECT * FROM (WITH c AS (SELECT 1) SELECT * FROM c) x, c", "c"),
            ("WITH c AS (SELECT 1) SELECT * FROM d.c", "d.c"),
            ("WITH c AS (SELECT * FROM u) UPDATE t, c SET t.a = c.a", "t u"),
            (
                "WITH c AS (SELECT * FROM u) DELETE FROM t WHERE a IN (SELECT * FROM c)",
                "t u",
            ),
        ] {
            assert_eq!(tables(text), expected, "{text}");
        }
    }
}
