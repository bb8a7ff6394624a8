//! Random sessions against one connection of their own and through a proxy in which two others keep taking the
//! connections: every answer and all that can be seen of the session in the end must be the same.
//!
//! `SPLITRAIL_MODEL_CASES` runs more of them, `SPLITRAIL_MODEL_SEED` others. A case that fails is made smaller.

use std::collections::BTreeMap;
use std::fmt::Write;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::fixture::{CHARACTER_SETS, Cluster, Flavour, Proxy, on_both_flavours};
use crate::sessions::{Clients, isolation};

const FIRST: &str = "A: SELECT 1";
/// Of each flavour, in one run.
const CASES: usize = 12;
const LONGEST: usize = 40;
/// Runs that making a failed case smaller may take.
const SMALLER: usize = 60;

fn number(name: &str, default: usize) -> usize {
    let given = std::env::var(name).ok();
    given.map_or(default, |given| given.parse().expect("a number"))
}

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(texts).prop_map(str::to_owned)
}

fn literal() -> impl Strategy<Value = String> {
    one_of(&[
        "5",
        "-1.5",
        "1e3",
        "NULL",
        "TRUE",
        "x'41'",
        "0x4142",
        "'x'",
        "''",
        "'it''s'",
        "'b\\\\c'",
        "'ö'",
        "_latin1'x'",
        "_utf8mb4'ß' COLLATE utf8mb4_bin",
        "18446744073709551615",
        "b'101'",
        "-9223372036854775808",
    ])
}

fn variable() -> impl Strategy<Value = String> {
    one_of(&["a", "b", "C", "c"])
}

/// What changes the session and can be put back.
fn settings() -> impl Strategy<Value = String> {
    let others = one_of(&[
        "SET sql_mode='ANSI_QUOTES'",
        "SET @@sql_mode='NO_BACKSLASH_ESCAPES,NO_ZERO_DATE'",
        "SET SESSION sql_mode=DEFAULT",
        "SET time_zone='+01:00'",
        "SET @@session.time_zone='-08:00', lc_time_names='fr_FR'",
        "SET time_zone=DEFAULT",
        "SET sql_select_limit=100",
        "SET @@sql_select_limit=DEFAULT, group_concat_max_len=99",
        "SET foreign_key_checks=0, @@unique_checks=0",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET time_zone='+99:00'",
        "USE {db}",
        "USE {db}_two",
        "USE {db}_missing",
    ]);
    prop_oneof![1 => one_of(CHARACTER_SETS), 2 => others]
}

fn user_variables() -> impl Strategy<Value = String> {
    let pair = (variable(), one_of(&["=", ":="]), literal());
    let list = proptest::collection::vec(pair, 1..4);
    let set = list.prop_map(|pairs| {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, sign, value)| format!("@{name} {sign} {value}"))
            .collect();
        format!("SET {}", pairs.join(", "))
    });
    let others = one_of(&[
        "SELECT @a, @b, @c",
        "SELECT COLLATION(@a), COLLATION(@b), @a = 'X', @b + 1",
        "SELECT @a := 7",
        "SET @b = @a",
        "SELECT MAX(a) FROM {db}.t INTO @c",
    ]);
    prop_oneof![3 => set, 2 => others]
}

fn transactions() -> impl Strategy<Value = String> {
    one_of(&[
        "BEGIN",
        "START TRANSACTION READ ONLY",
        "COMMIT",
        "COMMIT",
        "ROLLBACK",
        "COMMIT AND CHAIN",
        "SAVEPOINT s",
        "ROLLBACK TO s",
        "RELEASE SAVEPOINT s",
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET autocommit=0",
        "SET autocommit=1",
    ])
}

fn data() -> impl Strategy<Value = String> {
    one_of(&[
        "INSERT INTO {db}.t (a) VALUES (1)",
        "INSERT INTO {db}.t (a) VALUES (1), (2), (3)",
        "INSERT IGNORE INTO {db}.u VALUES (1)",
        "UPDATE {db}.t SET a = a + 1",
        "UPDATE {db}.t SET a = LAST_INSERT_ID(a + 10) ORDER BY id LIMIT 1",
        "DELETE FROM {db}.t ORDER BY id LIMIT 1",
        "SELECT COUNT(*), SUM(a) FROM {db}.t",
        "SELECT SQL_CALC_FOUND_ROWS id FROM {db}.t ORDER BY id LIMIT 1",
        "SELECT * FROM {db}.missing",
        "SELECT CAST('x' AS SIGNED)",
        "SELECT FROM",
        "SELECT 1; SELECT 2",
        "SELECT DATE_FORMAT('2024-01-01', '%W'), COLLATION('a')",
    ])
}

/// What the statement before left. `FOUND_ROWS()` is not asked for: a statement without rows keeps that of the
/// connection, whose last user another session may have been.
fn results() -> impl Strategy<Value = String> {
    one_of(&[
        "SELECT LAST_INSERT_ID()",
        "SELECT @@identity AS last",
        "SELECT ROW_COUNT()",
    ])
}

/// What holds the connection.
fn held() -> impl Strategy<Value = String> {
    one_of(&[
        "CREATE TEMPORARY TABLE {db}.tt (a INT)",
        "CREATE TEMPORARY TABLE IF NOT EXISTS {db}.tu AS SELECT 5 AS five",
        "INSERT INTO {db}.tt VALUES (1)",
        "SELECT * FROM {db}.tt",
        "SELECT * FROM {db}.tu",
        "DROP TABLE {db}.tt",
        "DROP TEMPORARY TABLE IF EXISTS {db}.tt, {db}.tu",
        "ALTER TABLE {db}.tt RENAME TO {db}.tu",
        "SELECT GET_LOCK('{db}', 0)",
        "SELECT RELEASE_LOCK('{db}')",
        "DO RELEASE_LOCK('{db}')",
        "DO RELEASE_ALL_LOCKS()",
        "SELECT IS_FREE_LOCK('{db}')",
        "PREPARE p FROM 'SELECT @a, ? + 1'",
        "EXECUTE p USING @b",
        "DEALLOCATE PREPARE p",
        "HANDLER {db}.u OPEN",
        "HANDLER {db}.u READ FIRST",
        "HANDLER {db}.u CLOSE",
    ])
}

fn line() -> impl Strategy<Value = String> {
    let sql = prop_oneof![
        3 => settings(),
        3 => user_variables(),
        2 => transactions(),
        3 => data(),
        2 => results(),
        2 => held(),
    ];
    (sql, 0..4, 0..60).prop_map(|(sql, how, reset)| {
        // Counts in a prepared statement are a known limit.
        let text_only = [
            "SELECT ROW_COUNT",
            "SELECT FOUND_ROWS",
            "PREPARE",
            "EXECUTE",
            "DEALLOCATE",
            "USE",
            "HANDLER",
            "SHOW COUNT",
            "SELECT 1;",
        ];
        if reset == 0 {
            "A. reset".to_owned()
        } else if how == 0 && !text_only.iter().any(|start| sql.starts_with(start)) {
            format!("A? {sql}")
        } else {
            format!("A: {sql}")
        }
    })
}

/// What two others do with the connections meanwhile: all of it can be put back, so that they hold none. One sets
/// variables and the other one writes: a write by a session with user variables may have changed them unseen.
const OTHERS: [(char, &[&str]); 2] = [
    (
        'X',
        &[
            "SET sql_mode='ANSI', time_zone='+07:00', foreign_key_checks=0",
            "SET @a = 'other', @b = 17, @z = NULL",
            "SET NAMES latin1 COLLATE latin1_german1_ci",
            "SELECT CAST('y' AS SIGNED), 1/0",
            "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
            "SET @a = NULL, @b = 'b'",
            "SET sql_mode=DEFAULT, autocommit=0",
            "SET autocommit=1",
        ],
    ),
    (
        'Y',
        &[
            "INSERT INTO {db}.others (a) VALUES (1), (2)",
            "USE {db}_two",
            "SET sql_mode='NO_BACKSLASH_ESCAPES'",
            "SELECT * FROM {db}.missing",
            "UPDATE {db}.others SET a = LAST_INSERT_ID(a + 100) LIMIT 1",
        ],
    ),
];

struct Run<'a> {
    cluster: &'a Cluster,
    proxy: &'a Proxy<'a>,
    flavour: Flavour,
}

/// What SHOW WARNINGS says of a write in a transaction that only reads: a replica names itself as the reason.
fn as_a_primary(found: &str) -> String {
    let own = [
        "'1290'\", \"'The MySQL server is running with the --super-read-only option so it cannot execute this statement'",
        "'1290'\", \"'The MariaDB server is running with the --read-only option so it cannot execute this statement'",
    ];
    let usual = "'1792'\", \"'Cannot execute statement in a READ ONLY transaction.'";
    own.iter()
        .fold(found.to_owned(), |found, own| found.replace(own, usual))
}

// === impl Run ===

impl Run<'_> {
    async fn case(&self, lines: &[String]) -> Result<(), String> {
        let (direct, proxied) = (
            self.cluster.new_database().await,
            self.cluster.new_database().await,
        );
        for database in [&direct, &proxied] {
            for sql in [
                "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a INT)",
                "CREATE TABLE u (id INT PRIMARY KEY)",
                "CREATE TABLE others (id INT AUTO_INCREMENT PRIMARY KEY, a INT)",
            ] {
                let sql = sql.replace("TABLE ", &format!("TABLE {database}."));
                self.cluster.primary().execute(&sql).await.unwrap();
            }
            let sql = format!("INSERT INTO {database}.u VALUES (1)");
            self.cluster.primary().execute(&sql).await.unwrap();
            let sql = format!("CREATE DATABASE {database}_two");
            self.cluster.primary().execute(&sql).await.unwrap();
        }
        // Sessions see what they wrote themselves at once; this was somebody else.
        self.cluster.catch_up().await.unwrap();
        let clients = |options, database| Clients {
            options,
            database,
            open: BTreeMap::new(),
        };
        let mut direct = clients(self.cluster.primary().options(), &direct);
        let mut through = clients(self.proxy.options(), &proxied);
        let mut told = String::new();
        // MariaDB keeps the warnings of a statement through some others: asked for are those of a statement on tables.
        let with_warnings = |line: String| {
            let asks = line.contains("{db}.") && line.len().is_multiple_of(3);
            let shows = asks.then(|| "A: SHOW WARNINGS".to_owned());
            std::iter::once(line).chain(shows)
        };
        // What the counts of a fresh session are depends on what its driver said at login.
        let settled = |line: &String| {
            let first = (line == "A. reset").then(|| FIRST.to_owned());
            std::iter::once(line.clone()).chain(first)
        };
        let told_first = std::iter::once(FIRST.to_owned());
        let lines = told_first
            .chain(lines.iter().flat_map(settled))
            .flat_map(with_warnings)
            .chain(self.see());
        for (index, line) in lines.enumerate() {
            let (expected, found) = (direct.line(&line).await, through.line(&line).await);
            let found = as_a_primary(&found);
            let _ = writeln!(told, "{line}");
            if expected != found {
                return Err(format!("{told}  direct: {expected}\n  shared: {found}\n"));
            }
            for (name, statements) in OTHERS {
                let sql = statements[index % statements.len()];
                let answer = through.line(&format!("{name}: {sql}")).await;
                assert!(
                    !answer.contains("became free"),
                    "{told}{name} gets no connection: {answer}"
                );
                if sql.starts_with("SELECT") {
                    // Its warnings would keep a connection: on the primary, too, when the replica is late.
                    through.line(&format!("{name}: DO 0")).await;
                }
            }
        }
        Ok(())
    }

    fn see(&self) -> [String; 4] {
        let isolation = isolation(self.flavour);
        [
            "A: SELECT LAST_INSERT_ID(), DATABASE(), @a, @b, @c".to_owned(),
            "A: SELECT @a IS NULL, COLLATION(@a), COLLATION(@b), COLLATION(@c), @z".to_owned(),
            format!(
                "A: SELECT @@sql_mode, @@time_zone, @@autocommit, {isolation}, @@lc_time_names, @@sql_select_limit, \
                 @@group_concat_max_len, @@foreign_key_checks, @@unique_checks, @@character_set_client, \
                 @@character_set_results, @@character_set_connection, @@collation_connection"
            ),
            "A? SELECT COUNT(*), SUM(a), SUM(id) FROM {db}.t".to_owned(),
        ]
    }
}

async fn model(flavour: Flavour) {
    let cluster = Cluster::shared(flavour).await;
    let pool = "pool: {max_connections: 2, acquire_timeout: 5s}";
    // On the replica everybody has a place: who keeps a connection for warnings alone loses it when others wait.
    let mut servers = "servers:\n".to_owned();
    for (server, places) in cluster.servers().iter().zip([2, 3]) {
        let (name, address) = (&server.name, server.address());
        servers += &format!("  - {{name: {name}, address: \"{address}\", max_connections: {places}}}\n");
    }
    let proxy = Proxy::before(cluster).with(pool).with(servers).start().await;
    let run = Run {
        cluster,
        proxy: &proxy,
        flavour,
    };
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&number("SPLITRAIL_MODEL_SEED", 1).to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let lines = proptest::collection::vec(line(), 1..LONGEST);
    for case in 0..number("SPLITRAIL_MODEL_CASES", CASES) {
        let mut tree = lines.new_tree(&mut runner).unwrap();
        let Err(mut failure) = run.case(&tree.current()).await else {
            continue;
        };
        let mut may_shrink = tree.simplify();
        for _ in 0..SMALLER {
            if !may_shrink {
                break;
            }
            may_shrink = match run.case(&tree.current()).await {
                Err(smaller) => {
                    failure = smaller;
                    tree.simplify()
                }
                Ok(()) => tree.complicate(),
            };
        }
        panic!("case {case} answers otherwise than a connection of its own, after this:\n{failure}");
    }
}

on_both_flavours! {
    async fn a_session_cannot_tell_that_it_shares(flavour) {
        model(flavour).await;
    }
}
