//! What a session has seen of the database, so that it never sees less: its own writes, and what its reads showed.
//!
//! A write is answered with its GTID. A read says nothing of the kind: what it showed is known once a probe of its
//! server that began afterwards has told the position. Until then the session reads where it read, or on the primary.

use std::sync::Arc;

use crate::gtid::Position;

#[derive(Debug, Clone, Default)]
pub struct Seen {
    position: Arc<Position>,
    /// Where it read last, and the number of the probe of that server that had begun by then.
    read: Option<Read>,
    /// The servers known to have all of `position`.
    reached: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Read {
    server: usize,
    probe: u64,
}

// === impl Seen ===

impl Seen {
    pub fn position(&self) -> &Arc<Position> {
        &self.position
    }

    /// A write was answered with this GTID; `before` is a position of that server from before the write.
    /// All that the session saw there until then was committed before.
    pub fn wrote(&mut self, server: usize, gtid: &Position, before: &Arc<Position>) {
        let bounds = self.read.is_some_and(|read| read.server == server);
        let position = Arc::make_mut(&mut self.position);
        if bounds {
            position.merge(before);
            self.read = None;
        }
        position.extend(gtid);
        self.reached = 1u64.checked_shl(server as u32).unwrap_or(0);
    }

    /// It read on a server that had begun so many probes when the result was there.
    pub fn read(&mut self, server: usize, probe: u64) {
        self.read = Some(Read { server, probe });
    }

    /// The server that it read on last and whose position since then it does not know.
    pub fn read_on(&self) -> Option<usize> {
        self.read.map(|read| read.server)
    }

    /// A server's position, as read by this probe.
    pub fn learn(&mut self, server: usize, probe: u64, position: &Arc<Position>) {
        let Some(read) = self.read else { return };
        if read.server != server || probe <= read.probe {
            return;
        }
        self.read = None;
        if self.position.contains(position) {
            return;
        }
        self.reached = 1u64.checked_shl(server as u32).unwrap_or(0);
        if position.contains(&self.position) {
            self.position = position.clone();
        } else {
            Arc::make_mut(&mut self.position).merge(position);
        }
    }

    /// What another session has seen is to be seen here, too.
    pub fn follow(&mut self, position: &Position) {
        if !self.position.contains(position) {
            Arc::make_mut(&mut self.position).merge(position);
            self.reached = 0;
        }
    }

    /// Whether a read on this server cannot be older than the last read.
    pub fn may_move_to(&self, server: usize) -> bool {
        self.read.is_none_or(|read| read.server == server)
    }

    pub fn is_in(&self, known: &Position) -> bool {
        self.position.is_empty() || known.contains(&self.position)
    }

    pub fn is_reached(&self, server: usize) -> bool {
        self.position.is_empty() || self.reached & 1u64.checked_shl(server as u32).unwrap_or(0) != 0
    }

    /// A server has all of it.
    pub fn reached(&mut self, server: usize) {
        self.reached |= 1u64.checked_shl(server as u32).unwrap_or(0);
    }
}
