//! What clients of this process were told is committed, whoever of them wrote it: a client that comes afterwards is
//! not to see less. It is noted before the answer goes out, so that nobody who has heard of it can come too early.

use std::sync::{Arc, MutexGuard, PoisonError};

use crate::gtid::Position;

/// Held for a comparison or a merge, and never across an await.
type Mutex<T> = std::sync::Mutex<T>;

#[derive(Debug, Default)]
pub struct Acknowledged(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    position: Arc<Position>,
    mark: Mark,
}

/// What it was when the latest probe of the primary began.
#[derive(Debug, Default)]
struct Mark {
    server: usize,
    probe: u64,
    position: Arc<Position>,
}

// === impl Acknowledged ===

impl Acknowledged {
    /// A client is about to be told of this commit.
    pub fn add(&self, gtid: &Position) {
        let position = &mut self.lock().position;
        if !position.contains(gtid) {
            Arc::make_mut(position).extend(gtid);
        }
    }

    pub fn position(&self) -> Arc<Position> {
        self.lock().position.clone()
    }

    /// A probe of this server, the primary, begins.
    pub(super) fn mark(&self, server: usize, probe: u64) {
        let mut noted = self.lock();
        let position = noted.position.clone();
        noted.mark = Mark {
            server,
            probe,
            position,
        };
    }

    /// The probe has seen this. What the primary lacks of what was acknowledged before is lost, with a former primary
    /// or in a crash: nobody is to wait for it.
    pub(super) fn probed(&self, server: usize, probe: u64, has: &Position) {
        let mut noted = self.lock();
        let mark = &noted.mark;
        if (mark.server, mark.probe) != (server, probe) || has.contains(&mark.position) {
            return;
        }
        let mut rest = has.clone();
        rest.merge(&noted.position.minus(&mark.position));
        noted.position = Arc::new(rest);
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn position(numbers: &str) -> Position {
        Position::parse(false, format!("{UUID}:{numbers}").as_bytes()).unwrap()
    }

    #[test]
    fn a_commit_proves_those_before_it() {
        let acknowledged = Acknowledged::default();
        assert!(acknowledged.position().is_empty());
        for number in ["7", "9", "8"] {
            acknowledged.add(&position(number));
        }
        assert_eq!(*acknowledged.position(), position("7-9"));
    }

    #[test]
    fn what_the_primary_has_lost_is_waited_for_by_nobody() {
        let acknowledged = Acknowledged::default();
        acknowledged.add(&position("7"));
        acknowledged.mark(0, 1);
        acknowledged.add(&position("8"));
        acknowledged.probed(0, 1, &position("1-7"));
        assert_eq!(
            *acknowledged.position(),
            position("7-8"),
            "the eighth came after the probe began"
        );
        acknowledged.mark(0, 2);
        acknowledged.probed(0, 1, &position("1-3"));
        acknowledged.probed(1, 2, &position("1-3"));
        assert_eq!(
            *acknowledged.position(),
            position("7-8"),
            "an old probe says nothing, nor does another server"
        );
        acknowledged.add(&position("9"));
        acknowledged.probed(0, 2, &position("1-6"));
        assert_eq!(*acknowledged.position(), position("1-6:9"));
    }
}
