//! Clients that share server connections: each must find its session as if the connection were its own.
//!
//! A script is run twice, by clients connected to the server and by clients of a proxy with so few connections
//! that they have to share them. Every answer must be the same. A connection held for longer than its reason
//! lasts shows as a statement that waits in vain.

use std::collections::BTreeMap;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Params};
use tokio::sync::OnceCell;

use crate::fixture::proxy::{connect, wait_for};
use crate::fixture::{CHARACTER_SETS, Cluster, Flavour, Proxy, on_both_flavours};

/// The clients of one script, each with its letter.
pub struct Clients<'a> {
    pub options: mysql_async::OptsBuilder,
    pub database: &'a str,
    pub open: BTreeMap<char, Conn>,
}

// === impl Clients ===

impl Clients<'_> {
    async fn client(&mut self, name: char) -> &mut Conn {
        if !self.open.contains_key(&name) {
            let options = self.options.clone().db_name(Some(self.database));
            self.open.insert(name, connect(options).await.unwrap());
        }
        self.open.get_mut(&name).unwrap()
    }

    /// Runs one line: a client's letter, how, and what. `A: text`, `A? prepared`, `A. reset`, `A. vanish`.
    pub async fn line(&mut self, line: &str) -> String {
        let name = line.chars().next().unwrap();
        let (how, what) = (&line[1..2], line[2..].trim().replace("{db}", self.database));
        let answer = match (how, what.as_str()) {
            (".", "vanish") => {
                drop(self.open.remove(&name));
                String::new()
            }
            (".", "reset") => {
                let done = self.client(name).await.reset().await;
                format!("{done:?}")
            }
            (".", "change user") => {
                let done = self.client(name).await.change_user(Default::default()).await;
                format!("{:?}", done.is_ok())
            }
            ("?", sql) => {
                let result = self.client(name).await.exec_iter(sql, Params::Empty).await;
                match result {
                    Ok(result) => render(result).await,
                    Err(error) => explain(&error),
                }
            }
            (":", sql) => {
                let result = self.client(name).await.query_iter(sql).await;
                match result {
                    Ok(result) => render(result).await,
                    Err(error) => explain(&error),
                }
            }
            _ => panic!("what is {line}?"),
        };
        answer.replace(self.database, "{db}")
    }
}

fn explain(error: &Error) -> String {
    match error {
        Error::Server(error) => format!("ERROR {} {} {}", error.code, error.state, error.message),
        error => format!("{error:?}"),
    }
}

async fn render<P: mysql_async::prelude::Protocol>(
    mut result: mysql_async::QueryResult<'_, '_, P>,
) -> String {
    let mut out = String::new();
    while !result.is_empty() {
        let names: Vec<_> = result
            .columns_ref()
            .iter()
            .map(|column| column.name_str().into_owned())
            .collect();
        out += &format!("{names:?}");
        match result.collect::<mysql_async::Row>().await {
            Ok(rows) => {
                for row in rows {
                    let values: Vec<_> = row.unwrap().iter().map(|value| value.as_sql(true)).collect();
                    out += &format!(" {values:?}");
                }
            }
            Err(error) => return out + &explain(&error),
        }
        out += "; ";
    }
    format!(
        "{out}affected {} id {:?} warnings {}",
        result.affected_rows(),
        result.last_insert_id(),
        result.warnings()
    )
}

/// Scripts do what replicas stumble over, such as XA transactions that are prepared and rolled back.
pub async fn alone(flavour: Flavour) -> &'static Cluster {
    static MYSQL: OnceCell<Cluster> = OnceCell::const_new();
    static MARIADB: OnceCell<Cluster> = OnceCell::const_new();
    let cell = match flavour {
        Flavour::MySql => &MYSQL,
        Flavour::MariaDb => &MARIADB,
    };
    cell.get_or_init(|| Cluster::of(flavour).start()).await
}

/// Runs a script in both ways. Empty lines and those that begin with `--` do not count.
async fn same(flavour: Flavour, connections: usize, script: &str) {
    let lines = script.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("--"));
    compare(flavour, connections, lines.map(str::to_owned), "a script").await;
}

async fn compare(flavour: Flavour, connections: usize, lines: impl Iterator<Item = String>, what: &str) {
    let cluster = alone(flavour).await;
    let (direct, proxied) = (cluster.new_database().await, cluster.new_database().await);
    let pool = format!("pool: {{max_connections: {connections}, acquire_timeout: 3s}}");
    let proxy = Proxy::before(cluster).with(pool).start().await;
    let mut direct = Clients {
        options: cluster.primary().options(),
        database: &direct,
        open: BTreeMap::new(),
    };
    let mut through = Clients {
        options: proxy.options(),
        database: &proxied,
        open: BTreeMap::new(),
    };
    let mut told = Vec::new();
    for line in lines {
        let (expected, found) = (direct.line(&line).await, through.line(&line).await);
        told.push(line);
        let latest = told[told.len().saturating_sub(40)..].join("\n");
        if expected != found {
            let equal = expected
                .bytes()
                .zip(found.bytes())
                .take_while(|(one, two)| one == two);
            let start = equal.count().saturating_sub(60);
            let (expected, found) = (&expected.get(start..), &found.get(start..));
            let part = |text: &Option<&str>| text.map(|text| text.chars().take(200).collect::<String>());
            panic!(
                "in {what}, after this:\n{latest}\n  direct: {:?}\n  shared: {:?}\n",
                part(expected),
                part(found)
            );
        }
    }
}

/// A random sequence for three clients, of which only the first does what holds a connection.
struct Model {
    flavour: Flavour,
    dice: u64,
}

// === impl Model ===

impl Model {
    const RESTORED: &[&str] = &[
        "SET sql_mode='ANSI_QUOTES'",
        "SET @@sql_mode='NO_BACKSLASH_ESCAPES,NO_ZERO_DATE'",
        "SET sql_mode=DEFAULT",
        "SET SESSION time_zone='+01:00'",
        "SET @@session.time_zone='-08:00'",
        "SET time_zone=DEFAULT",
        "SET sql_select_limit=100, lc_time_names='fr_FR'",
        "SET @@sql_select_limit=DEFAULT",
        "SET long_query_time=0.5; SET SESSION group_concat_max_len=99",
        "SET foreign_key_checks=0, @@unique_checks=0",
        "SET foreign_key_checks=1",
        "SET optimizer_switch='mrr=off'",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET default_week_format=4, max_error_count=20",
        "USE {db}",
        "USE {db}_two",
        "SELECT DATABASE()",
        "INSERT INTO {db}.t (a) VALUES (1)",
        "INSERT INTO {db}.t (a) VALUES (1), (2), (3)",
        "SELECT LAST_INSERT_ID()",
        "SELECT @@identity AS last, LAST_INSERT_ID() + 1",
        "SELECT COUNT(*), SUM(a) FROM {db}.t",
        "SELECT @@sql_mode, @@time_zone, @@collation_connection, @@character_set_results, @@lc_time_names",
        "SELECT DATE_FORMAT('2024-01-01', '%W %M'), COLLATION('a'), WEEK('2024-02-20')",
    ];
    const HELD: &[&str] = &[
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "START TRANSACTION READ ONLY",
        "SAVEPOINT s",
        "ROLLBACK TO s",
        "SET TRANSACTION READ ONLY",
        "INSERT INTO {db}.own (a) VALUES (7)",
        "DELETE FROM {db}.own LIMIT 1",
        "SELECT COUNT(*) FROM {db}.own",
        "UPDATE {db}.own SET a = LAST_INSERT_ID(a + 10) ORDER BY id LIMIT 1",
        "SET autocommit=0",
        "SET @@autocommit=1",
        "SET @u = 3",
        "SELECT @u",
        "CREATE TEMPORARY TABLE {db}.tt (a INT)",
        "DROP TEMPORARY TABLE IF EXISTS {db}.tt",
        "INSERT INTO {db}.tt VALUES (1)",
        "SELECT * FROM {db}.tt",
        "SELECT GET_LOCK('{db}', 0)",
        "SELECT RELEASE_LOCK('{db}')",
        "SELECT RELEASE_ALL_LOCKS()",
        "PREPARE p FROM 'SELECT 4'",
        "EXECUTE p",
        "DEALLOCATE PREPARE p",
        "SELECT ROW_COUNT()",
        "SHOW WARNINGS",
        "SELECT * FROM {db}.missing",
    ];

    fn roll(&mut self, sides: usize) -> usize {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        usize::try_from(self.dice >> 11).unwrap() % sides
    }

    fn line(&mut self) -> String {
        let name = ['A', 'B', 'C'][self.roll(3)];
        if self.roll(40) == 0 {
            let what = ["reset", "vanish", "change user"][self.roll(3)];
            return format!("{name}. {what}");
        }
        let held = name == 'A' && self.roll(2) == 0;
        let list = match held {
            true => Self::HELD,
            false if self.roll(5) == 0 => CHARACTER_SETS,
            false => Self::RESTORED,
        };
        let sql = list[self.roll(list.len())];
        let preparable = !sql.contains(';') && !sql.starts_with("PREPARE") && !sql.starts_with("USE");
        let how = if preparable && self.roll(4) == 0 { '?' } else { ':' };
        format!("{name}{how} {sql}")
    }

    /// All that can be seen of a session in the end.
    fn variables(&self, name: char) -> String {
        let table = match self.flavour {
            Flavour::MySql => "performance_schema.session_variables",
            Flavour::MariaDb => "information_schema.session_variables",
        };
        format!(
            "{name}: SELECT variable_name, variable_value FROM {table} WHERE LOWER(variable_name) NOT IN \
             ('pseudo_thread_id', 'timestamp', 'rand_seed1', 'rand_seed2', 'error_count', 'warning_count', \
             'gtid_binlog_pos', 'gtid_binlog_state', 'gtid_current_pos', 'last_gtid', 'gtid_executed', 'statement_id', \
             'session_track_state_change', 'session_track_schema', 'session_track_system_variables', \
             'session_track_transaction_info', 'session_track_gtids', 'insert_id', 'last_insert_id', 'identity', 'in_transaction', \
             'character_set_database', 'collation_database') ORDER BY 1"
        )
    }
}

async fn model(flavour: Flavour, seed: u64) {
    let number = |name: &str, default: u64| {
        let asked = std::env::var(name).ok();
        asked.and_then(|asked| asked.parse().ok()).unwrap_or(default)
    };
    let (steps, seed) = (
        number("SPLITRAIL_MODEL_STEPS", 120),
        number("SPLITRAIL_MODEL_SEED", seed),
    );
    let mut model = Model {
        flavour,
        dice: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
    };
    let setup = [
        "A: CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a INT)",
        "A: CREATE DATABASE {db}_two",
        "A: CREATE TABLE own (id INT AUTO_INCREMENT PRIMARY KEY, a INT)",
    ];
    let mut lines: Vec<String> = setup.map(str::to_owned).to_vec();
    lines.extend((0..steps).map(|_| model.line()));
    lines.push("A. reset".to_owned());
    lines.extend(['A', 'B', 'C'].map(|name| model.variables(name)));
    compare(
        flavour,
        2,
        lines.into_iter(),
        &format!("the model with SPLITRAIL_MODEL_SEED={seed}"),
    )
    .await;
}

const SEE_CHARSETS: &str = "SELECT @@character_set_client, @@character_set_connection, @@character_set_results, \
     @@collation_connection, @@character_set_server, @@collation_database";

on_both_flavours! {
    async fn who_sets_a_global_variable_keeps_its_own(flavour) {
        let cluster = Cluster::of(flavour).start().await;
        let proxy = Proxy::before(&cluster).start().await;
        let values = async |client: &mut Conn| {
            let sql = "SELECT @@session.time_zone, @@session.sql_mode";
            client.query_first::<(String, String), _>(sql).await.unwrap().unwrap()
        };
        let mut client = proxy.client().await;
        let before = values(&mut client).await;
        for set in ["SET GLOBAL time_zone = '+05:00'", "SET @@global.sql_mode := 'STRICT_ALL_TABLES', @a = 1"] {
            client.query_drop(set).await.unwrap();
            assert_eq!(values(&mut client).await, before);
        }
        let later = ("+05:00".to_owned(), "STRICT_ALL_TABLES".to_owned());
        assert_eq!(values(&mut proxy.client().await).await, later);
        client.query_drop("SET time_zone = DEFAULT, sql_mode = DEFAULT").await.unwrap();
        assert_eq!(values(&mut client).await, later);
    }

    async fn variables_follow_their_session(flavour) {
        let limit = match flavour {
            Flavour::MySql => "max_execution_time",
            Flavour::MariaDb => "max_statement_time",
        };
        let see = format!(
            "SELECT @@sql_mode, @@time_zone, @@autocommit, @@transaction_isolation, @@{limit}, @@optimizer_switch, \
             @@sql_select_limit, @@long_query_time, @@group_concat_max_len, @@lc_time_names, @@wait_timeout, \
             @@foreign_key_checks, @@default_week_format, @@transaction_read_only, @@max_error_count"
        ).replace("@@transaction_isolation", isolation(flavour)).replace("@@transaction_read_only", read_only(flavour));
        let script = format!("
            A: SET sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES', time_zone='+03:00'
            B: {see}
            A: {see}
            B: SET SESSION transaction_isolation='READ-COMMITTED', autocommit=0
            A: {see}
            B: {see}
            A: SET @@sql_mode='', @@session.long_query_time=0.25, @@`lc_time_names`='de_DE'
            B: {see}
            A: {see}
            C: {see}
            A: SET SESSION {limit}=12, optimizer_switch='mrr=off', sql_select_limit=3, LOCAL group_concat_max_len=77
            B: {see}
            A: {see}
            A? SET foreign_key_checks=0
            B? SET @@foreign_key_checks=1, @@default_week_format=3
            A: {see}
            B: {see}
            A: SET sql_mode=DEFAULT, time_zone=DEFAULT, sql_select_limit=DEFAULT
            B: {see}
            A: {see}
            A: SET SESSION TRANSACTION READ ONLY
            B: {see}
            A: {see}
            A: SET wait_timeout=1234; SET max_error_count=7
            B: {see}
            A: {see}
            C: {see}
            A. reset
            A: {see}
            B: {see}
        ");
        let script = script.replace("SET SESSION transaction_isolation", &format!("SET SESSION {}", &isolation(flavour)[2..]));
        same(flavour, 1, &script).await;
    }

    async fn character_sets_follow_their_session(flavour) {
        let see = SEE_CHARSETS;
        same(flavour, 1, &format!("
            A: SET NAMES utf8mb4 COLLATE utf8mb4_bin
            B: {see}
            A: {see}
            B: SET NAMES latin1
            A: {see}
            B: {see}
            A: SET NAMES latin2
            B: {see}
            A: {see}
            B: SET CHARACTER SET latin1
            A: {see}
            B: {see}
            B: SET character_set_results=NULL
            A: {see}
            B: {see}
            A: SET collation_connection=latin1_bin
            B: {see}
            A: {see}
            A: SET character_set_connection=utf8mb4
            B: {see}
            A: {see}
            A: SET collation_connection=utf8mb4_bin, character_set_client=latin1
            B: {see}
            A: {see}
            B: SET NAMES DEFAULT
            A: {see}
            B: {see}
            C: {see}
            A: SET @@collation_connection='latin1_general_ci'
            B: {see}
            A: {see}
            A: CREATE PROCEDURE p() SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci
            C: {see}
        ")).await;
    }

    async fn procedures_change_the_session_that_calls_them(flavour) {
        same(flavour, 2, "
            A: CREATE PROCEDURE p() BEGIN SET time_zone='+05:00'; SET SESSION sql_mode='ANSI'; SET NAMES latin1 COLLATE latin1_bin; END
            A: CREATE PROCEDURE fails() BEGIN SET time_zone='+06:00'; SIGNAL SQLSTATE '45000'; END
            A: CREATE PROCEDURE opens() BEGIN START TRANSACTION; SIGNAL SQLSTATE '45000'; END
            A: CREATE TABLE t (a INT)
            A: CALL p()
            B: SELECT @@time_zone, @@sql_mode, @@collation_connection
            A: SELECT @@time_zone, @@sql_mode, @@collation_connection
            A: CALL fails()
            B: SELECT @@time_zone
            A: SELECT @@time_zone
            A: CALL opens()
            B: INSERT INTO t VALUES (1)
            A: INSERT INTO t VALUES (2)
            A: ROLLBACK
            B: SELECT * FROM t
        ").await;
    }

    async fn a_procedure_that_leaves_nothing_holds_nothing(flavour) {
        let cluster = alone(flavour).await;
        let database = cluster.new_database().await;
        let creates = [
            "t (a INT)",
            "PROCEDURE plain() BEGIN DECLARE n INT; INSERT INTO t VALUES (1); SELECT COUNT(*) INTO n FROM t; SELECT n; END",
            "PROCEDURE locks() BEGIN DECLARE n INT; SELECT GET_LOCK('x', 0) INTO n; DO RELEASE_LOCK('x'); END",
        ];
        for create in creates {
            let create = create.replacen("PROCEDURE ", &format!("PROCEDURE {database}."), 1).replace("t (a", &format!("TABLE {database}.t (a"));
            cluster.primary().execute(format!("CREATE {create}")).await.unwrap();
        }
        let proxy = Proxy::before(cluster).with("pool: {max_connections: 1, acquire_timeout: 1s}").start().await;
        let options = || proxy.options().db_name(Some(&database));
        let (mut client, mut other) = (connect(options()).await.unwrap(), connect(options()).await.unwrap());
        proxy.wait_for_log(&["stored procedures that leave nothing behind"]).await;
        for prepared in [false, true] {
            match prepared {
                false => client.query_drop("CALL plain()").await.unwrap(),
                true => client.exec_drop("CALL plain()", ()).await.unwrap(),
            }
            other.query_drop("INSERT INTO t VALUES (1)").await.unwrap();
        }
        client.query_drop("CALL locks()").await.unwrap();
        let error = other.query_drop("INSERT INTO t VALUES (1)").await.unwrap_err();
        assert!(error.to_string().contains("became free"), "{error}");
        client.reset().await.unwrap();

        // Another procedure under the same name: nothing is known of it.
        client.query_drop("DROP PROCEDURE plain").await.unwrap();
        client.query_drop("CREATE PROCEDURE plain() BEGIN DECLARE n INT; SELECT GET_LOCK('y', 0) INTO n; END").await.unwrap();
        client.query_drop("CALL plain()").await.unwrap();
        let error = other.query_drop("INSERT INTO t VALUES (1)").await.unwrap_err();
        assert!(error.to_string().contains("became free"), "{error}");

        // Of this one nothing is known either when it is called, and soon it is.
        client.reset().await.unwrap();
        client.query_drop("DROP PROCEDURE plain").await.unwrap();
        client.query_drop("CREATE PROCEDURE plain() INSERT INTO t VALUES (1)").await.unwrap();
        client.query_drop("CALL plain()").await.unwrap();
        let error = other.query_drop("INSERT INTO t VALUES (1)").await.unwrap_err();
        assert!(error.to_string().contains("became free"), "{error}");
        wait_for("the procedure to be known", async || {
            client.query_drop("SELECT a FROM t").await.unwrap();
            other.query_drop("INSERT INTO t VALUES (1)").await.ok()
        }).await;
    }

    async fn a_schema_follows_its_session(flavour) {
        same(flavour, 1, "
            A: CREATE DATABASE {db}_two
            A: CREATE TABLE {db}_two.t AS SELECT 2 AS two
            A: USE {db}_two
            B: SELECT DATABASE()
            A: SELECT DATABASE()
            A: SELECT * FROM t
            B: USE {db}_two
            B: DROP DATABASE {db}_two
            B: SELECT DATABASE()
            A: SELECT 1
            A: USE {db}_two
            A: SELECT 2
            A: CREATE DATABASE {db}_two
            A: USE {db}_two
            A: SELECT DATABASE()
            B: SELECT DATABASE()
            B: USE {db}
            A: SELECT DATABASE()
            B: SELECT DATABASE()
            A: DROP DATABASE {db}_two
        ").await;
    }

    async fn insert_ids_are_the_sessions_own(flavour) {
        same(flavour, 1, "
            A: CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a INT)
            A: INSERT INTO t (a) VALUES (1), (2)
            B: INSERT INTO t (a) VALUES (3)
            A: SELECT LAST_INSERT_ID()
            B: SELECT LAST_INSERT_ID() AS mine, 1 + LAST_INSERT_ID()
            A? SELECT LAST_INSERT_ID() + 0
            C: SELECT LAST_INSERT_ID(), @@last_insert_id, @@identity
            A? INSERT INTO t (a) VALUES (7)
            B: SELECT 1
            A: SELECT * FROM t WHERE id = LAST_INSERT_ID()
            B: INSERT INTO t (a) SELECT LAST_INSERT_ID()
            A: SELECT @@identity
            B: UPDATE t SET a = LAST_INSERT_ID(a + 100) WHERE id = 1
            A: SELECT LAST_INSERT_ID()
            B: SELECT LAST_INSERT_ID()
            A: SELECT LAST_INSERT_ID(55)
            B: SELECT LAST_INSERT_ID()
            A: SELECT LAST_INSERT_ID()
            A: SET last_insert_id = 9
            B: SELECT LAST_INSERT_ID()
            A: SELECT LAST_INSERT_ID()
            A: SET @@last_insert_id = 10
            B: SELECT LAST_INSERT_ID()
            A: SELECT LAST_INSERT_ID()
            A: SELECT * FROM t ORDER BY id
            A. reset
            A: SELECT LAST_INSERT_ID()
        ").await;
    }

    async fn an_id_that_a_client_writes_itself_is_no_insert_id(flavour) {
        same(flavour, 1, "
            A: CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a INT UNIQUE)
            A: CREATE TABLE child (id INT AUTO_INCREMENT PRIMARY KEY, b VARCHAR(20))
            B: INSERT INTO child (b) VALUES ('x'), ('y')
            A: INSERT INTO t (a) VALUES (100)
            B: INSERT INTO t (id, a) VALUES (42, 101)
            A: SELECT LAST_INSERT_ID()
            B: SELECT LAST_INSERT_ID()
            A? INSERT INTO t (id, a) VALUES (50, 102)
            B: SELECT LAST_INSERT_ID()
            A: SELECT LAST_INSERT_ID()
            A: INSERT INTO t (a) VALUES (51)
            B: SELECT 1
            A: SELECT LAST_INSERT_ID()
            B: INSERT INTO child (id, b) VALUES (51, NOW())
            B: SELECT LAST_INSERT_ID()
            A: INSERT INTO child (id, b) SELECT 60, 'x'
            B: SELECT LAST_INSERT_ID()
            A: SELECT LAST_INSERT_ID()
            B: INSERT INTO child (b) SELECT 'y'
            A: SELECT LAST_INSERT_ID()
            B: SELECT LAST_INSERT_ID()
            A: INSERT INTO t (a) VALUES (100) ON DUPLICATE KEY UPDATE a = 103
            B: SELECT LAST_INSERT_ID()
            A: SELECT LAST_INSERT_ID()
            A: INSERT INTO t (a) VALUES (300) ON DUPLICATE KEY UPDATE a = 103
            B: SELECT LAST_INSERT_ID()
            A: SELECT LAST_INSERT_ID()
            A: INSERT INTO t (a) VALUES (300) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)
            B: SELECT LAST_INSERT_ID()
            A: SELECT LAST_INSERT_ID()
            B: REPLACE INTO child VALUES (70, 'z')
            A: SELECT 1
            B: SELECT LAST_INSERT_ID()
            B: BEGIN
            B: INSERT INTO child VALUES (80, 'z')
            B: SELECT LAST_INSERT_ID()
            B: INSERT INTO child (b) VALUES ('81')
            B: INSERT INTO child (b) SELECT '82'
            B: INSERT INTO child VALUES (90, 'z')
            B: COMMIT
            A: SELECT LAST_INSERT_ID()
            B: SELECT LAST_INSERT_ID()
            A: BEGIN
            A: INSERT INTO child (b) SELECT '83'
            A: INSERT INTO child (id, b) SELECT 99, 'x'
            A: SHOW WARNINGS
            A: SELECT LAST_INSERT_ID()
            A: INSERT INTO child (id, b) SELECT 100, 'x'
            A: COMMIT
            B: SELECT LAST_INSERT_ID()
            A: SELECT LAST_INSERT_ID()
            A: SELECT * FROM child ORDER BY id
        ").await;
    }

    async fn parameters_may_be_the_id(flavour) {
        let cluster = alone(flavour).await;
        let database = cluster.new_database().await;
        let pool = "pool: {max_connections: 1, acquire_timeout: 3s}";
        let proxy = Proxy::before(cluster).with(pool).start().await;
        let options = || proxy.options().db_name(Some(&database));
        let (mut client, mut other) = (connect(options()).await.unwrap(), connect(options()).await.unwrap());
        client.query_drop("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(20))").await.unwrap();
        let insert = "INSERT INTO t VALUES (?, ?)";
        let none: Option<u64> = None;
        client.exec_drop(insert, (none, "x")).await.unwrap();
        let made: u64 = client.query_first("SELECT MAX(id) FROM t").await.unwrap().unwrap();
        let mut last = made;
        for chosen in [40u64, 41, 42] {
            let values = match chosen {
                40 => (mysql_async::Value::from(chosen), "y"),
                41 => (mysql_async::Value::from(chosen.to_string()), "y"),
                _ => (mysql_async::Value::from(chosen as f64), "y"),
            };
            client.exec_drop(insert, values).await.unwrap();
            other.exec_drop(insert, (none, "z")).await.unwrap();
            let theirs: u64 = other.query_first("SELECT LAST_INSERT_ID()").await.unwrap().unwrap();
            assert!(theirs > chosen, "{theirs}");
            let found: u64 = client.query_first("SELECT LAST_INSERT_ID()").await.unwrap().unwrap();
            assert_eq!(found, last, "{chosen}");
            client.exec_drop("DELETE FROM t WHERE id > ?", (made,)).await.unwrap();
            client.query_drop("ALTER TABLE t AUTO_INCREMENT = 5").await.unwrap();
            // And one that only looks like it.
            let next: u64 = client.query_first("SELECT MAX(id) + 1 FROM t").await.unwrap().unwrap();
            client.exec_drop(insert, (none, next.to_string())).await.unwrap();
            last = client.last_insert_id().unwrap();
            other.query_drop("SELECT 1").await.unwrap();
            let found: u64 = client.query_first("SELECT LAST_INSERT_ID()").await.unwrap().unwrap();
            assert_eq!(found, last);
        }
    }

    async fn a_procedures_insert_id_is_kept(flavour) {
        same(flavour, 2, "
            A: CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a INT)
            A: CREATE PROCEDURE p() INSERT INTO t (a) VALUES (1)
            A: CALL p()
            A: CALL p()
            B: SELECT LAST_INSERT_ID()
            B: INSERT INTO t (a) VALUES (1)
            A: SELECT LAST_INSERT_ID()
            B: SELECT LAST_INSERT_ID()
        ").await;
    }

    async fn counts_and_warnings_are_those_of_the_sessions_last_statement(flavour) {
        same(flavour, 2, "
            A: CREATE TABLE t (id INT PRIMARY KEY)
            A: INSERT INTO t VALUES (1), (2), (3)
            B: UPDATE t SET id = id
            A: SELECT ROW_COUNT()
            A: DELETE FROM t WHERE id = 3
            B: SELECT 1
            A: SELECT ROW_COUNT(), ROW_COUNT() + 1 AS more
            A? DELETE FROM t WHERE id = 2
            B? SELECT 1
            A? SELECT ROW_COUNT()
            A: SELECT SQL_CALC_FOUND_ROWS id FROM t LIMIT 0
            B: SELECT id FROM t
            A: SELECT FOUND_ROWS()
            A: INSERT IGNORE INTO t VALUES (1)
            B: SELECT 1
            A: SHOW WARNINGS
            A: SHOW WARNINGS
            B: SHOW WARNINGS
            A: SELECT CAST('x' AS SIGNED)
            B: SHOW COUNT(*) WARNINGS
            A: SHOW COUNT(*) WARNINGS
            A: SELECT * FROM missing
            B: SHOW ERRORS
            A: SHOW ERRORS
            A: SELECT * FROM missing
            A: GET DIAGNOSTICS @n = NUMBER
            A: SELECT @n
        ").await;
    }

    async fn nobody_sees_the_warnings_of_others(flavour) {
        same(flavour, 1, "
            A: SELECT * FROM missing
            A. vanish
            B: SHOW WARNINGS
            C: SELECT * FROM missing
            C: SELECT 1
            D: SHOW WARNINGS
            D: SELECT @@warning_count, @@error_count
        ").await;
    }

    async fn user_variables_stay(flavour) {
        same(flavour, 3, "
            A: SET @a = 1, @b = 'two'
            B: SELECT @a, @b
            A: SELECT @a, @b
            B: SELECT @b := 5
            A: SELECT @a, @b
            B: SELECT @a, @b
            C: SELECT @a, @b
            B. reset
            B: SELECT @a, @b
            A: SELECT 1 INTO @a
            C: SELECT @a
            A: SELECT @a
        ").await;
    }

    async fn user_variables_with_plain_values_follow_their_session(flavour) {
        let see = "SELECT @a, @b, @c, @d, @e, @f, @g, @h, @i, @j, CHARSET(@b), COLLATION(@b), COLLATION(@f), \
            COLLATION(@g), COLLATION(@h), COLLATION(@i), COLLATION(@a), COLLATION(@j), COERCIBILITY(@b), @b = 'X', @d + 1, @f + 0";
        // The types; those of a variable that was never set are not the same as of one set to NULL.
        let made = "DROP TABLE IF EXISTS made; CREATE TABLE made AS SELECT @a AS a, @b AS b, @d AS d, @e AS e, @f AS f, \
            @g AS g, @h AS h, @i AS i, @j AS j; SHOW CREATE TABLE made";
        same(flavour, 1, &format!("
            A: SET @a = 5, @b := 'x', @c = NULL, @d = -1.5, @e = TRUE, @f=x'41', @g = _utf8mb4'é' COLLATE utf8mb4_bin
            B: {see}
            A: {see}
            A: SET @H = _latin1'abc', @i = 'it''s \\\\ \"', @j = 'ö'
            B: SET @a = 'other'
            A: {see}
            B: {see}
            A: {made}
            B: SELECT @a
            C: {see}
            A: SET @a = NULL, @b = NULL
            B: {see}
            A: {see}
            A: SET @a = 18446744073709551615, @b = 1e3, @c = 0x4142, @d = b'1000001', @e = -9223372036854775808
            B: SELECT 1
            A: {see}
        ")).await;
        same(flavour, 1, &format!("
            A: SET NAMES latin1
            A: SET @a = 'x', @b = 'x' COLLATE latin1_bin, @c = \"y\"
            A: SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci
            B: {see}
            A: {see}
            A: SET @d = 'x', @e = 'ü'
            A: SET NAMES utf8mb4
            B: {see}
            A: {see}
            A: SET @f = '', @g = 'ß', sql_mode = 'NO_BACKSLASH_ESCAPES'
        ")).await;
        same(flavour, 1, &format!("
            A: SET sql_mode = 'NO_BACKSLASH_ESCAPES'
            A: SET @b = 'a\\b', @a = 1e3, @c = 18446744073709551615, @d = b'1000001', @e = -9223372036854775808
            B: {see}
            A: {see}
            A: SET @a = 'x', @b = 17
            B. reset
            A: {see}
            B: {see}
            A. reset
            A: {see}
            B: SET character_set_connection = latin1
            B: SET @a = 'x', @b = _binary'x'
            A: {see}
            B: {see}
            B: SET @j = 1, @j = 2, @j = NULL
            A: SELECT @j
            B: CREATE TABLE nulls AS SELECT @j AS j
            B: SHOW CREATE TABLE nulls
        ")).await;
    }

    async fn a_trigger_may_count_in_a_user_variable(flavour) {
        same(flavour, 3, "
            A: CREATE TABLE t (a INT)
            A: CREATE TRIGGER counts BEFORE INSERT ON t FOR EACH ROW SET @sum = @sum + NEW.a
            A: CREATE TABLE u (a INT)
            A: CREATE TRIGGER picks BEFORE INSERT ON u FOR EACH ROW SELECT NEW.a INTO @picked
            A: SET @sum = 0, @picked = 0
            B: SELECT @sum
            A: INSERT INTO t VALUES (3), (4)
            B: SELECT @sum
            A: SELECT @sum
            B: SET @sum = 0, @picked = 0
            B: INSERT INTO u VALUES (3), (4)
            C: SELECT @picked
            B: SELECT @picked
        ").await;
    }

    async fn temporary_tables_stay_as_long_as_they_are(flavour) {
        same(flavour, 2, "
            A: CREATE PROCEDURE makes() CREATE TEMPORARY TABLE made AS SELECT 5 AS five
            A: CREATE TEMPORARY TABLE t (a INT)
            B: SELECT * FROM t
            A: INSERT INTO t VALUES (1)
            A: SELECT * FROM t
            B: SELECT 1
            A: DROP TEMPORARY TABLE IF EXISTS other
            B: SELECT 2
            A: SELECT * FROM t
            A: CREATE TEMPORARY TABLE IF NOT EXISTS {db}.t (a INT)
            A: DROP TABLE t
            -- The hold has ended: two others use both connections.
            B: BEGIN
            C: BEGIN
            B: COMMIT
            A: SELECT 3
            C: COMMIT
            A: CALL makes()
            B: SELECT * FROM made
            A: SELECT * FROM made
            B? CREATE TEMPORARY TABLE t (b INT)
            B? SELECT * FROM t
            B: DROP TEMPORARY TABLE t
            C: SELECT 5
            A. reset
            A: SELECT * FROM made
        ").await;
    }

    async fn named_locks_hold_until_they_are_released(flavour) {
        same(flavour, 2, "
            A: SELECT GET_LOCK('{db}', 1)
            B: SELECT GET_LOCK('{db}', 0)
            B: SELECT IS_FREE_LOCK('{db}')
            A: SELECT RELEASE_LOCK('{db}')
            B: SELECT GET_LOCK('{db}', 0) AS got
            A? SELECT GET_LOCK('{db}', 0)
            B? SELECT RELEASE_LOCK('{db}')
            A: BEGIN
            B: BEGIN
            A: COMMIT
            C: SELECT 1
            C: SELECT GET_LOCK('{db}', 0)
            C: SELECT GET_LOCK('{db}_b', 0)
            B: COMMIT
            A: SELECT GET_LOCK('{db}_b', 0)
            C: SELECT RELEASE_ALL_LOCKS()
            A: BEGIN
            B: BEGIN
            B: SELECT GET_LOCK('{db}', 0), GET_LOCK('{db}_b', 0)
            B: SELECT RELEASE_LOCK('{db}')
            A: COMMIT
            C: SELECT GET_LOCK('{db}_b', 0)
            B: COMMIT
            B. vanish
            C: SELECT GET_LOCK('{db}_b', 5)
            C: DO RELEASE_LOCK('{db}_b')
            A: BEGIN
            B: BEGIN
            A: COMMIT
            C: SELECT GET_LOCK('{db}', 0)
            C: SELECT GET_LOCK('{db}', 0)
            C: DO RELEASE_LOCK('{db}')
            B: COMMIT
            A: SELECT IS_FREE_LOCK('{db}')
            C: DO RELEASE_LOCK('{db}')
            A: SELECT IS_FREE_LOCK('{db}')
            C: SELECT GET_LOCK('{db}', 0)
            C: DO RELEASE_ALL_LOCKS()
            A: BEGIN
            B: BEGIN
            A: COMMIT
            C: SELECT 1
            B: COMMIT
        ").await;
    }

    async fn locked_tables_handlers_and_texts_hold(flavour) {
        same(flavour, 1, "
            A: CREATE TABLE t (id INT PRIMARY KEY)
            A: INSERT INTO t VALUES (1), (2)
            A: LOCK TABLES t READ
            A: INSERT INTO t VALUES (3)
            A: SELECT * FROM t
            A: UNLOCK TABLES
            B: SELECT 1
            A: LOCK TABLES missing READ
            A: SELECT 1
            B: SELECT 2
            A: HANDLER t OPEN
            A: HANDLER t READ FIRST
            A: HANDLER t READ NEXT
            A: HANDLER t CLOSE
            B: SELECT 3
            A: PREPARE s FROM 'SELECT ? + 1'
            A: PREPARE u FROM 'SELECT 7'
            A: EXECUTE u
            A: DEALLOCATE PREPARE s
            A: DROP PREPARE u
            B: SELECT 4
            A: EXECUTE u
            A: SELECT 1
            B: PREPARE broken FROM 'SELEC'
            B: SELECT 5
            A: SELECT 6
        ").await;
    }

    async fn transactions_hold_and_their_settings_are_for_one(flavour) {
        same(flavour, 1, "
            A: CREATE TABLE t (id INT PRIMARY KEY)
            A: START TRANSACTION
            A: INSERT INTO t VALUES (1)
            A: SAVEPOINT s
            A: INSERT INTO t VALUES (2)
            A: ROLLBACK TO SAVEPOINT s
            A: COMMIT
            B: SELECT * FROM t
            A: BEGIN
            A: INSERT INTO t VALUES (3)
            A: CREATE TABLE u (a INT)
            B: SELECT * FROM t
            A: START TRANSACTION READ ONLY
            A: INSERT INTO t VALUES (4)
            A: COMMIT
            B: INSERT INTO t VALUES (4)
            A: SET TRANSACTION READ ONLY
            A: INSERT INTO t VALUES (5)
            A: SELECT 1
            A: BEGIN
            A: INSERT INTO t VALUES (5)
            A: ROLLBACK
            B: INSERT INTO t VALUES (5)
            A: INSERT INTO t VALUES (6)
            A: SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY
            A: START TRANSACTION
            A: COMMIT
            B: SELECT 1
            A: INSERT INTO t VALUES (7)
            A: XA START '{db}'
            A: INSERT INTO t VALUES (8)
            A: XA END '{db}'
            A: XA COMMIT '{db}' ONE PHASE
            B: SELECT * FROM t
            A: XA START '{db}'
            A: INSERT INTO t VALUES (9)
            A: XA END '{db}'
            A: XA PREPARE '{db}'
            A: XA ROLLBACK '{db}'
            B: SELECT * FROM t
            A: SET autocommit = 0
            A: SELECT 1
            B: SELECT 1
            A: INSERT INTO t VALUES (1)
            A: ROLLBACK
            B: SELECT * FROM t
            A: INSERT INTO t VALUES (10)
            A: SET autocommit = 1
            B: SELECT * FROM t
            -- Prepared with autocommit on, and again elsewhere with it off, inside a transaction.
            A? SELECT COUNT(*) FROM t
            A: SET autocommit = 0
            B: SET autocommit = 0
            B: INSERT INTO t VALUES (12)
            B? SELECT COUNT(*) FROM t
            B: ROLLBACK
            A: INSERT INTO t VALUES (13)
            A? SELECT COUNT(*) FROM t
            A: ROLLBACK
            A: SET autocommit = 1
            A: BEGIN; INSERT INTO t VALUES (11); COMMIT
            B: SELECT * FROM t
        ").await;
    }

    async fn any_sequence_answers_alike(flavour) {
        for seed in 1..=3 {
            model(flavour, seed).await;
        }
    }

    async fn what_a_client_leaves_behind_is_gone(flavour) {
        same(flavour, 2, "
            A: CREATE TABLE t (id INT PRIMARY KEY)
            A: SELECT GET_LOCK('{db}', 0)
            A: CREATE TEMPORARY TABLE tt (a INT)
            A: SET @x = 1, autocommit = 0, sql_mode = ''
            A: INSERT INTO t VALUES (1)
            A. vanish
            B: SELECT GET_LOCK('{db}', 10)
            B: INSERT INTO t VALUES (1)
            B: SELECT @x, @@autocommit, @@sql_mode
            B: SELECT * FROM tt
            B: SET @y = 1
            B: PREPARE s FROM 'SELECT 1'
            B: BEGIN
            B: INSERT INTO t VALUES (2)
            B. reset
            B: SELECT @y, @@autocommit
            B: EXECUTE s
            C: SELECT GET_LOCK('{db}', 10)
            C: SELECT * FROM t
            C: LOCK TABLES t WRITE
            C: SET time_zone = '+09:00'
            C. change user
            C: SELECT @@time_zone
            B: INSERT INTO t VALUES (3)
            B: SELECT GET_LOCK('{db}', 10)
            A: SELECT * FROM t
            A: SELECT @@time_zone, @x, @y
        ").await;
    }
}

pub fn isolation(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::MySql => "@@transaction_isolation",
        Flavour::MariaDb => "@@tx_isolation",
    }
}

fn read_only(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::MySql => "@@transaction_read_only",
        Flavour::MariaDb => "@@tx_read_only",
    }
}
