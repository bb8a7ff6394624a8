//! What stands where a table's name does, and the many things that clients ask a server to SHOW.

use super::command::Command;
use super::parser::{Bad, Parser, TABLE_NAMES};
use super::query::{Query, Source};
use super::tokens::Token;

/// Schemas of a server that clients look into; all but a few of their tables are empty here.
const FOREIGN: &[&str] = &["information_schema", "performance_schema", "mysql", "sys"];
/// Those that are answered.
const SERVED: &[&str] = &[
    "tables",
    "columns",
    "schemata",
    "collations",
    "character_sets",
    "processlist",
];
/// The tables `variables` and `status` under other columns' names.
pub const VARIABLES: &str = "performance_schema.variables";
pub const STATUS: &str = "performance_schema.status";
/// What may stand behind a table, so that it is no second name for it.
const BEHIND: &[&str] = &[
    "WHERE", "ORDER", "LIMIT", "GROUP", "HAVING", "LIKE", "FROM", "IN", "JOIN",
];

// === impl Parser ===

impl Parser<'_> {
    /// Some tables' names are two words here, with a `_` between them elsewhere.
    pub(super) fn table(&mut self) -> Result<String, Bad> {
        let mut path = self.word("a table")?;
        while self.takes_mark(".") {
            path = format!("{path}.{}", self.word("a table")?);
        }
        let path = path.to_ascii_lowercase();
        let (schema, name) = match path.rsplit_once('.') {
            Some((schema, name)) => (schema.rsplit('.').next().unwrap_or_default(), name),
            None => ("", path.as_str()),
        };
        if FOREIGN.contains(&schema) {
            return Ok(foreign(schema, name));
        }
        for (one, two) in [
            ("failover", "analysis"),
            ("character", "set"),
            ("query", "digests"),
        ] {
            if name == one && self.takes(two) {
                return Ok(format!("{one}_{two}"));
            }
        }
        Ok(name.to_owned())
    }

    /// A second name for a table.
    pub(super) fn skip_alias(&mut self) -> Result<(), Bad> {
        let is_name = matches!(self.peek(), Some(Token::Word(word))
            if !BEHIND.iter().any(|known| word.eq_ignore_ascii_case(known)));
        if self.takes("AS") || is_name {
            self.word("a name")?;
        }
        Ok(())
    }

    /// Of which database is all the same: there is one.
    pub(super) fn skip_database(&mut self) -> Result<(), Bad> {
        if self.takes("FROM") || self.takes("IN") {
            self.word("a database")?;
        }
        Ok(())
    }

    /// What SHOW shows of a server and is no table here. `None`: it is a table.
    pub(super) fn show_of_server(&mut self) -> Result<Option<Command>, Bad> {
        if self.takes("CREATE") {
            if !self.takes("VIEW") {
                self.expects("TABLE")?;
            }
            let source = Source::Create(self.table()?);
            let query = Query {
                source,
                ..Query::default()
            };
            return Ok(Some(Command::Query(query)));
        }
        for word in ["INDEX", "INDEXES", "KEYS"] {
            if self.takes(word) {
                if !self.takes("IN") {
                    self.expects("FROM")?;
                }
                self.table()?;
                return self.nothing_of("indexes").map(Some);
            }
        }
        if self.takes("GRANTS") {
            if self.takes("FOR") {
                self.skip_rest();
            }
            return self.nothing_of("grants").map(Some);
        }
        if self.takes("COUNT") {
            self.expects_mark("(")?;
            self.expects_mark("*")?;
            self.expects_mark(")")?;
            let query = Query {
                count: true,
                ..Query::of(&self.table()?)
            };
            return Ok(Some(Command::Query(query)));
        }
        self.show_two_words()
    }

    fn show_two_words(&mut self) -> Result<Option<Command>, Bad> {
        for (one, two) in [
            ("PROCEDURE", "STATUS"),
            ("FUNCTION", "STATUS"),
            ("OPEN", "TABLES"),
        ] {
            if self.takes(one) {
                self.expects(two)?;
                return self.nothing_of(&one.to_ascii_lowercase()).map(Some);
            }
        }
        if self.takes("TABLE") {
            self.expects("STATUS")?;
            self.skip_database()?;
            return Query::of("table_status")
                .read_rest(self)
                .map(|query| Some(Command::Query(query)));
        }
        for one in ["REPLICA", "SLAVE", "MASTER", "BINARY"] {
            if self.takes(one) {
                let text =
                    format!("this is no server with a SHOW {one} ..; SHOW REPLICATION shows every server's");
                return Err(Bad::Malformed(text));
            }
        }
        Ok(None)
    }

    /// A question that has no rows here.
    fn nothing_of(&mut self, what: &str) -> Result<Command, Bad> {
        self.skip_database()?;
        let query = Query::of(&format!("mysql.{what}"));
        query.read_rest(self).map(Command::Query)
    }

    /// SHOW TABLES and SHOW FULL TABLES.
    pub(super) fn show_tables(is_full: bool) -> Query {
        let mut query = Query::of(TABLE_NAMES);
        query.columns = vec![TABLE_NAMES.to_owned()];
        query.columns.extend(is_full.then(|| "Table_type".to_owned()));
        query
    }
}

/// A table of a server's own schemas.
fn foreign(schema: &str, name: &str) -> String {
    match name {
        "session_variables" | "global_variables" => VARIABLES.to_owned(),
        "session_status" | "global_status" => STATUS.to_owned(),
        _ if schema == "information_schema" && SERVED.contains(&name) => name.to_owned(),
        _ => format!("{schema}.{name}"),
    }
}
