//! The task that reads the primary's stored functions and procedures from time to time.

use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::{debug, warn};

use super::advice::Lack;
use super::fields::Fields;
use super::procedures::Procedures;
use crate::accounts::{Flavour, Source};
use crate::topology::{Function, Readers, Topology};

const EVERY: Duration = Duration::from_secs(10);
/// The catalogue may be large and slow, and nobody waits for it.
const AT_LEAST: Duration = Duration::from_secs(5);
/// With more functions than this, none of them is taken for one that only reads.
const MOST: usize = 10_000;

/// One that changes nothing by its declaration, and all the same has to do with a user variable or a lock, or tells of
/// the session that calls it, is not taken for one that only reads; nor is one that cannot be looked into.
const QUERY: &str = "SELECT CAST(ROUTINE_SCHEMA AS BINARY) AS in_schema, \
    CAST(ROUTINE_NAME AS BINARY) AS named, SQL_DATA_ACCESS IN ('NO SQL', 'READS SQL DATA') AND ROUTINE_BODY = 'SQL' \
    AND LOWER(ROUTINE_DEFINITION) NOT REGEXP '(^|[^@])@[[:alnum:]_$.`\"'']|get_lock|release_lock|release_all_locks|\
    is_used_lock|is_free_lock|last_insert_id|connection_id|row_count|found_rows' AS only_reads \
    FROM information_schema.ROUTINES \
    WHERE ROUTINE_TYPE = 'FUNCTION' LIMIT 10001";

const PRIVILEGES: &str = "SELECT @@version AS version, CURRENT_USER() AS user, COUNT(*) AS privileges \
    FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE IN ('SHOW_ROUTINE', 'SELECT') \
    AND GRANTEE = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')";

/// What these have tells of the server that it runs on, which is not the same on each.
const OF_THE_SERVER: [&[u8]; 2] = [b"sys", b"mysql"];

pub(super) struct Functions {
    /// In the order of the servers.
    sources: Vec<Source>,
    timeout: Duration,
    topology: Arc<Topology>,
    /// To the server with this number.
    connection: Option<(usize, Conn)>,
    procedures: Procedures,
    /// How often the topology had forgotten the procedures when they were read last.
    forgotten: u64,
    is_told: bool,
}

// === impl Functions ===

impl Functions {
    pub(super) fn new(sources: Vec<Source>, timeout: Duration, topology: Arc<Topology>) -> Self {
        Self {
            sources,
            timeout: timeout.max(AT_LEAST),
            topology,
            connection: None,
            procedures: Procedures::default(),
            forgotten: 0,
            is_told: false,
        }
    }

    pub(super) async fn run(mut self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let began: Instant = ticks.tick().await;
            let Some(primary) = self.topology.snapshot().primary else {
                continue;
            };
            let limit = self.timeout;
            let forgotten = self.topology.procedures_forgotten();
            match timeout(limit, self.read(primary)).await {
                Ok(Ok(readers)) => {
                    self.topology.set_readers(readers);
                    self.topology.know_procedures(forgotten);
                }
                // What was read before stays true enough: a function that is gone fails, wherever it is called.
                Ok(Err(error)) => debug!(%error, "the stored functions cannot be read"),
                Err(_) => debug!(took = ?began.elapsed(), "the stored functions cannot be read in time"),
            }
        }
    }

    async fn read(&mut self, primary: usize) -> Result<Readers, Error> {
        let kept = self.connection.take().filter(|(index, _)| *index == primary);
        let (is_new, mut conn) = match kept {
            Some((_, conn)) => (false, conn),
            None => (true, self.sources[primary].connect().await?),
        };
        let mut found: Result<Vec<Row>, Error> = conn.query(QUERY).await;
        if !is_new && !matches!(found, Ok(_) | Err(Error::Server(_))) {
            conn = self.sources[primary].connect().await?;
            found = conn.query(QUERY).await;
        }
        let found = found?;
        self.read_procedures(&mut conn).await?;
        let (sees_any, count) = (!found.is_empty(), found.len());
        let functions: Vec<_> = found.into_iter().filter_map(function).collect();
        if functions.is_empty() && !std::mem::replace(&mut self.is_told, true) {
            self.advise(primary, &mut conn, sees_any).await?;
        }
        self.connection = Some((primary, conn));
        if count > MOST {
            if !std::mem::replace(&mut self.is_told, true) {
                warn!("more than {MOST} stored functions: statements that call one go to the primary");
            }
            return Ok(Readers::default());
        }
        Ok(Readers::new(functions))
    }

    /// One that is made anew while this reads is not taken for the one that it was.
    async fn read_procedures(&mut self, conn: &mut Conn) -> Result<(), Error> {
        let forgotten = self.topology.procedures_forgotten();
        if std::mem::replace(&mut self.forgotten, forgotten) != forgotten {
            self.procedures.forget();
        }
        match self.procedures.read(conn).await {
            Ok(Some(found)) => self.topology.set_procedures(found, forgotten),
            Ok(None) => {}
            // Functions are worth having without them.
            Err(Error::Server(error)) => debug!(%error, "the stored procedures cannot be read"),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Nothing but the server's own functions, if those: either there is nothing else, or it may not be seen.
    async fn advise(&self, primary: usize, conn: &mut Conn, sees_any: bool) -> Result<(), Error> {
        let asked: Option<Row> = conn.query_first(PRIVILEGES).await?;
        let fields = asked.map(Fields::of).unwrap_or_default();
        let (version, user) = (fields.text(&["version"]), fields.text(&["user"]));
        let mariadb = Flavour::from_version(&version) == Flavour::MariaDb;
        // MariaDB shows its own to those who see all, MySQL to everybody.
        let sees_all = if mariadb {
            sees_any
        } else {
            fields.number(&["privileges"]) > Some(0)
        };
        if sees_all {
            return Ok(());
        }
        let server = &self.sources[primary].server;
        let run = Lack::Functions.grant(mariadb, &user);
        warn!(server, run, "{}", Lack::Functions.what());
        Ok(())
    }
}

fn function(row: Row) -> Option<Function> {
    let fields = Fields::of(row);
    let (schema, name) = (fields.bytes(&["in_schema"])?, fields.bytes(&["named"])?);
    (!OF_THE_SERVER.contains(&schema)).then(|| Function {
        schema: schema.to_vec(),
        name: name.to_vec(),
        only_reads: fields.flag(&["only_reads"]).unwrap_or(false),
    })
}
