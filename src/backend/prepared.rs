//! The prepared statements that one server connection has, shared by all sessions that come to use it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::session::{Lineage, Template};

/// A statement under the server's id.
#[derive(Debug)]
pub struct Entry {
    pub server_id: u32,
    /// The parameter types that the server last saw for it.
    pub types: Option<Arc<[u8]>>,
    /// What executions have made of it, whoever's they were.
    pub lineage: Lineage,
    /// It has been executed with a cursor.
    pub opened_cursor: bool,
    /// Keeps the address alive that is the key.
    _template: Arc<Template>,
    used: u64,
}

/// Bounded: the least recently used is closed when there would be too many.
#[derive(Debug, Default)]
pub struct Prepared {
    entries: HashMap<usize, Entry, foldhash::fast::FixedState>,
    clock: u64,
}

// === impl Prepared ===

impl Prepared {
    pub fn get(&mut self, template: &Arc<Template>) -> Option<&mut Entry> {
        self.clock += 1;
        let entry = self.entries.get_mut(&address(template))?;
        entry.used = self.clock;
        Some(entry)
    }

    /// Adds a statement; returns the server's ids of those to be closed for it.
    pub fn insert(&mut self, template: &Arc<Template>, server_id: u32, limit: usize) -> Vec<u32> {
        self.clock += 1;
        let entry = Entry {
            server_id,
            types: None,
            lineage: Lineage::default(),
            opened_cursor: false,
            _template: template.clone(),
            used: self.clock,
        };
        let mut gone = Vec::new();
        if let Some(old) = self.entries.insert(address(template), entry) {
            gone.push(old.server_id);
        }
        if self.entries.len() > limit
            && let Some((&key, _)) = self.entries.iter().min_by_key(|(_, entry)| entry.used)
            && let Some(old) = self.entries.remove(&key)
        {
            gone.push(old.server_id);
        }
        gone
    }

    pub fn remove(&mut self, template: &Arc<Template>) -> Option<u32> {
        Some(self.entries.remove(&address(template))?.server_id)
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn address(template: &Arc<Template>) -> usize {
    Arc::as_ptr(template).addr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::State;

    #[test]
    fn the_least_recently_used_is_closed() {
        let template = |text: &str| {
            Arc::new(Template {
                text: text.as_bytes().into(),
                state: State::default(),
                facts: Default::default(),
            })
        };
        let (one, two, three) = (template("one"), template("two"), template("three"));
        let mut prepared = Prepared::default();
        assert!(prepared.insert(&one, 1, 2).is_empty());
        assert!(prepared.insert(&two, 2, 2).is_empty());
        assert!(prepared.get(&one).is_some());
        assert_eq!(prepared.insert(&three, 3, 2), [2]);
        assert_eq!(prepared.insert(&three, 4, 2), [3]);
        assert!(prepared.get(&two).is_none());
        assert_eq!(prepared.len(), 2);
    }
}
