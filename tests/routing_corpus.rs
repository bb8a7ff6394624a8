//! What is said to be a read, real servers take for one: every such statement of the corpus, and thousands made
//! from it, run on a replica with an account that may not write there, and on the primary with one that may.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder};
use splitrail::sql::{self, Class, Dialect};
use tokio::time::timeout;

use crate::fixture::{Cluster, Flavour, on_both_flavours};

const CORPUS: &str = include_str!("corpus/routing.txt");

/// Statements made from those of the corpus, by changing them.
const MADE: usize = 6_000;

/// Refused because it writes: by a read-only server, in a read-only transaction, by a server in super_read_only.
const REFUSALS: [u16; 3] = [1290, 1792, 1836];

const TABLES: &[&str] = &[
    "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a INT, b INT, c INT, d INT, e INT, f INT, note TEXT, \
     lock_mode INT, share INT, mode INT, KEY i (a), FULLTEXT (note))",
    "CREATE TABLE u (id INT PRIMARY KEY AUTO_INCREMENT, a INT, b INT, c INT, d INT)",
    "CREATE TABLE v LIKE u",
    "CREATE TABLE w LIKE u",
    "CREATE TABLE sbtest1 (id INT PRIMARY KEY, k INT, c CHAR(120), pad CHAR(60))",
    "CREATE TABLE `update` (`from` INT, `into` INT, `lock` INT)",
    "INSERT INTO t (a, b, c, d, e, f) VALUES (1, 2, 3, 4, 5, 6), (2, 3, 4, 5, 6, 7)",
    "INSERT INTO u (a, b, c, d) VALUES (1, 2, 3, 4), (2, 3, 4, 5)",
    "CREATE DATABASE d",
    "CREATE TABLE d.t (id INT)",
    "CREATE PROCEDURE p() SELECT 1",
    "CREATE FUNCTION f(x INT) RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO w (a) VALUES (x); RETURN x; END",
    "CREATE FUNCTION `count`(x INT) RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO w (a) VALUES (x); RETURN x; END",
    "CREATE FUNCTION `now`() RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO w (a) VALUES (1); RETURN 1; END",
];

const PIECES: &[&str] = &[
    " ",
    "/* x */",
    "(",
    ")",
    ",",
    "'a'",
    "1",
    "`a`",
    "@v",
    " @v := 1 ",
    "@@",
    ".",
    "=",
    " f(1) ",
    " count (1) ",
    "SELECT ",
    " FROM t ",
    " FOR UPDATE",
    " INTO @z ",
    "/*!",
    "*/",
    "/*",
    "-- ",
    "\n",
    "#",
    "'",
    "\\",
    "WITH c AS (",
    "EXPLAIN ",
    " nextval(s) ",
    "NEXT VALUE FOR s",
    " now () ",
    "GET_LOCK('a', 0)",
    "UNION ",
    "; ",
    "; DELETE FROM t",
    "INSERT INTO t (a) VALUES (9) ",
    "UPDATE t SET a = 9 ",
    "DELETE FROM t ",
    "/*!99999 ",
    "/*M! ",
    "`f`(1)",
    "routing.f(1)",
    "ANALYZE ",
    "RETURNING ",
    "VALUES ",
    "TABLE t ",
    "SET @a = 1",
];

/// Numbers without an end, the same each time.
struct Dice(u64);

// === impl Dice ===

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }

    fn changed(&mut self, text: &str) -> Vec<u8> {
        let mut text = text.as_bytes().to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(text.len() + 1);
            let end = (at + self.below(6)).min(text.len());
            text.splice(at..end, PIECES[self.below(PIECES.len())].bytes());
        }
        text
    }
}

/// The statements of the corpus for a flavour, of sessions that read text as usual.
fn statements(flavour: Flavour) -> Vec<&'static str> {
    let own = match flavour {
        Flavour::MySql => "mysql",
        Flavour::MariaDb => "mariadb",
    };
    let mut wanted = false;
    let mut found = Vec::new();
    for line in CORPUS.lines() {
        if let Some(header) = line.strip_prefix("== ") {
            let words: Vec<&str> = header.split(' ').collect();
            wanted = words.len() == 3 && (words[0] == "both" || words[0] == own);
        } else if wanted && !line.is_empty() && !line.starts_with("# ") {
            found.push(line);
        }
    }
    found
}

fn is_read(text: &[u8], dialect: Dialect) -> bool {
    // What waits is left out where numbers are made up.
    let lower = text.to_ascii_lowercase();
    let waits = [&b"sleep"[..], b"benchmark"]
        .iter()
        .any(|name| lower.windows(name.len()).any(|part| part == *name));
    !waits && sql::analyse(text, dialect).class == Class::Read
}

/// Runs a statement and reads all its results: the error's number, if it has one.
async fn ask(connection: &mut Option<Conn>, options: &OptsBuilder, text: &[u8]) -> Option<u16> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Conn::new(options.clone()).await.unwrap(),
    };
    let result = timeout(Duration::from_secs(60), open.query_drop(text))
        .await
        .expect("a statement that ends");
    let code = match result {
        Ok(()) => None,
        Err(Error::Server(error)) => Some(error.code),
        Err(other) => panic!("{}: {other}", String::from_utf8_lossy(text)),
    };
    *connection = Some(open);
    code
}

/// What would change if anything was written: the position of the binary log, and what is in the tables.
async fn state(cluster: &Cluster, flavour: Flavour) -> Vec<String> {
    let position = match flavour {
        Flavour::MySql => "SELECT @@global.gtid_executed",
        Flavour::MariaDb => "SELECT @@global.gtid_binlog_pos",
    };
    let mut state = Vec::new();
    for server in cluster.servers() {
        state.extend(server.query::<String>(position).await.unwrap());
        let sums: Vec<(String, Option<u64>)> = server
            .query("CHECKSUM TABLE routing.t, routing.u, routing.v, routing.w")
            .await
            .unwrap();
        state.extend(sums.into_iter().map(|(table, sum)| format!("{table} {sum:?}")));
    }
    state
}

on_both_flavours! {
    async fn what_is_called_a_read_changes_nothing(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        let primary = cluster.primary();
        primary.execute("CREATE DATABASE routing").await.unwrap();
        let mut root = primary.connect().await.unwrap();
        root.query_drop("USE routing").await.unwrap();
        for statement in TABLES {
            root.query_drop(*statement).await.unwrap();
        }
        if flavour == Flavour::MariaDb {
            root.query_drop("CREATE SEQUENCE s").await.unwrap();
        }
        root.query_drop("CREATE USER plain@'%' IDENTIFIED BY 'plain'").await.unwrap();
        root.query_drop("GRANT SELECT ON *.* TO plain@'%'").await.unwrap();
        root.query_drop("GRANT ALL ON routing.* TO plain@'%'").await.unwrap();
        cluster.catch_up().await.unwrap();
        let before = state(&cluster, flavour).await;

        let dialect = match flavour {
            Flavour::MySql => Dialect::new(sql::Flavour::MySql, 90_700),
            Flavour::MariaDb => Dialect::new(sql::Flavour::MariaDb, 101_100),
        };
        let corpus = statements(flavour);
        let reads: Vec<&str> = corpus.iter().copied().filter(|text| is_read(text.as_bytes(), dialect)).collect();
        let mut dice = Dice(42);
        let made: Vec<Vec<u8>> = (0..MADE)
            .map(|turn| {
                let from = if turn % 2 == 0 { &reads } else { &corpus };
                let text = from[dice.below(from.len())];
                dice.changed(text)
            })
            .filter(|text| is_read(text, dialect))
            .collect();

        for server in [&cluster.replicas()[0], primary] {
            let options = server.options().user(Some("plain")).pass(Some("plain")).db_name(Some("routing"));
            let mut connection = None;
            let mut failed = Vec::new();
            for text in reads.iter().map(|text| text.as_bytes()).chain(made.iter().map(Vec::as_slice)) {
                let code = ask(&mut connection, &options, text).await;
                let text = String::from_utf8_lossy(text);
                assert!(code.is_none_or(|code| !REFUSALS.contains(&code)), "refused with {code:?}: {text}");
                if code.is_some() && reads.contains(&&*text) {
                    failed.push(format!("{code:?} {text}"));
                }
            }
            // Names that are not in the schema, and functions of other versions; more would prove nothing.
            assert!(failed.len() * 4 < reads.len(), "{} of {}:\n{}", failed.len(), reads.len(), failed.join("\n"));
        }
        assert!(made.len() > 500, "only {} statements were made", made.len());
        assert_eq!(state(&cluster, flavour).await, before);
    }
}
