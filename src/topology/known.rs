//! What is known of a server's data: at least what a read there shows now, and at most what one can have shown before.

use std::sync::Arc;

use crate::gtid::Position;

#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Transactions that it surely has and shows.
    pub position: Arc<Position>,
    /// The number of the probe that read it; 0 if sessions alone have said something.
    pub probe: u64,
    /// What it can have shown before that probe at most, where the server tells.
    shown: Option<Arc<Position>>,
    /// The part of `position` that sessions have proved since that probe.
    proved: Position,
}

/// A server that does not tell what it can have shown shows what a transaction wrote a moment before it counts the
/// transaction among those that it has, and on a busy one that moment can be long. So the next probe is not believed
/// yet, but the one after it.
const SETTLING: u64 = 1;

// === impl Known ===

impl Known {
    /// All that the server can have shown by the time when so many of its probes had begun; `None`: not known yet.
    pub fn bound(&self, begun: u64) -> Option<&Arc<Position>> {
        match &self.shown {
            Some(shown) => Some(shown).filter(|_| self.probe > begun),
            None => Some(&self.position).filter(|_| self.probe > begun.saturating_add(SETTLING)),
        }
    }

    /// A probe's word counts, and that of the sessions since the probe before: one may have been later than it.
    pub(super) fn probed(&self, probe: u64, position: &Position, shown: Option<&Position>) -> Self {
        let mut position = position.clone();
        position.merge(&self.proved);
        let position = Arc::new(position);
        // As a rule they are the same, and are kept once.
        let share = |shown: &Position| {
            if *shown == *position {
                position.clone()
            } else {
                Arc::new(shown.clone())
            }
        };
        Self {
            shown: shown.map(share),
            position,
            probe,
            proved: Position::Empty,
        }
    }

    /// A session proved that the server has this.
    pub(super) fn reached(&self, position: &Position) -> Self {
        let mut known = self.clone();
        Arc::make_mut(&mut known.position).merge(position);
        known.proved.merge(position);
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str) -> Position {
        Position::parse(true, text.as_bytes()).unwrap()
    }

    #[test]
    fn a_server_that_tells_is_believed_at_once_and_another_one_after_a_while() {
        let telling = Known::default().probed(5, &position("0-1-7"), Some(&position("0-1-9")));
        assert_eq!(telling.bound(5), None, "it had begun by then");
        assert_eq!(
            telling.bound(4).map(|bound| bound.to_string()).as_deref(),
            Some("0-1-9")
        );
        let silent = telling.probed(6, &position("0-1-8"), None);
        assert_eq!((silent.bound(6), silent.bound(5)), (None, None));
        assert_eq!(
            silent.bound(4).map(|bound| bound.to_string()).as_deref(),
            Some("0-1-8")
        );
        assert_eq!(Known::default().bound(0), None);
    }

    #[test]
    fn what_it_shows_and_what_it_has_are_kept_once_when_they_are_the_same() {
        let known = Known::default().probed(1, &position("0-1-7"), Some(&position("0-1-7")));
        assert!(
            known
                .shown
                .is_some_and(|shown| Arc::ptr_eq(&shown, &known.position))
        );
    }
}
