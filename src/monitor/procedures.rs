//! Reads the bodies of stored procedures, to know those that leave nothing on the connection that calls them.
//! Bodies are fetched only when some have changed since they were fetched last.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};
use tracing::warn;

use super::fields::Fields;
use crate::sql::{self, Charset, Dialect};
use crate::topology::{Function, Readers};

/// With more procedures than this, each is taken for one that may leave something.
const MOST: usize = 2_000;

/// Longer bodies are not fetched: who calls these procedures keeps the connection.
const FINGERPRINT: &str = "SELECT CONCAT(COUNT(*), ':', COALESCE(SUM(CRC32(CONCAT_WS('.', ROUTINE_SCHEMA, ROUTINE_NAME, \
    SQL_MODE, SHA2(ROUTINE_DEFINITION, 224)))), 0)) AS print FROM information_schema.ROUTINES \
    WHERE ROUTINE_TYPE = 'PROCEDURE'";

const BODIES: &str = "SELECT CAST(ROUTINE_SCHEMA AS BINARY) AS in_schema, CAST(ROUTINE_NAME AS BINARY) AS named, \
    IF(ROUTINE_BODY = 'SQL' AND LENGTH(ROUTINE_DEFINITION) <= 16384, ROUTINE_DEFINITION, NULL) AS body, \
    SQL_MODE AS mode, @@version AS version \
    FROM information_schema.ROUTINES WHERE ROUTINE_TYPE = 'PROCEDURE' LIMIT 2001";

#[derive(Default)]
pub(super) struct Procedures {
    /// Of what was fetched last.
    fingerprint: String,
    is_told: bool,
}

// === impl Procedures ===

impl Procedures {
    /// What was known is not any more, whatever has changed since.
    pub(super) fn forget(&mut self) {
        self.fingerprint.clear();
    }

    /// `None`: they are as they were.
    pub(super) async fn read(&mut self, conn: &mut Conn) -> Result<Option<Readers>, Error> {
        let print: Option<Row> = conn.query_first(FINGERPRINT).await?;
        let print = print.map(Fields::of).unwrap_or_default().text(&["print"]);
        if print == self.fingerprint {
            return Ok(None);
        }
        let found: Vec<Row> = conn.query(BODIES).await?;
        self.fingerprint = print;
        if found.len() > MOST {
            if !std::mem::replace(&mut self.is_told, true) {
                warn!("more than {MOST} stored procedures: sessions that call one keep their connections");
            }
            return Ok(Some(Readers::default()));
        }
        Ok(Some(Readers::new(found.into_iter().filter_map(procedure))))
    }
}

fn procedure(row: Row) -> Option<Function> {
    let fields = Fields::of(row);
    let (schema, name) = (fields.bytes(&["in_schema"])?, fields.bytes(&["named"])?);
    Some(Function {
        schema: schema.to_vec(),
        name: name.to_vec(),
        only_reads: fields
            .bytes(&["body"])
            .is_some_and(|body| is_tidy(body, &fields.text(&["mode"]), &fields.text(&["version"]))),
    })
}

fn is_tidy(body: &[u8], mode: &str, version: &str) -> bool {
    let flavour = if version.contains("MariaDB") {
        sql::Flavour::MariaDb
    } else {
        sql::Flavour::MySql
    };
    let mut dialect = Dialect::new(flavour, 0);
    dialect.set_sql_mode(mode.as_bytes());
    dialect.charset = Charset::Utf8;
    // That is another language.
    !mode.to_ascii_uppercase().contains("ORACLE") && sql::leaves_nothing(body, dialect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_as_it_was_written() {
        assert!(is_tidy(b"SELECT 1 AS \"@a\"", "ANSI_QUOTES", "9.7.0"));
        assert!(!is_tidy(b"SELECT '\\', @a, '", "NO_BACKSLASH_ESCAPES", "9.7.0"));
        assert!(!is_tidy(
            b"BEGIN SELECT 1; END",
            "PIPES_AS_CONCAT,ORACLE",
            "10.11.6-MariaDB"
        ));
    }
}
