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
    /// The same for the first of its reads there without one elsewhere between them.
    since: u64,
}

/// A server shows what a transaction wrote a moment before it counts the transaction among those that it has, and
/// on a busy one that moment can be long. So the next probe is not believed yet, but the one after it.
const SETTLING: u64 = 1;
/// So many probes begin while a session reads on one server before that server is asked.
const LINGERING: u64 = 1;

// === impl Seen ===

impl Seen {
    pub fn position(&self) -> &Arc<Position> {
        &self.position
    }

    /// A write was answered with this GTID; `before` is a position of that server from before the write.
    /// All that the session saw until then, there or on a replica of it, was committed before.
    pub fn wrote(&mut self, server: usize, gtid: &Position, before: &Arc<Position>) {
        let bounds = self.read.is_some();
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
        let since = match self.read {
            Some(read) if read.server == server => read.since,
            _ => probe,
        };
        self.read = Some(Read { server, probe, since });
    }

    /// Whether it reads there so often that no probe comes between two reads: it would stay there for ever.
    pub fn lingers(&self, server: usize, probe: u64) -> bool {
        self.read
            .is_some_and(|read| read.server == server && probe > read.since + LINGERING)
    }

    /// The server was asked after the last read there what that can have shown at most.
    pub fn bounded(&mut self, server: usize, bound: &Position) {
        if self.read_on() == Some(server) {
            self.read = None;
            self.follow(bound);
        }
    }

    /// The server that it read on last and whose position since then it does not know.
    pub fn read_on(&self) -> Option<usize> {
        self.read.map(|read| read.server)
    }

    /// A server's position, as read by this probe.
    pub fn learn(&mut self, server: usize, probe: u64, position: &Arc<Position>) {
        let Some(read) = self.read else { return };
        if read.server != server || probe <= read.probe + SETTLING {
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

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn position(numbers: &str) -> Arc<Position> {
        let text = format!("{UUID}:{numbers}");
        Arc::new(Position::parse(false, text.as_bytes()).unwrap())
    }

    #[test]
    fn own_writes_are_missed_nowhere() {
        let mut seen = Seen::default();
        assert!(seen.is_in(&Position::Empty) && seen.is_reached(1));
        seen.wrote(0, &position("7"), &position("1-5"));
        assert!(seen.is_reached(0) && !seen.is_reached(1));
        assert!(!seen.is_in(&position("1-6")) && seen.is_in(&position("1-7")));
        // Without a read before it, a write says nothing of other transactions.
        assert!(seen.is_in(&position("7")));
    }

    #[test]
    fn a_read_is_bounded_by_the_probe_after_it() {
        let mut seen = Seen::default();
        seen.read(1, 4);
        assert!(seen.may_move_to(1) && !seen.may_move_to(2));
        seen.learn(1, 5, &position("1-5"));
        assert!(!seen.may_move_to(2), "that probe came too soon");
        seen.learn(2, 9, &position("1-9"));
        assert!(!seen.may_move_to(2), "that was another server's");
        seen.learn(1, 6, &position("1-6"));
        assert!(seen.may_move_to(2));
        assert!(seen.is_in(&position("1-6")) && !seen.is_in(&position("1-5")));
    }

    #[test]
    fn a_write_bounds_the_reads_before_it() {
        let mut seen = Seen::default();
        seen.read(0, 4);
        seen.wrote(0, &position("9"), &position("1-5"));
        assert!(seen.may_move_to(1));
        assert!(!seen.is_in(&position("1-5:9")), "6 to 8 may have been read");
        assert!(seen.is_in(&position("1-9")));
    }

    #[test]
    fn who_reads_without_a_pause_can_move_too() {
        let mut seen = Seen::default();
        for probe in 3..6 {
            seen.read(0, probe);
            seen.learn(0, probe, &position("1-5"));
            assert_eq!(seen.lingers(0, probe), probe > 4);
        }
        seen.bounded(0, &position("1-7"));
        assert!(seen.may_move_to(1) && !seen.lingers(0, 9));
        assert!(!seen.is_in(&position("1-6")) && seen.is_in(&position("1-7")));
        seen.read(1, 20);
        assert!(!seen.lingers(1, 21) && seen.lingers(1, 22));
    }

    #[test]
    fn another_session_can_be_followed() {
        let mut seen = Seen::default();
        seen.wrote(0, &position("3"), &position("1-2"));
        seen.follow(&position("8"));
        assert!(!seen.is_in(&position("1-7")) && seen.is_in(&position("1-8")) && !seen.is_reached(0));
    }
}
