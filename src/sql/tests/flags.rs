//! Which flags a statement has, as tables.

use super::*;

/// Flags as `A | B`, `-` for none.
pub fn flags(features: &Features) -> String {
    format!("{:?}", features.flags)
}

#[track_caller]
fn check(dialect: Dialect, table: &[(&str, &str)]) {
    let mut wrong = String::new();
    for (text, expected) in table {
        let found = flags(&scan(text.as_bytes(), dialect));
        if found != *expected {
            wrong.push_str(&format!("\n{text}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Flags that are the same on both flavours.
pub const FLAGS: &[(&str, &str)] = &[
    // Nothing to say.
    ("SELECT c FROM sbtest1 WHERE id=12345", "-"),
    ("select 1", "-"),
    (
        "SELECT * FROM t WHERE a = 'LAST_INSERT_ID()' -- FOUND_ROWS()",
        "-",
    ),
    (
        "SELECT `last_insert_id`, found_rows FROM t /* GET_LOCK('a') */ # @x := 1",
        "-",
    ),
    (
        "SELECT a.connection_id, b.row_count FROM t a JOIN u b ON (a.id = b.id)",
        "-",
    ),
    (
        "SELECT COUNT(*), MAX(a), CONCAT_WS(',', b, c), NOW(6), CAST(d AS DECIMAL(10, 2)) FROM t",
        "-",
    ),
    (
        "SELECT IF(a, b, c), a IN (1, 2), (a) AND (b) OR NOT (c) FROM (SELECT 1) AS t (a)",
        "-",
    ),
    (
        "SELECT ROW_NUMBER() OVER (PARTITION BY a ORDER BY b) FROM t WINDOW w AS (ORDER BY a)",
        "-",
    ),
    (
        "INSERT INTO t (a, b) VALUES (1, 2), (3, 4) ON DUPLICATE KEY UPDATE a = VALUES(a)",
        "-",
    ),
    ("INSERT t (a) VALUES (1)", "-"),
    ("INSERT LOW_PRIORITY IGNORE t (a) SELECT a FROM u", "-"),
    ("INSERT INTO `d`.`t` (`a`) VALUES ('x')", "-"),
    ("REPLACE INTO d.t(a) VALUES (1)", "-"),
    (
        "UPDATE t SET a = a + 1, b = REPLACE(b, 'x', 'y') WHERE id IN (1, 2)",
        "-",
    ),
    ("DELETE FROM t WHERE a BETWEEN (1) AND (2) LIMIT 5", "-"),
    (
        "CREATE TABLE t (a INT(11) NOT NULL, b VARCHAR(20) DEFAULT 'x', KEY k (a), CHECK (f(a) > 0))",
        "-",
    ),
    (
        "ALTER TABLE t ADD INDEX i (a), ADD CONSTRAINT c FOREIGN KEY (b) REFERENCES u (id)",
        "-",
    ),
    ("GRANT SELECT (a, b), INSERT (c) ON d.t TO root@localhost", "-"),
    ("CREATE USER 'a'@'b' IDENTIFIED BY 'c'", "-"),
    ("DROP USER `a`@`b`, c@d", "-"),
    ("SHOW GRANTS FOR root@localhost", "-"),
    ("SHOW TABLES LIKE 'warnings'", "-"),
    ("SELECT * FROM t USE INDEX (a) FORCE INDEX FOR ORDER BY (b)", "-"),
    (
        "WITH c (a, b) AS (SELECT 1, 2), d (e) AS (SELECT 3) SELECT * FROM c, d",
        "COMMON_TABLE",
    ),
    (
        "SELECT * FROM JSON_TABLE('[1]', '$[*]' COLUMNS (a INT PATH '$')) AS j",
        "-",
    ),
    ("", "-"),
    (" ;; ", "-"),
    (" ;; -- nothing", "SEVERAL"),
    ("BEGIN", "-"),
    ("BEGIN WORK", "-"),
    ("COMMIT AND NO CHAIN NO RELEASE", "-"),
    ("COMMIT RELEASE", "ENDS_CONNECTION"),
    ("ROLLBACK WORK AND NO CHAIN RELEASE", "ENDS_CONNECTION"),
    // As drivers and mappers write.
    ("SET NAMES utf8mb4", "SETS_DIALECT"),
    (
        "SHOW VARIABLES WHERE Variable_name IN ('sql_mode', 'autocommit')",
        "-",
    ),
    (
        "/* mysql-connector-j */SELECT @@session.auto_increment_increment AS a, @@time_zone AS b",
        "READS_SYSTEM_VARIABLE",
    ),
    (
        "SELECT t.a, u.* FROM t LEFT JOIN (u CROSS JOIN v) ON (t.id = u.id) LEFT JOIN w USING (id)",
        "-",
    ),
    (
        "SELECT MATCH (a) AGAINST ('x' IN BOOLEAN MODE), INTERVAL(1, 2), CHAR(65 USING utf8mb4) FROM t",
        "-",
    ),
    (
        "SELECT CASE WHEN (a) THEN (b) ELSE (c) END, EXTRACT(YEAR FROM d), a DIV (b), a XOR (b) FROM t",
        "-",
    ),
    (
        "SELECT DATE_ADD(a, INTERVAL 1 DAY), GROUP_CONCAT(DISTINCT b ORDER BY c SEPARATOR ',') FROM t",
        "-",
    ),
    (
        "SELECT a FROM t WHERE EXISTS (SELECT 1) AND b = ANY (SELECT 2) UNION ALL (SELECT 3)",
        "-",
    ),
    (
        "SELECT JSON_EXTRACT(a, '$.b'), a->>'$.c', UUID(), MD5('x'), DATABASE(), USER(), VERSION()",
        "-",
    ),
    (
        "SELECT table_name FROM information_schema.tables WHERE table_schema = SCHEMA()",
        "-",
    ),
    ("INSERT INTO t () VALUES ()", "-"),
    (
        "INSERT INTO t VALUES (DEFAULT, DEFAULT(a), NULL) AS new (a, b, c) ON DUPLICATE KEY UPDATE a = new.a",
        "-",
    ),
    (
        "DELETE a, b FROM t AS a INNER JOIN u AS b USING (id) WHERE (a.id) = (5)",
        "-",
    ),
    ("EXPLAIN FORMAT=JSON SELECT 1", "-"),
    ("XA START 'a', 'b', 1", "-"),
    ("SAVEPOINT `s1`", "-"),
    // User variables.
    ("SELECT @x", "READS_USER_VARIABLE"),
    ("SELECT@x", "READS_USER_VARIABLE"),
    ("SELECT @'a b', @`c`", "READS_USER_VARIABLE"),
    ("SELECT @x := 1", "ASSIGNS_USER_VARIABLE"),
    ("SELECT @x:=@x+1", "ASSIGNS_USER_VARIABLE | READS_USER_VARIABLE"),
    (
        "SELECT @y, @x /* c */ := 2",
        "ASSIGNS_USER_VARIABLE | READS_USER_VARIABLE",
    ),
    ("SET @x = 1", "ASSIGNS_USER_VARIABLE"),
    ("SET@x=1", "ASSIGNS_USER_VARIABLE"),
    (
        "SET @x := 1, autocommit = 0, @y = @z",
        "ASSIGNS_USER_VARIABLE | READS_USER_VARIABLE",
    ),
    ("SET autocommit = @x", "READS_USER_VARIABLE"),
    (
        "SET @x = IF(1, @y, 2)",
        "ASSIGNS_USER_VARIABLE | READS_USER_VARIABLE",
    ),
    ("SELECT 1 INTO @x", "ASSIGNS_USER_VARIABLE"),
    ("SELECT 1, 2 INTO@x , @y FROM t", "ASSIGNS_USER_VARIABLE"),
    (
        "SELECT 1 INTO @x FROM t WHERE (@y, @z) = (1, 2)",
        "ASSIGNS_USER_VARIABLE | READS_USER_VARIABLE",
    ),
    ("INSERT INTO t VALUES (@a, @b)", "READS_USER_VARIABLE"),
    (
        "LOAD DATA INFILE 'f' INTO TABLE t (a, @b) SET c = @b",
        "ASSIGNS_USER_VARIABLE | READS_USER_VARIABLE",
    ),
    (
        "EXECUTE s USING @a",
        "UNKNOWN_CALL | ASSIGNS_USER_VARIABLE | READS_USER_VARIABLE",
    ),
    (
        "CALL p(@a)",
        "UNKNOWN_CALL | ASSIGNS_USER_VARIABLE | READS_USER_VARIABLE",
    ),
    ("CREATE TABLE t SELECT@x", "READS_USER_VARIABLE"),
    // System variables.
    ("SELECT @@version", "READS_SYSTEM_VARIABLE"),
    ("SELECT @@session.sql_mode, @@global.`x`", "READS_SYSTEM_VARIABLE"),
    (
        "SELECT @@last_insert_id",
        "READS_SYSTEM_VARIABLE | LAST_INSERT_ID",
    ),
    (
        "SELECT @@SESSION . identity",
        "READS_SYSTEM_VARIABLE | LAST_INSERT_ID",
    ),
    ("SELECT @@`identity`", "READS_SYSTEM_VARIABLE | LAST_INSERT_ID"),
    (
        "SELECT @@warning_count + @@local.error_count",
        "READS_SYSTEM_VARIABLE | DIAGNOSTICS",
    ),
    (
        "SELECT @@pseudo_thread_id",
        "READS_SYSTEM_VARIABLE | CONNECTION_ID",
    ),
    ("SET a = @@b", "READS_SYSTEM_VARIABLE"),
    // Locks.
    ("SELECT GET_LOCK('a', 1)", "GET_LOCK | SINGLE_LOCK_CALL"),
    (
        "SELECT get_lock /* c */ (\n'a', 1)",
        "GET_LOCK | SINGLE_LOCK_CALL",
    ),
    ("SELECT `get_lock`('a', 1)", "GET_LOCK"),
    ("DO RELEASE_LOCK('a')", "RELEASE_LOCK"),
    ("SELECT RELEASE_ALL_LOCKS()", "RELEASE_ALL_LOCKS"),
    ("SELECT IS_FREE_LOCK('a'), IS_USED_LOCK('a')", "CHECKS_LOCK"),
    ("LOCK TABLES t READ, u AS v WRITE", "LOCK_TABLES"),
    ("lock table t write", "LOCK_TABLES"),
    ("UNLOCK TABLES", "UNLOCK_TABLES"),
    ("FLUSH TABLES WITH READ LOCK", "FLUSH_LOCK"),
    ("FLUSH LOCAL TABLES t, u WITH READ LOCK", "FLUSH_LOCK"),
    ("FLUSH TABLES t FOR EXPORT", "FLUSH_LOCK"),
    ("FLUSH TABLES", "-"),
    ("LOCK INSTANCE FOR BACKUP", "BACKUP_LOCK"),
    ("UNLOCK INSTANCE", "BACKUP_UNLOCK"),
    ("BACKUP STAGE START", "BACKUP_LOCK"),
    ("BACKUP UNLOCK", "BACKUP_UNLOCK"),
    ("SELECT * FROM t FOR UPDATE", "LOCKING_READ"),
    ("SELECT * FROM t FOR SHARE OF t SKIP LOCKED", "LOCKING_READ"),
    ("SELECT * FROM t LOCK IN SHARE MODE", "LOCKING_READ"),
    ("SELECT * FROM t INTO OUTFILE '/tmp/f'", "INTO_FILE"),
    // Temporary tables, handlers, text statements.
    ("CREATE TEMPORARY TABLE t (a INT)", "CREATE_TEMPORARY"),
    (
        "CREATE OR REPLACE TEMPORARY TABLE t AS SELECT 1",
        "CREATE_TEMPORARY",
    ),
    ("DROP TEMPORARY TABLE IF EXISTS t", "DROP_TEMPORARY"),
    ("CREATE TABLE temporary_t (a INT)", "-"),
    ("HANDLER t OPEN AS h", "HANDLER_OPEN"),
    ("HANDLER h READ FIRST", "-"),
    ("HANDLER h CLOSE", "HANDLER_CLOSE"),
    ("PREPARE s FROM 'SELECT 1'", "TEXT_PREPARE"),
    ("PREPARE s FROM @t", "READS_USER_VARIABLE | TEXT_PREPARE"),
    ("DEALLOCATE PREPARE s", "TEXT_DEALLOCATE"),
    ("DROP PREPARE s", "TEXT_DEALLOCATE"),
    ("EXECUTE s", "UNKNOWN_CALL"),
    ("EXECUTE IMMEDIATE 'SELECT 1'", "UNKNOWN_CALL | TEXT_PREPARE"),
    // What the statement before left behind.
    ("SELECT LAST_INSERT_ID()", "LAST_INSERT_ID"),
    ("SELECT LAST_INSERT_ID ( /* none */ )", "LAST_INSERT_ID"),
    (
        "UPDATE t SET id = LAST_INSERT_ID(id + 1)",
        "ASSIGNS_LAST_INSERT_ID",
    ),
    ("SELECT FOUND_ROWS(), ROW_COUNT()", "FOUND_ROWS | ROW_COUNT"),
    ("SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1", "CALC_FOUND_ROWS"),
    ("SHOW WARNINGS LIMIT 5", "DIAGNOSTICS"),
    ("SHOW ERRORS", "DIAGNOSTICS"),
    ("SHOW COUNT(*) WARNINGS", "DIAGNOSTICS"),
    (
        "GET DIAGNOSTICS @a = NUMBER",
        "ASSIGNS_USER_VARIABLE | READS_USER_VARIABLE | DIAGNOSTICS",
    ),
    (
        "GET CURRENT DIAGNOSTICS CONDITION 1 @a = MESSAGE_TEXT",
        "ASSIGNS_USER_VARIABLE | READS_USER_VARIABLE | DIAGNOSTICS",
    ),
    // Who the connection is.
    ("SELECT CONNECTION_ID()", "CONNECTION_ID"),
    ("SHOW FULL PROCESSLIST", "PROCESS_LIST"),
    ("SELECT * FROM information_schema.processlist", "PROCESS_LIST"),
    (
        "SELECT * FROM `INFORMATION_SCHEMA` . `PROCESSLIST`",
        "PROCESS_LIST",
    ),
    ("SELECT * FROM performance_schema.threads", "PROCESS_LIST"),
    ("SELECT * FROM app.threads", "-"),
    (
        "SELECT a.* FROM performance_schema.session_connect_attrs a WHERE a.`PROCESSLIST_ID` = CONNECTION_ID()",
        "CONNECTION_ID | PROCESS_LIST",
    ),
    ("DELETE FROM t WHERE processlist_id = 1", "PROCESS_LIST"),
    // Calls that are not known.
    ("SELECT f(1)", "UNKNOWN_CALL"),
    ("SELECT `f`(1)", "UNKNOWN_CALL"),
    ("SELECT d.f(1)", "UNKNOWN_CALL"),
    ("SELECT d.count(1)", "UNKNOWN_CALL"),
    ("SELECT COUNT(f(1))", "UNKNOWN_CALL"),
    ("SELECT HIGH_PRIORITY f(1)", "UNKNOWN_CALL"),
    ("INSERT INTO t (a) VALUES (f(1))", "UNKNOWN_CALL"),
    ("INSERT INTO t SELECT HIGH_PRIORITY f(1)", "UNKNOWN_CALL"),
    ("SELECT SUBSTRING('a' FROM f(1))", "UNKNOWN_CALL"),
    ("CREATE TABLE t AS SELECT f(1)", "UNKNOWN_CALL"),
    ("WITH c AS (SELECT f(1)) SELECT 1", "UNKNOWN_CALL | COMMON_TABLE"),
    ("CALL p()", "UNKNOWN_CALL"),
    ("DO 1", "-"),
    ("DO f()", "UNKNOWN_CALL"),
    ("SET @x = f()", "UNKNOWN_CALL | ASSIGNS_USER_VARIABLE"),
    ("FROB x", "UNKNOWN_CALL"),
    ("SELECT SLEEP(1)", "SLEEP"),
    ("SELECT NEXT VALUE FOR s", "UNKNOWN_CALL"),
    ("SELECT s.nextval", "UNKNOWN_CALL"),
    // SET.
    ("SET autocommit = 1", "-"),
    ("SET SESSION wait_timeout = 1, @@session.x = 2", "-"),
    ("SET insert_id = 5", "SETS_ONE_SHOT"),
    ("SET @@insert_id = 5", "SETS_ONE_SHOT"),
    ("SET `timestamp` = 5", "SETS_ONE_SHOT"),
    (
        "SET a = 1, SESSION rand_seed1 = 1, LOCAL rand_seed2 = 2",
        "SETS_ONE_SHOT",
    ),
    ("SET @@session.pseudo_thread_id = 1", "SETS_ONE_SHOT"),
    ("SET gtid_next = 'AUTOMATIC'", "SETS_ONE_SHOT"),
    ("SET TRANSACTION READ ONLY", "SETS_NEXT_TRANSACTION"),
    (
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE",
        "SETS_NEXT_TRANSACTION",
    ),
    ("SET SESSION TRANSACTION READ ONLY", "-"),
    ("SET GLOBAL TRANSACTION READ ONLY", "SETS_GLOBAL"),
    (
        "SET @@transaction_isolation = 'SERIALIZABLE'",
        "SETS_NEXT_TRANSACTION",
    ),
    ("SET @@session.transaction_isolation = 'SERIALIZABLE'", "-"),
    ("SET transaction_isolation = 'SERIALIZABLE'", "-"),
    ("SET @@tx_read_only = 1", "SETS_NEXT_TRANSACTION"),
    ("SET GLOBAL a = 1", "SETS_GLOBAL"),
    ("SET @@global.a = 1", "SETS_GLOBAL"),
    ("SET @@persist_only.a = 1", "SETS_GLOBAL"),
    ("SET session_track_gtids = OWN_GTID", "SETS_SESSION_TRACK"),
    ("SET @@session.session_track_schema = 0", "SETS_SESSION_TRACK"),
    (
        "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
        "SETS_DIALECT | SETS_COLLATION",
    ),
    ("SET CHARACTER SET latin1", "SETS_DIALECT | SETS_COLLATION"),
    ("SET sql_mode = ''", "SETS_DIALECT"),
    ("SET character_set_client = gbk", "SETS_DIALECT"),
    ("SET GLOBAL sql_mode = ''", "SETS_GLOBAL"),
    ("SET PASSWORD FOR 'a'@'b' = 'c'", "-"),
    ("SET ROLE 'a'@'b', c", "SETS_ROLE"),
    ("SET DEFAULT ROLE a TO b@c", "-"),
    // The rest.
    ("LOAD DATA LOCAL INFILE 'f' INTO TABLE t (a, b)", "LOAD_LOCAL"),
    ("LOAD DATA INFILE 'f' INTO TABLE t", "-"),
    ("BINLOG 'abc'", "BINLOG"),
    ("SELECT 1; SELECT 2", "SEVERAL"),
    ("SELECT 1;", "-"),
    ("SELECT 1; -- c", "SEVERAL"),
    ("SELECT 1; ;\n", "-"),
    (";SELECT 1", "SEVERAL"),
    ("SELECT 1;; -- c", "SEVERAL"),
    (
        "SELECT 1; SET @x = 1; SELECT GET_LOCK('a', 1)",
        "SEVERAL | ASSIGNS_USER_VARIABLE | GET_LOCK",
    ),
    ("SELECT ';' /* ; */", "-"),
    (
        "SET sql_mode = 'NO_BACKSLASH_ESCAPES'; SELECT '\\'; SELECT GET_LOCK('a', 1) -- '",
        "BROKEN | SEVERAL | UNKNOWN_CALL | SETS_DIALECT",
    ),
    (
        "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END",
        "STORED_PROGRAM",
    ),
    (
        "CREATE TRIGGER t BEFORE INSERT ON u FOR EACH ROW SET NEW.a = f(1)",
        "STORED_PROGRAM",
    ),
    ("CREATE TABLE t (event INT, `procedure` INT)", "-"),
    (
        "BEGIN NOT ATOMIC SELECT 1; SELECT 2; END",
        "STORED_PROGRAM | UNKNOWN_CALL",
    ),
    // Doubtful text.
    ("SELECT 'abc", "BROKEN | UNKNOWN_CALL"),
    ("SELECT /* abc", "BROKEN | UNKNOWN_CALL"),
    ("SELECT `abc", "BROKEN | UNKNOWN_CALL"),
    ("SELECT /*! 1", "BROKEN | UNKNOWN_CALL"),
    ("SELECT \0 1", "BROKEN | UNKNOWN_CALL"),
    ("SELECT [a]", "BROKEN | UNKNOWN_CALL"),
    ("(1)", "UNKNOWN_CALL"),
    ("/*!40101 SET @x = 1 */", "ASSIGNS_USER_VARIABLE"),
    ("/*! SELECT GET_LOCK('a', 1) */", "GET_LOCK | SINGLE_LOCK_CALL"),
    (
        "SELECT /*!50000 GET_LOCK */ ('a', 1)",
        "GET_LOCK | SINGLE_LOCK_CALL",
    ),
];

#[test]
fn flags_on_mysql() {
    check(MYSQL, FLAGS);
    check(
        MYSQL,
        &[
            ("SELECT /*!80000 f(1) */", "VERSION_COMMENT | UNKNOWN_CALL"),
            ("SELECT /*!99999 f(1) */ 1", "VERSION_COMMENT"),
            ("SELECT 1 /*M! , f(1) */", "VERSION_COMMENT"),
            (
                "SELECT 1 /*M! ' */, f(1) /* ' */",
                "VERSION_COMMENT | UNKNOWN_CALL",
            ),
            ("SELECT REGEXP_LIKE('a', 'b')", "-"),
            ("SELECT NVL(1, 2)", "UNKNOWN_CALL"),
        ],
    );
}

#[test]
fn flags_on_mariadb() {
    check(MARIADB, FLAGS);
    check(
        MARIADB,
        &[
            ("SELECT 1 /*!80000 , f(1) */", "VERSION_COMMENT"),
            ("SELECT 1 /*M! , f(1) */", "VERSION_COMMENT | UNKNOWN_CALL"),
            ("SELECT 1 /*M!100100 , f(1) */", "VERSION_COMMENT | UNKNOWN_CALL"),
            ("SELECT REGEXP_LIKE('a', 'b')", "UNKNOWN_CALL"),
            ("SELECT NVL(1, 2)", "-"),
            (
                "SET STATEMENT max_statement_time = 1 FOR SELECT @x",
                "READS_USER_VARIABLE | SET_STATEMENT",
            ),
        ],
    );
}

#[test]
fn flags_on_a_server_of_unknown_version() {
    check(
        Dialect::default(),
        &[
            ("SELECT /*!80000 1 */", "BROKEN | VERSION_COMMENT | UNKNOWN_CALL"),
            ("SELECT /*!40101 1 */", "-"),
        ],
    );
}

#[test]
fn modes_and_character_sets_change_what_is_code() {
    let text = b"SELECT '\\', GET_LOCK('a', 1) -- '";
    assert!(!scan(text, MYSQL).has(Flags::GET_LOCK));
    assert!(
        scan(
            text,
            Dialect {
                no_backslash_escapes: true,
                ..MYSQL
            }
        )
        .has(Flags::GET_LOCK)
    );

    let text = b"SELECT \"get_lock\"('a', 1)";
    assert!(!scan(text, MYSQL).has(Flags::GET_LOCK));
    assert!(
        scan(
            text,
            Dialect {
                ansi_quotes: true,
                ..MYSQL
            }
        )
        .has(Flags::GET_LOCK)
    );

    let text = b"SELECT '\xbf\x5c', GET_LOCK('a', 1) -- '";
    assert!(!scan(text, MYSQL).has(Flags::GET_LOCK));
    assert!(
        scan(
            text,
            Dialect {
                charset: Charset::Gbk,
                ..MYSQL
            }
        )
        .has(Flags::GET_LOCK)
    );

    let text = b"SELECT 1 --\xa0'\nFROM t FOR UPDATE -- '";
    assert!(!scan(text, MYSQL).has(Flags::LOCKING_READ));
    assert!(
        scan(
            text,
            Dialect {
                charset: Charset::Latin1,
                ..MYSQL
            }
        )
        .has(Flags::LOCKING_READ)
    );

    let text = b"SELECT\xa0get_lock\xa0('a', 1)";
    assert!(
        scan(
            text,
            Dialect {
                charset: Charset::Latin1,
                ..MYSQL
            }
        )
        .has(Flags::GET_LOCK)
    );
}
