//! What a session's settings and a statement's query attributes ask for, added to the facts about the statement.

use std::rc::Rc;

use crate::session::{Session, Statement, Wishes};
use crate::sql::{Facts, Hint};
use crate::wire::Capabilities;
use crate::wire::execute::Execute;
use crate::wire::query;

/// What the query attributes of a QUERY ask for, if there are any of ours.
pub fn of_query(payload: &[u8], capabilities: Capabilities, mariadb: bool) -> Option<Wishes> {
    // The second byte is the number of attributes, and mostly it is zero.
    let any =
        capabilities.has(Capabilities::QUERY_ATTRIBUTES) && payload.get(1).is_some_and(|count| *count > 0);
    if !any {
        return None;
    }
    let wishes = Wishes::of(query::attributes(payload), mariadb);
    (wishes != Wishes::default()).then_some(wishes)
}

/// The same for the attributes of an EXECUTE of this statement.
pub fn of_execution(
    payload: &[u8],
    statement: &Statement,
    capabilities: Capabilities,
    mariadb: bool,
) -> Option<Wishes> {
    let parameters = statement.parameters;
    if !Execute::has_attributes(payload, parameters, capabilities) || statement.has_long_data {
        return None;
    }
    let execute = Execute::parse(payload, parameters, capabilities).ok()?;
    let attributes = execute.attributes(payload);
    let wishes = Wishes::of(attributes, mariadb);
    (wishes != Wishes::default()).then_some(wishes)
}

/// The facts with the wishes in their hint: the session's settings count least, then comments in the text, and
/// query attributes most. Nothing is copied where nobody wishes anything.
pub fn obeyed(session: &mut Session, facts: Rc<Facts>, wishes: Option<Wishes>) -> Rc<Facts> {
    changed(session, &facts, wishes).map_or(facts, Rc::new)
}

/// The facts of a text that a rule has made, with what was wished for before it did.
pub fn kept(facts: Rc<Facts>, before: &Hint) -> Rc<Facts> {
    let mut hint = facts.hint.clone();
    hint.merge(before.clone());
    if hint == facts.hint {
        return facts;
    }
    let mut facts = Facts::clone(&facts);
    facts.hint = hint;
    Rc::new(facts)
}

/// The facts as the session and the query attributes want them; `None` where the facts are as they were.
pub fn changed(session: &mut Session, facts: &Facts, wishes: Option<Wishes>) -> Option<Facts> {
    let route = session.preferences.route.clone();
    if route.is_none() && wishes.is_none() {
        return None;
    }
    let wishes = wishes.unwrap_or_default();
    if let Some(after) = &wishes.after {
        session.seen.follow(after);
    }
    let mut hint = Hint {
        target: route,
        ..Hint::default()
    };
    hint.merge(facts.hint.clone());
    hint.merge(wishes.hint);
    (hint != facts.hint).then(|| Facts {
        hint,
        ..facts.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Dialect, HintTarget, analyse};

    fn facts(text: &str) -> Rc<Facts> {
        Rc::new(analyse(text.as_bytes(), Dialect::default()))
    }

    #[test]
    fn what_was_wished_for_outlives_a_rewrite() {
        let plain = facts("SELECT 2");
        assert!(Rc::ptr_eq(&kept(plain.clone(), &Hint::default()), &plain));
        let wished = Hint::parse(b"server=db2").unwrap();
        assert_eq!(kept(plain, &wished).hint, wished);
        let both = kept(facts("SELECT /* splitrail: max_lag=5s */ 2"), &wished);
        assert_eq!(both.hint.target, wished.target);
        assert!(both.hint.max_lag.is_some());
    }

    #[test]
    fn an_attribute_beats_a_comment_beats_a_setting() {
        let mut session = Session::default();
        let plain = facts("SELECT 1");
        assert!(Rc::ptr_eq(&obeyed(&mut session, plain.clone(), None), &plain));
        session.preferences.set("route", Some("primary"), false).unwrap();
        let target = |facts: &Facts| facts.hint.target.clone();
        assert_eq!(
            target(&obeyed(&mut session, plain, None)),
            Some(HintTarget::Primary)
        );
        let commented = facts("/* splitrail: replica */ SELECT 1");
        let obeyed_comment = obeyed(&mut session, commented.clone(), None);
        assert_eq!(target(&obeyed_comment), Some(HintTarget::Replica));
        let wishes = Wishes {
            hint: Hint::parse(b"server=db2").unwrap(),
            after: None,
        };
        let named = Some(HintTarget::Server(b"db2"[..].into()));
        assert_eq!(target(&obeyed(&mut session, commented, Some(wishes))), named);
    }
}
