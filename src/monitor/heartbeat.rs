//! Writes a row on the primary several times a second, which the replicas' lag is told from. Only where its table
//! exists: `splitrail setup` makes it.
//!
//! A heartbeat must never become a transaction that only a former primary has. So it is written through the gate,
//! like any write, and its statement does nothing on a server that is read-only, or that comes to run it later than
//! it was meant to: one that hung, and was replaced meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, info};

use super::beats::Beats;
use crate::accounts::Source;
use crate::topology::{Gate, Topology};
use crate::util::Random;

/// What the writer and the probes share. Held for a lookup, and never across an await.
#[allow(clippy::disallowed_types)]
type Mutex<T> = std::sync::Mutex<T>;

/// The heartbeats of this process.
#[derive(Debug)]
pub(super) struct Heartbeats {
    /// Tells this process's row from those of others.
    pub(super) writer: u64,
    /// Of the latest beat: none is used twice.
    number: AtomicU64,
    beats: Mutex<Beats>,
}

pub(super) struct Heartbeat {
    heartbeats: Arc<Heartbeats>,
    sources: Vec<Source>,
    interval: Duration,
    timeout: Duration,
    topology: Arc<Topology>,
    told: Option<String>,
}

/// One connection to one primary.
struct Writer {
    conn: Conn,
    /// The server's clock in microseconds at a time of ours.
    clock: (u64, Instant),
}

/// A statement that is run later than this after it was sent does nothing.
const LATEST: Duration = Duration::from_secs(1);
/// Before a primary that has no table, or does not answer, is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// Rows of proxies that have gone.
const CLEAN: &str =
    "DELETE FROM splitrail.heartbeat WHERE at < UTC_TIMESTAMP(6) - INTERVAL 1 DAY AND @@global.read_only=0";
/// Whose commits have left no evidence for long; where there is no such table, it is not used.
const OLD_EVIDENCE: &str = "SELECT writer FROM splitrail.commits GROUP BY writer \
    HAVING MAX(at) < UTC_TIMESTAMP() - INTERVAL 7 DAY LIMIT 1000";
const CLOCK: &str =
    "SELECT CAST(UNIX_TIMESTAMP(NOW(6))*1000000 AS UNSIGNED),@@session.binlog_format='STATEMENT'";

/// A write that the gate knows of, until it is dropped: whoever writes may be ended at any time.
struct Passage<'a> {
    gate: &'a Gate,
    server: usize,
}

/// One of these at a time, so that no session that commits waits for the whole.
async fn clean_evidence(conn: &mut Conn) -> Result<(), Error> {
    let old: Vec<u64> = match conn.query(OLD_EVIDENCE).await {
        Err(Error::Server(_)) => return Ok(()),
        found => found?,
    };
    for writer in old {
        let sql = format!("DELETE FROM splitrail.commits WHERE writer={writer} AND @@global.read_only=0");
        conn.query_drop(sql).await?;
    }
    Ok(())
}

// === impl Passage ===

impl<'a> Passage<'a> {
    fn enter(gate: &'a Gate, server: usize) -> Self {
        gate.enter(server);
        Self { gate, server }
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        self.gate.leave(self.server);
    }
}

// === impl Heartbeats ===

impl Heartbeats {
    pub(super) fn new(interval: Duration) -> Arc<Self> {
        let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let nanos = nanos.map_or(0, |since| since.as_nanos() as u64);
        Arc::new(Self {
            writer: Random::new(nanos ^ u64::from(std::process::id()).rotate_left(32)).number() >> 1,
            number: AtomicU64::new(0),
            beats: Mutex::new(Beats::new(interval)),
        })
    }

    /// How late a server is that showed this one at that time, and whether it surely is; none before the first.
    pub(super) fn lag(&self, seen: u64, now: Instant) -> Option<(Duration, bool)> {
        let beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        Some((beats.lag(seen, now)?, beats.is_late(seen, now)))
    }

    /// Whether there is anything to look for.
    pub(super) fn are_written(&self) -> bool {
        let beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        !beats.is_empty()
    }

    fn record(&self, number: u64, sent: Instant) {
        let mut beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        beats.record(number, sent);
    }
}

// === impl Heartbeat ===

impl Heartbeat {
    pub(super) fn new(
        heartbeats: Arc<Heartbeats>,
        sources: Vec<Source>,
        interval: Duration,
        timeout: Duration,
        topology: Arc<Topology>,
    ) -> Self {
        Self {
            heartbeats,
            sources,
            interval,
            timeout,
            topology,
            told: None,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let primary = self.topology.gate().opened().await;
            if let Err(error) = self.beat_on(primary).await {
                self.tell(primary, &error);
                tokio::select! {
                    () = sleep(AGAIN) => {}
                    () = self.replaced(primary) => {}
                }
            }
        }
    }

    /// Until another server is the primary.
    async fn replaced(&self, primary: usize) {
        while self.topology.gate().opened().await == primary {
            sleep(self.interval).await;
        }
    }

    /// Writes until another server is the primary, or something fails.
    async fn beat_on(&mut self, primary: usize) -> Result<(), String> {
        let Some(source) = self.sources.get(primary) else {
            return Err("it is not configured".to_owned());
        };
        let mut writer = {
            let _pen = self.topology.gate().pen().lock().await;
            within(self.timeout, Writer::open(source)).await?
        };
        info!(server = source.server, interval = ?self.interval, "writing heartbeats");
        self.told = None;
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let gate = self.topology.gate();
            let pen = gate.pen().lock().await;
            let passage = Passage::enter(gate, primary);
            if gate.writable() != Some(primary) {
                return Ok(());
            }
            let number = self.heartbeats.number.fetch_add(1, Ordering::Relaxed) + 1;
            let sent = Instant::now();
            let written = within(self.timeout, writer.write(self.heartbeats.writer, number, sent)).await;
            drop(passage);
            drop(pen);
            if written? {
                self.heartbeats.record(number, sent);
            } else {
                // Its clock was set, or it has just been made read-only.
                writer.clock = within(self.timeout, clock(&mut writer.conn)).await?;
            }
        }
    }

    fn tell(&mut self, primary: usize, error: &str) {
        let server = self.sources.get(primary).map(|source| source.server.as_str());
        if self.told.as_deref() == Some(error) {
            debug!(server, reason = error, "no heartbeat");
        } else {
            info!(
                server,
                reason = error,
                "no heartbeat: lag is told from what the replicas say of themselves"
            );
            self.told = Some(error.to_owned());
        }
    }
}

async fn within<T>(limit: Duration, asked: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
    match timeout(limit, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Error::Server(error))) if matches!(error.code, 1044 | 1049 | 1142 | 1146) => Err(
            "there is no table splitrail.heartbeat that it may write; `splitrail setup` makes it".to_owned(),
        ),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {limit:?}")),
    }
}

async fn clock(conn: &mut Conn) -> Result<(u64, Instant), Error> {
    let asked = Instant::now();
    let row: Option<(u64, i64)> = conn.query_first(CLOCK).await?;
    let (micros, by_statement) = row.unwrap_or_default();
    if by_statement == 1 {
        return Err(Error::Other(
            "binlog_format=STATEMENT: the replicas would run the statement for themselves".into(),
        ));
    }
    Ok((micros, asked))
}

// === impl Writer ===

impl Writer {
    async fn open(source: &Source) -> Result<Self, Error> {
        let mut conn = source.connect().await?;
        conn.query_drop("SET time_zone='+00:00'").await?;
        let clock = clock(&mut conn).await?;
        conn.query_drop(CLEAN).await?;
        clean_evidence(&mut conn).await?;
        Ok(Self { conn, clock })
    }

    /// False: the server did not write it.
    async fn write(&mut self, writer: u64, number: u64, sent: Instant) -> Result<bool, Error> {
        let (then, at) = self.clock;
        let elapsed = u64::try_from(sent.saturating_duration_since(at).as_micros()).unwrap_or(0);
        let now = then.saturating_add(elapsed);
        let spread = u64::try_from(LATEST.as_micros()).unwrap_or(0);
        let (earliest, latest) = (now.saturating_sub(spread), now.saturating_add(spread));
        let sql = format!(
            "INSERT INTO splitrail.heartbeat (writer,beat,at) SELECT {writer},{number},UTC_TIMESTAMP(6) FROM DUAL \
             WHERE @@global.read_only=0 AND CAST(UNIX_TIMESTAMP(NOW(6))*1000000 AS UNSIGNED) \
             BETWEEN {earliest} AND {latest} ON DUPLICATE KEY UPDATE beat={number},at=UTC_TIMESTAMP(6)"
        );
        self.conn.query_drop(sql).await?;
        Ok(self.conn.affected_rows() > 0)
    }
}
