//! Where statements go, seen by asking each statement's server who it is; and what the proxy tells of it.

use std::collections::BTreeSet;

use mysql_async::prelude::Queryable;
use mysql_async::{ChangeUserOpts, Compression, Conn, Error, Row, Value};
use splitrail::wire::Capabilities;
use splitrail::wire::bytes::Put;
use splitrail::wire::command::Command;
use splitrail::wire::framing::Expect;

use crate::fixture::proxy::wait_for;
use crate::fixture::raw::{Raw, Who, shown};
use crate::fixture::{Cluster, Flavour, Proxy, on_both_flavours};

/// A cluster with two replicas, a table in all of them, and a proxy before it.
async fn prepare(cluster: &Cluster) -> u64 {
    let primary = cluster.primary();
    for sql in [
        "CREATE DATABASE routes",
        "CREATE TABLE routes.t (id INT PRIMARY KEY AUTO_INCREMENT, n BIGINT, s LONGTEXT)",
        "INSERT INTO routes.t (n, s) VALUES (1, 'one'), (2, 'two')",
    ] {
        primary.execute(sql).await.unwrap();
    }
    cluster.catch_up().await.unwrap();
    primary.query("SELECT @@server_id").await.unwrap()[0]
}

async fn asked(client: &mut Conn, sql: &str) -> u64 {
    client.query_first(sql).await.unwrap().unwrap()
}

/// The value and the reason in the row about `item`.
async fn row(client: &mut Conn, sql: &str, item: &str) -> Option<(String, String)> {
    let rows: Vec<Row> = client.query(sql).await.unwrap();
    let text = |row: &Row, column| match row.as_ref(column) {
        Some(Value::Bytes(bytes)) => String::from_utf8(bytes.clone()).unwrap(),
        _ => String::new(),
    };
    rows.iter()
        .find(|row| text(row, 0) == item)
        .map(|row| (text(row, 1), text(row, 2)))
}

async fn warnings(client: &mut Conn) -> Vec<(String, u16, String)> {
    client.query("SHOW WARNINGS").await.unwrap()
}

/// An EXECUTE of a statement with one parameter, and a query attribute.
pub fn execution(id: [u8; 4], (name, value): (&str, &str)) -> Vec<u8> {
    let mut body = id.to_vec();
    // It says how many come; none is NULL, and the types come too.
    body.extend_from_slice(&[8, 1, 0, 0, 0, 2, 0, 1]);
    body.extend_from_slice(&[1, 0, 0, 0xfe, 0]);
    body.put_lenenc_bytes(name.as_bytes());
    body.push(0);
    body.put_lenenc_bytes(value.as_bytes());
    body
}

fn code(error: Error) -> u16 {
    match error {
        Error::Server(error) => error.code,
        error => panic!("{error}"),
    }
}

const WHERE: &str = "SELECT @@server_id FROM routes.t LIMIT 1";

on_both_flavours! {
    async fn a_session_that_only_reads_stays_on_replicas(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let primary: u64 = cluster.primary().query("SELECT @@server_id").await.unwrap()[0];
        let database = cluster.new_database().await;
        cluster.primary().execute(format!("CREATE TABLE {database}.t AS SELECT 1 AS n")).await.unwrap();
        cluster.catch_up().await.unwrap();
        let proxy = Proxy::before(cluster).start().await;
        let mut client = proxy.client().await;
        let read = format!("SELECT @@server_id FROM {database}.t");
        wait_for("a replica", async || (asked(&mut client, &read).await != primary).then_some(())).await;
        // None of these shows what is in a table, wherever it runs.
        for between in ["DO 0", "DO SLEEP(0)", "SELECT SLEEP(0)", "SET @a = 1", "SELECT @@session.sql_mode", "SET sql_mode = DEFAULT", "BEGIN", "COMMIT", "SHOW WARNINGS"] {
            client.query_drop(between).await.unwrap();
            if between != "BEGIN" {
                assert_ne!(asked(&mut client, &read).await, primary, "{between}");
            }
        }
        // A read that has to run on the primary keeps those after it there, and not for long.
        for _ in 0..3 {
            let kept = format!("/* splitrail: primary */ {read}");
            assert_eq!(asked(&mut client, &kept).await, primary);
            let mut stayed = 0;
            while asked(&mut client, &read).await == primary {
                stayed += 1;
            }
            assert!(stayed < 100, "{stayed}");
        }
    }

    async fn every_statement_goes_where_it_belongs(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        let primary = prepare(&cluster).await;
        let proxy = Proxy::before(&cluster).with("routing: {balance: round_robin}").start().await;

        // Reads reach both replicas and never the primary, until the session writes.
        let servers = wait_for("reads on both replicas", async || {
            let mut servers = BTreeSet::new();
            for _ in 0..8 {
                servers.insert(asked(&mut proxy.client().await, WHERE).await);
            }
            (servers.len() == 2).then_some(servers)
        }).await;
        assert!(!servers.contains(&primary));

        let mut client = proxy.client().await;
        client.query_drop("UPDATE routes.t SET n = 77 WHERE id = 1").await.unwrap();
        assert_eq!(asked(&mut client, "SELECT n FROM routes.t WHERE id = 1").await, 77);

        // A transaction is whole, on the primary; one that only reads, on a replica.
        client.query_drop("BEGIN").await.unwrap();
        for _ in 0..4 {
            assert_eq!(asked(&mut client, WHERE).await, primary);
        }
        client.query_drop("COMMIT").await.unwrap();
        client.query_drop("START TRANSACTION READ ONLY").await.unwrap();
        let holds: Vec<(String, String, String)> = client.query("SHOW SPLITRAIL HOLDS").await.unwrap();
        let names: Vec<&str> = holds.iter().map(|(name, ..)| &**name).collect();
        assert_eq!(names, ["transaction"], "the next transaction is this one");
        let chosen = asked(&mut client, WHERE).await;
        for _ in 0..4 {
            assert_eq!(asked(&mut client, WHERE).await, chosen);
        }
        client.query_drop("COMMIT").await.unwrap();
        client.query_drop("SET autocommit = 0").await.unwrap();
        assert_eq!(asked(&mut client, WHERE).await, primary);
        client.query_drop("COMMIT").await.unwrap();
        client.query_drop("SET autocommit = 1").await.unwrap();

        // Hints, and what they may not do.
        let hinted = format!("/* splitrail: primary */ {WHERE}");
        assert_eq!(asked(&mut client, &hinted).await, primary);
        let replica = &cluster.replicas()[1];
        let id: u64 = replica.query("SELECT @@server_id").await.unwrap()[0];
        cluster.catch_up().await.unwrap();
        let named = format!("SELECT /* splitrail: server={}, consistency=eventual */ @@server_id", replica.name);
        assert_eq!(asked(&mut client, &named).await, id);
        client.query_drop("/* splitrail: replica */ UPDATE routes.t SET n = 78 WHERE id = 1").await.unwrap();

        // Locking reads.
        assert_eq!(asked(&mut client, &format!("{WHERE} FOR UPDATE")).await, primary);
        assert_eq!(asked(&mut client, "SELECT LAST_INSERT_ID()").await, 0);
        client.query_drop("INSERT INTO routes.t (n) VALUES (5)").await.unwrap();
        let inserted = client.last_insert_id().unwrap();
        assert_eq!(asked(&mut client, "SELECT LAST_INSERT_ID() AS id").await, inserted);
        let sum = "SELECT LAST_INSERT_ID() + 0 FROM routes.t WHERE id = LAST_INSERT_ID()";
        assert_eq!(asked(&mut client, sum).await, inserted);
        assert_eq!(client.exec_first::<u64, _, _>(sum, ()).await.unwrap(), Some(inserted));
    }

    async fn the_proxy_says_where_and_why(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        let primary = prepare(&cluster).await;
        let proxy = Proxy::before(&cluster).start().await;
        let mut client = proxy.client().await;
        let home = &cluster.primary().name;

        let (class, why) = row(&mut client, "EXPLAIN ROUTE DELETE FROM routes.t", "class").await.unwrap();
        assert_eq!((class.as_str(), why.as_str()), ("write", "it changes data"));
        let (target, _) = row(&mut client, "EXPLAIN ROUTE DELETE FROM routes.t", "target").await.unwrap();
        assert_eq!(&target, home);
        let read = format!("EXPLAIN ROUTE {WHERE}");
        let rows: Vec<(String, String, Option<String>)> = client.query(&read).await.unwrap();
        let target = &rows.iter().find(|row| row.0 == "target").unwrap().1;
        assert!(cluster.replicas().iter().any(|replica| replica.name == *target), "{target}");
        let chosen: Vec<_> = rows.iter().filter(|row| row.2.as_deref() == Some("chosen")).collect();
        assert_eq!(chosen.len(), 1);
        assert_eq!(chosen[0].0, format!("server {target}"));

        // A read that failed on a replica has the session linger there.
        let mut visitor = proxy.client().await;
        visitor.query_drop("CREATE TEMPORARY TABLE routes.own (a INT)").await.unwrap();
        visitor.query_drop("SELECT missing FROM routes.t").await.unwrap_err();
        let (target, _) = row(&mut visitor, "EXPLAIN ROUTE SELECT a FROM routes.own", "target").await.unwrap();
        assert_eq!(&target, home);

        assert!(row(&mut client, "SHOW SPLITRAIL SESSION", "hold").await.is_none());
        client.query_drop("BEGIN").await.unwrap();
        assert!(row(&mut client, "SHOW SPLITRAIL SESSION", "hold").await.is_some());
        let ends = "COMMIT or ROLLBACK";
        let holds: Vec<(String, String, String)> = client.query("SHOW SPLITRAIL HOLDS").await.unwrap();
        assert!(holds.iter().any(|hold| hold.2 == ends), "{holds:?}");
        client.query_drop("ROLLBACK").await.unwrap();
        let holds: Vec<(String, String, String)> = client.query("SHOW SPLITRAIL HOLDS").await.unwrap();
        assert!(holds.iter().all(|hold| hold.2 != ends), "{holds:?}");
        let servers: Vec<Row> = client.query("SHOW SPLITRAIL STATUS").await.unwrap();
        assert_eq!(servers.len(), 3);

        // Settings steer, survive a mistake, and end with a reset.
        client.query_drop("SET splitrail.route = primary, splitrail.max_lag = '2s'").await.unwrap();
        assert_eq!(asked(&mut client, WHERE).await, primary);
        let bad = client.query_drop("SET splitrail.route = replica, splitrail.consistency = 'odd'").await;
        assert_eq!(code(bad.unwrap_err()), 1231);
        assert_eq!(asked(&mut client, WHERE).await, primary);
        let unknown = client.query_drop("SET splitrail.colour = 'red'").await;
        assert_eq!(code(unknown.unwrap_err()), 1193);
        let wrong = client.query_drop("SHOW SPLITRAIL NONSENSE").await;
        assert_eq!(code(wrong.unwrap_err()), 1064);
        client.reset().await.unwrap();
        let settings: Vec<(String, Option<String>)> = client.query("SHOW SPLITRAIL VARIABLES").await.unwrap();
        let route = settings.iter().find(|(name, _)| name == "splitrail.route").unwrap();
        assert_eq!(route.1, None);
        // What it read on the primary it has to find on a replica first. To ask is not to read.
        wait_for("a replica to have what was read on the primary", async || {
            let (target, _) = row(&mut client, &read, "target").await?;
            (target != *home).then_some(())
        }).await;
        assert_ne!(asked(&mut client, WHERE).await, primary);

        // What one session wrote is named, and can be asked for by another.
        client.query_drop("UPDATE routes.t SET n = 9 WHERE id = 2").await.unwrap();
        let gtid: String = client.query_first("SHOW SPLITRAIL GTID").await.unwrap().unwrap();
        assert!(!gtid.is_empty());
        let mut other = proxy.client().await;
        other.query_drop(format!("SET splitrail.after = '{gtid}'")).await.unwrap();
        assert_eq!(asked(&mut other, "SELECT n FROM routes.t WHERE id = 2").await, 9);
    }

    async fn a_temporary_table_keeps_only_its_own_reads(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        let primary = prepare(&cluster).await;
        let proxy = Proxy::before(&cluster).start().await;
        let mut client = proxy.client().await;
        client.query_drop("CREATE TEMPORARY TABLE routes.mine (id INT)").await.unwrap();
        client.query_drop("INSERT INTO routes.mine VALUES (1)").await.unwrap();
        assert_eq!(asked(&mut client, "SELECT @@server_id FROM routes.mine").await, primary);
        let read = format!("SELECT /* splitrail: consistency=eventual */ {}", &WHERE["SELECT ".len()..]);
        assert_ne!(asked(&mut client, &read).await, primary);
        assert_eq!(asked(&mut client, "SELECT id FROM routes.mine").await, 1);
    }

    /// A server may remember the types of a statement's last execution: the proxy's client must see no more of that
    /// than one of the server itself.
    async fn with_autocommit_off_reads_leave_home_if_told_to(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        let primary = prepare(&cluster).await;
        for (setting, leaves) in [("primary", false), ("replica", true)] {
            let yaml = format!("routing: {{autocommit_off_reads: {setting}}}");
            let proxy = Proxy::before(&cluster).with(yaml).start().await;
            let mut client = proxy.client().await;
            client.query_drop("SET autocommit = 0").await.unwrap();
            assert_eq!(asked(&mut client, WHERE).await != primary, leaves);
            client.query_drop("INSERT INTO routes.t (n) VALUES (3)").await.unwrap();
            assert_eq!(asked(&mut client, WHERE).await, primary, "a transaction is open");
            client.query_drop("ROLLBACK").await.unwrap();
            client.query_drop("START TRANSACTION READ ONLY").await.unwrap();
            assert_eq!(asked(&mut client, WHERE).await, primary);
            client.query_drop("COMMIT").await.unwrap();
            let autocommit: Option<u8> = client.query_first("SELECT @@autocommit").await.unwrap();
            assert_eq!(autocommit, Some(0));
            client.query_drop("INSERT INTO routes.t (n) VALUES (4)").await.unwrap();
            drop(client);
            let mut other = proxy.client().await;
            let rows = "SELECT COUNT(*) FROM routes.t WHERE n > 2 FOR UPDATE";
            assert_eq!(asked(&mut other, rows).await, 0, "what was not committed is rolled back");
        }
    }

    async fn prepared_statements_follow(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        prepare(&cluster).await;
        let proxy = Proxy::before(&cluster).with("routing: {balance: round_robin}").start().await;
        let (mut client, mut direct) = (proxy.client().await, cluster.primary().connect().await.unwrap());
        let sql = "SELECT n, s, ?, @@server_id FROM routes.t WHERE id = ?";
        let own = client.prep(sql).await.unwrap();
        let expected = direct.prep(sql).await.unwrap();
        let long = "x".repeat(100_000);
        for turn in 0..12u64 {
            let given = if turn % 3 == 0 { Value::from(long.as_str()) } else { Value::from(turn) };
            let own: Row = client.exec_first(&own, (given.clone(), 2)).await.unwrap().unwrap();
            let expected: Row = direct.exec_first(&expected, (given, 2)).await.unwrap().unwrap();
            let same = (0..3).all(|column| own[column] == expected[column]);
            assert!(same, "turn {turn}: {:.99?} is not {:.99?}", own, expected);
            if turn == 5 {
                client.query_drop("ALTER TABLE routes.t ADD COLUMN extra INT").await.unwrap();
            }
        }
    }

    /// What one session sends for a parameter says nothing of what another one's is.
    async fn the_types_of_one_session_do_not_reach_another(flavour) {
        let cluster = Cluster::of(flavour).replicas(0).start().await;
        let proxy = Proxy::before(&cluster).start().await;
        let mut clients = Vec::new();
        for (given, expected) in [(Value::from(1), "1"), (Value::from("abc"), "abc"), (Value::from(2), "2")] {
            let mut client = proxy.client().await;
            let answer: Value = client.exec_first("SELECT ?", (given,)).await.unwrap().unwrap();
            assert_eq!(answer.as_sql(true).trim_matches('\''), expected);
            // It keeps its statement, and another session's next use of it.
            clients.push(client);
        }
    }

    async fn a_replica_that_dies_is_not_noticed(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        prepare(&cluster).await;
        let proxy = Proxy::before(&cluster).with("routing: {balance: round_robin}").start().await;
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(proxy.client().await);
        }
        let victim: u64 = cluster.replicas()[0].query("SELECT @@server_id").await.unwrap()[0];
        for turn in 0..200 {
            if turn == 50 {
                cluster.replicas()[0].kill();
            }
            for client in &mut clients {
                let server = if turn % 2 == 0 {
                    asked(client, WHERE).await
                } else {
                    client.exec_first(WHERE, ()).await.unwrap().unwrap()
                };
                assert!(turn <= 50 || server != victim);
            }
        }
    }

    async fn a_trace_tells_where_the_last_statement_ran(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        prepare(&cluster).await;
        let (home, away) = (&cluster.primary().name, &cluster.replicas()[0].name);
        for algorithm in ["off", "zlib"] {
            let proxy = Proxy::before(&cluster)
                .with(format!("compression: {{server: {algorithm}}}"))
                .with("consistency: {level: eventual}")
                .with("rules: [{name: reports, match: {text: report}, target: primary}]")
                .start()
                .await;
            for compression in [None, Some(Compression::fast())] {
                let options = proxy.options().compression(compression);
                let mut client = crate::fixture::proxy::connect(options).await.unwrap();
                // The driver refuses packets that are numbered wrongly.
                asked(&mut client, WHERE).await;
                assert_eq!(warnings(&mut client).await, []);
                client.query_drop("SET splitrail.trace = 1").await.unwrap();
                assert_eq!(warnings(&mut client).await, []);
                asked(&mut client, WHERE).await;
                let note = |text: &str| ("Note".to_owned(), 1105, text.to_owned());
                let read = note(&format!("{away} (replica): it only reads data"));
                for _ in 0..2 {
                    assert_eq!(warnings(&mut client).await, std::slice::from_ref(&read));
                }
                // After the server's own.
                client.query_drop("SELECT n / 0 FROM routes.t LIMIT 1").await.unwrap();
                let told = warnings(&mut client).await;
                assert_eq!((told.len(), told[0].1), (2, 1365), "{told:?}");
                assert_eq!(told[1], read);
                client.query_drop("UPDATE routes.t SET n = n + 1 WHERE id = 1").await.unwrap();
                let write = note(&format!("{home} (primary): it changes data"));
                assert_eq!(warnings(&mut client).await, [write]);
                asked(&mut client, &format!("{WHERE} /* report */")).await;
                let ruled = note(&format!("{home} (primary): the rule 'reports' says so"));
                assert_eq!(warnings(&mut client).await, [ruled]);
                let _: Option<u64> = client.exec_first(WHERE, ()).await.unwrap();
                assert_eq!(warnings(&mut client).await, [read]);
                for other in ["SHOW ERRORS", "SHOW WARNINGS LIMIT 0; SELECT 1, 2, 3"] {
                    let rows: Vec<Row> = client.query(other).await.unwrap();
                    assert_eq!(rows.len(), 0, "{other}");
                }
                assert_eq!(asked(&mut client, "SHOW COUNT(*) WARNINGS").await, 0);
                client.query_drop("SET splitrail.trace = 0").await.unwrap();
                asked(&mut client, WHERE).await;
                assert_eq!(warnings(&mut client).await, []);
            }
        }
    }

    async fn executions_obey_settings_and_query_attributes(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        let primary = prepare(&cluster).await;
        let last = &cluster.replicas()[1];
        let last_id: u64 = last.query("SELECT @@server_id").await.unwrap()[0];
        let settings = "routing: {balance: first}\nconsistency: {level: eventual}";
        let proxy = Proxy::before(&cluster).with(settings).start().await;
        let mut client = proxy.client().await;
        let statement = client.prep(WHERE).await.unwrap();
        let mut runs = async |route: &str| -> u64 {
            client.query_drop(format!("SET splitrail.route = '{route}'")).await.unwrap();
            client.exec_first(&statement, ()).await.unwrap().unwrap()
        };
        assert_eq!(runs("primary").await, primary);
        assert_eq!(runs(&format!("server={}", last.name)).await, last_id);
        assert_ne!(runs("replica").await, primary);

        let who = Who::of(&cluster, Who::usual() | Capabilities::QUERY_ATTRIBUTES);
        let mut raw = Raw::open(&proxy.address(), &who).await;
        if !raw.capabilities.has(Capabilities::QUERY_ATTRIBUTES) {
            assert_eq!(flavour, Flavour::MariaDb);
            return;
        }
        let sql = "SELECT CONCAT(@@server_id, '') FROM routes.t WHERE id > ? LIMIT 1";
        let prepared = raw.command(Command::STMT_PREPARE, sql.as_bytes(), Expect::Prepared).await;
        let id: [u8; 4] = prepared[0][1..5].try_into().unwrap();
        let named = format!("server={}", last.name);
        for (route, expected) in [("primary", primary), (&*named, last_id), ("primary", primary)] {
            let body = execution(id, ("splitrail.route", route));
            let rows = raw.command(Command::STMT_EXECUTE, &body, Expect::Results).await;
            assert!(rows.len() > 2, "{route}: {}", shown(&rows));
            let row = &rows[rows.len() - 2];
            assert_eq!(row[3..], *expected.to_string().as_bytes(), "{route}");
        }
    }

    async fn an_account_has_a_level_of_its_own(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        let primary = prepare(&cluster).await;
        let (user, password) = (&cluster.user, &cluster.password);
        let login = format!("backend_user: {user}, backend_password: '{password}'");
        let accounts = format!(
            "accounts:\n  - {{name: exact, password: x, {login}, consistency: strong}}\n  \
             - {{name: plain, password: x, {login}}}\n"
        );
        let proxy = Proxy::before(&cluster)
            .with(accounts)
            .with("consistency: {level: bounded, max_lag: 1h}")
            .main_listener("consistency: eventual")
            .start()
            .await;
        let mut client = proxy.connect("exact", "x").await.unwrap();
        for (user, level) in [("exact", "strong"), ("plain", "eventual"), ("exact", "strong")] {
            let options = ChangeUserOpts::default().with_user(Some(user.to_owned()));
            client.change_user(options.with_pass(Some("x".to_owned()))).await.unwrap();
            for _ in 0..2 {
                let shown = row(&mut client, "SHOW SPLITRAIL SESSION", "consistency").await.unwrap().0;
                assert_eq!(shown, level);
                assert_eq!(asked(&mut client, WHERE).await == primary, user == "exact");
                client.reset().await.unwrap();
            }
        }
        let mut client = proxy.connect("exact", "x").await.unwrap();
        assert_eq!(asked(&mut client, WHERE).await, primary);
    }

    async fn rules_are_told(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        let (home, last) = (&cluster.primary().name, &cluster.replicas()[1].name);
        let rules = format!(
            "rules:\n  - {{name: slow, match: {{verb: select}}, timeout: 5s, continue: true}}\n  \
             - {{name: reports, match: {{text: report}}, target: {{server: {last}}}, consistency: eventual}}\n  \
             - {{name: never, match: {{text: nothing}}, block: no}}\n  \
             - {{name: theirs, match: {{user: somebody else}}, block: no}}\n"
        );
        let proxy = Proxy::before(&cluster).with(rules).start().await;
        let mut client = proxy.client().await;
        let explained = "EXPLAIN ROUTE SELECT 1 /* report */";
        let found: Vec<(String, Option<String>, Option<String>)> = client.query(explained).await.unwrap();
        let told: Vec<_> = found.iter().filter(|row| row.0 == "rule").map(|row| row.1.as_deref()).collect();
        assert_eq!(told, [Some("reports"), Some("slow")]);
        let (target, why) = row(&mut client, explained, "target").await.unwrap();
        assert_eq!((&target, why.as_str()), (last, "the rule 'reports' says so"));
        assert_eq!(row(&mut client, explained, "consistency").await.unwrap().0, "eventual");
        let (target, why) = row(&mut client, "EXPLAIN ROUTE SELECT 'nothing'", "target").await.unwrap();
        assert_eq!((target.as_str(), why.as_str()), ("none", "a rule forbids it"));
        assert_eq!(row(&mut client, "EXPLAIN ROUTE DO 1", "rule").await, None);
        let (target, _) = row(&mut client, "EXPLAIN ROUTE DELETE FROM t /* report */", "target").await.unwrap();
        assert_eq!(&target, home);
        let rules = row(&mut client, "SHOW SPLITRAIL SESSION", "rules").await.unwrap().0;
        assert_eq!(rules, "slow, reports, never");
    }

    async fn what_a_replica_reports_into_variables_is_taken_along(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let mut direct = proxy.cluster.primary().connect().await.unwrap();
        let mut client = proxy.client().await;
        type Reported = (u64, String, u64, String, String, String);
        let asked = "SELECT @n, @state, @code, @text, CHARSET(@text), COLLATION(@text)";
        for hold in ["DO 0", "CREATE TEMPORARY TABLE app.kept (a INT)"] {
            let mut answers: Vec<Reported> = Vec::new();
            for conn in [&mut direct, &mut client] {
                conn.query_drop("SET NAMES utf8mb4").await.unwrap();
                conn.query_drop(hold).await.unwrap();
                conn.query_drop("SELECT * FROM app.\u{e9}t\u{e9}").await.unwrap_err();
                conn.query_drop("GET DIAGNOSTICS @n = NUMBER").await.unwrap();
                let more = "@State = RETURNED_SQLSTATE, @code = MYSQL_ERRNO, @`text` = MESSAGE_TEXT";
                conn.query_drop(format!("GET DIAGNOSTICS CONDITION 1 {more}")).await.unwrap();
                answers.push(conn.query_first(asked).await.unwrap().unwrap());
                // Wherever the session goes.
                let again: Reported = conn.query_first(format!("/* splitrail: primary */ {asked}")).await.unwrap().unwrap();
                assert_eq!(Some(&again), answers.last(), "{hold}");
                conn.query_drop("SET @n = 0, @state = '', @code = 0, @text = ''").await.unwrap();
            }
            assert_eq!(answers[0].1, "42S02");
            assert_eq!(answers[0], answers[1], "{hold}");
        }
    }

    async fn a_kill_reaches_the_replica(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        prepare(&cluster).await;
        let proxy = Proxy::before(&cluster).with("consistency: {level: eventual}").start().await;
        let who = Who::of(&cluster, Who::usual());
        let mut killer = Raw::open(&proxy.address(), &who).await;
        // It holds a connection of its own to the primary meanwhile.
        killer.run("BEGIN").await;
        for by_command in [false, true] {
            if by_command && flavour == Flavour::MySql {
                continue;
            }
            let mut victim = Raw::open(&proxy.address(), &who).await;
            victim.send_query("SELECT SLEEP(50) FROM routes.t LIMIT 1").await;
            let running = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(50)%'";
            let runs = async |expected: u64| {
                let there: u64 = cluster.replicas()[0].query(running).await.unwrap()[0];
                (there == expected).then_some(())
            };
            wait_for("the statement on the replica", async || runs(1).await).await;
            let id = victim.greeting.connection_id;
            let answer = if by_command {
                killer.command(Command::PROCESS_KILL, &id.to_le_bytes(), Expect::Results).await
            } else {
                killer.query(format!("KILL {id}")).await
            };
            assert_eq!(answer[0][0], 0, "{}", shown(&answer));
            wait_for("the end of the statement", async || runs(0).await).await;
            while !victim.is_closed().await {}
        }
        assert_eq!(killer.value("SELECT COUNT(*) FROM routes.t").await, "2");
    }

    async fn a_function_that_writes_runs_on_the_primary(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        let primary = prepare(&cluster).await;
        for (name, data) in [("reader", "READS SQL DATA"), ("writer", "MODIFIES SQL DATA")] {
            let body = match name {
                "writer" => "BEGIN INSERT INTO routes.t (n) VALUES (1); RETURN @@server_id; END",
                _ => "RETURN @@server_id",
            };
            let sql = format!("CREATE FUNCTION routes.{name}() RETURNS BIGINT {data} DETERMINISTIC {body}");
            cluster.primary().execute(sql).await.unwrap();
        }
        cluster.catch_up().await.unwrap();
        let proxy = Proxy::before(&cluster).start().await;
        let mut client = proxy.client().await;
        assert_eq!(asked(&mut client, "SELECT routes.writer()").await, primary);
        wait_for("the reader to be known", async || {
            let mut client = proxy.client().await;
            (asked(&mut client, "SELECT routes.reader()").await != primary).then_some(())
        }).await;
        // A replica cannot tell what a function did there, and still nothing follows it.
        let mut both = proxy.client().await;
        for transaction in [false, true] {
            if transaction {
                both.query_drop("START TRANSACTION READ ONLY").await.unwrap();
            }
            assert_ne!(asked(&mut both, "/* splitrail: replica, consistency=eventual */ SELECT routes.reader()").await, primary);
            if transaction {
                both.query_drop("COMMIT").await.unwrap();
            }
            both.query_drop("INSERT INTO routes.t (n) VALUES (41)").await.unwrap();
            assert_eq!(asked(&mut both, "/* splitrail: primary */ SELECT @@server_id").await, primary);
        }
        let written = cluster.primary().query::<u64>("SELECT COUNT(*) FROM routes.t WHERE n = 41").await.unwrap();
        assert_eq!(written, [2], "writes went to a replica");
        let file = cluster.primary().query::<String>("SELECT @@datadir").await.unwrap().remove(0);
        let into = format!("SELECT 1 INTO OUTFILE '{file}/splitrail_outfile_test'");
        // Allowed or not, it is the primary that says so.
        let _ = client.query_drop(&into).await;
        let (target, _) = row(&mut client, &format!("EXPLAIN ROUTE {into}"), "target").await.unwrap();
        assert_eq!(target, cluster.primary().name);
        assert!(matches!(flavour, Flavour::MySql | Flavour::MariaDb));
    }
}
