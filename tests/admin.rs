//! The admin port, with the clients that people use and with those that they write.

use std::process::{Output, Stdio};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};
use splitrail::wire::command::Command;
use splitrail::wire::framing::Expect;
use tokio::process::Command as Process;
use tokio::time::timeout;

use crate::fixture::proxy::{PATIENCE, connect, wait_for};
use crate::fixture::raw::{Raw, Who, shown};
use crate::fixture::{Cluster, Flavour, Proxy, on_both_flavours};

/// The error of a command that is refused.
async fn refusal(conn: &mut Conn, command: &str) -> (u16, String) {
    match conn.query_drop(command).await {
        Err(Error::Server(error)) => (error.code, error.message),
        other => panic!("{command}: {other:?}"),
    }
}

/// The first column.
async fn texts(conn: &mut Conn, query: &str) -> Vec<String> {
    let rows: Vec<Row> = conn.query(query).await.unwrap();
    let text = |row: &Row| row.get::<Option<String>, _>(0).unwrap().unwrap_or_default();
    rows.iter().map(text).collect()
}

/// `splitrail` with a proxy's configuration.
async fn program(proxy: &Proxy<'_>, words: &[&str]) -> Output {
    let mut process = Process::new(env!("CARGO_BIN_EXE_splitrail"));
    process
        .arg(words[0])
        .arg("-c")
        .arg(proxy.folder().join("proxy.yaml"));
    let output = process.args(&words[1..]).stdin(Stdio::null()).output();
    timeout(PATIENCE, output).await.unwrap().unwrap()
}

/// Real clients, as far as they are installed.
fn clients(cluster: &Cluster) -> Vec<std::path::PathBuf> {
    let installed = ["/usr/bin/mariadb", "/usr/bin/mysql"].map(std::path::PathBuf::from);
    let installed = installed.into_iter().filter(|path| path.exists());
    std::iter::once(cluster.client.clone()).chain(installed).collect()
}

on_both_flavours! {
    async fn every_table_answers_and_can_be_asked_in_part(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).admin().start().await;
        let mut admin = proxy.admin().await;
        let tables = texts(&mut admin, "SHOW TABLES").await;
        assert!(tables.len() > 15);
        for table in &tables {
            let rows: Vec<Row> = admin.query(format!("SELECT * FROM {table}")).await.unwrap();
            let columns = texts(&mut admin, &format!("DESCRIBE {table}")).await;
            assert!(rows.iter().all(|row| row.len() == columns.len()), "{table}");
        }
        wait_for("all servers up", async || {
            let count: Option<u64> = admin.query_first("SELECT COUNT(*) FROM servers WHERE health = 'up'").await.unwrap();
            (count == Some(cluster.servers().len() as u64)).then_some(())
        }).await;
        let replicas = "SELECT server FROM servers WHERE role = 'replica' AND weight >= 1 ORDER BY server DESC LIMIT 1";
        assert_eq!(texts(&mut admin, replicas).await, [cluster.servers().last().unwrap().name.clone()]);
        assert_eq!(texts(&mut admin, "SHOW SERVERS LIKE '%1'").await, ["db1"]);
        assert_eq!(texts(&mut admin, "SELECT source FROM topology WHERE server = 'db2'").await, ["db1"]);
        let named: Option<String> = admin
            .exec_first("SELECT role FROM servers WHERE server = ? AND weight < ?", ("db1", 5))
            .await
            .unwrap();
        assert_eq!(named.as_deref(), Some("primary"));
        let help = texts(&mut admin, "HELP").await;
        assert!(help.iter().any(|line| line.starts_with("SWITCHOVER")));
        let route: Vec<(String, Option<String>, Option<String>)> =
            admin.query("EXPLAIN ROUTE INSERT INTO t VALUES (1)").await.unwrap();
        assert!(route.iter().any(|(item, value, _)| item == "target" && value.as_deref() == Some("db1")));
    }

    async fn what_is_wrong_is_told_with_what_was_meant(flavour) {
        let proxy = Proxy::before(Cluster::shared(flavour).await).admin().start().await;
        let mut admin = proxy.admin().await;
        for (command, code, hint) in [
            ("SWITCHOVR TO db2", 1064, "SWITCHOVER"),
            ("SHOW server", 1146, "SERVERS"),
            ("SELECT lag FROM servers", 1054, "lag_ms"),
            ("DRAIN bd2", 1105, "db2"),
            ("DRAIN db1", 1105, "primary"),
            ("SET SERVER db2 WEIGHT = lots", 1064, "weight"),
            ("KILL 12", 1094, "12"),
            ("SELECT @@no_such_thing", 1193, "no_such_thing"),
            ("PAUSE LISTENER nobody", 1105, "nobody"),
            ("SELECT server FROM servers WHERE role = 'primary' OR weight = 3", 1064, "one column"),
            ("SELECT MAX(weight) FROM servers", 1064, "MAX(..)"),
            ("EXPLAIN SELECT 1", 1064, "EXPLAIN ROUTE"),
            ("SHOW REPLICA STATUS", 1064, "SHOW REPLICATION"),
        ] {
            let (told, message) = refusal(&mut admin, command).await;
            assert_eq!(told, code, "{command}: {message}");
            assert!(message.contains(hint), "{command}: {message}");
        }
    }

    async fn who_may_only_look_changes_nothing_and_all_is_written_down(flavour) {
        let proxy = Proxy::before(Cluster::shared(flavour).await).admin().start().await;
        let mut watch = connect(proxy.admin_options("watch")).await.unwrap();
        assert!(!texts(&mut watch, "SHOW SERVERS").await.is_empty());
        assert_eq!(refusal(&mut watch, "DRAIN db2").await.0, 1227);
        proxy.wait_for_log(&["admin command", "DRAIN db2", "Access denied"]).await;
        let state: Option<String> = watch.query_first("SELECT state FROM servers WHERE server = 'db2'").await.unwrap();
        assert_eq!(state.as_deref(), Some("online"));
        let mut admin = proxy.admin().await;
        admin.query_drop("DRAIN db2").await.unwrap();
        assert_eq!(admin.info(), "db2 is set to drain");
        admin.query_drop("RESUME db2").await.unwrap();
        let events = texts(&mut watch, "SELECT text FROM events WHERE kind = 'admin'").await;
        assert_eq!(events[..2], ["admin: RESUME db2: done", "admin: DRAIN db2: done"]);
        for (user, password) in [("admin", "wrong"), ("nobody", "admin"), ("admin", "")] {
            let options = proxy.admin_options(user).pass(Some(password));
            match connect(options).await {
                Err(Error::Server(error)) => assert_eq!(error.code, 1045),
                other => panic!("{user}: {other:?}"),
            }
        }
        proxy.wait_for_log(&["admin login failed", "1045"]).await;
    }

    async fn servers_change_at_run_time(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).admin().start().await;
        let mut admin = proxy.admin().await;
        let mut client = proxy.client().await;
        let port = "SELECT @@port /* splitrail: replica */";
        // The others are out of use: every read goes to the one that is left.
        let replicas: Vec<_> = cluster.servers().iter().skip(1).collect();
        for replica in &replicas[1..] {
            admin.query_drop(format!("MAINTENANCE {}", replica.name)).await.unwrap();
        }
        let read: Option<u16> = client.query_first(port).await.unwrap();
        assert_eq!(read, Some(replicas[0].port));
        admin.query_drop("SET SERVER db2 WEIGHT = 7").await.unwrap();
        admin.query_drop("SET SERVER db2 MAX_CONNECTIONS = 3").await.unwrap();
        let row: Option<(u64, u64)> = admin
            .query_first("SELECT weight, max_connections FROM servers WHERE server = 'db2'")
            .await
            .unwrap();
        assert_eq!(row, Some((7, 3)));
        for command in ["RESET STATS", "RELOAD ACCOUNTS", "RELOAD TLS", "RELOAD CONFIG", "PAUSE FAILOVER", "RESUME FAILOVER"] {
            admin.query_drop(command).await.unwrap();
        }
    }

    async fn sessions_are_seen_and_ended(flavour) {
        let proxy = Proxy::before(Cluster::shared(flavour).await).admin().start().await;
        let mut admin = proxy.admin().await;
        let mut client = proxy.client().await;
        let id: u32 = client.query_first("SELECT CONNECTION_ID()").await.unwrap().unwrap();
        client.query_drop("START TRANSACTION").await.unwrap();
        client.query_drop("SELECT 1").await.unwrap();
        let row = wait_for("the session's transaction", async || {
            let query = format!("SELECT user, server, statements FROM transactions WHERE id = {id} AND statements > 2");
            admin.query_first::<(String, String, u64), _>(query).await.unwrap()
        }).await;
        assert_eq!(row.1, "db1");
        let holds = texts(&mut admin, &format!("SELECT hold FROM holds WHERE id = {id}")).await;
        assert_eq!(holds, ["transaction"]);
        let statement = format!("SELECT statement FROM sessions WHERE id = {id}");
        assert_eq!(texts(&mut admin, &statement).await, ["SELECT ?"]);
        let items: Vec<(String, Option<String>, Option<String>)> =
            admin.query(format!("SHOW SESSION {id}")).await.unwrap();
        assert!(items.iter().any(|item| item.0 == "hold" && item.2.as_deref().unwrap().contains("COMMIT")));
        admin.query_drop(format!("KILL {id}")).await.unwrap();
        wait_for("the client's end", async || client.query_drop("SELECT 1").await.is_err().then_some(())).await;
        wait_for("the session's end", async || {
            let left: Option<u64> = admin
                .query_first(format!("SELECT COUNT(*) FROM sessions WHERE id = {id}"))
                .await
                .unwrap();
            (left == Some(0)).then_some(())
        }).await;
    }

    async fn what_a_session_runs_is_stopped(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let (user, password) = (&cluster.user, &cluster.password);
        let failover = format!("failover: {{mode: off, user: {user}, password: {password}}}");
        let proxy = Proxy::before(cluster).with(failover).admin().start().await;
        let mut admin = proxy.admin().await;
        let mut client = proxy.client().await;
        let id: u32 = client.query_first("SELECT CONNECTION_ID()").await.unwrap().unwrap();
        let running = tokio::spawn(async move {
            let slept = client.query_drop("DO SLEEP(60)").await;
            (slept, client)
        });
        wait_for("the statement", async || {
            let query = format!("SELECT server FROM sessions WHERE id = {id} AND state = 'query'");
            admin.query_first::<Option<String>, _>(query).await.unwrap().flatten()
        }).await;
        // One that comes before the statement has reached the server stops nothing.
        wait_for("the statement's end", async || {
            admin.query_drop(format!("KILL QUERY {id}")).await.unwrap();
            running.is_finished().then_some(())
        }).await;
        let (_, mut client) = timeout(PATIENCE, running).await.unwrap().unwrap();
        client.query_drop("SELECT 1").await.unwrap();
    }

    async fn a_paused_listener_refuses_and_comes_back(flavour) {
        let proxy = Proxy::before(Cluster::shared(flavour).await).main_listener("name: main").admin().start().await;
        let mut admin = proxy.admin().await;
        let mut stays = proxy.client().await;
        admin.query_drop("PAUSE LISTENER main").await.unwrap();
        wait_for("refused connections", async || {
            tokio::net::TcpStream::connect(proxy.address()).await.is_err().then_some(())
        }).await;
        stays.query_drop("SELECT 1").await.unwrap();
        let state = texts(&mut admin, "SELECT state FROM listeners WHERE listener = 'main'").await;
        assert_eq!(state, ["paused"]);
        admin.query_drop("RESUME LISTENER main").await.unwrap();
        wait_for("connections", async || {
            tokio::net::TcpStream::connect(proxy.address()).await.ok().map(drop)
        }).await;
        proxy.client().await.query_drop("SELECT 1").await.unwrap();
    }

    async fn the_clients_that_people_use_are_served(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).admin().start().await;
        let port = proxy.admin_port.unwrap().to_string();
        for client in clients(cluster) {
            let commands = "SHOW DATABASES; USE splitrail; SHOW TABLES; SHOW WARNINGS; SELECT USER(), DATABASE(); \
                SET NAMES utf8mb4; SHOW VARIABLES LIKE 'version%'; DRAIN db2; RESUME db2; \
                SELECT server FROM servers WHERE role = 'primary'";
            let arguments = ["--no-defaults", "-h127.0.0.1", "-P", &port, "-uadmin", "-padmin", "-N", "-B", "-e", commands];
            let output = Process::new(&client).args(arguments).stdin(Stdio::null()).output();
            let output = timeout(PATIENCE, output).await.unwrap().unwrap();
            let (told, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{}: {why}", client.display());
            assert!(told.contains("admin@127.0.0.1") && told.ends_with("db1\n"), "{}: {told}", client.display());
        }
    }

    async fn what_drivers_ask_first_is_answered(flavour) {
        let proxy = Proxy::before(Cluster::shared(flavour).await).admin().start().await;
        let mut admin = proxy.admin().await;
        for asked in [
            "/* mysql-connector-j-9.1.0 */SELECT  @@session.auto_increment_increment AS auto_increment_increment, \
             @@character_set_client AS character_set_client, @@character_set_connection AS c1, \
             @@character_set_results AS c2, @@character_set_server AS c3, @@collation_server AS c4, \
             @@collation_connection AS c5, @@init_connect AS c6, @@interactive_timeout AS c7, @@license AS c8, \
             @@lower_case_table_names AS c9, @@max_allowed_packet AS c10, @@net_write_timeout AS c11, \
             @@performance_schema AS c12, @@sql_mode AS c13, @@system_time_zone AS c14, @@time_zone AS c15, \
             @@transaction_isolation AS c16, @@wait_timeout AS c17",
            "SELECT @@max_allowed_packet",
            "SELECT @@max_allowed_packet,@@wait_timeout,@@socket",
            "select @@version_comment limit 1",
            "SELECT VERSION()",
            "SELECT 1",
            "SELECT 'a', NULL",
            "SELECT CURRENT_USER(), CONNECTION_ID()",
            "SHOW SESSION VARIABLES LIKE 'lower_case_table_names'",
            "SHOW VARIABLES WHERE Variable_name = 'sql_mode'",
            "SHOW COLLATION",
            "SHOW DATABASES",
            "SHOW FULL TABLES FROM `splitrail`",
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'splitrail'",
            "SHOW COLUMNS FROM `servers`",
            // Drivers that ask for many at once.
            "SHOW VARIABLES WHERE Variable_name ='sql_mode' OR Variable_name = 'wait_timeout' OR Variable_name = 'version'",
            "SHOW VARIABLES WHERE Variable_name IN ('version', 'sql_mode')",
            "SELECT VARIABLE_NAME, VARIABLE_VALUE FROM performance_schema.session_variables WHERE VARIABLE_NAME LIKE 'sql%'",
            "SELECT 1 FROM DUAL",
            "SELECT @@port, @x",
            // DBeaver.
            "SELECT @@GLOBAL.character_set_server,@@GLOBAL.collation_server",
            "SHOW CHARSET",
            "SHOW GLOBAL STATUS",
            "SELECT * FROM information_schema.SCHEMATA",
            "SHOW FULL TABLES FROM `splitrail`",
            "SHOW TABLE STATUS FROM `splitrail` LIKE 'servers'",
            "SHOW FULL COLUMNS FROM `splitrail`.`servers`",
            "SHOW CREATE TABLE `splitrail`.`servers`",
            "SHOW CREATE VIEW `splitrail`.`servers`",
            "SELECT * FROM information_schema.COLUMNS c WHERE c.TABLE_SCHEMA='splitrail' AND c.TABLE_NAME='servers' \
             ORDER BY c.ORDINAL_POSITION",
            "SELECT x.* FROM splitrail.servers x LIMIT 0, 200",
            // Grafana, whose picker of tables shows what is in no system view.
            "SELECT DISTINCT TABLE_SCHEMA from information_schema.TABLES where TABLE_TYPE != 'SYSTEM VIEW' ORDER BY TABLE_SCHEMA",
            "SELECT table_name FROM information_schema.tables WHERE table_schema = database() ORDER BY table_name",
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'splitrail' AND \
             table_name = 'servers' AND data_type IN ('text','varchar','char') ORDER BY column_name",
            "SELECT UNIX_TIMESTAMP() AS time_sec, weight AS value, server AS metric FROM servers ORDER BY time_sec",
        ] {
            let rows: Vec<Row> = admin.query(asked).await.unwrap();
            assert!(!rows.is_empty(), "{asked}");
        }
        // What there is nothing of has no rows, and no error either.
        for asked in [
            "SHOW ENGINES",
            "SHOW PLUGINS",
            "SHOW PRIVILEGES",
            "SHOW FULL TRIGGERS FROM `splitrail`",
            "SHOW INDEX FROM `servers` FROM `splitrail`",
            "SHOW PROCEDURE STATUS",
            "SELECT * FROM mysql.user ORDER BY user",
            "SELECT * FROM information_schema.TABLES t WHERE t.TABLE_SCHEMA = 'information_schema' AND t.TABLE_NAME = 'CHECK_CONSTRAINTS'",
            "SELECT kc.CONSTRAINT_NAME,kc.TABLE_NAME,kc.COLUMN_NAME,kc.ORDINAL_POSITION\nFROM \
             INFORMATION_SCHEMA.KEY_COLUMN_USAGE kc WHERE kc.TABLE_SCHEMA='splitrail' AND kc.REFERENCED_TABLE_NAME IS NULL\n\
             ORDER BY kc.CONSTRAINT_NAME,kc.ORDINAL_POSITION",
            "SELECT * FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA='splitrail' ORDER BY ROUTINE_NAME",
            "SELECT * FROM information_schema.EVENTS WHERE EVENT_SCHEMA='splitrail'",
        ] {
            let rows: Vec<Row> = admin.query(asked).await.unwrap();
            assert!(rows.is_empty(), "{asked}");
        }
        let client: Vec<(u64, String)> = admin.query("SELECT Id, User FROM information_schema.PROCESSLIST").await.unwrap();
        assert!(client.is_empty());
        for told in ["SET autocommit=1", "SET NAMES utf8mb4", "SET SESSION TRANSACTION READ ONLY", "COMMIT", "ROLLBACK"] {
            admin.query_drop(told).await.unwrap();
        }
        admin.ping().await.unwrap();
        admin.reset().await.unwrap();
    }

    async fn packets_that_come_at_once_are_answered_one_by_one(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let proxy = Proxy::before(cluster).admin().start().await;
        let who = Who {
            user: "admin".to_owned(),
            password: "admin".to_owned(),
            ..Who::of(cluster, Who::usual())
        };
        let mut raw = Raw::open(&format!("127.0.0.1:{}", proxy.admin_port.unwrap()), &who).await;
        let mut bytes = Vec::new();
        for number in 0..200 {
            let query = format!("\x03SELECT {number}, '{}'", "x".repeat(number * 7));
            splitrail::wire::packet::put_packet(&mut bytes, 0, query.as_bytes());
        }
        raw.write(&bytes).await;
        for number in 0..200 {
            let response = raw.response(Expect::Results).await;
            assert!(shown(&response).contains(&number.to_string()), "{number}");
        }
        let refused = raw.command(Command(0x09), b"", Expect::Results).await;
        assert!(shown(&refused).contains("does not serve"), "{}", shown(&refused));
    }

    async fn a_switchover_is_made_and_told(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        let (user, password) = (&cluster.user, &cluster.password);
        let failover = format!("failover: {{mode: manual, user: {user}, password: {password}}}");
        let proxy = Proxy::before(&cluster).with(failover).admin().start().await;
        let mut admin = proxy.admin().await;
        wait_for("a healthy primary", async || {
            let verdict = "SELECT value FROM failover_analysis WHERE item = 'verdict'";
            let verdict: Option<String> = admin.query_first(verdict).await.unwrap();
            (verdict.as_deref() == Some("healthy")).then_some(())
        }).await;
        assert!(texts(&mut admin, "PROMOTE CHECK db2").await.len() > 3);
        let row: Row = admin.query_first("SWITCHOVER TO db2").await.unwrap().unwrap();
        assert_eq!(row.get::<String, _>("outcome").unwrap(), "done");
        let told = texts(&mut admin, "SELECT to_server FROM failovers WHERE kind = 'switchover'").await;
        assert_eq!(told, ["db2"]);
        assert_eq!(texts(&mut admin, "SELECT server FROM servers WHERE role = 'primary'").await, ["db2"]);
        assert_eq!(refusal(&mut admin, "SWITCHOVER TO db2").await.0, 1105);
    }

    async fn the_proxys_own_statements_mean_the_same_with_any_settings(flavour) {
        let cluster = Cluster::of(flavour).replicas(1).start().await;
        let more = match flavour {
            Flavour::MySql => "",
            Flavour::MariaDb => "ORACLE,EMPTY_STRING_IS_NULL,",
        };
        let odd = "PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,IGNORE_SPACE,\
            HIGH_NOT_PRECEDENCE,ONLY_FULL_GROUP_BY,NO_UNSIGNED_SUBTRACTION";
        for server in cluster.servers() {
            let sql = format!(
                "SET GLOBAL sql_mode='{more}{odd}', autocommit=0, sql_select_limit=1, sql_safe_updates=1, \
                 completion_type='CHAIN'"
            );
            server.execute(sql).await.unwrap();
        }
        let (user, password) = (&cluster.user, &cluster.password);
        let failover = format!("failover: {{mode: manual, user: {user}, password: {password}}}");
        let proxy = Proxy::before(&cluster).with(failover).admin().start().await;
        let mut client = proxy.client().await;
        client.query_drop("SET autocommit=1, completion_type='NO_CHAIN'").await.unwrap();
        client.query_drop("CREATE TABLE app.odd (id INT PRIMARY KEY)").await.unwrap();
        let mut admin = proxy.admin().await;
        for (id, to) in [(1, "db2"), (2, "db1"), (3, "")] {
            client.query_drop(format!("INSERT INTO app.odd VALUES ({id})")).await.unwrap();
            let count: Option<i32> = client.query_first("SELECT COUNT(*) FROM app.odd").await.unwrap();
            assert_eq!(count, Some(id));
            let healthy = "SELECT COUNT(*) FROM servers WHERE health = 'up' AND replication <> 'stopped'";
            wait_for("healthy servers", async || {
                let verdict = "SELECT value FROM failover_analysis WHERE item = 'verdict'";
                let verdict: Option<String> = admin.query_first(verdict).await.unwrap();
                let healthy: Option<u32> = admin.query_first(healthy).await.unwrap();
                (verdict.as_deref() == Some("healthy") && healthy == Some(2)).then_some(())
            }).await;
            if !to.is_empty() {
                let row: Row = admin.query_first(format!("SWITCHOVER TO {to}")).await.unwrap().unwrap();
                assert_eq!(row.get::<String, _>("outcome").unwrap(), "done");
            }
        }
    }

    async fn ctl_tells_scripts_by_its_exit_code(flavour) {
        let proxy = Proxy::before(Cluster::shared(flavour).await).admin().start().await;
        let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
        let table = program(&proxy, &["ctl", "show", "servers"]).await;
        assert!(table.status.success() && text(&table).starts_with("server "), "{table:?}");
        let json = program(&proxy, &["ctl", "--format", "json", "SELECT server, weight FROM servers"]).await;
        let json: serde_json::Value = serde_json::from_str(&text(&json)).unwrap();
        assert_eq!((json[0]["server"].as_str(), json[0]["weight"].as_u64()), (Some("db1"), Some(1)));
        let csv = program(&proxy, &["ctl", "--format", "csv", "SELECT server FROM servers LIMIT 1"]).await;
        assert_eq!(text(&csv), "server\ndb1\n");
        let done = program(&proxy, &["ctl", "drain", "db2"]).await;
        assert_eq!(text(&done), "db2 is set to drain\n");
        let refused = program(&proxy, &["ctl", "drain", "db1"]).await;
        assert_eq!(refused.status.code(), Some(1));
        let status = program(&proxy, &["status"]).await;
        assert!(text(&status).contains("drain") && text(&status).contains("db1"), "{status:?}");
        proxy.signal(crate::fixture::proxy::Signal::TERM);
        proxy.wait_exit().await;
        let gone = program(&proxy, &["ctl", "show", "servers"]).await;
        assert_eq!(gone.status.code(), Some(2));
        assert!(!gone.stderr.is_empty());
    }
}

#[tokio::test]
async fn without_users_there_is_no_port_and_the_log_says_so() {
    let cluster = Cluster::shared(crate::fixture::Flavour::MariaDb).await;
    let proxy = Proxy::before(cluster).start().await;
    proxy.wait_for_log(&["no admin port", "admin.users"]).await;
    let output = program(&proxy, &["status"]).await;
    assert_eq!(output.status.code(), Some(2));
}
