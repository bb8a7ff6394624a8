//! A session's prepared statements, under ids of its own that stay the same whatever server runs them.

use std::collections::HashMap;
use std::sync::Arc;

use super::lineage::Lineage;
use super::state::State;
use crate::sql::Facts;

/// What was prepared and in what surroundings: enough to prepare it again on another connection.
#[derive(Debug, Default)]
pub struct Template {
    pub text: Box<[u8]>,
    pub state: State,
    pub facts: Facts,
}

#[derive(Debug)]
pub struct Statement {
    pub template: Arc<Template>,
    pub parameters: u16,
    /// The parameters' types in the last execution that named any, two bytes each.
    pub types: Option<Arc<[u8]>>,
    /// What the session's executions have made of it, where the server makes something of them.
    pub lineage: Lineage,
    /// The client has sent long data that waits for its execution.
    pub has_long_data: bool,
    pub has_cursor: bool,
}

#[derive(Debug, Default)]
pub struct Statements {
    by_id: HashMap<u32, Statement, foldhash::fast::FixedState>,
    next: u32,
    /// What "the statement prepared last" means: none, when the last prepare failed.
    latest: Option<u32>,
}

/// MariaDB clients may execute the statement prepared last before they know its id.
const LATEST: u32 = u32::MAX;

// === impl Statements ===

impl Statements {
    /// An id for the statement that is about to be prepared.
    pub fn reserve(&mut self) -> u32 {
        self.latest = None;
        loop {
            self.next = if self.next >= LATEST - 1 { 1 } else { self.next + 1 };
            if !self.by_id.contains_key(&self.next) {
                return self.next;
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &Statement)> {
        self.by_id.iter().map(|(id, statement)| (*id, statement))
    }

    pub fn insert(&mut self, id: u32, statement: Statement) {
        self.latest = Some(id);
        self.by_id.insert(id, statement);
    }

    pub fn resolve(&self, id: u32) -> u32 {
        if id == LATEST {
            self.latest.unwrap_or(LATEST)
        } else {
            id
        }
    }

    pub fn get(&self, id: u32) -> Option<&Statement> {
        self.by_id.get(&self.resolve(id))
    }

    pub fn get_mut(&mut self, id: u32) -> Option<&mut Statement> {
        self.by_id.get_mut(&self.resolve(id))
    }

    pub fn remove(&mut self, id: u32) -> Option<Statement> {
        self.by_id.remove(&self.resolve(id))
    }

    pub fn clear(&mut self) {
        self.by_id.clear();
        self.latest = None;
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
