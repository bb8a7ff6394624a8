//! Stored routines that were called before anybody knew what they leave on the connection of their caller. A session
//! keeps its connection for their sake until that is known, and no longer where they leave nothing.

/// What is known of the routines that the statement under way calls.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Calling {
    /// It may call anything, or calls nothing.
    #[default]
    Anything,
    /// They leave nothing unsaid.
    Tidy,
    /// These, and nothing is known of one of them.
    Unproven(Vec<Routine>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routine {
    pub is_procedure: bool,
    pub schema: Box<[u8]>,
    pub name: Box<[u8]>,
    /// How often routines had been made anew by the time of the call: knowledge of another time says nothing of it.
    pub time: u64,
}

/// What a session's hold for its state is for.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    routines: Vec<Routine>,
    /// Something else has changed the state, too, or too many routines may have.
    is_certain: bool,
}

/// Sessions that call more before anything is known of them wait for nothing.
const MOST: usize = 8;

// === impl Doubts ===

impl Doubts {
    pub(super) fn add(&mut self, routines: Vec<Routine>) {
        for routine in routines {
            if self.routines.contains(&routine) {
                continue;
            }
            if self.routines.len() == MOST {
                return self.settle_for_good();
            }
            self.routines.push(routine);
        }
    }

    /// The state has changed: there is nothing left to find out.
    pub(super) fn settle_for_good(&mut self) {
        self.is_certain = true;
        self.routines.clear();
    }

    /// Whether there is anything to find out.
    pub(super) fn are_open(&self) -> bool {
        !self.is_certain && !self.routines.is_empty()
    }

    /// Whether all that was called is proven to leave nothing. Then there are no doubts any more.
    pub(super) fn dispel(&mut self, is_tidy: impl Fn(&Routine) -> bool) -> bool {
        let dispelled = self.are_open() && self.routines.iter().all(is_tidy);
        if dispelled {
            self.routines.clear();
        }
        dispelled
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Hold, Observation, Session};
    use super::*;
    use crate::sql::{Dialect, analyse};
    use crate::wire::Status;

    fn routine(name: &str, time: u64) -> Routine {
        Routine {
            is_procedure: true,
            schema: b"app"[..].into(),
            name: name.as_bytes().into(),
            time,
        }
    }

    fn run(session: &mut Session, sql: &str, calling: Calling, could_tell: bool) {
        let facts = analyse(sql.as_bytes(), Dialect::default());
        session.calling = calling;
        session.announce(sql.as_bytes(), &facts.features);
        let mut observed = Observation::default();
        observed.ended(Status::AUTOCOMMIT, 0, could_tell);
        session.settle(&facts.features, &observed);
    }

    #[test]
    fn what_turns_out_to_leave_nothing_holds_no_longer() {
        let mut session = Session::new(Dialect::default());
        run(&mut session, "CALL p()", Calling::Tidy, true);
        assert!(session.holds.is_empty());
        let unproven = |name, time| Calling::Unproven(vec![routine(name, time)]);
        run(&mut session, "CALL p()", unproven("p", 1), true);
        run(&mut session, "SELECT f()", unproven("f", 1), false);
        run(&mut session, "SELECT 1", Calling::Anything, true);
        assert!(session.holds.has(Hold::State) && session.has_doubts());
        session.dispel_doubts(|routine| &*routine.name == b"p");
        assert!(session.holds.has(Hold::State));
        session.dispel_doubts(|routine| routine.time == 1);
        assert!(session.holds.is_empty() && !session.has_doubts());
    }

    #[test]
    fn what_surely_changed_the_state_holds_for_good() {
        for sql in ["CALL q()", "SET ROLE admin", "BEGIN NOT ATOMIC SELECT 1; END"] {
            for before in [true, false] {
                let mut session = Session::new(Dialect::default());
                let unproven = || Calling::Unproven(vec![routine("p", 1)]);
                if before {
                    run(&mut session, sql, Calling::Anything, true);
                }
                run(&mut session, "CALL p()", unproven(), true);
                if !before {
                    run(&mut session, sql, Calling::Anything, true);
                }
                session.dispel_doubts(|_| true);
                assert!(session.holds.has(Hold::State) && !session.has_doubts(), "{sql}");
            }
        }
        let mut session = Session::new(Dialect::default());
        let many = (0..=MOST).map(|number| routine(&format!("p{number}"), 1));
        run(&mut session, "CALL p()", Calling::Unproven(many.collect()), true);
        session.dispel_doubts(|_| true);
        assert!(
            session.holds.has(Hold::State),
            "they are too many to be remembered"
        );
    }
}
