//! Results that may be given again: kept for a while, within bounds, and dropped when a table that they came from
//! is written to.
//!
//! A read and a write may cross: a result is therefore kept with the moment at which its read began, and a write
//! to one of its tables at any later moment makes it worthless, also when the result is stored after the write.
//! While a write is under way, no result of its tables is given or stored. A replica's result is stored only when
//! the replica is known to have had the last write: so whatever is given shows all earlier writes.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use crate::gtid::Position;

/// What a result depends on. Two statements of equal keys have the same result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResultKey<'a> {
    /// As whom it was read: others may have other rights.
    pub identity: &'a [u8],
    pub schema: &'a [u8],
    /// All of the session's state that results depend on, and the form in which the client wants them.
    pub state: &'a [u8],
    pub text: &'a [u8],
}

/// A moment in the order of reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(u64);

/// The results of all sessions.
#[derive(Debug)]
pub struct Results {
    most_bytes: usize,
    most_entries: usize,
    bytes: usize,
    hasher: RandomState,
    kept: HashMap<u64, Kept>,
    /// In the order in which they came; those that have gone since are still in it, until it is cleaned.
    order: VecDeque<(u64, Moment)>,
    now: Moment,
    /// The last write to each table.
    written: HashMap<Box<[u8]>, Written>,
    /// The last write to who knows which tables.
    all_written: Written,
    /// Results that went to make room for others, and that a write made worthless: counted when that is noticed.
    pub evictions: u64,
    pub invalidations: u64,
}

/// The tables that a write concerns, named as by [`table_name`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tables {
    Named(Box<[Box<[u8]>]>),
    /// Nobody knows which.
    All,
}

/// Where a write ran, and how many probes of that server had begun when it was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub server: usize,
    pub probe: u64,
}

/// A replica that a result came from.
pub struct Replica<'a> {
    /// What it surely had when the read began.
    pub had: &'a Position,
    /// A position that has all that was written up to a mark, once one is known.
    pub position_after: &'a dyn Fn(Mark) -> Option<Arc<Position>>,
}

#[derive(Debug, Default)]
struct Written {
    /// When the last write ended.
    moment: Moment,
    /// Writes under way.
    writers: u32,
    trace: Trace,
}

/// How to tell who has the last write.
#[derive(Debug, Default)]
enum Trace {
    /// Nothing was written.
    #[default]
    None,
    After(Mark),
    In(Arc<Position>),
}

#[derive(Debug)]
struct Kept {
    key: Box<[u8]>,
    tables: Box<[Box<[u8]>]>,
    began: Moment,
    /// Tells it from an earlier one under the same key.
    stored: Moment,
    expires: Instant,
    result: Bytes,
    /// Asked for since it was last in line to go.
    is_wanted: bool,
}

/// Tables whose last write is remembered one by one.
const MOST_TABLES: usize = 10_000;
/// What an entry takes beside its texts.
const OVERHEAD: usize = 256;

// === impl Results ===

impl Results {
    pub fn new(most_bytes: usize, most_entries: usize) -> Self {
        Self {
            most_bytes,
            most_entries,
            bytes: 0,
            hasher: RandomState::new(),
            kept: HashMap::new(),
            order: VecDeque::new(),
            now: Moment::default(),
            written: HashMap::new(),
            all_written: Written::default(),
            evictions: 0,
            invalidations: 0,
        }
    }

    pub fn get(&mut self, key: ResultKey<'_>, now: Instant) -> Option<Bytes> {
        let hash = self.hasher.hash_one(key);
        let kept = self.kept.get_mut(&hash)?;
        if !key.is(&kept.key) {
            return None;
        }
        let is_fresh = kept.expires > now;
        if is_fresh && is_valid(kept.began, &kept.tables, &self.written, &self.all_written) {
            kept.is_wanted = true;
            return Some(kept.result.clone());
        }
        self.invalidations += u64::from(is_fresh);
        self.remove(hash);
        None
    }

    /// A read begins now; its result is stored with this.
    pub fn begin(&mut self) -> Moment {
        self.now
    }

    /// Whether a result of this replica shows the last write to each of the tables.
    pub fn is_shown_by(&mut self, replica: &Replica<'_>, tables: &[Box<[u8]>]) -> bool {
        let written = &mut self.written;
        let shows = |table| {
            let written = written.get_mut(table);
            written.is_none_or(|written| written.is_shown_by(replica))
        };
        self.all_written.is_shown_by(replica) && tables.iter().map(|table| &**table).all(shows)
    }

    /// Keeps a result, unless it is already worthless or too large. `tables` are all that it was read from.
    pub fn store(
        &mut self,
        key: ResultKey<'_>,
        tables: impl Iterator<Item = Box<[u8]>>,
        began: Moment,
        expires: Instant,
        result: Bytes,
    ) {
        let tables: Box<[_]> = tables.collect();
        if !is_valid(began, &tables, &self.written, &self.all_written) {
            return;
        }
        let hash = self.hasher.hash_one(key);
        self.remove(hash);
        self.now.0 += 1;
        let kept = Kept {
            key: key.to_bytes(),
            tables,
            began,
            stored: self.now,
            expires,
            result,
            is_wanted: false,
        };
        let size = kept.size();
        if size > self.most_bytes || !self.make_room(size) {
            return;
        }
        self.bytes += size;
        self.order.push_back((hash, kept.stored));
        self.kept.insert(hash, kept);
        self.clean();
    }

    /// A write begins: until it ends, results of its tables are neither given nor stored. Answers what has to be
    /// ended with [`end_write`](Self::end_write).
    pub fn begin_write(&mut self, tables: Tables) -> Tables {
        let Tables::Named(named) = &tables else {
            self.all_written.writers += 1;
            return Tables::All;
        };
        let unknown = named.iter().filter(|table| !self.written.contains_key(*table));
        if self.written.len() + unknown.count() > MOST_TABLES {
            return self.begin_write(Tables::All);
        }
        for table in named {
            self.written.entry(table.clone()).or_default().writers += 1;
        }
        tables
    }

    /// The write is over: what was read from its tables until now is worthless.
    pub fn end_write(&mut self, tables: &Tables, mark: Mark) {
        self.now.0 += 1;
        let now = self.now;
        match tables {
            Tables::Named(named) => {
                let written = &mut self.written;
                named
                    .iter()
                    .filter_map(|table| written.get_mut(table).map(|written| written.end(now, mark)))
                    .for_each(drop);
            }
            Tables::All => {
                self.all_written.end(now, mark);
                self.written.retain(|_, written| written.writers > 0);
                self.invalidations += self.kept.len() as u64;
                self.kept.clear();
                self.order.clear();
                self.bytes = 0;
            }
        }
    }

    pub fn len(&self) -> usize {
        self.kept.len()
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lets the oldest go that nobody asked for lately, until so many bytes and an entry have room.
    fn make_room(&mut self, size: usize) -> bool {
        while self.bytes + size > self.most_bytes || self.kept.len() >= self.most_entries {
            let Some((hash, stored)) = self.order.pop_front() else {
                return false;
            };
            match self.kept.get_mut(&hash) {
                Some(kept) if kept.stored == stored && kept.is_wanted => {
                    kept.is_wanted = false;
                    self.order.push_back((hash, stored));
                }
                Some(kept) if kept.stored == stored => {
                    self.evictions += 1;
                    self.remove(hash);
                }
                _ => {}
            }
        }
        true
    }

    fn remove(&mut self, hash: u64) {
        if let Some(kept) = self.kept.remove(&hash) {
            self.bytes -= kept.size();
        }
    }

    /// Keeps the line from growing by entries that have gone.
    fn clean(&mut self) {
        if self.order.len() > 2 * self.kept.len() + 16 {
            let kept = &self.kept;
            let is_there =
                |(hash, stored): &(u64, Moment)| kept.get(hash).is_some_and(|kept| kept.stored == *stored);
            self.order.retain(is_there);
        }
    }
}

fn is_valid(
    began: Moment,
    tables: &[Box<[u8]>],
    written: &HashMap<Box<[u8]>, Written>,
    all_written: &Written,
) -> bool {
    let untouched = |written: &Written| written.writers == 0 && written.moment <= began;
    untouched(all_written)
        && tables
            .iter()
            .filter_map(|table| written.get(table))
            .all(untouched)
}

/// A table's name in the form that [`Results`] compares: letters of either case are one.
pub fn table_name(schema: &[u8], table: &[u8]) -> Box<[u8]> {
    let mut name = Vec::with_capacity(schema.len() + table.len() + 1);
    name.extend_from_slice(schema);
    name.push(0);
    name.extend_from_slice(table);
    name.make_ascii_lowercase();
    name.into()
}

// === impl Written ===

impl Written {
    fn end(&mut self, now: Moment, mark: Mark) {
        self.writers = self.writers.saturating_sub(1);
        self.moment = now;
        self.trace = Trace::After(mark);
    }

    fn is_shown_by(&mut self, replica: &Replica<'_>) -> bool {
        if let Trace::After(mark) = self.trace
            && let Some(position) = (replica.position_after)(mark)
        {
            self.trace = Trace::In(position);
        }
        match &self.trace {
            Trace::None => true,
            Trace::After(_) => false,
            Trace::In(position) => replica.had.contains(position),
        }
    }
}

// === impl ResultKey ===

impl ResultKey<'_> {
    fn parts(&self) -> [&[u8]; 4] {
        [self.identity, self.schema, self.state, self.text]
    }

    /// The parts, each behind its length, so that no two keys look alike.
    fn to_bytes(self) -> Box<[u8]> {
        let mut bytes = Vec::new();
        for part in self.parts() {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        }
        bytes.into()
    }

    fn is(&self, bytes: &[u8]) -> bool {
        let mut rest = Some(bytes);
        for part in self.parts() {
            rest = rest
                .and_then(|rest| rest.strip_prefix(&(part.len() as u64).to_le_bytes()))
                .and_then(|rest| rest.strip_prefix(part));
        }
        rest.is_some_and(<[u8]>::is_empty)
    }
}

// === impl Kept ===

impl Kept {
    fn size(&self) -> usize {
        let tables: usize = self.tables.iter().map(|table| table.len()).sum();
        OVERHEAD + self.key.len() + tables + self.result.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> ResultKey<'_> {
        ResultKey {
            identity: b"app",
            schema: b"shop",
            state: b"",
            text: text.as_bytes(),
        }
    }

    fn table(name: &str) -> Box<[u8]> {
        table_name(b"shop", name.as_bytes())
    }

    const MARK: Mark = Mark { server: 0, probe: 3 };

    fn results() -> Results {
        Results::new(1 << 20, 1000)
    }

    fn tables(name: &str) -> Tables {
        Tables::Named([table(name)].into())
    }

    impl Results {
        fn wrote(&mut self, table: Box<[u8]>) {
            self.write(Tables::Named([table].into()));
        }

        fn wrote_all(&mut self) {
            self.write(Tables::All);
        }

        fn write(&mut self, tables: Tables) {
            let tables = self.begin_write(tables);
            self.end_write(&tables, MARK);
        }
    }

    fn store(results: &mut Results, text: &str, tables: &[&str], result: &'static [u8]) {
        let began = results.begin();
        let expires = Instant::now() + Duration::from_secs(10);
        let tables = tables.iter().map(|name| table(name));
        results.store(key(text), tables, began, expires, Bytes::from_static(result));
    }

    fn get(results: &mut Results, text: &str) -> Option<Bytes> {
        results.get(key(text), Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_is_given_until_it_is_too_old() {
        let mut results = results();
        assert_eq!(get(&mut results, "a"), None);
        store(&mut results, "a", &["t"], b"one");
        assert_eq!(get(&mut results, "a").as_deref(), Some(&b"one"[..]));
        store(&mut results, "a", &["t"], b"two");
        assert_eq!(get(&mut results, "a").as_deref(), Some(&b"two"[..]));
        assert_eq!(results.len(), 1);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(get(&mut results, "a"), None);
        assert_eq!((results.len(), results.bytes()), (0, 0));
        assert_eq!(results.invalidations, 0);
    }

    #[test]
    fn every_part_of_a_key_counts() {
        let mut results = results();
        store(&mut results, "a", &[], b"x");
        for other in [
            ResultKey {
                identity: b"root",
                ..key("a")
            },
            ResultKey {
                schema: b"",
                ..key("a")
            },
            ResultKey {
                state: b"x",
                ..key("a")
            },
            key("b"),
            ResultKey {
                schema: b"sho",
                state: b"p",
                ..key("a")
            },
        ] {
            assert_eq!(results.get(other, Instant::now()), None, "{other:?}");
            assert!(!other.is(&key("a").to_bytes()));
        }
    }

    #[test]
    fn a_write_to_a_table_of_its_own_ends_it() {
        let mut results = results();
        store(&mut results, "a", &["t", "u"], b"x");
        store(&mut results, "b", &["v"], b"x");
        results.wrote(table("T"));
        assert_eq!(get(&mut results, "a"), None);
        assert!(get(&mut results, "b").is_some());
        assert_eq!(results.invalidations, 1);
        store(&mut results, "a", &["t", "u"], b"y");
        assert!(get(&mut results, "a").is_some(), "read after the write");
        results.wrote_all();
        assert!(get(&mut results, "a").is_none() && get(&mut results, "b").is_none());
        store(&mut results, "b", &["v"], b"x");
        assert!(get(&mut results, "b").is_some());
    }

    #[test]
    fn a_result_that_a_write_overtook_is_not_kept() {
        let mut results = results();
        let began = results.begin();
        results.wrote(table("t"));
        let expires = Instant::now() + Duration::from_secs(10);
        results.store(key("a"), [table("t")].into_iter(), began, expires, Bytes::new());
        assert!(results.is_empty());
        let began = results.begin();
        results.wrote_all();
        results.store(key("a"), [table("u")].into_iter(), began, expires, Bytes::new());
        assert!(results.is_empty());
    }

    #[test]
    fn nothing_is_given_or_kept_while_a_write_is_under_way() {
        for what in [tables("t"), Tables::All] {
            let mut results = results();
            store(&mut results, "a", &["t"], b"x");
            let (first, second) = (results.begin_write(what.clone()), results.begin_write(what));
            assert_eq!(get(&mut results, "a"), None);
            store(&mut results, "a", &["t"], b"x");
            results.end_write(&first, MARK);
            store(&mut results, "a", &["t"], b"x");
            assert_eq!(get(&mut results, "a"), None, "one is left");
            results.end_write(&second, MARK);
            assert_eq!(get(&mut results, "a"), None);
            store(&mut results, "a", &["t"], b"x");
            assert!(get(&mut results, "a").is_some());
        }
    }

    #[test]
    fn a_replica_must_have_the_last_write() {
        let position = |text: &str| {
            let text = format!("3e11fa47-71ca-11e1-9e33-c80aa9429562:{text}");
            Arc::new(Position::parse(false, text.as_bytes()).unwrap())
        };
        let (behind, after) = (position("1-4"), position("1-5"));
        for what in [tables("t"), Tables::All] {
            let mut results = results();
            let shows = |results: &mut Results, had: &Position, known: Option<&Arc<Position>>| {
                let position_after = &|mark| known.filter(|_| mark == MARK).cloned();
                let replica = Replica { had, position_after };
                results.is_shown_by(&replica, &[table("t")])
            };
            assert!(shows(&mut results, &behind, None), "nothing was written");
            results.write(what);
            assert!(!shows(&mut results, &after, None), "nobody knows yet");
            assert!(!shows(&mut results, &behind, Some(&after)));
            assert!(
                shows(&mut results, &after, Some(&position("1-9"))),
                "it is asked once"
            );
            results.write(tables("u"));
            assert!(shows(&mut results, &after, None), "another table");
        }
    }

    #[test]
    fn writes_to_ever_new_tables_are_bounded() {
        let mut results = results();
        store(&mut results, "a", &["t"], b"x");
        for number in 0..3 * MOST_TABLES {
            results.wrote(table(&number.to_string()));
        }
        assert!(results.written.len() <= MOST_TABLES);
        assert_eq!(get(&mut results, "a"), None, "nobody knows any more");
    }

    #[test]
    fn what_is_asked_for_stays_longest() {
        let mut results = Results::new(1 << 20, 3);
        for text in ["a", "b", "c"] {
            store(&mut results, text, &[], b"x");
        }
        assert!(get(&mut results, "a").is_some());
        store(&mut results, "d", &[], b"x");
        assert!(get(&mut results, "a").is_some() && get(&mut results, "b").is_none());
        assert_eq!(results.len(), 3);
    }

    proptest! {
        #[test]
        fn bounds_hold_whatever_happens(steps in proptest::collection::vec((0..5_u8, 0..20_u8, 0..2000_usize), 1..300)) {
            let mut results = Results::new(8_000, 8);
            for (what, which, size) in steps {
                let (text, name) = (which.to_string(), (which % 5).to_string());
                match what {
                    0 => results.wrote(table(&name)),
                    1 if which == 0 => results.wrote_all(),
                    1 | 2 => drop(get(&mut results, &text)),
                    _ => {
                        let began = results.begin();
                        let expires = Instant::now() + Duration::from_secs(1);
                        let result = Bytes::from(vec![0; size]);
                        results.store(key(&text), [table(&name)].into_iter(), began, expires, result);
                    }
                }
                let bytes: usize = results.kept.values().map(Kept::size).sum();
                prop_assert_eq!(bytes, results.bytes());
                prop_assert!(bytes <= 8_000 && results.len() <= 8);
                prop_assert!(results.order.len() <= 2 * results.len() + 17 + 8);
            }
        }
    }
}
