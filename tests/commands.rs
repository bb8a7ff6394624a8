//! Every command of the protocol, sent as raw packets to a server and through the proxy: the answers are the same.

use crate::fixture::proxy::{unique, wait_for};
use crate::fixture::raw::{Raw, Steps, Who, same_both_ways, shown};
use crate::fixture::{Cluster, Flavour, Proxy, on_both_flavours};
use crate::statements::{execute, prepare};
use mysql_async::prelude::Queryable;
use splitrail::wire::Capabilities;
use splitrail::wire::bytes::Put;
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
    "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 65535",
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
    "START TRANSACTION WITH CONSISTENT SNAPSHOT",
    "BEGIN",
    "DELETE FROM t",
    "ROLLBACK AND CHAIN",
    "DROP TABLE t",
    "XA START 'all-answers'",
    "SELECT 1",
    "XA END 'all-answers'",
    "XA ROLLBACK 'all-answers'",
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
pub async fn ask(raw: &mut Raw, statements: &[&str]) -> Steps {
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

on_both_flavours! {
    async fn commands_without_text_answer_the_same(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let database = proxy.cluster.new_database().await;
        let who = Who::of(proxy.cluster, Who::usual()).database(&database);
        same_both_ways(proxy, &who, async |raw: &mut Raw| {
            raw.run("DROP TABLE IF EXISTS t").await;
            raw.run("CREATE TABLE t (id INT DEFAULT 7, name VARCHAR(20))").await;
            let mut steps = Steps::new();
            let commands: &[(Command, &[u8], Expect)] = &[
                (Command::PING, b"", Expect::Results),
                (Command::DEBUG, b"", Expect::Results),
                (Command::FIELD_LIST, b"t\0%", Expect::Rows),
                (Command::FIELD_LIST, b"t\0id", Expect::Rows),
                (Command::FIELD_LIST, b"no_such_table\0", Expect::Rows),
                (Command::INIT_DB, b"app", Expect::Results),
                (Command::INIT_DB, b"no_such_database", Expect::Results),
                (Command::INIT_DB, b"", Expect::Results),
                (Command::SET_OPTION, &[1, 0], Expect::Results),
                (Command::SET_OPTION, &[0, 0], Expect::Results),
                (Command::SET_OPTION, &[9, 0], Expect::Results),
                (Command::SET_OPTION, &[], Expect::Results),
                (Command::PING, b"ignored", Expect::Results),
                (Command::RESET_CONNECTION, b"", Expect::Results),
                (Command::PROCESS_KILL, &[0xff, 0xff, 0xff, 0x7f], Expect::Results),
                (Command::SLEEP, b"", Expect::Results),
                (Command(0x0b), b"", Expect::Results),
                (Command(0x10), b"", Expect::Results),
                (Command(0x14), b"", Expect::Results),
            ];
            for (command, body, expect) in commands {
                let answer = raw.command(*command, body, *expect).await;
                let closed = answer == ["closed".as_bytes()];
                steps.push((format!("{command:?} {}", body.escape_ascii()), answer));
                if closed {
                    return steps;
                }
            }
            steps.extend(ask(raw, &["SELECT DATABASE()", "SELECT 1"]).await);
            raw.send_payload(b"").await;
            let answer = raw.response(Expect::Results).await;
            steps.push(("an empty packet".to_owned(), answer));
            raw.send(Command::QUIT, b"").await;
            steps.push(("closed".to_owned(), vec![vec![u8::from(raw.is_closed().await)]]));
            steps
        })
        .await;
    }

    async fn statistics_and_the_list_of_processes_are_the_servers(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let mut raw = Raw::open(&proxy.address(), &Who::of(proxy.cluster, Who::usual())).await;
        let statistics = raw.command(Command::STATISTICS, b"", Expect::Text).await;
        assert!(statistics[0].starts_with(b"Uptime: "), "{}", shown(&statistics));
        let processes = raw.command(Command::PROCESS_INFO, b"", Expect::Results).await;
        // MySQL 9 does not know it any more.
        let expected = if flavour == Flavour::MySql { 1047_u16.to_le_bytes() } else { [b'\x03', b'd'] };
        let place = usize::from(flavour == Flavour::MariaDb);
        assert!(processes[place][usize::from(place == 0)..].starts_with(&expected), "{}", shown(&processes));
        raw.run("SELECT 1").await;
    }

    async fn the_greeting_is_the_servers_own(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let direct = Raw::connect(&proxy.cluster.primary().address()).await.greeting;
        let through = Raw::connect(&proxy.address()).await.greeting;
        assert_eq!(direct.server_version, through.server_version);
        assert_eq!((direct.collation, direct.status, direct.plugin), (through.collation, through.status, through.plugin));
        // TLS and compression are the proxy's own affair; metadata cannot be cached where connections are shared.
        let own = Capabilities::SSL | Capabilities::SSL_VERIFY_SERVER_CERT | Capabilities::COMPRESS
            | Capabilities::ZSTD
            | Capabilities::MULTI_FACTOR | Capabilities::MARIADB_CACHE_METADATA;
        assert_eq!(direct.capabilities.without(own), through.capabilities.without(own));
    }

    async fn a_login_is_answered_as_by_the_server(flavour) {
        let proxy = Proxy::shared(flavour).await;
        for capabilities in [Capabilities::NONE, Capabilities::SESSION_TRACK, Capabilities::SESSION_TRACK | Capabilities::DEPRECATE_EOF] {
            let plain = Who::of(proxy.cluster, Who::usual() | capabilities);
            for who in [plain.clone(), plain.database("app")] {
                let mut answers = Vec::new();
                for address in [proxy.cluster.primary().address(), proxy.address()] {
                    answers.push(Raw::connect(&address).await.login(&who).await);
                }
                assert_eq!(answers[0], answers[1], "{capabilities:?}, {:?}", who.database);
            }
        }
    }

    async fn the_connection_id_is_that_of_the_greeting(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let mut raw = Raw::open(&proxy.address(), &Who::of(proxy.cluster, Who::usual())).await;
        let id = raw.greeting.connection_id.to_string();
        assert_eq!(raw.value("SELECT CONNECTION_ID()").await, id);
        raw.run("BEGIN").await;
        assert_eq!(raw.value("select connection_id ( )").await, id);
        raw.run("COMMIT").await;
        // Not the place of a column.
        assert_eq!(raw.value("SELECT 7 AS a GROUP BY CONNECTION_ID() ORDER BY CONNECTION_ID() LIMIT 1").await, "7");
        raw.command(Command::RESET_CONNECTION, b"", Expect::Results).await;
        assert_eq!(raw.value("SELECT CONNECTION_ID()").await, id);
    }

    async fn columns_are_named_as_by_the_server(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let (mut direct, mut through) = (proxy.cluster.primary().connect().await.unwrap(), proxy.client().await);
        for sql in [
            "SELECT connection_id() > 0, CONNECTION_ID(), CONNECTION_ID () AS a, 1 + CONNECTION_ID()",
            "SELECT DISTINCT (CONNECTION_ID( )\n * 2), (SELECT CONNECTION_ID()), (SELECT CONNECTION_ID() + 1) b FROM (SELECT 1) t",
            "SELECT CONCAT(CONNECTION_ID(), ',', 'x') UNION SELECT CONNECTION_ID()",
            "SELECT ROW_COUNT() + 0, IF(FOUND_ROWS() > 1, 2, 3) LIMIT 1",
        ] {
            let mut names = Vec::new();
            for client in [&mut direct, &mut through] {
                let of = |columns: &[mysql_async::Column]| -> Vec<String> {
                    columns.iter().map(|column| column.name_str().into_owned()).collect()
                };
                let text = of(client.query_iter(sql).await.unwrap().columns_ref());
                let prepared = of(client.exec_iter(sql, ()).await.unwrap().columns_ref());
                names.push((text, prepared));
            }
            assert_eq!(names[0], names[1], "{sql}");
        }
    }

    async fn kill_takes_the_proxys_ids(flavour) {
        // Where it looks for what runs.
        let cluster = Cluster::shared(flavour).await;
        let proxy = &Proxy::before(cluster).main_listener("mode: primary").start().await;
        let who = Who::of(proxy.cluster, Who::usual());
        let mut killer = Raw::open(&proxy.address(), &who).await;

        let mut idle = Raw::open(&proxy.address(), &who).await;
        killer.run(&format!("KILL QUERY {}", idle.greeting.connection_id)).await;
        idle.run("SELECT 1").await;
        killer.run(&format!("KILL {}", idle.greeting.connection_id)).await;
        assert!(idle.is_closed().await);

        let mut held = Raw::open(&proxy.address(), &who).await;
        held.run("BEGIN").await;
        killer.run(&format!("KILL CONNECTION {}", held.greeting.connection_id)).await;
        while !held.is_closed().await {}
        for hold in ["BEGIN", "DO 1"] {
            let mut other = Raw::open(&proxy.address(), &who).await;
            other.run(hold).await;
            let (kill, _) = prepare(&mut killer, &format!("KILL {}", other.greeting.connection_id)).await;
            assert_eq!(execute(&mut killer, kill, &[], false).await[0][0], 0);
            while !other.is_closed().await {}
        }

        for set in ["SET @id = {}", "SELECT {} INTO @id"] {
            let mut named = Raw::open(&proxy.address(), &who).await;
            let id = named.greeting.connection_id;
            killer.run(&set.replace("{}", &id.to_string())).await;
            killer.run("KILL QUERY @id").await;
            named.run("SELECT 1").await;
            killer.run("KILL CONNECTION @id").await;
            assert!(named.is_closed().await);
            // It is in the list until it has gone.
            let gone = loop {
                let answer = killer.query("KILL @id").await;
                if answer[0][0] != 0 {
                    break answer;
                }
            };
            assert_eq!(gone[0][1..3], 1094_u16.to_le_bytes(), "{}", shown(&gone));
            assert_eq!(killer.value("SELECT @id").await, id.to_string());
        }

        let mut busy = Raw::open(&proxy.address(), &who).await;
        busy.send_query("SELECT SLEEP(60)").await;
        wait_until_running(proxy, "SELECT SLEEP(60)").await;
        killer.run(&format!("KILL QUERY {}", busy.greeting.connection_id)).await;
        // The server calls it an error or, in MySQL, lets SLEEP return 1.
        busy.response(Expect::Results).await;
        busy.run("SELECT 1").await;

        if flavour == Flavour::MariaDb {
        busy.send_query("SELECT SLEEP(61)").await;
        wait_until_running(proxy, "SELECT SLEEP(61)").await;
        let id = busy.greeting.connection_id.to_le_bytes();
        let answer = killer.command(Command::PROCESS_KILL, &id, Expect::Results).await;
        assert_eq!(answer[0][0], 0, "{}", shown(&answer));
        busy.response(Expect::Results).await;
        while !busy.is_closed().await {}
        }

        for sql in ["KILL CONNECTION_ID()", "KILL CONNECTION connection_id ( )"] {
            let mut own = Raw::open(&proxy.address(), &who).await;
            let answer = own.query(sql).await;
            assert!(answer[0][0] == 0xff || answer[0] == b"closed", "{}", shown(&answer));
            assert!(own.is_closed().await);
            let mut own = Raw::open(&proxy.address(), &who).await;
            own.run("BEGIN").await;
            let (kill, _) = prepare(&mut own, sql).await;
            let answer = execute(&mut own, kill, &[], false).await;
            assert!(answer[0][0] == 0xff || answer[0] == b"closed", "{}", shown(&answer));
            assert!(own.is_closed().await);
        }

        let unknown = killer.query("KILL 2147483647").await;
        assert_eq!(unknown[0][1..3], 1094_u16.to_le_bytes(), "{}", shown(&unknown));
        // Its own: the server answers that the query was interrupted, and the connection is gone.
        let own = killer.query(format!("KILL {}", killer.greeting.connection_id)).await;
        assert!(own[0][0] == 0xff || own[0] == b"closed", "{}", shown(&own));
        assert!(killer.is_closed().await);
    }

    async fn a_client_is_found_among_the_servers_threads_by_its_own_id(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = &Proxy::before(cluster).main_listener("mode: primary").start().await;
        let who = Who::of(cluster, Who::usual());
        let (mut one, mut other) = (Raw::open(&proxy.address(), &who).await, Raw::open(&proxy.address(), &who).await);
        other.run("BEGIN").await;
        let found = |id: u32| format!("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'app' AND id = {id}");
        for id in [one.greeting.connection_id, other.greeting.connection_id] {
            assert_eq!(one.value(&found(id)).await, "1");
        }
        assert_eq!(one.value(&found(i32::MAX as u32)).await, "0");
    }

    async fn who_is_killed_is_answered_no_more(flavour) {
        // One worker has just told the killer when the other one may already have the next statement.
        let proxy = &Proxy::shared(flavour).await;
        let who = Who::of(proxy.cluster, Who::usual());
        let mut killer = Raw::open(&proxy.address(), &who).await;
        for round in 0..40 {
            let mut idle = Raw::open(&proxy.address(), &who).await;
            // With a connection of its own, it is a server that is told.
            idle.run(if round % 2 == 0 { "SELECT 1" } else { "BEGIN" }).await;
            killer.run(&format!("KILL {}", idle.greeting.connection_id)).await;
            idle.send_query("SELECT 2").await;
            assert_eq!(idle.packet().await, None, "in round {round}");
        }
    }

    async fn who_is_killed_as_its_statement_begins_takes_it_along(flavour) {
        // Whoever kills finds it before it has a connection, with one that has nothing to do yet, or with one that runs.
        let cluster = Cluster::shared(flavour).await;
        let proxy = &Proxy::before(cluster).start().await;
        let who = Who::of(cluster, Who::usual());
        let mut killer = Raw::open(&proxy.address(), &who).await;
        killer.run("SELECT 1").await;
        let sql = format!("SELECT SLEEP(300), '{}'", unique("begins"));
        for _ in 0..60 {
            let mut busy = Raw::open(&proxy.address(), &who).await;
            busy.send_query(&sql).await;
            killer.run(&format!("KILL {}", busy.greeting.connection_id)).await;
            while let Some(packet) = busy.packet().await {
                let lost = packet[0] == 0xff && packet[1..3] == 1158_u16.to_le_bytes();
                assert!(!lost, "nothing was lost but what was killed");
            }
        }
        let running = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE info = \"{sql}\"");
        for server in cluster.servers() {
            wait_for("the end of all", async || {
                let count: Vec<u64> = server.query(&running).await.unwrap();
                (count == [0]).then_some(())
            })
            .await;
        }
        assert!(!proxy.log().contains("is=\"down\""), "a server that kills whom it is told to is up: {}", proxy.log());
    }

    async fn who_is_killed_while_it_waits_for_a_connection_goes_at_once(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster)
            .with("pool: {max_connections: 1, acquire_timeout: 300s}")
            .main_listener("mode: primary")
            .start()
            .await;
        let who = Who::of(cluster, Who::usual());
        let (mut holder, mut waiting) = (Raw::open(&proxy.address(), &who).await, Raw::open(&proxy.address(), &who).await);
        holder.run("BEGIN").await;
        waiting.send_query("SELECT 'in vain'").await;
        holder.run(&format!("KILL {}", waiting.greeting.connection_id)).await;
        assert_eq!(waiting.packet().await, None);
        holder.run("COMMIT").await;
    }

    async fn an_idle_session_of_another_account_is_killed_as_the_server_decides(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::shared(flavour).await;
        let account = unique("victim");
        for user in [&account, &format!("{account}_too")] {
            cluster.primary().execute(format!("CREATE USER '{user}'@'%' IDENTIFIED BY ''")).await.unwrap();
        }
        let who = |user: &str| Who { user: user.to_owned(), password: String::new(), ..Who::of(cluster, Who::usual()) };
        let mut victim = Raw::open(&proxy.address(), &who(&account)).await;
        let mut stranger = Raw::open(&proxy.address(), &who(&format!("{account}_too"))).await;
        let mut admin = Raw::open(&proxy.address(), &Who::of(cluster, Who::usual())).await;
        victim.run("DO 1").await;
        let id = victim.greeting.connection_id;
        for sql in [format!("KILL {id}"), format!("KILL QUERY {id}")] {
            let refused = stranger.query(&sql).await;
            assert_eq!(refused[0][1..3], 1095_u16.to_le_bytes(), "{}", shown(&refused));
        }
        assert_eq!(admin.query(format!("KILL QUERY {id}")).await[0][0], 0);
        assert_eq!(victim.value("SELECT 'still here'").await, "still here");
        assert_eq!(admin.query(format!("KILL {id}")).await[0][0], 0);
        assert!(victim.is_closed().await);
        assert_eq!(admin.value("SELECT 'and the killer'").await, "and the killer");

        // Who may not log in any more has no other connection that could be killed in its place.
        let mut victim = Raw::open(&proxy.address(), &who(&account)).await;
        victim.run("DO 1").await;
        let id = victim.greeting.connection_id;
        cluster.primary().execute(format!("ALTER USER '{account}'@'%' ACCOUNT LOCK")).await.unwrap();
        let threads = format!("SELECT id FROM information_schema.processlist WHERE user = '{account}'");
        for thread in cluster.primary().query::<u64>(&threads).await.unwrap() {
            cluster.primary().execute(format!("KILL {thread}")).await.unwrap();
        }
        let refused = stranger.query(format!("KILL {id}")).await;
        assert_eq!(refused[0][1..3], 1095_u16.to_le_bytes(), "{}", shown(&refused));
        assert_eq!(admin.query(format!("KILL {id}")).await[0][0], 0);
        assert!(victim.is_closed().await);
    }

    async fn kill_query_ends_what_waits_in_the_proxy(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster)
            .with("pool: {max_connections: 1, acquire_timeout: 300s}")
            .main_listener("mode: primary")
            .admin()
            .start()
            .await;
        let who = Who::of(cluster, Who::usual());
        let (mut holder, mut waiting) = (Raw::open(&proxy.address(), &who).await, Raw::open(&proxy.address(), &who).await);
        let mut admin = proxy.admin().await;
        holder.run("BEGIN").await;
        let id = waiting.greeting.connection_id;
        let busy = format!("SELECT id FROM sessions WHERE state = 'query' AND id = {id}");
        for by_admin in [false, true] {
            waiting.send_query("SELECT 'in vain'").await;
            wait_for("the statement", async || admin.query_first::<u32, _>(&busy).await.unwrap()).await;
            match by_admin {
                false => drop(holder.run(&format!("KILL QUERY {id}")).await),
                true => admin.query_drop(format!("KILL QUERY {id}")).await.unwrap(),
            }
            let answer = waiting.packet().await.unwrap();
            assert_eq!(answer[1..3], 1317_u16.to_le_bytes(), "{answer:?}");
        }
        holder.run("COMMIT").await;
        // What was ended was that statement, and not the next one.
        assert_eq!(waiting.value("SELECT 'goes on'").await, "goes on");
    }

    async fn kill_query_of_oneself_answers_the_same(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let who = Who::of(proxy.cluster, Who::usual());
        same_both_ways(proxy, &who, async |raw: &mut Raw| {
            let answer = raw.query(format!("KILL QUERY {}", raw.greeting.connection_id)).await;
            let mut steps = vec![("KILL QUERY".to_owned(), answer)];
            steps.extend(ask(raw, &["KILL QUERY CONNECTION_ID()", "SELECT 1"]).await);
            steps
        })
        .await;
    }

    async fn collations_are_taken_as_the_server_takes_them(flavour) {
        let proxy = Proxy::shared(flavour).await;
        let collations: &[u16] = match flavour {
            Flavour::MySql => &[0, 8, 45, 63, 224, 255, 256, 278, 303, 309, 323, 999, 35],
            Flavour::MariaDb => &[0, 8, 45, 63, 224, 255, 256, 303, 2048, 2304, 2336, 35],
        };
        for &collation in collations {
            let who = Who { collation, ..Who::of(proxy.cluster, Who::usual()) };
            let mut answers = Vec::new();
            for address in [proxy.cluster.primary().address(), proxy.address()] {
                let mut raw = Raw::connect(&address).await;
                let verdict = raw.login(&who).await;
                let mut steps = vec![("login".to_owned(), vec![verdict.clone()])];
                if verdict[0] == 0 {
                    let variables = "SELECT @@character_set_client, @@collation_connection, @@character_set_results, 'ä'";
                    steps.extend(ask(&mut raw, &[variables]).await);
                }
                answers.push(steps);
            }
            assert_eq!(answers[0], answers[1], "collation {collation}");
        }
    }
}

async fn wait_until_running(proxy: &Proxy<'_>, sql: &str) {
    wait_for(sql, async || {
        let text = format!("SELECT id FROM information_schema.processlist WHERE info = '{sql}'");
        let ids: Vec<u64> = proxy.cluster.primary().query(text).await.unwrap();
        ids.first().copied()
    })
    .await;
}

#[tokio::test]
async fn connection_attributes_reach_mysql_with_the_proxys_own() {
    let proxy = Proxy::shared(Flavour::MySql).await;
    let mut who = Who::of(proxy.cluster, Who::usual());
    who.attributes = vec![
        ("program_name".to_owned(), "attributes_test".to_owned()),
        ("_os".to_owned(), "x".to_owned()),
    ];
    let mut raw = Raw::open(&proxy.address(), &who).await;
    raw.run("BEGIN").await;
    let sql = "SELECT GROUP_CONCAT(a.attr_name, '=', a.attr_value ORDER BY a.attr_name) FROM \
               performance_schema.session_connect_attrs a JOIN performance_schema.session_connect_attrs b \
               USING (processlist_id) WHERE b.attr_value = 'attributes_test'";
    let seen: Vec<String> = proxy.cluster.primary().query(sql).await.unwrap();
    assert!(seen[0].starts_with("_os=x,_proxy="), "{seen:?}");
    assert!(seen[0].ends_with("program_name=attributes_test"), "{seen:?}");
    raw.run("COMMIT").await;
}

#[tokio::test]
async fn a_login_shows_its_own_attributes_though_the_pool_is_full() {
    let cluster = Cluster::shared(Flavour::MySql).await;
    let proxy = Proxy::before(cluster)
        .with("pool: {max_connections: 1}")
        .main_listener("mode: primary")
        .start()
        .await;
    let mut who = Who::of(cluster, Who::usual());
    for name in ["attributes of one", "attributes of two", "attributes of one"] {
        who.attributes = vec![("program_name".to_owned(), name.to_owned())];
        let mut raw = Raw::open(&proxy.address(), &who).await;
        let mine = "SELECT attr_value FROM performance_schema.session_connect_attrs WHERE attr_name = 'program_name' \
                    AND processlist_id = CONNECTION_ID()";
        assert_eq!(raw.value(mine).await, name);
        let counted = raw.query("SHOW SESSION STATUS LIKE 'Com_do'").await;
        let expected = b"\x06Com_do\x010".to_vec();
        assert!(counted.contains(&expected), "a login's counters begin at nothing");
        raw.run("DO 1").await;
    }
}

/// QUERY with attributes that have values.
pub fn query_with_attributes(sql: &str, attributes: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    body.put_lenenc(attributes.len() as u64);
    body.put_lenenc(1);
    // None is NULL, and their types follow: each a string under its name.
    body.put_bytes(&vec![0; attributes.len().div_ceil(8)]);
    body.put_u8(1);
    for (name, _) in attributes {
        body.put_u16(0xfe);
        body.put_lenenc_bytes(name.as_bytes());
    }
    for (_, value) in attributes {
        body.put_lenenc_bytes(value.as_bytes());
    }
    body.put_bytes(sql.as_bytes());
    body
}

#[tokio::test]
async fn query_attributes_reach_mysql_with_their_values() {
    let proxy = Proxy::shared(Flavour::MySql).await;
    let install = "INSTALL COMPONENT 'file://component_query_attributes'";
    // It fails where it is there already, and the answers are compared in any case.
    let installed = proxy.cluster.primary().execute(install).await.is_ok();
    let who = Who::of(proxy.cluster, Who::usual() | Capabilities::QUERY_ATTRIBUTES);
    let answers = same_both_ways(proxy, &who, async |raw: &mut Raw| {
        let mut steps = Steps::new();
        for sql in [
            "SELECT mysql_query_attribute_string('colour'), mysql_query_attribute_string('none')",
            // Texts that the proxy rewrites keep their attributes.
            "SELECT mysql_query_attribute_string('trace'), CONNECTION_ID() > 0",
        ] {
            let body = query_with_attributes(sql, &[("colour", "blau grün"), ("trace", "00-4bf9-01")]);
            let answer = raw.command(Command::QUERY, &body, Expect::Results).await;
            let rows = answer
                .into_iter()
                .filter(|packet| !packet.starts_with(b"\x03def"))
                .collect();
            steps.push((sql.to_owned(), rows));
        }
        steps
    })
    .await;
    if installed {
        assert!(
            shown(&answers[0].1).contains("blau gr"),
            "{}",
            shown(&answers[0].1)
        );
    }
}
