//! One thread's table of statements: bounded, and found with one hash, without a lock and without allocating for
//! what is known already.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::numbers::Numbers;

#[derive(Debug)]
pub struct Digests {
    hasher: foldhash::fast::RandomState,
    /// By the hash of what a row is about: two of the same hash are so unlikely that nobody looks.
    places: HashMap<u64, usize, foldhash::fast::FixedState>,
    rows: Vec<Row>,
    most: usize,
    /// Of everything that came when the table was full.
    other: Option<Numbers>,
}

/// Whose statement it is, where it ran, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Who<'a> {
    pub digest: u64,
    pub shape: &'a Arc<[u8]>,
    pub user: &'a [u8],
    pub schema: Option<&'a Arc<[u8]>>,
    /// `None`: the proxy answered it.
    pub server: Option<usize>,
}

/// What one execution adds.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub taken: Duration,
    pub rows: u64,
    pub bytes: u64,
    pub failed: bool,
    /// `None`: it ran nowhere.
    pub on_primary: Option<bool>,
    pub now: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub digest: u64,
    pub shape: Arc<[u8]>,
    pub user: Arc<[u8]>,
    pub schema: Option<Arc<[u8]>>,
    pub server: Option<usize>,
    /// The sum of all that has no row of its own.
    pub is_other: bool,
    pub numbers: Numbers,
}

// === impl Digests ===

impl Digests {
    /// With room for this many rows.
    pub fn new(most: usize) -> Self {
        Self {
            hasher: Default::default(),
            places: HashMap::default(),
            rows: Vec::new(),
            most,
            other: None,
        }
    }

    pub fn count(&mut self, who: Who<'_>, seen: &Seen) {
        if self.most == 0 {
            return;
        }
        let key = self.hasher.hash_one(Identity::of(&who));
        if let Some(row) = self.places.get(&key).and_then(|&place| self.rows.get_mut(place)) {
            return row.numbers.count(seen);
        }
        if self.rows.len() >= self.most {
            let other = self.other.get_or_insert_with(|| Numbers::new(seen.now));
            return other.count(seen);
        }
        let mut row = Row::of(&who, seen.now);
        row.numbers.count(seen);
        self.places.insert(key, self.rows.len());
        self.rows.push(row);
    }

    /// All rows, with what has none as the last.
    pub fn rows(&self) -> Vec<Row> {
        let other = self.other.clone().map(Row::other);
        self.rows.iter().cloned().chain(other).collect()
    }

    /// Rows of their own.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn forget(&mut self) {
        *self = Self::new(self.most);
    }
}

#[derive(Hash)]
struct Identity<'a> {
    digest: u64,
    user: &'a [u8],
    schema: Option<&'a [u8]>,
    server: Option<usize>,
}

// === impl Identity ===

impl<'a> Identity<'a> {
    fn of(who: &Who<'a>) -> Self {
        Self {
            digest: who.digest,
            user: who.user,
            schema: who.schema.map(|schema| &**schema),
            server: who.server,
        }
    }
}

// === impl Row ===

impl Row {
    fn of(who: &Who<'_>, now: Instant) -> Self {
        Self {
            digest: who.digest,
            shape: who.shape.clone(),
            user: who.user.into(),
            schema: who.schema.cloned(),
            server: who.server,
            is_other: false,
            numbers: Numbers::new(now),
        }
    }

    fn other(numbers: Numbers) -> Self {
        Self {
            digest: 0,
            shape: b"other"[..].into(),
            user: Arc::default(),
            schema: None,
            server: None,
            is_other: true,
            numbers,
        }
    }

    /// Whether both are about the same.
    fn identity(&self) -> (bool, u64, &[u8], Option<&[u8]>, Option<usize>) {
        let schema = self.schema.as_deref();
        (self.is_other, self.digest, &self.user, schema, self.server)
    }
}

/// The rows of several threads as those of one.
pub fn merged(threads: impl IntoIterator<Item = Vec<Row>>) -> Vec<Row> {
    let mut all: Vec<Row> = threads.into_iter().flatten().collect();
    all.sort_by(|one, two| one.identity().cmp(&two.identity()));
    let mut merged: Vec<Row> = Vec::with_capacity(all.len());
    for row in all {
        match merged.last_mut().filter(|last| last.identity() == row.identity()) {
            Some(last) => last.numbers.add(&row.numbers),
            None => merged.push(row),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Seen {
        Seen {
            taken: Duration::from_millis(3),
            rows: 1,
            bytes: 7,
            failed: false,
            on_primary: Some(false),
            now: Instant::now(),
        }
    }

    fn who<'a>(digest: u64, shape: &'a Arc<[u8]>, user: &'a str, server: usize) -> Who<'a> {
        Who {
            digest,
            shape,
            user: user.as_bytes(),
            schema: None,
            server: Some(server),
        }
    }

    #[test]
    fn a_full_table_counts_the_rest_together() {
        let shape: Arc<[u8]> = b"SELECT ?"[..].into();
        let mut digests = Digests::new(2);
        for digest in [1, 2, 3, 1, 4] {
            digests.count(who(digest, &shape, "app", 0), &seen());
        }
        let calls: Vec<_> = digests
            .rows()
            .iter()
            .map(|row| (row.is_other, row.numbers.calls))
            .collect();
        assert_eq!(calls, [(false, 2), (false, 1), (true, 2)]);
        digests.forget();
        assert!(digests.rows().is_empty());
        let mut none = Digests::new(0);
        none.count(who(1, &shape, "app", 0), &seen());
        assert!(none.rows().is_empty());
    }

    #[test]
    fn rows_are_told_apart_by_all_that_they_are_about() {
        let shape: Arc<[u8]> = b"SELECT ?"[..].into();
        let schema: Arc<[u8]> = b"shop"[..].into();
        let mut digests = Digests::new(10);
        let one = who(1, &shape, "app", 0);
        let others = [
            Who { digest: 2, ..one },
            Who { user: b"bi", ..one },
            Who { server: None, ..one },
            Who {
                schema: Some(&schema),
                ..one
            },
        ];
        for who in others.into_iter().chain([one, one]) {
            digests.count(who, &seen());
        }
        assert_eq!(digests.rows().len(), 5);
        let merged = merged([digests.rows(), digests.rows()]);
        assert_eq!(merged.len(), 5);
        let most = merged.iter().map(|row| row.numbers.calls).max();
        assert_eq!(most, Some(4));
    }
}
