//! Joins replicas to their primary by GTID and tells when they follow and when they have caught up.

use std::time::Duration;

use mysql_async::Row;
use tokio::time::{Instant, sleep};

use super::template::REPLICATION;
use super::{Error, Flavour, Server};

/// How long a replica may take to connect to its primary.
const JOIN_LIMIT: Duration = Duration::from_secs(60);
/// How long its primary may not know that a replica that is connected acknowledges.
const UNKNOWN_LIMIT: Duration = Duration::from_secs(10);
/// How long a replica may take to apply what its primary has.
const CATCH_UP_SECONDS: u64 = 60;

/// Points `replica` at `primary`, starts replication and waits until both of its threads run.
pub async fn join(primary: &Server, replica: &Server) -> Result<(), Error> {
    let (host, port) = (&primary.host, primary.port);
    let change = match replica.flavour {
        Flavour::MySql => format!(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST='{host}', SOURCE_PORT={port}, SOURCE_USER='{REPLICATION}', \
             SOURCE_PASSWORD='{REPLICATION}', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, \
             SOURCE_CONNECT_RETRY=1, SOURCE_HEARTBEAT_PERIOD=1"
        ),
        Flavour::MariaDb => format!(
            "CHANGE MASTER TO MASTER_HOST='{host}', MASTER_PORT={port}, MASTER_USER='{REPLICATION}', \
             MASTER_PASSWORD='{REPLICATION}', MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1, \
             MASTER_HEARTBEAT_PERIOD=1"
        ),
    };
    replica.execute(change).await?;
    resume(replica).await
}

/// Starts the replication that a replica was told earlier and waits until both of its threads run.
pub async fn resume(replica: &Server) -> Result<(), Error> {
    replica.execute("START REPLICA").await?;
    let deadline = Instant::now() + JOIN_LIMIT;
    loop {
        let state = state(replica).await?;
        if state.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::NotReplicating {
                name: replica.name.clone(),
                state,
            });
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// What keeps a replica from replicating; empty when nothing does.
pub async fn state(replica: &Server) -> Result<String, Error> {
    let rows: Vec<Row> = replica.query("SHOW REPLICA STATUS").await?;
    let Some(row) = rows.first() else {
        return Ok("replication is not set up".to_owned());
    };
    // MariaDB, and MySQL before 8.4, use the older words.
    let text = |new: &str, old: &str| -> String {
        let value = row.get_opt(new).or_else(|| row.get_opt(old));
        value.and_then(Result::ok).flatten().unwrap_or_default()
    };
    let receiver = text("Replica_IO_Running", "Slave_IO_Running");
    let applier = text("Replica_SQL_Running", "Slave_SQL_Running");
    if receiver == "Yes" && applier == "Yes" {
        return Ok(String::new());
    }
    let errors = text("Last_IO_Error", "Last_IO_Error") + &text("Last_SQL_Error", "Last_SQL_Error");
    Ok(format!("receiver {receiver}, applier {applier} {errors}"))
}

/// Waits until as many replicas acknowledge the primary's commits as there are. A replica of MySQL may be connected
/// without the primary knowing that it acknowledges; that is so until it connects anew.
pub async fn wait_for_semi_sync(primary: &Server, replicas: &[Server]) -> Result<(), Error> {
    let variable = match primary.flavour {
        Flavour::MySql => "Rpl_semi_sync_source_clients",
        Flavour::MariaDb => "Rpl_semi_sync_master_clients",
    };
    let deadline = Instant::now() + JOIN_LIMIT;
    let mut reconnect = Instant::now() + UNKNOWN_LIMIT;
    loop {
        let rows: Vec<(String, usize)> = primary
            .query(format!("SHOW GLOBAL STATUS LIKE '{variable}'"))
            .await?;
        if rows
            .first()
            .is_some_and(|(_, clients)| *clients >= replicas.len())
        {
            return Ok(());
        }
        if Instant::now() > deadline {
            let state = "semi-synchronous replication is off".to_owned();
            return Err(Error::NotReplicating {
                name: primary.name.clone(),
                state,
            });
        }
        if Instant::now() > reconnect {
            for replica in replicas {
                tracing::warn!(server = %replica.name, "it connects anew: its primary does not know that it acknowledges");
                replica.execute("STOP REPLICA IO_THREAD").await?;
                resume(replica).await?;
            }
            reconnect = Instant::now() + UNKNOWN_LIMIT;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// What `server` has executed, in its flavour's notation.
pub async fn position(server: &Server) -> Result<String, Error> {
    let sql = match server.flavour {
        Flavour::MySql => "SELECT REPLACE(@@global.gtid_executed, '\\n', '')",
        Flavour::MariaDb => "SELECT @@global.gtid_binlog_pos",
    };
    let rows: Vec<String> = server.query(sql).await?;
    Ok(rows.into_iter().next().unwrap_or_default())
}

/// Waits until `replica` has applied everything up to `position`.
pub async fn wait_for_position(replica: &Server, position: &str) -> Result<(), Error> {
    let sql = match replica.flavour {
        Flavour::MySql => format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{position}', {CATCH_UP_SECONDS})"),
        Flavour::MariaDb => format!("SELECT MASTER_GTID_WAIT('{position}', {CATCH_UP_SECONDS})"),
    };
    let rows: Vec<i64> = replica.query(sql).await?;
    if rows.first() == Some(&0) {
        return Ok(());
    }
    let state = format!(
        "it has not reached {position} within {CATCH_UP_SECONDS} s; {}",
        state(replica).await?
    );
    Err(Error::NotReplicating {
        name: replica.name.clone(),
        state,
    })
}
