//! A session's prepared statements, under ids of its own that stay the same whatever server runs them.

use std::collections::HashMap;
use std::sync::Arc;

use super::state::State;

/// What was prepared and in what surroundings: enough to prepare it again on another connection.
#[derive(Debug)]
pub struct Template {
    pub text: Box<[u8]>,
    pub state: State,
}

#[derive(Debug)]
pub struct Statement {
    pub template: Arc<Template>,
    pub parameters: u16,
    /// The parameter types of the last execution that named any, as the client sent them.
    pub types: Option<Arc<[u8]>>,
    /// The client has sent long data that waits for its execution.
    pub has_long_data: bool,
    pub has_cursor: bool,
}

#[derive(Debug, Default)]
pub struct Statements {
    by_id: HashMap<u32, Statement, foldhash::fast::FixedState>,
    last: u32,
}

// === impl Statements ===

impl Statements {
    /// The id that the next prepared statement gets.
    pub fn insert(&mut self, statement: Statement) -> u32 {
        // Ids are not reused until four thousand million statements later; 0xffff_ffff means "the last one".
        self.last = if self.last >= u32::MAX - 1 { 1 } else { self.last + 1 };
        while self.by_id.contains_key(&self.last) {
            self.last += 1;
        }
        self.by_id.insert(self.last, statement);
        self.last
    }

    /// MariaDB clients may execute "the statement prepared last" before they know its id.
    pub fn resolve(&self, id: u32) -> u32 {
        if id == u32::MAX { self.last } else { id }
    }

    pub fn get_mut(&mut self, id: u32) -> Option<&mut Statement> {
        self.by_id.get_mut(&id)
    }

    pub fn get(&self, id: u32) -> Option<&Statement> {
        self.by_id.get(&id)
    }

    pub fn remove(&mut self, id: u32) -> Option<Statement> {
        self.by_id.remove(&id)
    }

    pub fn clear(&mut self) {
        self.by_id.clear();
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub fn any_cursor(&self) -> bool {
        self.by_id.values().any(|statement| statement.has_cursor)
    }

    pub fn any_long_data(&self) -> bool {
        self.by_id.values().any(|statement| statement.has_long_data)
    }
}
