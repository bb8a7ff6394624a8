//! What a session may ask of its last statements, wherever they ran: a new session asks directly and through a proxy that
//! reads on a replica, and gets the same answer.

use std::collections::BTreeMap;

use crate::fixture::{Cluster, Flavour, Proxy, on_both_flavours};
use crate::sessions::Clients;

const CALCULATE: &str = "A: SELECT SQL_CALC_FOUND_ROWS id FROM {db}.t ORDER BY id LIMIT 1";

const TABLES: [&str; 2] = [
    "CREATE TABLE {db}.t (id INT AUTO_INCREMENT PRIMARY KEY, a INT)",
    "INSERT INTO {db}.t (a) VALUES (1), (2), (3), (4), (5)",
];

const ROW_COUNTS: &[&[&str]] = &[
    &[
        "A: INSERT INTO {db}.t (id, a) VALUES (900, 1)",
        "A: SELECT ROW_COUNT()",
    ],
    &[
        "A: INSERT INTO {db}.t (a) SELECT id FROM {db}.t",
        "A: SELECT ROW_COUNT()",
    ],
    &[
        "A: INSERT INTO {db}.t (id, a) VALUES (1, 1) ON DUPLICATE KEY UPDATE a = a + 1",
        "A: SELECT ROW_COUNT()",
    ],
    &[
        "A: INSERT INTO {db}.t (a) VALUES (8), (9)",
        "A: SELECT LAST_INSERT_ID() > 0, ROW_COUNT()",
        "A: UPDATE {db}.t SET a = 3",
        "A: SELECT ROW_COUNT(), LAST_INSERT_ID() > 0",
        "A: SELECT id FROM {db}.t WHERE id < 3",
        "A: SELECT LAST_INSERT_ID() > 0, FOUND_ROWS(), ROW_COUNT()",
    ],
];

const FOUND_ROWS: &[&[&str]] = &[
    &[CALCULATE, "A: SELECT FOUND_ROWS()"],
    &[CALCULATE, "A: SELECT FOUND_ROWS() INTO @n", "A: SELECT @n"],
    &[
        CALCULATE,
        "A: SELECT @n := FOUND_ROWS() AS n",
        "A: DO 0",
        "A: SELECT @n",
    ],
    &[CALCULATE, "A: SET @n = FOUND_ROWS()", "A: SELECT @n"],
    &[
        CALCULATE,
        "A: INSERT INTO {db}.t (a) SELECT FOUND_ROWS() * 100",
        "A: SELECT MAX(a) FROM {db}.t",
    ],
    &[CALCULATE, "A: SET @a = 1", "A: SELECT FOUND_ROWS()"],
    &["A: SELECT @u := 5", CALCULATE, "A: SELECT FOUND_ROWS(), @u"],
    &[
        "A: CREATE TEMPORARY TABLE {db}.tt AS SELECT 5 AS five",
        CALCULATE,
        "A: SELECT FOUND_ROWS(), five FROM {db}.tt",
    ],
];

/// Of these a replica knows nothing, or something else.
const OWN: &[&[&str]] = &[
    &[
        "A: SELECT GET_LOCK('{db}', 0)",
        "A: SELECT IS_USED_LOCK('{db}') = CONNECTION_ID()",
        "A: DO RELEASE_ALL_LOCKS()",
    ],
    &[
        "A: SET sql_auto_is_null = 1",
        "A: INSERT INTO {db}.t (a) VALUES (71)",
        "A: SELECT a FROM {db}.t WHERE id IS NULL",
    ],
    &[
        "A: SET profiling = 1",
        "A: SELECT COUNT(*) FROM {db}.t",
        "A: SHOW PROFILE SOURCE FOR QUERY 7",
    ],
    &[
        "A: SET profiling = 1",
        "A: SELECT COUNT(*) FROM {db}.t",
        "A: SELECT COUNT(*) > 0 FROM information_schema.profiling",
    ],
    &[
        "A: SET sql_log_bin = 0",
        "A: CREATE TABLE {db}.unlogged (a INT)",
        "A: SELECT COUNT(*) FROM {db}.unlogged",
        "A: DROP TABLE {db}.unlogged",
    ],
];

/// Not of the server that happens to answer.
fn of_the_server(flavour: Flavour) -> [&'static str; 2] {
    let ask = "A: SELECT VARIABLE_VALUE FROM global_variables WHERE VARIABLE_NAME = 'server_id'";
    match flavour {
        Flavour::MySql => ["A: USE performance_schema", ask],
        Flavour::MariaDb => ["A: USE information_schema", ask],
    }
}

async fn compare(cluster: &Cluster, proxy: &Proxy<'_>, script: &[&str]) {
    let databases = (cluster.new_database().await, cluster.new_database().await);
    for database in [&databases.0, &databases.1] {
        for sql in TABLES {
            let sql = sql.replace("{db}", database);
            cluster.primary().execute(sql).await.unwrap();
        }
    }
    cluster.catch_up().await.unwrap();
    let clients = |options, database| Clients {
        options,
        database,
        open: BTreeMap::new(),
    };
    let mut direct = clients(cluster.primary().options(), &databases.0);
    let mut through = clients(proxy.options(), &databases.1);
    for line in script {
        let (expected, found) = (direct.line(line).await, through.line(line).await);
        // MySQL warns of FOUND_ROWS(), where the text still has it.
        let rows = |answer: &str| answer.split("affected").next().map(str::to_owned);
        assert_eq!(rows(&found), rows(&expected), "{line} in {script:#?}");
    }
}

on_both_flavours! {
    async fn is_what_it_is_on_one_server(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).start().await;
        for script in [ROW_COUNTS, FOUND_ROWS, OWN].into_iter().flatten() {
            compare(cluster, &proxy, script).await;
        }
        compare(cluster, &proxy, &of_the_server(flavour)).await;
    }
}
