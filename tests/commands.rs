//! Every command of the protocol, sent as raw packets to a server and through the proxy: the answers are the same.

use crate::fixture::raw::{Raw, Steps, Who, same_both_ways, shown};
use crate::fixture::{Cluster, Flavour, Proxy, on_both_flavours};
use splitrail::wire::Capabilities;
use splitrail::wire::command::Command;
use splitrail::wire::framing::Expect;

/// The combinations of capabilities that change what a response looks like.
fn combinations(flavour: Flavour) -> Vec<Capabilities> {
    let switches = match flavour {
        Flavour::MySql => vec![
            Capabilities::DEPRECATE_EOF,
            Capabilities::SESSION_TRACK,
            Capabilities::OPTIONAL_RESULTSET_METADATA,
            Capabilities::QUERY_ATTRIBUTES,
        ],
        Flavour::MariaDb => vec![
            Capabilities::DEPRECATE_EOF,
            Capabilities::SESSION_TRACK,
            Capabilities::MARIADB_EXTENDED_METADATA,
        ],
    };
    let base = match flavour {
        Flavour::MySql => Who::usual(),
        // Its absence says that the extended capabilities are there.
        Flavour::MariaDb => Who::usual().without(Capabilities::LONG_PASSWORD) | Capabilities::MARIADB_BULK,
    };
    let count = 1_u32 << switches.len();
    (0..count)
        .map(|set| {
            let chosen = switches.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1);
            chosen.fold(base, |all, (_, &one)| all | one)
        })
        .collect()
}

/// Statements whose answers show all that a response can have.
const STATEMENTS: &[&str] = &[
    "SELECT 1, 'two', NULL, 3.5",
    "SELECT 1; SELECT 2; DO 3; SELECT 4 WHERE 0",
    "SELECT 1; SELECT nothing; SELECT 3",
    "not a statement",
    "",
    "  ",
    "/* nothing */",
    "CREATE TABLE IF NOT EXISTS t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(50))",
    "CREATE TABLE IF NOT EXISTS t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(50))",
    "DELETE FROM t",
    "ALTER TABLE t AUTO_INCREMENT = 1",
    "INSERT INTO t (v) VALUES ('a'), ('b'), ('c')",
    "SELECT LAST_INSERT_ID(), ROW_COUNT()",
    "UPDATE t SET v = 'x' WHERE id > 1",
    "UPDATE t SET v = 'x'",
    "INSERT INTO t (id) VALUES (1)",
    "SHOW WARNINGS",
    "SELECT * FROM t",
    "SELECT CAST('12abc' AS SIGNED)",
    "SHOW WARNINGS",
    "BEGIN",
    "SELECT COUNT(*) FROM t",
    "INSERT INTO t (v) VALUES ('in a transaction')",
    "ROLLBACK",
    "SET @a = 1",
    "SELECT @a, @b",
    "SET SESSION sql_mode = 'ANSI_QUOTES'",
    "SELECT @@sql_mode",
    "SET NAMES latin1",
    "SELECT @@character_set_client, 'x'",
    "SET NAMES utf8mb4",
    "CREATE PROCEDURE p(IN a INT, OUT b INT) BEGIN SELECT a; SELECT 'second' AS s; SET b = a + 1; END",
    "CALL p(1, @out)",
    "SELECT @out",
    "DO SLEEP(0)",
    "EXPLAIN SELECT 1",
    "SET autocommit = 0",
    "SELECT 1 FROM t",
    "COMMIT",
    "SET autocommit = 1",
    "USE app",
    "USE no_such_database",
    "SELECT DATABASE()",
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "START TRANSACTION READ ONLY",
    "COMMIT AND CHAIN",
    "COMMIT",
    "SAVEPOINT s",
    "LOCK TABLES app.nothing READ",
];

on_both_flavours! {
    async fn queries_answer_the_same_whatever_was_agreed(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let database = proxy.cluster.new_database().await;
        for capabilities in combinations(flavour) {
            let who = Who::of(proxy.cluster, capabilities).database(&database);
            same_both_ways(proxy, &who, async |raw: &mut Raw| {
                raw.run("DROP TABLE IF EXISTS t").await;
                raw.run("DROP PROCEDURE IF EXISTS p").await;
                ask(raw, STATEMENTS).await
            })
            .await;
        }
    }
}

on_both_flavours! {
    async fn a_client_that_sets_session_tracking_itself_gets_what_it_asked_for(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let database = proxy.cluster.new_database().await;
        let flags = [Capabilities::SESSION_TRACK, Capabilities::SESSION_TRACK | Capabilities::DEPRECATE_EOF];
        for flags in flags {
            let who = Who::of(proxy.cluster, Who::usual() | flags).database(&database);
            let answers = same_both_ways(proxy, &who, async |raw: &mut Raw| {
                ask(raw, &[
                    "SET SESSION session_track_state_change = ON, session_track_schema = OFF",
                    "SET SESSION session_track_system_variables = 'sql_mode'",
                    "SET sql_mode = ''",
                    "USE app",
                    "SELECT 1",
                    "SET SESSION session_track_transaction_info = 'STATE'",
                    "START TRANSACTION",
                    "COMMIT",
                    "SET time_zone = '+01:00'",
                    "SET @x = 1",
                ]).await
            })
            .await;
            let told = answers[2].1[0].windows(8).any(|window| window == b"sql_mode");
            assert!(told, "{}", shown(&answers[2].1));
        }
    }
}

/// Asks one statement after the other.
async fn ask(raw: &mut Raw, statements: &[&str]) -> Steps {
    let mut steps = Steps::new();
    for sql in statements {
        steps.push((sql.to_string(), raw.query(sql).await));
    }
    steps
}

#[tokio::test]
async fn result_sets_without_definitions_pass_on_mysql() {
    let proxy = Proxy::shared(Flavour::MySql).await;
    for flags in [Capabilities::NONE, Capabilities::DEPRECATE_EOF] {
        let flags = flags | Capabilities::OPTIONAL_RESULTSET_METADATA | Who::usual();
        let who = Who::of(proxy.cluster, flags);
        let answers = same_both_ways(proxy, &who, async |raw: &mut Raw| {
            let mut steps = ask(
                raw,
                &[
                    "SET resultset_metadata = NONE",
                    "SELECT 1, 2",
                    "SELECT 1; SELECT 2",
                ],
            )
            .await;
            let prepared = raw
                .command(Command::STMT_PREPARE, b"SELECT ?, 2", Expect::Prepared)
                .await;
            steps.push(("prepare".to_owned(), prepared));
            steps.extend(ask(raw, &["SELECT 3", "SET resultset_metadata = FULL", "SELECT 1"]).await);
            steps
        })
        .await;
        assert_eq!(answers[1].1[0], [2, 0]);
    }
}
