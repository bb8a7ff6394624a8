//! The monitor's connection to a server: all that a probe wants to know, in one round trip.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};
use tokio::time::Instant;

use super::advice::Lack;
use super::failure;
use super::fields::Fields;
use super::heartbeat::Heartbeats;
use super::lag;
use super::status::{self, Answers, Identity};
use crate::accounts::{Flavour, Source};
use crate::gtid::Malformed;
use crate::topology::{Class, Status};

pub(super) struct Connection {
    conn: Conn,
    pub(super) identity: Identity,
    /// What is asked, in this order. What the account may not ask is taken out.
    parts: Vec<Part>,
    /// What was taken out, until somebody has been told.
    pub(super) lacks: Vec<Lack>,
    /// What is wrong with the position that it told last.
    pub(super) malformed: Option<Malformed>,
}

/// One statement of a probe. What was applied is asked before what was fetched, so that an equal set means that
/// there was a moment when all was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Variables,
    Counters,
    Replication,
    /// MySQL alone.
    Received,
    /// MySQL alone.
    Applier,
}

/// The newest heartbeat of ours, the last of a probe's statements: a server without the table answers the others.
fn heartbeat(writer: u64) -> String {
    format!("SELECT MAX(beat) AS beat FROM splitrail.heartbeat WHERE writer={writer}")
}

/// Of either flavour; a server that lacks a variable shows a row less.
const IDENTITY: &str = "SET time_zone = '+00:00'; SELECT CURRENT_USER() AS user; \
    SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'server_uuid', 'server_uid', 'query_cache_type')";

/// Whether somebody has set `read_only`, or had it set with every start. Of a server that does not tell that is not known.
const MYSQL_ORIGIN: &str = "SELECT SUM(VARIABLE_SOURCE IN ('DYNAMIC', 'PERSISTED')) AS was_set \
    FROM performance_schema.variables_info WHERE VARIABLE_NAME IN ('read_only', 'super_read_only')";
const MARIADB_ORIGIN: &str = "SELECT GLOBAL_VALUE_ORIGIN = 'SQL' AS was_set \
    FROM information_schema.SYSTEM_VARIABLES WHERE VARIABLE_NAME = 'READ_ONLY'";

/// A transaction that can be seen has an owner until it counts as executed. What is owned is asked first, so that none
/// falls between the two.
const MYSQL_VARIABLES: &str = "SELECT @@global.gtid_owned AS owned, @@global.server_id AS server_id, \
    @@global.read_only AS read_only, @@global.super_read_only AS super_read_only, \
    @@global.gtid_executed AS executed";

/// `gtid_slave_pos` moves on after a transaction can be read and is what MASTER_GTID_WAIT waits for, whereas
/// `gtid_binlog_pos` moves on before, if what is replicated is logged again. A server's own writes are in the current
/// position alone.
const MARIADB_VARIABLES: &str = "SELECT @@global.server_id AS server_id, @@global.read_only AS read_only, \
    @@global.gtid_binlog_pos AS logged, @@global.log_bin AND @@global.log_slave_updates AS relogs, \
    @@global.gtid_slave_pos AS applied, @@global.gtid_current_pos AS executed";

const COUNTERS: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Uptime', \
    'Rpl_semi_sync_source_wait_sessions', 'Rpl_semi_sync_master_wait_sessions', \
    'Rpl_semi_sync_source_status', 'Rpl_semi_sync_source_clients', 'Rpl_semi_sync_replica_status', \
    'Rpl_semi_sync_master_status', 'Rpl_semi_sync_master_clients', 'Rpl_semi_sync_slave_status')";

/// What arrives from a source that has nothing to send. MariaDB says it with the rest.
const RECEIVED: &str = "SELECT CHANNEL_NAME AS channel_name, \
    COUNT_RECEIVED_HEARTBEATS AS slave_received_heartbeats, HEARTBEAT_INTERVAL AS slave_heartbeat_period \
    FROM performance_schema.replication_connection_status \
    JOIN performance_schema.replication_connection_configuration USING (CHANNEL_NAME)";

/// How long ago the oldest transaction that is being applied was committed on the primary.
const APPLIER: &str = "SELECT TIMESTAMPDIFF(MICROSECOND, MIN(committed), NOW(6)) AS age FROM \
    (SELECT APPLYING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP AS committed \
    FROM performance_schema.replication_applier_status_by_worker WHERE APPLYING_TRANSACTION <> '' \
    UNION ALL SELECT PROCESSING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP \
    FROM performance_schema.replication_applier_status_by_coordinator WHERE PROCESSING_TRANSACTION <> '') \
    applying WHERE committed > '1970-01-02'";

// === impl Connection ===

impl Connection {
    pub(super) async fn open(source: &Source) -> Result<Self, Error> {
        let mut conn = source.connect().await?;
        let (sets, error) = run(&mut conn, IDENTITY).await;
        if let Some(error) = error {
            return Err(error);
        }
        let mut sets = sets.into_iter().skip(1);
        let user = sets.next().and_then(one).unwrap_or_default();
        let variables = Fields::of_pairs(sets.next().unwrap_or_default());
        let version = variables.text(&["version"]);
        let mariadb = Flavour::from_version(&version) == Flavour::MariaDb;
        let query_cache = variables.text(&["query_cache_type"]);
        let origin = match mariadb {
            true => MARIADB_ORIGIN,
            false => MYSQL_ORIGIN,
        };
        let (origin, error) = run(&mut conn, origin).await;
        if let Some(error) = error.filter(|error| !matches!(error, Error::Server(_))) {
            return Err(error);
        }
        let origin = origin.into_iter().next().and_then(one).unwrap_or_default();
        let mut parts = vec![Part::Variables, Part::Counters, Part::Replication];
        if !mariadb {
            parts.extend([Part::Received, Part::Applier]);
        }
        Ok(Self {
            conn,
            identity: Identity {
                mariadb,
                version,
                uuid: variables.text(&["server_uuid", "server_uid"]),
                user: user.text(&["user"]),
                keeps_results: !matches!(&*query_cache, "" | "OFF"),
                started_so: origin.number(&["was_set"]) == Some(0),
            },
            parts,
            lacks: Vec::new(),
            malformed: None,
        })
    }

    pub(super) fn keeps_results(&self) -> bool {
        self.identity.keeps_results
    }

    pub(super) async fn ask(&mut self, heartbeats: Option<&Heartbeats>) -> Result<Status, Error> {
        let heartbeats = heartbeats.filter(|heartbeats| heartbeats.are_written());
        let statements: Vec<_> = self.parts.iter().map(|part| self.statement(*part)).collect();
        let mut statements = statements.join(";");
        if let Some(heartbeats) = heartbeats {
            statements += ";";
            statements += &heartbeat(heartbeats.writer);
        }
        let asked = Instant::now();
        let (mut sets, mut error) = run(&mut self.conn, &statements).await;
        let mut beat = None;
        if heartbeats.is_some() && sets.len() == self.parts.len() {
            // The table has not been replicated yet, or may not be read.
            error = error.filter(|error| !matches!(error, Error::Server(_)));
        } else if sets.len() > self.parts.len() {
            let row = sets.pop().and_then(one).unwrap_or_default();
            // A server that shows none yet lacks the first.
            beat = Some(row.number(&["beat"]).unwrap_or(0));
        }
        if let Some(error) = error {
            // The last set is the one before the error, whole.
            let refused = self.parts.get(sets.len()).copied();
            self.give_up(refused, error)?;
        }
        let mut answers = Answers::default();
        for (part, rows) in self.parts.iter().zip(sets) {
            match part {
                Part::Variables => answers.variables = one(rows).unwrap_or_default(),
                Part::Counters => answers.counters = Fields::of_pairs(rows),
                Part::Replication => answers.replication = Some(rows.into_iter().map(Fields::of).collect()),
                Part::Received => answers.received = rows.into_iter().map(Fields::of).collect(),
                // Clocks that differ may make it negative.
                Part::Applier => {
                    let age = one(rows).map(|row| row.text(&["age"])).unwrap_or_default();
                    let micros = age.parse::<i64>().ok();
                    answers.applying =
                        micros.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)));
                }
            }
        }
        let (mut status, malformed) = status::status(&self.identity, &answers);
        self.malformed = malformed;
        if let Some((lag, is_late)) = heartbeats.zip(beat).and_then(|(all, beat)| all.lag(beat, asked)) {
            lag::refine(&mut status, lag, is_late);
        }
        Ok(status)
    }

    fn statement(&self, part: Part) -> &'static str {
        let mariadb = self.identity.mariadb;
        match part {
            Part::Variables if mariadb => MARIADB_VARIABLES,
            Part::Variables => MYSQL_VARIABLES,
            Part::Counters => COUNTERS,
            Part::Replication if mariadb => "SHOW ALL SLAVES STATUS",
            // MySQL 8.4 took the old words away, 8.0.22 brought the new ones.
            Part::Replication if self.conn.server_version() < (8, 0, 22) => "SHOW SLAVE STATUS",
            Part::Replication => "SHOW REPLICA STATUS",
            Part::Received => RECEIVED,
            Part::Applier => APPLIER,
        }
    }

    /// Does without a part that the account may not ask, or the server does not have.
    fn give_up(&mut self, refused: Option<Part>, error: Error) -> Result<(), Error> {
        let class = failure::of_error(&error).class;
        let lack = match (refused, class) {
            (Some(Part::Replication), Class::Denied) => Lack::Replication,
            (Some(Part::Applier | Part::Received), Class::Denied | Class::Other)
                if matches!(error, Error::Server(_)) =>
            {
                Lack::Applier
            }
            _ => return Err(error),
        };
        self.lacks.push(lack);
        self.parts.retain(|part| Some(*part) != refused);
        Ok(())
    }
}

/// The rows of each statement up to the first that fails.
async fn run(conn: &mut Conn, text: &str) -> (Vec<Vec<Row>>, Option<Error>) {
    let mut sets = Vec::new();
    let mut result = match conn.query_iter(text).await {
        Ok(result) => result,
        Err(error) => return (sets, Some(error)),
    };
    loop {
        let mut rows = Vec::new();
        let ended = result.for_each(|row| rows.push(row)).await;
        sets.push(rows);
        if let Err(error) = ended {
            return (sets, Some(error));
        }
        if result.is_empty() {
            // The driver keeps the error of a later statement back until here.
            return (sets, result.drop_result().await.err());
        }
    }
}

fn one(rows: Vec<Row>) -> Option<Fields> {
    rows.into_iter().next().map(Fields::of)
}
