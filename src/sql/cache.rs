//! Facts about texts that differ in literals alone are worked out once: one pass over the tokens gives a key,
//! and a bounded table keeps the facts of the keys that were asked for lately.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use super::analyse::analyse;
use super::dialect::Dialect;
use super::facts::Facts;
use super::key::Keys;

/// The facts of statements seen lately. Each thread has its own; a hit allocates nothing.
pub struct FactsCache {
    keys: Keys,
    capacity: usize,
    places: HashMap<u64, usize, BuildHasherDefault<Same>>,
    slots: Vec<Slot>,
    /// The next slot that is looked at for eviction.
    hand: usize,
    looked: Looked,
}

/// How often facts were known already, and how often not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Looked {
    pub hits: u64,
    pub misses: u64,
}

struct Slot {
    key: u64,
    facts: Rc<Facts>,
    /// Asked for since the hand was here: it gets a second chance.
    used: bool,
}

/// The keys are hashes already.
#[derive(Default)]
struct Same(u64);

// === impl FactsCache ===

impl FactsCache {
    /// With room for this many statements; none for zero.
    pub fn new(capacity: usize) -> Self {
        Self {
            keys: Keys::random(),
            capacity,
            places: HashMap::default(),
            slots: Vec::new(),
            hand: 0,
            looked: Looked::default(),
        }
    }

    /// The facts about a text, as [`analyse()`] gives them.
    pub fn look(&mut self, text: &[u8], dialect: Dialect) -> Rc<Facts> {
        let key = self.keys.of(text, dialect);
        if let Some(key) = key
            && let Some(slot) = self.places.get(&key).and_then(|&place| self.slots.get_mut(place))
        {
            slot.used = true;
            self.looked.hits += 1;
            return Rc::clone(&slot.facts);
        }
        self.looked.misses += 1;
        let facts = Rc::new(analyse(text, dialect));
        if let Some(key) = key
            && depends_on_shape_alone(&facts)
        {
            self.keep(key, &facts);
        }
        facts
    }

    /// Since it was asked last.
    pub fn take_looked(&mut self) -> Looked {
        std::mem::take(&mut self.looked)
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn keep(&mut self, key: u64, facts: &Rc<Facts>) {
        let slot = Slot {
            key,
            facts: Rc::clone(facts),
            used: false,
        };
        if self.slots.len() < self.capacity {
            self.places.insert(key, self.slots.len());
            self.slots.push(slot);
        } else if let Some(place) = self.evict() {
            self.places.insert(key, place);
            self.slots[place] = slot;
        }
    }

    /// The place of the first slot behind the hand that nobody asked for since it was here last.
    fn evict(&mut self) -> Option<usize> {
        loop {
            let (place, count) = (self.hand, self.slots.len());
            let slot = self.slots.get_mut(place)?;
            self.hand = (place + 1) % count;
            if !std::mem::take(&mut slot.used) {
                self.places.remove(&slot.key);
                return Some(place);
            }
        }
    }
}

/// Whether nothing in the facts is a place or a value in this very text.
fn depends_on_shape_alone(facts: &Facts) -> bool {
    facts.features.spans().is_empty() && facts.features.kill.is_none() && facts.own.is_none()
}

// === impl Same ===

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Flavour, Own};
    use super::*;

    const DIALECT: Dialect = Dialect {
        flavour: Flavour::MySql,
        version: 90_700,
        charset: super::super::Charset::Utf8,
        no_backslash_escapes: false,
        ansi_quotes: false,
    };

    #[test]
    fn statements_of_one_shape_share_their_facts() {
        let mut cache = FactsCache::new(10);
        let one = cache.look(b"SELECT a FROM t WHERE b = 1", DIALECT);
        let two = cache.look(b"SELECT a FROM t WHERE b = 'x'", DIALECT);
        let three = cache.look(b"SELECT a FROM t WHERE b = 2 -- c", DIALECT);
        assert!(!Rc::ptr_eq(&one, &two) && Rc::ptr_eq(&one, &three));
        assert_eq!(cache.len(), 2);
    }

    #[test]
    fn what_depends_on_the_text_is_found_anew() {
        let mut cache = FactsCache::new(10);
        cache.look(b"KILL 5", DIALECT);
        cache.look(b"SELECT CONNECTION_ID()", DIALECT);
        cache.look(b"SET splitrail.trace = 1", DIALECT);
        cache.look(b"SELECT 'x", DIALECT);
        assert!(cache.is_empty());
        let facts = cache.look(b"EXPLAIN ROUTE SELECT 1", DIALECT);
        assert_eq!(facts.own, Some(Own::ExplainRoute { statement: 13..22 }));
    }

    #[test]
    fn a_full_cache_forgets_what_nobody_asks_for() {
        let mut cache = FactsCache::new(2);
        let kept = cache.look(b"SELECT a", DIALECT);
        cache.look(b"SELECT b", DIALECT);
        for text in [b"SELECT c", b"SELECT d", b"SELECT e"] {
            assert!(Rc::ptr_eq(&kept, &cache.look(b"SELECT a", DIALECT)));
            cache.look(text, DIALECT);
            assert_eq!((cache.len(), cache.places.len()), (2, 2));
        }
        let mut none = FactsCache::new(0);
        none.look(b"SELECT a", DIALECT);
        assert!(none.is_empty());
    }
}
