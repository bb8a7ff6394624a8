//! Rules of the configuration at work: what they forbid, change, hold back and send elsewhere.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

use crate::fixture::proxy::connect;
use crate::fixture::{Cluster, Flavour, Proxy, on_both_flavours};

fn told<T>(result: Result<T, Error>) -> (u16, String) {
    match result {
        Err(Error::Server(error)) => (error.code, error.message),
        Err(error) => panic!("not an error of the protocol: {error:?}"),
        Ok(_) => panic!("no error"),
    }
}

/// What SHOW SPLITRAIL COUNTERS says of one of them.
async fn counter(client: &mut Conn, name: &str) -> u64 {
    let counters: Vec<(String, u64)> = client.query("SHOW SPLITRAIL COUNTERS").await.unwrap();
    let mut found = counters.into_iter().filter(|(counter, _)| counter == name);
    found.next().unwrap().1
}

/// Where a statement was run, as text and prepared; both have to agree.
async fn place(client: &mut Conn, comment: &str) -> u64 {
    let sql = format!("SELECT @@server_id /* {comment} */");
    let text: u64 = client.query_first(&sql).await.unwrap().unwrap();
    let prepared: u64 = client.exec_first(&sql, ()).await.unwrap().unwrap();
    assert_eq!(text, prepared, "{comment}");
    text
}

on_both_flavours! {
    async fn what_a_rule_forbids_is_not_run(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let database = cluster.new_database().await;
        let rules = format!(
            "rules:\n\
             \x20 - name: keep\n    match: {{verb: [delete, truncate], schema: {database}}}\n    block: nothing is deleted here\n\
             \x20 - name: secret\n    match: {{text: 'from\\s+secret'}}\n    block: nobody reads that\n"
        );
        let proxy = Proxy::before(cluster).with(rules).start().await;
        let mut client = connect(proxy.options().db_name(Some(&database))).await.unwrap();
        client.query_drop("CREATE TABLE t (a INT)").await.unwrap();
        client.query_drop("INSERT INTO t VALUES (1)").await.unwrap();
        let forbidden = (1148, "nothing is deleted here".to_owned());
        assert_eq!(told(client.query_drop("/* now */ DELETE FROM t").await), forbidden);
        assert_eq!(told(client.query_drop("TRUNCATE t").await), forbidden);
        assert_eq!(told(client.exec_drop("DELETE FROM t WHERE a = ?", (1,)).await), forbidden);
        assert_eq!(told(client.query_drop("SELECT 1 FROM\n\tsecret").await).0, 1148);
        let rows: Vec<u64> = client.query("SELECT a FROM t").await.unwrap();
        assert_eq!(rows, [1], "the client goes on");
        client.query_drop("EXPLAIN ROUTE DELETE FROM t").await.unwrap();
        assert_eq!(counter(&mut client, "rules.blocked").await, 4);

        // The schema is the session's as it is now.
        client.query_drop("USE mysql").await.unwrap();
        client.query_drop(format!("DELETE FROM {database}.t")).await.unwrap();
    }

    async fn a_rule_says_where_a_statement_goes(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        let name = cluster.servers()[2].name.clone();
        let rules = format!(
            "rules:\n\
             \x20 - {{name: home, match: {{text: go home}}, target: primary}}\n\
             \x20 - {{name: exact, match: {{text: exactly}}, consistency: strong}}\n\
             \x20 - {{name: last, match: {{text: to the last}}, target: {{server: {name}}}}}\n\
             \x20 - {{name: primary, match: {{text: to the first}}, target: {{server: {}}}}}\n",
            cluster.servers()[0].name
        );
        let proxy = Proxy::before(&cluster)
            .with(rules)
            .with("routing: {balance: first}\nconsistency: {level: eventual}")
            .start()
            .await;
        let mut ids = Vec::new();
        for server in cluster.servers() {
            ids.push(server.query::<u64>("SELECT @@server_id").await.unwrap()[0]);
        }
        let mut client = proxy.client().await;
        assert_eq!(place(&mut client, "wherever").await, ids[1]);
        assert_eq!(place(&mut client, "go home").await, ids[0]);
        assert_eq!(place(&mut client, "exactly").await, ids[0]);
        assert_eq!(place(&mut client, "to the last").await, ids[2]);
        assert_eq!(place(&mut client, "to the first").await, ids[0]);
        assert_eq!(place(&mut client, "wherever").await, ids[1], "a rule is for its own statements");

        // A hint knows better than a rule.
        let hinted: u64 = client.query_first("/* splitrail: primary */ SELECT @@server_id /* to the last */").await.unwrap().unwrap();
        assert_eq!(hinted, ids[0]);
        // What writes is not sent to a replica, whatever a rule says.
        client.query_drop("CREATE TABLE app.written (a INT)").await.unwrap();
        client.query_drop("INSERT INTO app.written VALUES (1) /* to the last */").await.unwrap();
    }

    async fn a_rule_changes_a_text(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let rules = "rules:\n  \
             - {name: names, match: {text: old_name}, rewrite: {pattern: '(\\d+) AS old_name', with: '$1 + 1 AS new_name, CONNECTION_ID() AS id'}}\n";
        let proxy = Proxy::before(cluster).with(rules).start().await;
        let mut client = proxy.client().await;
        let id = client.id();
        let rows: Vec<(u64, u32)> = client.query("SELECT 41 AS old_name").await.unwrap();
        assert_eq!(rows, [(42, id)]);
        let rows: Vec<(u64, u32)> = client.exec("SELECT 41 AS old_name", ()).await.unwrap();
        assert_eq!(rows, [(42, id)]);
        let rows: Vec<u64> = client.query("SELECT 'old_name' = 'x'").await.unwrap();
        assert_eq!(rows, [0], "the pattern does not match");
    }

    async fn a_rule_lets_only_so_many_pass(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let rules = "rules:\n  \
             - {name: slowly, match: {text: slowly}, throttle: {rate: 1/h, burst: 3, per: user, wait: 0s}}\n  \
             - {name: soon, match: {text: soon}, throttle: {rate: 20/s}}\n";
        let proxy = Proxy::before(cluster).with(rules).start().await;
        let (mut client, mut other) = (proxy.client().await, proxy.client().await);
        client.query_drop("SELECT 'slowly'").await.unwrap();
        other.query_drop("SELECT 'slowly'").await.unwrap();
        client.exec_drop("SELECT 'slowly'", ()).await.unwrap();
        for _ in 0..2 {
            let (code, text) = told(other.query_drop("SELECT 'slowly'").await);
            assert_eq!(code, 1226);
            assert!(text.starts_with("Rule 'slowly' lets no more statements pass now"), "{text}");
            assert_eq!(told(client.exec_drop("SELECT 'slowly'", ()).await).0, 1226);
        }
        client.query_drop("SELECT 'fast'").await.unwrap();
        assert_eq!(counter(&mut client, "rules.throttled").await, 4);

        // Who waits has its turn.
        let began = tokio::time::Instant::now();
        for _ in 0..4 {
            client.query_drop("SELECT 'soon'").await.unwrap();
        }
        assert!(began.elapsed() >= std::time::Duration::from_millis(140), "{:?}", began.elapsed());
    }

    async fn what_takes_too_long_is_stopped(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let database = cluster.new_database().await;
        let rules = "rules: [{name: quick, match: {text: in time}, timeout: 300ms}]";
        let proxy = Proxy::before(cluster).with(rules).start().await;
        let options = || proxy.options().db_name(Some(&database));
        let (mut holder, mut client) = (connect(options()).await.unwrap(), connect(options()).await.unwrap());
        holder.query_drop("CREATE TABLE t (a INT PRIMARY KEY, b INT)").await.unwrap();
        holder.query_drop("INSERT INTO t VALUES (1, 1)").await.unwrap();
        holder.query_drop("CREATE TABLE digits (a INT)").await.unwrap();
        holder.query_drop("INSERT INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)").await.unwrap();
        cluster.catch_up().await.unwrap();
        holder.query_drop("BEGIN").await.unwrap();
        holder.query_drop("UPDATE t SET b = 2").await.unwrap();
        let late = match flavour {
            Flavour::MySql => 3024,
            Flavour::MariaDb => 1969,
        };
        let update = "UPDATE t SET b = 3 /* in time */";
        let (code, text) = told(client.query_drop(update).await);
        assert_eq!(code, late, "{text}");
        assert_eq!(told(client.exec_drop(update, ()).await).0, late);
        // 10 to the power of 12 rows, wherever they are read.
        let tables: Vec<_> = (0..12).map(|number| format!("digits d{number}")).collect();
        let endless = format!("SELECT SUM(d0.a + d11.a) FROM {} /* in time */", tables.join(", "));
        assert_eq!(told(client.query_drop(endless).await).0, late);
        holder.query_drop("COMMIT").await.unwrap();

        // Nothing of it hits a later statement, and who is in time is left alone.
        for _ in 0..20 {
            client.query_drop(update).await.unwrap();
            let rows: Vec<u64> = client.query("SELECT b FROM t").await.unwrap();
            assert_eq!(rows, [3]);
        }
        // A transaction outlives the statement that was stopped.
        holder.query_drop("BEGIN").await.unwrap();
        holder.query_drop("UPDATE t SET b = 4 WHERE a = 1").await.unwrap();
        client.query_drop("BEGIN").await.unwrap();
        client.query_drop("INSERT INTO t VALUES (2, 2)").await.unwrap();
        assert_eq!(told(client.query_drop("UPDATE t SET b = 5 WHERE a = 1 /* in time */").await).0, late);
        client.query_drop("COMMIT").await.unwrap();
        holder.query_drop("COMMIT").await.unwrap();
        // The holder's write is another session's.
        cluster.catch_up().await.unwrap();
        let rows: Vec<u64> = client.query("SELECT b FROM t ORDER BY a").await.unwrap();
        assert_eq!(rows, [4, 2]);
    }

    async fn rules_follow_a_change_of_the_user(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let user = crate::fixture::proxy::unique("ruled");
        cluster.primary().execute(format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'x'")).await.unwrap();
        let rules = format!("rules: [{{name: r, match: {{user: {user}, verb: select}}, block: not for you}}]");
        let proxy = Proxy::before(cluster).with(rules).start().await;
        let mut client = proxy.client().await;
        client.query_drop("SELECT 1").await.unwrap();
        let options = mysql_async::ChangeUserOpts::default();
        client.change_user(options.with_user(Some(user)).with_pass(Some("x".to_owned()))).await.unwrap();
        assert_eq!(told(client.query_drop("SELECT 1").await), (1148, "not for you".to_owned()));
    }
}
