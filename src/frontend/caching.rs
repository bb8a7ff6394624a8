//! Results given again where a rule says so, and the writes that end them.
//!
//! All threads share one store behind a lock: a write has to reach every copy before its client hears of it, and
//! with one copy that takes nothing but the lock. Only statements with a cache rule, and writes, take it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::time::Instant;

use super::client::Client;
use super::command::LOOKED_AT;
use super::given::Given;
use super::mirror::{self, Mirroring};
use super::outcome::{End, Outcome};
use crate::config::ConsistencyLevel;
use crate::gtid::Position;
use crate::routing::dependence;
use crate::routing::results::{Mark, Moment, Replica, ResultKey, Results, Tables};
use crate::session::{Observation, Template};
use crate::sql::{Class, Facts, HintTarget, Verb};
use crate::topology::Topology;
use crate::wire::eof::EofPacket;
use crate::wire::ok::OkPacket;
use crate::wire::packet::{HEADER, Header};
use crate::wire::{Capabilities, Status};

/// Held for one look at a table, and never across an await.
#[allow(clippy::disallowed_types)]
type Mutex<T> = std::sync::Mutex<T>;

/// However small they are, more results are not kept.
const MOST_RESULTS: usize = 1_000_000;
/// The serial number that no connection has.
const NO_CONNECTION: u64 = u64::MAX;
/// The forms of results, which have other bytes for the same rows.
const TEXT: u8 = 0;
const EXECUTION: u8 = 1;
/// The number of rows goes before the packets.
const ROWS: usize = size_of::<u64>();

/// The results of all threads.
pub struct ResultCache {
    results: Mutex<Results>,
    topology: Arc<Topology>,
    counts: Counts,
}

/// Since the start.
#[derive(Debug, Default)]
pub struct Counts {
    /// Statements that were answered with a kept result.
    pub hits: AtomicU64,
    /// Statements that might have been, and ran.
    pub misses: AtomicU64,
}

/// The counts, and what is kept now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    pub hits: u64,
    pub misses: u64,
    pub entries: u64,
    pub bytes: u64,
    pub evictions: u64,
    pub invalidations: u64,
}

/// A client's part in it.
#[derive(Default)]
pub struct Caching {
    /// Of the statement under way.
    pub recording: Option<Recording>,
    /// What the session writes, from before the first statement until the end of the transaction.
    writing: Option<Writing>,
}

/// A response on its way to the client, copied.
#[derive(Default)]
pub struct Recording {
    pub bytes: Vec<u8>,
    most: usize,
    is_too_long: bool,
    /// The server, and what it had before it ran the statement.
    source: Option<(usize, Arc<Position>)>,
    keeping: Option<Keeping>,
    pub mirroring: Option<Mirroring>,
}

/// A result to be kept.
struct Keeping {
    key: OwnKey,
    tables: Box<[Box<[u8]>]>,
    began: Moment,
    /// Counted from when the read began: what it shows may be as old as that.
    expires: Instant,
    most: usize,
}

struct OwnKey {
    identity: Vec<u8>,
    schema: Vec<u8>,
    state: Vec<u8>,
    text: Vec<u8>,
}

/// Writes under way. When it goes, they are over.
struct Writing {
    cache: Arc<ResultCache>,
    server: usize,
    tables: Vec<Tables>,
}

// === impl ResultCache ===

impl ResultCache {
    pub fn new(most_bytes: usize, topology: Arc<Topology>) -> Self {
        Self {
            results: Mutex::new(Results::new(most_bytes, MOST_RESULTS)),
            topology,
            counts: Counts::default(),
        }
    }

    pub fn held(&self) -> Held {
        let results = self.lock();
        Held {
            hits: self.counts.hits.load(Ordering::Relaxed),
            misses: self.counts.misses.load(Ordering::Relaxed),
            entries: results.len() as u64,
            bytes: results.bytes() as u64,
            evictions: results.evictions,
            invalidations: results.invalidations,
        }
    }

    #[allow(clippy::disallowed_types)]
    fn lock(&self) -> std::sync::MutexGuard<'_, Results> {
        self.results
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The result, or the moment at which the read that is to give it begins.
    fn look(&self, key: ResultKey<'_>, now: Instant) -> Result<Bytes, Moment> {
        let mut results = self.lock();
        let found = results.get(key, now).ok_or_else(|| results.begin());
        let counter = match found {
            Ok(_) => &self.counts.hits,
            Err(_) => &self.counts.misses,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    fn keep(&self, keeping: Keeping, result: Vec<u8>, (server, had): (usize, Arc<Position>)) {
        let mut results = self.lock();
        if self.topology.snapshot().primary != Some(server) {
            let position_after = &|mark| self.position_after(mark);
            let replica = Replica {
                had: &had,
                position_after,
            };
            if !results.is_shown_by(&replica, &keeping.tables) {
                return;
            }
        }
        let tables = keeping.tables.into_iter();
        results.store(
            keeping.key.borrow(),
            tables,
            keeping.began,
            keeping.expires,
            result.into(),
        );
    }

    /// What a server had that was asked after a write there.
    fn position_after(&self, mark: Mark) -> Option<Arc<Position>> {
        let known = self.topology.position(mark.server);
        known.bound(mark.probe).filter(|bound| !bound.is_empty()).cloned()
    }
}

// === impl Caching ===

impl Caching {
    /// A new statement begins.
    pub fn begin(&mut self, in_transaction: bool) {
        self.recording = None;
        if !in_transaction {
            self.writing = None;
        }
    }
}

// === impl Recording ===

impl Recording {
    pub fn mirror(&mut self, mirroring: Mirroring, most: usize) {
        self.mirroring = Some(mirroring);
        self.most = self.most.max(most);
    }

    /// The statement goes to this server now.
    pub fn source(&mut self, server: usize, topology: &Topology) {
        self.bytes.clear();
        self.is_too_long = false;
        self.source = Some((server, topology.position(server).position.clone()));
    }

    pub fn add(&mut self, bytes: &[u8]) {
        self.is_too_long |= self.bytes.len() + bytes.len() > self.most;
        if self.is_too_long {
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    pub fn is_whole(&self) -> bool {
        !self.is_too_long && !self.bytes.is_empty()
    }
}

// === impl OwnKey ===

impl OwnKey {
    fn borrow(&self) -> ResultKey<'_> {
        ResultKey {
            identity: &self.identity,
            schema: &self.schema,
            state: &self.state,
            text: &self.text,
        }
    }
}

// === impl Writing ===

impl Drop for Writing {
    fn drop(&mut self) {
        let mark = Mark {
            server: self.server,
            probe: self.cache.topology.probes_begun(self.server),
        };
        let mut results = self.cache.lock();
        for tables in &self.tables {
            results.end_write(tables, mark);
        }
    }
}

// === impl Client: reads ===

impl Client {
    /// Answers a statement whose result a rule keeps, if it is there. False: the statement is to be run, and its
    /// result will be kept.
    pub async fn answer_again(&mut self, header: Header, start: usize, facts: &Facts) -> Result<bool, End> {
        if self.cache_rule().is_none() || header.length > LOOKED_AT {
            return Ok(false);
        }
        let bytes = self.link.inbox.bytes();
        let payload = &bytes[HEADER..header.total().min(bytes.len())];
        let attributes = self.capabilities.has(Capabilities::QUERY_ATTRIBUTES);
        if attributes && payload.get(1).is_some_and(|count| *count > 0) {
            return Ok(false);
        }
        let text = payload.get(start..).unwrap_or_default();
        let schema = self.session.state.schema.as_deref();
        let Some(tables) = dependence::repeatable(facts, text, self.session.dialect, schema) else {
            return Ok(false);
        };
        let key = self.result_key(TEXT, text.to_vec());
        self.answer_by(key, tables, facts).await
    }

    /// The same for an execution.
    pub async fn answer_execution_again(
        &mut self,
        id: u32,
        given: &Given,
        facts: &Facts,
    ) -> Result<bool, End> {
        if self.cache_rule().is_none() {
            return Ok(false);
        }
        let Some(tables) = given.depends_on(self, facts) else {
            return Ok(false);
        };
        let key = self.result_key(EXECUTION, given.key());
        let answered = self.answer_by(key, tables, facts).await?;
        if answered {
            self.note_given(id, given);
        }
        Ok(answered)
    }

    async fn answer_by(&mut self, key: OwnKey, tables: Box<[Box<[u8]>]>, facts: &Facts) -> Result<bool, End> {
        let (Some((name, rule)), Some(cache)) = (self.cache_rule(), self.settings.results.clone()) else {
            return Ok(false);
        };
        if !self.may_share_result(facts) || self.session.touches_temporary(facts.tables.as_deref()) {
            return Ok(false);
        }
        let now = Instant::now();
        match cache.look(key.borrow(), now) {
            Ok(result) => {
                self.trace_kept(&name);
                self.skip().await?;
                self.give_again(&result, facts).await?;
                Ok(true)
            }
            Err(began) => {
                let most = usize::try_from(rule.max_bytes).unwrap_or(usize::MAX);
                let keeping = Keeping {
                    key,
                    tables,
                    began,
                    expires: now + rule.ttl,
                    most,
                };
                self.caching.recording = Some(Recording {
                    most,
                    keeping: Some(keeping),
                    ..Recording::default()
                });
                Ok(false)
            }
        }
    }

    /// Whether what other sessions were answered may be what this one is.
    fn may_share_result(&self, facts: &Facts) -> bool {
        let session = &self.session;
        let level = self.policy().level(facts);
        let insists = level > ConsistencyLevel::Session
            || matches!(
                facts.hint.target,
                Some(HintTarget::Primary | HintTarget::Server(_))
            )
            || session.preferences.after.is_some();
        let is_plain = session.holds.is_empty()
            && session.status.has(Status::AUTOCOMMIT)
            && !session.in_transaction()
            && !session.asks_counts;
        is_plain && !insists && self.link.next_number().is_none()
    }

    /// All that a result depends on beside the tables: `asked` in this form, and the session.
    fn result_key(&self, form: u8, asked: Vec<u8>) -> OwnKey {
        let key = &self.login.key;
        let mut state = vec![form];
        state.extend_from_slice(&self.capabilities.0.to_le_bytes());
        state.extend_from_slice(&key.capabilities.0.to_le_bytes());
        state.extend_from_slice(&key.collation.to_le_bytes());
        state.push(u8::from(key.was_reset));
        for (name, value) in self.session.state.variables.iter() {
            for part in [name, value] {
                state.extend_from_slice(&(part.len() as u64).to_le_bytes());
                state.extend_from_slice(part);
            }
        }
        OwnKey {
            identity: key.identity.user.clone(),
            schema: self.session.state.schema.as_deref().unwrap_or_default().to_vec(),
            state,
            text: asked,
        }
    }

    async fn give_again(&mut self, result: &[u8], facts: &Facts) -> Result<(), End> {
        let Some((rows, packets)) = result.split_first_chunk::<ROWS>() else {
            return Err(End::Broken);
        };
        let mut observed = Observation::default();
        observed.ended(self.session.status, 0, true);
        observed.rows = Some(u64::from_le_bytes(*rows));
        self.session.settle(&facts.features, &observed);
        // The counts and warnings that servers have are those of an earlier statement.
        self.ran_last = Some(NO_CONNECTION);
        self.counted_at = Some(NO_CONNECTION);
        self.link.send(packets).await.map_err(|_| End::Broken)
    }

    /// The statement under way goes to this server now.
    pub fn note_source(&mut self, server: usize) {
        if let Some(recording) = &mut self.caching.recording {
            recording.source(server, &self.worker.shared.topology);
        }
    }

    /// Keeps the result that has just gone to the client, and has it compared, as the rules want it.
    pub fn keep_result(&mut self, outcome: &Outcome) {
        let Some(mut recording) = self.caching.recording.take() else {
            return;
        };
        if outcome.error.is_some() || outcome.observed.rows.is_none() || !recording.is_whole() {
            return;
        }
        let source = recording.source.as_ref().map(|(server, _)| *server);
        if let Some(mirroring) = recording
            .mirroring
            .take()
            .filter(|mirroring| mirroring.is_other_than(source))
        {
            mirror::compare(&self.worker, mirroring, &recording.bytes);
        }
        let (Some(keeping), Some(source)) = (recording.keeping, recording.source) else {
            return;
        };
        let Some(cache) = self.settings.results.clone() else {
            return;
        };
        let is_plain = outcome.observed.warnings == 0 && recording.bytes.len() <= keeping.most;
        if is_plain && ends_plainly(&recording.bytes, self.capabilities) {
            let rows = outcome.observed.rows.unwrap_or_default();
            let mut result = Vec::with_capacity(ROWS + recording.bytes.len());
            result.extend_from_slice(&rows.to_le_bytes());
            result.extend_from_slice(&recording.bytes);
            cache.keep(keeping, result, source);
        }
    }
}

/// Whether the last packet says nothing that is true of one session alone.
fn ends_plainly(mut packets: &[u8], capabilities: Capabilities) -> bool {
    let mut last = None;
    while let Some(header) = Header::parse(packets) {
        let Some((packet, rest)) = packets.split_at_checked(header.total()) else {
            return false;
        };
        last = packet.get(HEADER..);
        packets = rest;
    }
    let Some(payload) = last else { return false };
    let status = if capabilities.has(Capabilities::DEPRECATE_EOF) {
        OkPacket::parse(payload, capabilities).map(|ok| ok.status)
    } else {
        EofPacket::parse(payload).map(|eof| eof.status)
    };
    let own = [
        Status::IN_TRANSACTION,
        Status::MORE_RESULTS,
        Status::SESSION_STATE_CHANGED,
        Status::CURSOR_EXISTS,
    ];
    status.is_ok_and(|status| status.has(Status::AUTOCOMMIT) && !own.into_iter().any(|flag| status.has(flag)))
}

// === impl Client: writes ===

impl Client {
    /// A statement is about to run that may write: what it writes to is neither kept nor given until it is over.
    /// A prepared one names tables as it did when it was prepared. Of one that is not `whole` only the beginning
    /// is known.
    pub fn begin_write(&mut self, facts: &Facts, template: Option<&Template>, whole: bool) {
        let Some(cache) = self.settings.results.clone() else {
            return;
        };
        let state = template.map_or(&self.session.state, |template| &template.state);
        let schema = state.schema.as_deref();
        let router = self.worker.router.borrow();
        let only_reads = facts.class == Class::ReadIf && router.only_reads(facts, schema);
        let tables = match dependence::written(facts, schema, only_reads) {
            // A replica has refused it as a write: what it calls does more than it says.
            _ if facts.class.is_read() && router.refusals.has(facts.digest) => Tables::All,
            Some(_) if !whole => Tables::All,
            None if !whole && facts.features.verb != Verb::Select => Tables::All,
            Some(tables) => tables,
            None => return,
        };
        drop(router);
        let writing = self.caching.writing.get_or_insert_with(|| Writing {
            cache: cache.clone(),
            server: self.server.index,
            tables: Vec::new(),
        });
        if writing.tables.contains(&tables) || writing.tables.contains(&Tables::All) {
            return;
        }
        let begun = cache.lock().begin_write(tables);
        writing.tables.push(begun);
    }

    /// What is under way runs on another server than where it began.
    pub fn write_there(&mut self) {
        if let Some(writing) = &mut self.caching.writing {
            writing.server = self.server.index;
        }
    }

    /// A statement is over, and with it what it wrote, unless a transaction goes on.
    pub fn end_write(&mut self) {
        if !self.session.in_transaction() {
            self.caching.writing = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::packet::put_packet;

    fn end(status: Status) -> Vec<u8> {
        let (mut payload, mut packets) = (Vec::new(), Vec::new());
        EofPacket { warnings: 0, status }.encode(&mut payload);
        put_packet(&mut packets, 1, b"\x01");
        put_packet(&mut packets, 2, &payload);
        packets
    }

    #[test]
    fn only_plain_results_are_for_everybody() {
        let plain = |status| ends_plainly(&end(status), Capabilities::default());
        assert!(plain(Status::AUTOCOMMIT) && plain(Status::AUTOCOMMIT | Status::NO_INDEX));
        assert!(!plain(Status::default()));
        assert!(!plain(Status::AUTOCOMMIT | Status::IN_TRANSACTION));
        assert!(!plain(Status::AUTOCOMMIT | Status::MORE_RESULTS));
        assert!(!plain(Status::AUTOCOMMIT | Status::SESSION_STATE_CHANGED));
        assert!(!ends_plainly(
            &end(Status::AUTOCOMMIT)[1..],
            Capabilities::default()
        ));
        assert!(!ends_plainly(b"", Capabilities::default()));
    }

    #[test]
    fn no_more_is_copied_than_may_be_kept() {
        let mut recording = Recording {
            most: 5,
            ..Recording::default()
        };
        assert!(!recording.is_whole());
        recording.add(b"abc");
        assert!(recording.is_whole());
        recording.add(b"def");
        recording.add(b"g");
        assert!(!recording.is_whole() && recording.bytes.is_empty());
    }
}
