//! Read buffers, lent by the thread that uses them and given back when empty, so that an idle connection has none.
//! One budget bounds what all threads lend together.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

/// What a connection gets when it has something to read.
pub const SMALL: usize = 16 << 10;
/// What it gets when small buffers turned out to be filled to the brim.
pub const LARGE: usize = 128 << 10;
/// Small buffers kept by each thread for the next connection.
const KEPT: usize = 64;
/// A thread tells the others when so much has been lent, or has come back.
const TOLD: usize = 64 << 10;

static LENT: AtomicIsize = AtomicIsize::new(0);
static BUDGET: AtomicUsize = AtomicUsize::new(usize::MAX);

thread_local! {
    static SPARE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
    /// What has been lent since the others were told, less what came back.
    static UNTOLD: Cell<isize> = const { Cell::new(0) };
}

/// Bounds what all buffers of the process may hold together.
pub fn set_budget(bytes: usize) {
    BUDGET.store(bytes, Ordering::Relaxed);
}

/// Bytes in buffers that are lent now, to within 64 KiB for each thread.
pub fn lent() -> usize {
    usize::try_from(LENT.load(Ordering::Relaxed)).unwrap_or(0)
}

/// Whether the budget is used up: new statements should be refused rather than begun.
pub fn is_exhausted() -> bool {
    lent() >= BUDGET.load(Ordering::Relaxed)
}

/// A lent buffer with the bytes read and not yet consumed.
#[derive(Debug, Default)]
pub struct Inbox {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// The last read left no room: the next buffer should be larger.
    hungry: bool,
}

// === impl Inbox ===

impl Inbox {
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }

    pub fn consume(&mut self, count: usize) {
        self.start += count.min(self.end - self.start);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Room for more, at least one byte of it; grows when what is there fills the buffer.
    pub fn spare(&mut self) -> &mut [u8] {
        self.reserve(1);
        &mut self.buffer[self.end..]
    }

    #[cfg(test)]
    pub fn is_empty_handed(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Whether the last read filled all the room that there was.
    pub fn is_hungry(&self) -> bool {
        self.hungry
    }

    /// Says that `count` bytes of the spare room have been written.
    pub fn filled(&mut self, count: usize) {
        self.end += count;
        debug_assert!(self.end <= self.buffer.len());
        self.hungry = self.end == self.buffer.len();
    }

    pub fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.buffer[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    fn reserve(&mut self, room: usize) {
        if self.start > 0 && self.buffer.len() - self.end < room {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let wanted = self.end + room;
        let grown = if self.hungry && !is_exhausted() {
            LARGE
        } else {
            SMALL
        };
        if self.buffer.is_empty() || self.buffer.len() < wanted {
            let size = wanted.max(grown).next_power_of_two();
            let mut larger = lend(size);
            larger[..self.end].copy_from_slice(&self.buffer[..self.end]);
            give_back(std::mem::replace(&mut self.buffer, larger));
        } else if self.end == 0 && self.buffer.len() < grown {
            give_back(std::mem::replace(&mut self.buffer, lend(grown)));
        }
    }

    /// Gives the buffer back when nothing is in it.
    pub fn release(&mut self) {
        if self.start == self.end && !self.buffer.is_empty() {
            give_back(std::mem::take(&mut self.buffer));
            self.start = 0;
            self.end = 0;
            self.hungry = false;
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.start = self.end;
        self.release();
    }
}

/// Counts what this thread lends, or has back. Others are told of much at a time: a number that all threads change
/// with each statement would cost each of them more than the buffers.
fn count(more: isize) {
    let untold = UNTOLD.get() + more;
    if untold.unsigned_abs() < TOLD {
        UNTOLD.set(untold);
    } else {
        UNTOLD.set(0);
        LENT.fetch_add(untold, Ordering::Relaxed);
    }
}

fn lend(size: usize) -> Box<[u8]> {
    count(size as isize);
    if size == SMALL
        && let Some(buffer) = SPARE.with_borrow_mut(Vec::pop)
    {
        return buffer;
    }
    vec![0; size].into_boxed_slice()
}

fn give_back(buffer: Box<[u8]>) {
    count(-(buffer.len() as isize));
    if buffer.len() == SMALL {
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < KEPT {
                spare.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_there_until_it_is_consumed() {
        let mut inbox = Inbox::default();
        let text: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
        for chunk in text.chunks(7_001) {
            let mut chunk = chunk;
            while !chunk.is_empty() {
                let spare = inbox.spare();
                let count = spare.len().min(chunk.len());
                spare[..count].copy_from_slice(&chunk[..count]);
                inbox.filled(count);
                chunk = &chunk[count..];
            }
        }
        assert_eq!(inbox.bytes(), text);
        inbox.consume(99_999);
        inbox.extend(b"more");
        assert_eq!(&inbox.bytes()[1..], b"more");
        inbox.consume(5);
        inbox.release();
        assert!(inbox.buffer.is_empty());
    }
}
