//! Commits whose answers are lost, and what their rows say of them: through a link that holds back what is said, and
//! then breaks.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use splitrail::app::setup;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

use crate::fixture::inside::Inside;
use crate::fixture::link::{Link, Origin, Processes, Way};
use crate::fixture::network::Network;
use crate::fixture::proxy::{connect, wait_for};
use crate::fixture::{Cluster, Flavour, on_both_flavours};
use crate::parking::{table, told};
use crate::replay::ACCOUNTS;

pub const SETTINGS: &str = "mode: manual, commit_evidence: true";
const THERE: Way = Way::Hold {
    there: true,
    back: false,
};
pub const BACK: Way = Way::Hold {
    there: false,
    back: true,
};

/// The shared cluster with what evidence needs.
pub async fn prepared(flavour: Flavour) -> &'static Cluster {
    static MYSQL: OnceCell<()> = OnceCell::const_new();
    static MARIADB: OnceCell<()> = OnceCell::const_new();
    let cluster = Cluster::shared(flavour).await;
    let cell = match flavour {
        Flavour::MySql => &MYSQL,
        Flavour::MariaDb => &MARIADB,
    };
    cell.get_or_init(async || prepare(cluster).await).await;
    cluster.catch_up().await.unwrap();
    cluster
}

/// What `splitrail setup` makes.
pub async fn prepare(cluster: &Cluster) {
    let mut admin = connect(cluster.primary().options()).await.unwrap();
    let own = "CREATE DATABASE IF NOT EXISTS splitrail".to_owned();
    let grant = "GRANT SELECT, INSERT, UPDATE ON splitrail.commits TO 'monitor'@'%'".to_owned();
    for sql in [own].into_iter().chain(setup::evidence("monitor")).chain([grant]) {
        admin.query_drop(sql).await.unwrap();
    }
}

/// A proxy that reaches the primary by a link.
pub async fn linked(cluster: &Cluster) -> (Link, Inside<'_>) {
    let link = Link::to(cluster.primary().port, Processes::default()).await;
    let proxy = Inside::beyond(cluster, &link.address(), SETTINGS).await;
    (link, proxy)
}

pub async fn ids(cluster: &Cluster, table: &str) -> Vec<u32> {
    let sql = format!("SELECT id FROM {table} ORDER BY id");
    cluster.primary().query(sql).await.unwrap()
}

/// A transaction that has written this id.
async fn begun(proxy: &Inside<'_>, table: &str, id: u32) -> Conn {
    let mut client = proxy.client().await;
    client.query_drop("BEGIN").await.unwrap();
    let sql = format!("INSERT INTO {table} (id) VALUES ({id})");
    client.query_drop(sql).await.unwrap();
    client
}

/// The statement before it counts as under way for a moment after its answer.
async fn commits(mut client: Conn, proxy: &Inside<'_>) -> JoinHandle<Result<Conn, Error>> {
    under_way(proxy, 0).await;
    tokio::spawn(async move {
        client.query_drop("COMMIT").await?;
        Ok(client)
    })
}

/// So many statements on the primary.
pub async fn under_way(proxy: &Inside<'_>, count: u32) {
    let load = proxy.shared.topology.load(0);
    wait_for("statements under way", async || {
        (load.in_flight() == count).then_some(())
    })
    .await;
}

/// Until the proxy has sent the commit.
async fn sent(proxy: &Inside<'_>) {
    under_way(proxy, 1).await;
}

/// Ends the connection to the primary, and lets new ones through.
pub async fn breaks(link: &Link, proxy: &Inside<'_>) {
    link.set(Way::Reset);
    under_way(proxy, 0).await;
    link.heal();
}

/// Committed, not committed, unknown.
pub fn settled(proxy: &Inside<'_>) -> [u64; 3] {
    let counts = &proxy.shared.recovery;
    [&counts.committed, &counts.not_committed, &counts.unsettled].map(|count| count.get())
}

pub async fn rows(cluster: &Cluster) -> u64 {
    let sql = "SELECT CAST(COALESCE(SUM(number), 0) AS UNSIGNED) FROM splitrail.commits";
    cluster.primary().query::<u64>(sql).await.unwrap()[0]
}

on_both_flavours! {
    async fn a_commit_that_arrived_is_answered_though_its_answer_was_lost(flavour) {
        let cluster = prepared(flavour).await;
        let table = table(cluster).await;
        let (link, proxy) = linked(cluster).await;
        let client = begun(&proxy, &table, 1).await;
        link.set(BACK);
        let committing = commits(client, &proxy).await;
        wait_for("the commit", async || (ids(cluster, &table).await == [1]).then_some(())).await;
        assert!(!committing.is_finished());
        breaks(&link, &proxy).await;
        let mut client = committing.await.unwrap().unwrap();
        assert_eq!(settled(&proxy), [1, 0, 0]);
        assert_eq!(proxy.shared.recovery.replayed.get(), 0);
        // The session goes on, and sees what it wrote.
        let read: Option<u32> = client.query_first(format!("SELECT COUNT(*) FROM {table}")).await.unwrap();
        assert_eq!(read, Some(1));
        client.query_drop(format!("INSERT INTO {table} (id) VALUES (2)")).await.unwrap();
        assert_eq!(ids(cluster, &table).await, [1, 2]);
        proxy.idle().await;
    }

    async fn a_commit_is_found_on_the_primary_that_was_promoted(flavour) {
        let cluster = Cluster::of(flavour).replicas(2).start().await;
        prepare(&cluster).await;
        let table = table(&cluster).await;
        let network = Network::around(&cluster).await;
        let link = &network.links[0];
        wait_for("two replicas that acknowledge", async || {
            let sql = "SHOW GLOBAL STATUS LIKE 'rpl\\_semi\\_sync\\_%\\_clients'";
            let clients: Vec<(String, u32)> = cluster.primary().query(sql).await.unwrap();
            (clients.iter().map(|(_, count)| count).sum::<u32>() == 2).then_some(())
        })
        .await;
        let settings = format!("mode: automatic, commit_evidence: true, {ACCOUNTS}");
        let mut proxy = Inside::beyond(&cluster, &link.address(), &settings).await;
        let _handle = proxy.commanded().await;
        let client = begun(&proxy, &table, 1).await;
        link.set_for(Origin::Other, BACK);
        let committing = commits(client, &proxy).await;
        wait_for("the commit", async || (ids(&cluster, &table).await == [1]).then_some(())).await;
        cluster.primary().kill();
        link.set_for(Origin::Other, Way::Reset);
        under_way(&proxy, 0).await;
        link.heal();
        let committed = committing.await.unwrap();
        let mut client = committed.unwrap_or_else(|error| {
            panic!("{error}; what happened: {:#?}", proxy.shared.topology.events().latest(50))
        });
        assert_eq!(settled(&proxy), [1, 0, 0]);
        assert_eq!(proxy.shared.recovery.replayed.get() + proxy.shared.recovery.ambiguous.get(), 0);
        client.query_drop(format!("INSERT INTO {table} (id) VALUES (2)")).await.unwrap();
        let there: Vec<u32> = client.query(format!("SELECT id FROM {table} ORDER BY id FOR UPDATE")).await.unwrap();
        assert_eq!(there, [1, 2]);
    }

    async fn a_commit_that_did_not_arrive_is_kept_out_and_done_again(flavour) {
        let cluster = prepared(flavour).await;
        let table = table(cluster).await;
        let (link, proxy) = linked(cluster).await;
        let client = begun(&proxy, &table, 1).await;
        link.set(THERE);
        let committing = commits(client, &proxy).await;
        sent(&proxy).await;
        assert!(ids(cluster, &table).await.is_empty() && !committing.is_finished());
        breaks(&link, &proxy).await;
        let mut client = committing.await.unwrap().unwrap();
        assert_eq!((settled(&proxy), proxy.shared.recovery.replayed.get()), ([0, 1, 0], 1));
        assert_eq!(ids(cluster, &table).await, [1]);
        client.query_drop(format!("INSERT INTO {table} (id) VALUES (2)")).await.unwrap();
        assert_eq!(ids(cluster, &table).await, [1, 2]);
        proxy.idle().await;
    }

    async fn what_cannot_be_done_again_is_refused_and_not_called_unknown(flavour) {
        let cluster = prepared(flavour).await;
        let table = table(cluster).await;
        let (link, proxy) = linked(cluster).await;
        let mut client = begun(&proxy, &table, 1).await;
        client.query_drop("SELECT UUID()").await.unwrap();
        link.set(THERE);
        let committing = commits(client, &proxy).await;
        sent(&proxy).await;
        breaks(&link, &proxy).await;
        let error = committing.await.unwrap().unwrap_err();
        assert_eq!((told(&error).0, told(&error).1), (1213, "40001"), "{error}");
        assert_eq!(settled(&proxy), [0, 1, 0]);
        assert_eq!(proxy.shared.recovery.ambiguous.get(), 0);
        assert!(ids(cluster, &table).await.is_empty());
    }

    async fn without_the_right_commits_go_on_and_stay_ambiguous(flavour) {
        let cluster = prepared(flavour).await;
        let table = table(cluster).await;
        let user = cluster.new_account("evidence", "IDENTIFIED BY ''").await;
        let database = table.split('.').next().unwrap();
        cluster.primary().execute(format!("GRANT ALL ON {database}.* TO '{user}'@'%'")).await.unwrap();
        let (link, proxy) = linked(cluster).await;
        let options = cluster.primary().options().tcp_port(proxy.port).user(Some(user)).pass(None::<String>);
        let mut client = connect(options).await.unwrap();
        for begin in ["BEGIN", "START TRANSACTION READ ONLY"] {
            client.query_drop(begin).await.unwrap();
            client.query_drop(format!("SELECT COUNT(*) FROM {table}")).await.unwrap();
            client.query_drop("COMMIT").await.unwrap();
        }
        assert_eq!(proxy.shared.recovery.unproven.get(), 0, "who only reads does not try");
        for id in 1..=3 {
            client.query_drop("BEGIN").await.unwrap();
            client.query_drop(format!("INSERT INTO {table} (id) VALUES ({id})")).await.unwrap();
            if id == 3 {
                link.set(BACK);
                let committing = commits(client, &proxy).await;
                wait_for("the commit", async || (ids(cluster, &table).await.len() == 3).then_some(())).await;
                breaks(&link, &proxy).await;
                assert_eq!(told(&committing.await.unwrap().unwrap_err()).0, 1180);
                break;
            }
            client.query_drop("COMMIT").await.unwrap();
        }
        assert_eq!(ids(cluster, &table).await, [1, 2, 3]);
        let counts = &proxy.shared.recovery;
        assert_eq!((counts.unproven.get(), counts.ambiguous.get()), (1, 1));
    }

    async fn clients_see_nothing_of_the_row(flavour) {
        let cluster = prepared(flavour).await;
        let table = table(cluster).await;
        let proxy = Inside::before(cluster, SETTINGS).await;
        let database = table.split('.').next().unwrap();
        let sql = format!("CREATE TABLE {database}.numbered (id INT AUTO_INCREMENT PRIMARY KEY, v TINYINT)");
        cluster.primary().execute(sql).await.unwrap();
        let mut told = Vec::new();
        for direct in [true, false] {
            let mut client = match direct {
                true => connect(cluster.primary().options()).await.unwrap(),
                false => proxy.client().await,
            };
            let before = rows(cluster).await;
            client.query_drop(format!("TRUNCATE {database}.numbered")).await.unwrap();
            let mut seen = Vec::new();
            for last in [
                format!("INSERT INTO {database}.numbered (v) VALUES (1), (2)"),
                format!("UPDATE {database}.numbered SET v = v + 1"),
                format!("INSERT IGNORE INTO {database}.numbered (v) VALUES (1000)"),
                format!("INSERT INTO {database}.numbered VALUES (1, 1)"),
            ] {
                client.query_drop("BEGIN").await.unwrap();
                client.query_drop(format!("INSERT INTO {database}.numbered (v) VALUES (7)")).await.unwrap();
                client.query_drop(format!("SELECT v FROM {database}.numbered LIMIT 2")).await.unwrap();
                let _ = client.query_drop(last).await;
                let result = client.query_iter("COMMIT").await.unwrap();
                let ok = (result.affected_rows(), result.last_insert_id(), result.warnings(), result.info().into_owned());
                result.drop_result().await.unwrap();
                let warnings: Vec<(String, u16, String)> = client.query("SHOW WARNINGS").await.unwrap();
                client.query_drop("BEGIN").await.unwrap();
                client.query_drop(format!("DELETE FROM {database}.numbered LIMIT 1")).await.unwrap();
                client.query_drop("COMMIT").await.unwrap();
                let counts: Option<(i64, i64)> = client.query_first("SELECT ROW_COUNT(), LAST_INSERT_ID()").await.unwrap();
                seen.push((ok, warnings, counts));
            }
            assert!(direct || rows(cluster).await > before);
            told.push(seen);
        }
        assert_eq!(told[0], told[1]);
        let mut client = proxy.client().await;
        client.query_drop("BEGIN").await.unwrap();
        client.query_drop(format!("INSERT INTO {table} (id) VALUES (1)")).await.unwrap();
        client.query_drop("COMMIT").await.unwrap();
        let session: Vec<(String, String, Option<String>)> = client.query("SHOW SPLITRAIL SESSION").await.unwrap();
        let gtid = session.iter().find(|row| row.0 == "gtid").unwrap();
        assert_ne!(gtid.1, "none", "the call tells what it wrote");
    }
}
