//! Reads run on another server too where a rule says so, and the two results compared.
//!
//! A client never waits for this: its result is compared when it has it, by a task of the thread that runs one
//! statement after the other. What comes while too many wait is not compared, and counted.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::caching::Recording;
use super::client::Client;
use super::command::LOOKED_AT;
use super::given::Given;
use super::worker::Worker;
use crate::backend::connect::Attributes;
use crate::backend::{BackendError, Connection, Key};
use crate::routing::dependence;
use crate::session::State;
use crate::sql::Facts;
use crate::topology::{Admin, Health};
use crate::util::Random;
use crate::wire::command::Command;
use crate::wire::framing::{Expect, Framer, Kind, Next};
use crate::wire::packet::{HEADER, Header};
use crate::wire::{Capabilities, Malformed, Status};

/// Statements of a thread that wait for their turn.
const MOST_WAITING: usize = 64;
/// A longer result is not compared.
const MOST_BYTES: usize = 1 << 20;
/// A mirrored statement that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// A share of all.
const ALL: u64 = 10_000;
/// Stands for the session whose statement was the last on a connection: none that ever asks.
const NOBODY: u64 = u64::MAX;

/// A statement whose result is to be compared.
pub struct Mirroring {
    key: Key,
    state: State,
    asked: Asked,
    digest: u64,
    filler: [u8; crate::wire::login::FILLER],
}

enum Asked {
    Text(Vec<u8>),
    Execution(Given),
}

/// One that waits for its turn, with the result that the client got.
pub struct Job {
    mirroring: Mirroring,
    result: Vec<u8>,
}

/// A thread's mirror.
pub struct Mirror {
    sender: mpsc::Sender<Job>,
    waiting: RefCell<Option<mpsc::Receiver<Job>>>,
    random: RefCell<Random>,
}

/// What became of the statements, since the start and for all threads.
#[derive(Debug, Default)]
pub struct MirrorCounts {
    pub alike: AtomicU64,
    pub different: AtomicU64,
    /// The other server refused it, did not answer, or was not to be asked.
    pub failed: AtomicU64,
    /// Too many waited.
    pub dropped: AtomicU64,
}

/// What two results are compared by. The order of rows is not: without ORDER BY it is nobody's promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Summary {
    rows: u64,
    checksum: u64,
}

// === impl Mirror ===

impl Mirror {
    pub fn new(seed: u64) -> Self {
        let (sender, waiting) = mpsc::channel(MOST_WAITING);
        Self {
            sender,
            waiting: RefCell::new(Some(waiting)),
            random: RefCell::new(Random::new(seed)),
        }
    }

    fn draws(&self, share: u32) -> bool {
        self.random.borrow_mut().below(ALL) < u64::from(share)
    }
}

/// Takes a statement on whose client has its result. Never waits.
pub fn compare(worker: &Worker, mirroring: Mirroring, result: &[u8]) {
    let Ok(place) = worker.mirror.sender.try_reserve() else {
        if count(&worker.shared.mirrored.dropped) == 1 {
            tracing::warn!("too many statements wait for the mirror: some are not compared");
        }
        return;
    };
    let result = result.to_vec();
    place.send(Job { mirroring, result });
}

fn count(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed) + 1
}

/// Serves a thread's mirror for as long as the thread runs.
pub async fn run(worker: Rc<Worker>) {
    let Some(mut waiting) = worker.mirror.waiting.take() else {
        return;
    };
    while let Some(job) = waiting.recv().await {
        let counts = &worker.shared.mirrored;
        let answer = tokio::time::timeout(PATIENCE, mirrored(&worker, &job.mirroring)).await;
        let capabilities = job.mirroring.key.capabilities;
        let original = Summary::of(&job.result, capabilities);
        match (answer, original) {
            (Ok(Ok(Some(answer))), Ok(Some(original))) if answer == original => {
                count(&counts.alike);
            }
            (Ok(Ok(Some(answer))), Ok(Some(original))) => {
                tell_difference(&worker, &job.mirroring, original, answer);
            }
            (Ok(Err(error)), _) => tell_failure(counts, &error.to_string()),
            (Err(_), _) => tell_failure(counts, "it took too long"),
            _ => tell_failure(counts, "the server refused it"),
        }
    }
}

/// Powers of two, so that a rule that differs always does not fill the log.
fn tell_difference(worker: &Worker, mirroring: &Mirroring, original: Summary, answer: Summary) {
    let differences = count(&worker.shared.mirrored.different);
    if !differences.is_power_of_two() {
        return;
    }
    let server = worker.shared.servers.get(mirroring.key.server);
    tracing::warn!(
        server = server.as_ref().map(|server| server.name()),
        digest = format!("{:016x}", mirroring.digest),
        rows = original.rows,
        mirrored_rows = answer.rows,
        differences,
        alike = worker.shared.mirrored.alike.load(Ordering::Relaxed),
        "a mirrored read has another result"
    );
}

fn tell_failure(counts: &MirrorCounts, why: &str) {
    let failures = count(&counts.failed);
    if failures.is_power_of_two() {
        tracing::warn!(failures, why, "a mirrored read failed");
    }
}

/// Runs the statement; `None`: the server has an error for it, or is not to be asked.
async fn mirrored(worker: &Worker, mirroring: &Mirroring) -> Result<Option<Summary>, BackendError> {
    let (shared, index) = (&worker.shared, mirroring.key.server);
    let usable = shared
        .topology
        .snapshot()
        .servers
        .get(index)
        .is_some_and(|view| view.admin == Admin::Online && !matches!(view.health, Health::Down { .. }));
    // Those who wait for a connection to this server have clients.
    let Some(server) = shared
        .servers
        .get(index)
        .filter(|server| usable && !server.slots.has_waiters())
        .map(|server| Arc::clone(&server))
    else {
        return Ok(None);
    };
    let pool = worker.pools.pool(&mirroring.key);
    let attributes = Attributes {
        block: &[],
        is_login: false,
        filler: mirroring.filler,
    };
    let (key, state) = (&mirroring.key, &mirroring.state);
    let mut connection = worker
        .pools
        .acquire(&server, (key, &pool), None, state, attributes)
        .await?;
    connection.restore(state).await?;
    connection.sessions.last = NOBODY;
    connection.sessions.warned = NOBODY;
    match &mirroring.asked {
        Asked::Text(text) => {
            let body = connection.as_query(text);
            connection.send(Command::QUERY, &body).await?;
        }
        Asked::Execution(given) => {
            let Some(payload) = given.encode_for(&mut connection).await? else {
                return Ok(None);
            };
            let sent = connection.link.send_payload(0, &payload).await;
            sent.map_err(|error| connection.lost(error))?;
        }
    }
    let (summary, status) = answer(&mut connection).await?;
    let clean = Status::AUTOCOMMIT;
    if summary.is_some()
        && status.is_some_and(|status| status.has(clean) && !status.has(Status::IN_TRANSACTION))
    {
        connection.was_pooled = true;
        worker.pools.give_back(&pool, connection);
    }
    Ok(summary)
}

async fn answer(connection: &mut Connection) -> Result<(Option<Summary>, Option<Status>), BackendError> {
    let mut reading = Reading::new(connection.capabilities);
    loop {
        let taken = reading.take(connection.link.inbox.bytes());
        let taken = taken.map_err(|error| connection.malformed(error))?;
        connection.link.inbox.consume(taken);
        if reading.framer.is_done() {
            return Ok((reading.result(), reading.status));
        }
        let filled = connection.link.fill().await;
        if filled.map_err(|error| connection.lost(error))? == 0 {
            return Err(connection.lost(std::io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

/// A response being read.
struct Reading {
    framer: Framer,
    summary: Summary,
    failed: bool,
    status: Option<Status>,
    capabilities: Capabilities,
}

// === impl Reading ===

impl Reading {
    fn new(capabilities: Capabilities) -> Self {
        let mut framer = Framer::new(capabilities, Expect::Results);
        framer.shows_rows = true;
        Self {
            framer,
            summary: Summary::default(),
            failed: false,
            status: None,
            capabilities,
        }
    }

    /// Reads on; answers how many of the bytes are done with.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut position = 0;
        while let Next::Packet { kind, length } = self.framer.next(bytes, &mut position)? {
            let payload = bytes
                .get(position + HEADER..position + length)
                .unwrap_or_default();
            match kind {
                Kind::Row => self.summary.add(payload),
                Kind::End if payload.len() <= 5 => {
                    self.status = Some(crate::wire::eof::EofPacket::parse(payload)?.status);
                }
                Kind::End => {
                    self.status = Some(crate::wire::ok::OkPacket::parse(payload, self.capabilities)?.status);
                }
                Kind::Error | Kind::Ok | Kind::LocalInfile => self.failed = true,
                _ => {}
            }
            position += length;
        }
        Ok(position)
    }

    fn result(&self) -> Option<Summary> {
        let mut summary = self.summary;
        // Rows too long to be handed over are counted all the same.
        summary.rows = self.framer.rows;
        (!self.failed).then_some(summary)
    }
}

// === impl Mirroring ===

impl Mirroring {
    /// To compare a server with itself is of no use.
    pub fn is_other_than(&self, server: Option<usize>) -> bool {
        server != Some(self.key.server)
    }
}

// === impl Summary ===

impl Summary {
    fn of(packets: &[u8], capabilities: Capabilities) -> Result<Option<Self>, Malformed> {
        let mut reading = Reading::new(capabilities);
        reading.take(packets)?;
        Ok(reading.result())
    }

    fn add(&mut self, row: &[u8]) {
        let mut hasher = DefaultHasher::new();
        row.hash(&mut hasher);
        self.checksum = self.checksum.wrapping_add(hasher.finish());
    }
}

// === impl Client ===

impl Client {
    /// Notes that the result of the statement under way is to be compared, if a rule says so.
    pub fn mirror(&mut self, header: Header, start: usize, facts: &Facts) {
        if self.mirror_rule().is_none() || header.length > LOOKED_AT {
            return;
        }
        let bytes = self.link.inbox.bytes();
        let payload = &bytes[HEADER..header.total().min(bytes.len())];
        let text = payload.get(start..).unwrap_or_default();
        let (dialect, schema) = (self.session.dialect, self.session.state.schema.as_deref());
        if dependence::repeatable(facts, text, dialect, schema).is_some() {
            let asked = Asked::Text(text.to_vec());
            self.mirror_asked(asked, facts);
        }
    }

    /// The same for an execution.
    pub fn mirror_execution(&mut self, given: Given, facts: &Facts) {
        if self.mirror_rule().is_some() && given.depends_on(self, facts).is_some() {
            self.mirror_asked(Asked::Execution(given), facts);
        }
    }

    fn mirror_asked(&mut self, asked: Asked, facts: &Facts) {
        let Some((server, share)) = self.mirror_rule() else {
            return;
        };
        let session = &self.session;
        let is_plain = session.holds.is_empty() && session.status.has(Status::AUTOCOMMIT);
        if !is_plain || session.in_transaction() || !self.worker.mirror.draws(share) {
            return;
        }
        let mirroring = Mirroring {
            key: Key {
                server,
                ..self.login.key.clone()
            },
            state: self.session.state.clone(),
            asked,
            digest: facts.digest,
            filler: self.login.filler,
        };
        let recording = self.caching.recording.get_or_insert_with(Recording::default);
        recording.mirror(mirroring, MOST_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::result::ResultSet;

    fn result(values: &[&str]) -> Vec<u8> {
        let mut set = ResultSet::new(&["a"]);
        for value in values {
            set.push([Some((*value).to_owned())]);
        }
        let mut packets = Vec::new();
        set.encode(&mut packets, 1, Capabilities::PROTOCOL_41, Status::AUTOCOMMIT, 0);
        packets
    }

    #[test]
    fn results_are_compared_by_their_rows() {
        let summary = |values: &[&str]| {
            Summary::of(&result(values), Capabilities::PROTOCOL_41)
                .unwrap()
                .unwrap()
        };
        assert_eq!(summary(&["x", "y"]), summary(&["y", "x"]));
        assert_eq!(summary(&["x", "y"]).rows, 2);
        assert_ne!(summary(&["x", "y"]), summary(&["x", "z"]));
        assert_ne!(summary(&["x"]), summary(&["x", "x"]));
        assert_eq!(summary(&[]), Summary::default());
    }

    #[test]
    fn a_response_is_read_in_pieces() {
        let packets = result(&["one", "two", "three"]);
        for split in 0..packets.len() {
            let mut reading = Reading::new(Capabilities::PROTOCOL_41);
            let taken = reading.take(&packets[..split]).unwrap();
            let rest = &packets[taken..];
            reading.take(rest).unwrap();
            assert!(reading.framer.is_done());
            assert_eq!(
                reading.result(),
                Summary::of(&packets, Capabilities::PROTOCOL_41).unwrap()
            );
            assert_eq!(reading.status, Some(Status::AUTOCOMMIT));
        }
    }
}
