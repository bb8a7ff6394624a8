//! What a session has seen of the database, so that it never sees less: its own writes, and what its reads showed.
//!
//! A write is answered with its GTID. A read says nothing of the kind: what it showed is known once a probe of its
//! server that began afterwards has told what that can be at most. Until then the session reads where it read, or on
//! the primary; and there, once the primary shows what a replica may have shown before it.

use std::sync::Arc;

use crate::gtid::Position;

#[derive(Debug, Clone, Default)]
pub struct Seen {
    position: Arc<Position>,
    /// Where it read last, and the number of the probe of that server that had begun by then.
    read: Option<Read>,
    /// The servers known to have all of `position`.
    reached: u64,
    /// It has read on a replica since it wrote, or since the primary was waited for: a transaction reaches replicas
    /// before the primary shows it.
    is_ahead: bool,
    /// How often the primary was asked since it read elsewhere: each time for the sake of twice as many reads.
    asked: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Read {
    server: usize,
    probe: u64,
    /// The same for the first of its reads there without one elsewhere between them.
    since: u64,
    /// Reads on the primary that might have run elsewhere, had it been known what this one showed.
    detained: u32,
}

/// So many probes begin while a session reads on one server before that server is asked.
const LINGERING: u64 = 1;
/// So many reads stay on the primary before it is asked.
const DETAINED: u32 = 3;

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
        self.reached = bit(server);
        self.is_ahead = false;
    }

    /// It read on a server that had begun so many probes when the result was there. A read that was content with less
    /// than the session has seen, on yet another replica, does not make up for what is not known.
    pub fn read(&mut self, server: usize, probe: u64, is_primary: bool) {
        let (since, detained) = match self.read {
            Some(read) if read.server == server => (read.since, read.detained),
            Some(_) if !is_primary => return,
            _ => (probe, 0),
        };
        self.read = Some(Read {
            server,
            probe,
            since,
            detained,
        });
        if !is_primary {
            self.is_ahead = true;
            self.asked = 0;
        }
    }

    /// A read goes to the primary because of what the session has seen.
    pub fn is_detained(&mut self) {
        if let Some(read) = &mut self.read {
            read.detained = read.detained.saturating_add(1);
        }
    }

    /// Whether it reads there so often that no probe comes between two reads: it would stay there for ever.
    pub fn lingers(&self, server: usize, probe: u64) -> bool {
        self.read.is_some_and(|read| {
            let many = DETAINED << self.asked.min(16);
            read.server == server && (probe > read.since + LINGERING || read.detained >= many)
        })
    }

    /// Its server was asked because it lingers.
    pub fn asked(&mut self) {
        self.asked = self.asked.saturating_add(1);
    }

    /// The server that it read on last and whose position since then it does not know.
    pub fn read_on(&self) -> Option<usize> {
        self.read.map(|read| read.server)
    }

    /// The same, with how many of its probes had begun by then.
    pub fn pending(&self) -> Option<(usize, u64)> {
        self.read.map(|read| (read.server, read.probe))
    }

    /// What the last read can have shown at most. `has` is what its server surely has.
    pub fn learn(&mut self, bound: &Arc<Position>, has: &Position) {
        let Some(read) = self.read.take() else { return };
        if self.position.contains(bound) {
            return;
        }
        // What a server has shown it goes on showing, even where the bound is more than it has by now.
        let keeps = self.is_reached(read.server) || has.contains(&self.position);
        self.reached = if keeps { bit(read.server) } else { 0 };
        if bound.contains(&self.position) {
            self.position = bound.clone();
        } else {
            Arc::make_mut(&mut self.position).merge(bound);
        }
    }

    /// What another session has seen is to be seen here, too.
    pub fn follow(&mut self, position: &Position) {
        self.follow_shared(&Arc::new(position.clone()));
    }

    /// The same for what many sessions share.
    pub fn follow_shared(&mut self, position: &Arc<Position>) {
        if self.position.contains(position) {
            return;
        }
        if position.contains(&self.position) {
            self.position = position.clone();
        } else {
            Arc::make_mut(&mut self.position).merge(position);
        }
        self.reached = 0;
    }

    /// Whether a read on this server cannot be older than the last read.
    pub fn may_move_to(&self, server: usize) -> bool {
        self.read.is_none_or(|read| read.server == server)
    }

    pub fn is_in(&self, known: &Position) -> bool {
        self.position.is_empty() || known.contains(&self.position)
    }

    pub fn is_reached(&self, server: usize) -> bool {
        self.position.is_empty() || self.reached & bit(server) != 0
    }

    /// A server has all of it.
    pub fn reached(&mut self, server: usize) {
        self.reached |= bit(server);
    }

    /// Whether the primary may not show yet what the session has seen.
    pub fn is_ahead_of_primary(&self) -> bool {
        self.is_ahead
    }

    /// The primary shows all that replicas had by now, or was waited for long enough.
    pub fn caught_up(&mut self) {
        self.is_ahead = false;
    }
}

fn bit(server: usize) -> u64 {
    u32::try_from(server)
        .ok()
        .and_then(|server| 1_u64.checked_shl(server))
        .unwrap_or(0)
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
    fn a_read_is_bounded_by_what_its_server_can_have_shown() {
        let mut seen = Seen::default();
        seen.read(1, 4, false);
        assert!(seen.may_move_to(1) && !seen.may_move_to(2));
        assert_eq!(seen.pending(), Some((1, 4)));
        // 7 is being committed there: it may have been shown.
        seen.learn(&position("1-7"), &position("1-6"));
        assert!(seen.may_move_to(2) && seen.pending().is_none());
        assert!(seen.is_in(&position("1-7")) && !seen.is_in(&position("1-6")));
        assert!(seen.is_reached(1), "it shows what it has shown");
        assert!(!seen.is_reached(2));
    }

    #[test]
    fn a_server_that_lacked_a_write_is_not_taken_to_have_it() {
        let mut seen = Seen::default();
        seen.wrote(0, &position("9"), &position("1-5"));
        // An eventual read, or one that took what a late replica had.
        seen.read(1, 4, false);
        seen.learn(&position("1-6"), &position("1-6"));
        assert!(!seen.is_reached(1) && !seen.is_in(&position("1-6")) && seen.is_in(&position("1-9")));
    }

    #[test]
    fn a_read_that_took_less_elsewhere_does_not_take_the_place_of_the_last() {
        let mut seen = Seen::default();
        seen.read(1, 4, false);
        seen.read(2, 7, false);
        assert_eq!(seen.pending(), Some((1, 4)));
        seen.read(0, 3, true);
        assert_eq!(seen.pending(), Some((0, 3)), "the primary has everything");
    }

    #[test]
    fn the_primary_is_behind_a_replica_until_it_was_waited_for_or_written_to() {
        let mut seen = Seen::default();
        seen.read(0, 1, true);
        assert!(!seen.is_ahead_of_primary());
        seen.learn(&position("1-6"), &position("1-6"));
        seen.read(1, 4, false);
        assert!(seen.is_ahead_of_primary());
        seen.learn(&position("1-7"), &position("1-7"));
        assert!(seen.is_ahead_of_primary(), "the replica had it first");
        seen.caught_up();
        assert!(!seen.is_ahead_of_primary());
        seen.read(1, 5, false);
        seen.wrote(0, &position("8"), &position("1-7"));
        assert!(!seen.is_ahead_of_primary(), "commits have an order");
    }

    #[test]
    fn a_write_bounds_the_reads_before_it() {
        let mut seen = Seen::default();
        seen.read(0, 4, true);
        seen.wrote(0, &position("9"), &position("1-5"));
        assert!(seen.may_move_to(1));
        assert!(!seen.is_in(&position("1-5:9")), "6 to 8 may have been read");
        assert!(seen.is_in(&position("1-9")));
    }

    #[test]
    fn who_reads_without_a_pause_can_move_too() {
        let mut seen = Seen::default();
        for probe in 3..6 {
            seen.read(0, probe, true);
            assert_eq!(seen.lingers(0, probe), probe > 4);
        }
        seen.learn(&position("1-7"), &position("1-7"));
        assert!(seen.may_move_to(1) && !seen.lingers(0, 9));
        assert!(!seen.is_in(&position("1-6")) && seen.is_in(&position("1-7")));
        seen.read(1, 20, false);
        assert!(!seen.lingers(1, 21) && seen.lingers(1, 22));
    }

    #[test]
    fn reads_that_the_primary_serves_for_one_before_them_make_it_linger() {
        let mut seen = Seen::default();
        seen.read(0, 3, true);
        for count in 0..4 {
            assert_eq!(seen.lingers(0, 3), count >= 3);
            seen.is_detained();
            seen.read(0, 3, true);
        }
        seen.learn(&position("1-7"), &position("1-7"));
        seen.asked();
        for count in 0..7 {
            seen.read(0, 3, true);
            assert_eq!(seen.lingers(0, 3), count >= 6, "asking did not help");
            seen.is_detained();
        }
        seen.read(1, 5, false);
        seen.read(0, 3, true);
        (0..3).for_each(|_| seen.is_detained());
        assert!(seen.lingers(0, 3));
    }

    #[test]
    fn another_session_can_be_followed() {
        let mut seen = Seen::default();
        seen.wrote(0, &position("3"), &position("1-2"));
        seen.follow(&position("8"));
        assert!(!seen.is_in(&position("1-7")) && seen.is_in(&position("1-8")) && !seen.is_reached(0));
    }
}
