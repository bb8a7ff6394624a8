//! Which rows and numbers the commits of one thread's sessions use. Every session that commits has a row of its own
//! for as long as it is connected, so that no two commits wait for each other, and its numbers only grow: the table
//! has as many rows as sessions committed at once, and a number says whether a commit came before another.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::util::clock;

#[derive(Debug)]
pub struct Ledger {
    /// Tells this thread's rows from those of all others, of this process and of any other.
    writer: u64,
    rows: Cell<u64>,
    /// Rows whose sessions have gone.
    free: RefCell<Vec<u64>>,
    number: Cell<u64>,
    /// Accounts that may not leave evidence, and until when that is taken for granted.
    refused: RefCell<HashMap<Box<[u8]>, Instant>>,
}

/// What one COMMIT leaves: this number in this row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub writer: u64,
    pub row: u64,
    /// Even: what is written to keep such a number out is the odd one after it.
    pub number: u64,
}

/// A row that a session has for itself, given back when it is dropped.
#[derive(Debug)]
pub struct Slot {
    ledger: Rc<Ledger>,
    row: u64,
    /// A commit that nobody heard of may still be at it.
    retired: bool,
}

/// How long a refusal is remembered: then somebody may have granted the right.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Accounts whose refusal is remembered; others are tried every time.
const MOST_REFUSED: usize = 1024;

// === impl Ledger ===

impl Ledger {
    pub fn new(index: usize) -> Rc<Self> {
        Rc::new(Self {
            // Seeded by the system, so that no other process has the same.
            writer: std::hash::RandomState::new().hash_one((index, std::process::id())),
            rows: Cell::new(0),
            free: RefCell::default(),
            number: Cell::new(0),
            refused: RefCell::default(),
        })
    }

    /// A row that nobody uses.
    pub fn slot(self: &Rc<Self>) -> Slot {
        let row = self.free.borrow_mut().pop().unwrap_or_else(|| {
            let row = self.rows.get();
            self.rows.set(row + 1);
            row
        });
        Slot {
            ledger: self.clone(),
            row,
            retired: false,
        }
    }

    /// Whether evidence of this account's commits was refused a moment ago.
    pub fn is_refused(&self, user: &[u8]) -> bool {
        let refused = self.refused.borrow();
        refused.get(user).is_some_and(|until| clock::now() < *until)
    }

    /// Notes that it was refused; whether that is news.
    pub fn refuse(&self, user: &[u8]) -> bool {
        let mut refused = self.refused.borrow_mut();
        let until = clock::now() + REMEMBERED;
        if let Some(known) = refused.get_mut(user) {
            *known = until;
            return false;
        }
        if refused.len() < MOST_REFUSED {
            refused.insert(user.into(), until);
        }
        true
    }
}

// === impl Slot ===

impl Slot {
    /// For the session's next commit.
    pub fn token(&self) -> Token {
        let number = self.ledger.number.get() + 2;
        self.ledger.number.set(number);
        Token {
            writer: self.ledger.writer,
            row: self.row,
            number,
        }
    }

    /// Nobody uses the row again.
    pub fn retire(&mut self) {
        self.retired = true;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.retired {
            self.ledger.free.borrow_mut().push(self.row);
        }
    }
}

impl fmt::Display for Token {
    /// As the arguments of the procedures.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { writer, row, number } = self;
        write!(formatter, "{writer},{row},{number}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_used_again_and_numbers_only_grow() {
        let ledger = Ledger::new(0);
        let (one, two) = (ledger.slot(), ledger.slot());
        let (first, second) = (one.token(), two.token());
        assert_ne!(first.row, second.row);
        assert!(first.number < second.number && first.number % 2 == 0);
        drop(one);
        let again = ledger.slot().token();
        assert_eq!((again.writer, again.row), (first.writer, first.row));
        assert!(again.number > second.number);
        assert_ne!(Ledger::new(0).slot().token().writer, first.writer);
    }

    #[test]
    fn a_row_that_a_commit_may_be_at_is_not_used_again() {
        let ledger = Ledger::new(0);
        let mut slot = ledger.slot();
        let row = slot.token().row;
        slot.retire();
        drop(slot);
        assert_ne!(ledger.slot().token().row, row);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_news_once() {
        let ledger = Ledger::new(0);
        assert!(!ledger.is_refused(b"app"));
        assert!(ledger.refuse(b"app") && !ledger.refuse(b"app"));
        assert!(ledger.is_refused(b"app") && !ledger.is_refused(b"other"));
    }
}
