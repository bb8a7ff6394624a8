//! Judges a run: from what clients were told and what the servers have in the end, whether a promise was broken.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use tokio::time::Instant;

use super::history::{Action, Content, Operation, Outcome, Seen, Token, client_of};

/// Promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// What was acknowledged is there.
    Kept,
    /// What nobody tried to write is not there.
    Attempted,
    /// What was refused, or rolled back, is not there.
    Refused,
    /// A transaction is there as a whole or not at all.
    Whole,
    /// Nothing was done twice.
    Once,
    /// One server after the other takes writes, as often as the primary changed.
    OneWriter,
    /// A session sees its own writes.
    OwnWrites,
    /// What a session has seen once, it sees from then on.
    Monotonic,
    /// All servers have the same.
    Agreement,
    /// In the end there is one primary, and all others follow it.
    Convergence,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    pub rule: Rule,
    pub text: String,
}

/// Under which terms a run is judged.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Transactions that the proxy said are lost: so many acknowledged writes may be missing.
    pub gap: u64,
    /// Whether anything is lost that somebody may have seen, acknowledged or not.
    pub has_lost: bool,
    /// How often the primary changed.
    pub promotions: usize,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.text)
    }
}

/// All that is wrong with a run. `contents`: what each server has, the primary first.
pub fn check(history: &[Operation], contents: &[Content], terms: &Terms) -> Vec<Violation> {
    let mut report = Report::default();
    let primary = contents.first().cloned().unwrap_or_default();
    kept(history, &primary, terms, &mut report);
    attempted(history, &primary, &mut report);
    refused(history, &primary, &mut report);
    whole(&primary, history, &mut report);
    once(history, &primary, &mut report);
    one_writer(history, &primary, terms, &mut report);
    // What was lost, and said to be lost, may have been seen.
    if terms.gap == 0 && !terms.has_lost {
        sessions(history, &mut report);
    }
    for (number, other) in contents.iter().enumerate().skip(1) {
        if *other != primary {
            let text = format!(
                "server {number} of those that follow: {}",
                difference(&primary, other)
            );
            report.add(Rule::Agreement, text);
        }
    }
    report.0
}

#[derive(Default)]
struct Report(Vec<Violation>);

// === impl Report ===

impl Report {
    fn add(&mut self, rule: Rule, text: String) {
        self.0.push(Violation { rule, text });
    }
}

fn is_there(action: &Action, content: &Content) -> bool {
    match action {
        Action::Write(token) => content.writes.contains_key(token),
        Action::Transaction(token) | Action::Rollback(token) => content.halves.contains_key(token),
        _ => false,
    }
}

fn kept(history: &[Operation], primary: &Content, terms: &Terms, report: &mut Report) {
    let missing: Vec<_> = history
        .iter()
        .filter(|operation| operation.is_acknowledged())
        .filter(|operation| matches!(operation.action, Action::Write(_) | Action::Transaction(_)))
        .filter(|operation| !is_there(&operation.action, primary))
        .collect();
    let lone = missing
        .iter()
        .filter(|operation| matches!(operation.action, Action::Write(_)))
        .count() as u64;
    let behind: BTreeMap<u64, u64> = bounds(history)
        .into_iter()
        .map(|(client, (least, _))| (client, least.saturating_sub(count(primary, client))))
        .filter(|(_, behind)| *behind > 0)
        .collect();
    // A lost transaction is missing from its client's counter, too.
    let lost = (missing.len() as u64).max(lone + behind.values().sum::<u64>());
    if lost > terms.gap {
        let first = missing
            .first()
            .map(|operation| (&operation.action, operation.client));
        let text = format!(
            "{lost} acknowledged writes are missing where {} were said to be lost; the first: {first:x?}; counts that \
             are missing by client: {behind:?}",
            terms.gap
        );
        report.add(Rule::Kept, text);
    }
}

/// What each client's counter must be at least and at most.
fn bounds(history: &[Operation]) -> BTreeMap<u64, (u64, u64)> {
    let mut bounds: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for operation in history {
        let (least, most) = bounds.entry(operation.client).or_default();
        if matches!(operation.action, Action::Count | Action::Transaction(_)) {
            *least += u64::from(operation.is_acknowledged());
            *most += u64::from(!matches!(operation.outcome, Outcome::Refused(_)));
        }
    }
    bounds
}

fn count(content: &Content, client: u64) -> u64 {
    content.counters.get(&client).copied().unwrap_or(0)
}

fn attempted(history: &[Operation], primary: &Content, report: &mut Report) {
    let (mut writes, mut halves) = (BTreeSet::new(), BTreeSet::new());
    for operation in history {
        match operation.action {
            Action::Write(token) => writes.insert(token),
            Action::Transaction(token) | Action::Rollback(token) => halves.insert(token),
            _ => false,
        };
    }
    for token in primary.writes.keys().filter(|token| !writes.contains(token)) {
        report.add(Rule::Attempted, format!("{token:#x} was written by nobody"));
    }
    for token in primary.halves.keys().filter(|token| !halves.contains(token)) {
        report.add(
            Rule::Attempted,
            format!("transaction {token:#x} was written by nobody"),
        );
    }
}

fn refused(history: &[Operation], primary: &Content, report: &mut Report) {
    for operation in history {
        let was_to_happen = match (&operation.action, &operation.outcome) {
            (Action::Rollback(_), _) | (_, Outcome::Refused(_)) => false,
            (_, Outcome::Acknowledged | Outcome::Unknown(_)) => true,
        };
        if !was_to_happen && is_there(&operation.action, primary) {
            let why = operation
                .problem()
                .map_or("rolled back".to_owned(), ToString::to_string);
            let text = format!(
                "{:?} of client {} is there, but was: {why}",
                operation.action, operation.client
            );
            report.add(Rule::Refused, text);
        }
        // The key of every write is its own: it can only be taken by the write itself.
        if operation
            .problem()
            .is_some_and(|problem| problem.code == Some(1062))
        {
            report.add(
                Rule::Once,
                format!("{:?} was done before it was done", operation.action),
            );
        }
    }
}

fn whole(primary: &Content, history: &[Operation], report: &mut Report) {
    for (token, (count, _)) in &primary.halves {
        if *count != 2 {
            report.add(
                Rule::Whole,
                format!("transaction {token:#x} is there {count} times"),
            );
        }
    }
    for operation in history {
        if let Some(Seen::Halves(tokens)) = &operation.seen
            && let Some(token) = tokens.first()
        {
            report.add(Rule::Whole, format!("half of transaction {token:#x} was seen"));
        }
    }
}

/// No counter is beyond what may have happened.
fn once(history: &[Operation], primary: &Content, report: &mut Report) {
    for (client, (_, most)) in bounds(history) {
        let count = count(primary, client);
        if count > most {
            let text = format!("client {client} counted to {most} at most, and is at {count}");
            report.add(Rule::Once, text);
        }
    }
}

/// Servers take turns: the least number of turns that explains all acknowledged writes is no more than there were.
fn one_writer(history: &[Operation], primary: &Content, terms: &Terms, report: &mut Report) {
    let mut writes: Vec<(Instant, Instant, u32)> = history
        .iter()
        .filter(|operation| operation.is_acknowledged())
        .filter_map(|operation| Some((operation.began, operation.ended, operation.server(primary)?)))
        .collect();
    writes.sort_by_key(|(_, ended, _)| *ended);
    let turns = turns(&writes);
    if turns.len() > terms.promotions + 1 {
        let text = format!(
            "servers {turns:?} took writes in turn, while the primary changed {} times",
            terms.promotions
        );
        report.add(Rule::OneWriter, text);
    }
}

/// Each write is done by its server somewhere between its beginning and its end. The writes are sorted by their
/// ends. A turn lasts until a write by another server would end without having been done.
fn turns(writes: &[(Instant, Instant, u32)]) -> Vec<u32> {
    let mut open: Vec<_> = writes.to_vec();
    let mut turns = Vec::new();
    let Some(&(_, _, mut server)) = open.first() else {
        return turns;
    };
    let mut since = open.iter().map(|(began, ..)| *began).min();
    while let Some(from) = since {
        turns.push(server);
        let next = open.iter().find(|(_, _, by)| *by != server).copied();
        let until = next.map(|(_, ended, _)| ended);
        let within =
            |began: Instant, ended: Instant| ended >= from && until.is_none_or(|until| began <= until);
        open.retain(|(began, ended, by)| *by != server || !within(*began, *ended));
        since = until;
        if let Some((_, _, by)) = next {
            server = by;
        }
    }
    turns
}

/// Own writes are seen, and nothing that was seen disappears, for as long as a session lasts.
fn sessions(history: &[Operation], report: &mut Report) {
    let mut sessions: HashMap<(u64, u32), Known> = HashMap::new();
    for operation in history {
        let known = sessions.entry((operation.client, operation.session)).or_default();
        if operation.is_acknowledged() {
            known.learn(operation);
        }
        if let Some(seen) = &operation.seen {
            known.compare(operation.client, seen, report);
        }
    }
}

/// What a session must see from now on.
#[derive(Default)]
struct Known {
    counters: BTreeMap<u64, u64>,
    newest: Token,
    /// As far as it has been seen rather than written.
    seen: Token,
    own: u64,
}

// === impl Known ===

impl Known {
    fn learn(&mut self, operation: &Operation) {
        match operation.action {
            Action::Write(token) => self.newest = self.newest.max(token),
            Action::Count | Action::Transaction(_) => self.own += 1,
            _ => {}
        }
    }

    fn compare(&mut self, client: u64, seen: &Seen, report: &mut Report) {
        match seen {
            Seen::Counters(counters) => {
                for (other, count) in counters {
                    let known = self.counters.entry(*other).or_default();
                    if *count < *known {
                        let text = format!("client {client} saw {other} at {known} and then at {count}");
                        report.add(Rule::Monotonic, text);
                    } else if *other == client && *count < *known + self.own {
                        let at_least = *known + self.own;
                        let text = format!("client {client} had counted to {at_least} and saw {count}");
                        report.add(Rule::OwnWrites, text);
                    }
                    *known = (*known).max(*count);
                }
                self.own = 0;
            }
            Seen::Newest(token) => {
                if *token < self.seen {
                    let text = format!("client {client} saw {:#x} and then {token:#x}", self.seen);
                    report.add(Rule::Monotonic, text);
                } else if *token < self.newest {
                    let text = format!(
                        "client {client} had written {:#x} and saw {token:#x}",
                        self.newest
                    );
                    report.add(Rule::OwnWrites, text);
                }
                self.seen = self.seen.max(*token);
            }
            Seen::Halves(_) => {}
        }
    }
}

fn difference(one: &Content, other: &Content) -> String {
    let missing = |one: &BTreeSet<Token>, other: &BTreeSet<Token>| one.difference(other).count();
    let tokens = |content: &Content| -> BTreeSet<Token> {
        content
            .writes
            .keys()
            .chain(content.halves.keys())
            .copied()
            .collect()
    };
    let (ours, theirs) = (tokens(one), tokens(other));
    let clients: BTreeSet<_> = ours
        .symmetric_difference(&theirs)
        .map(|token| client_of(*token))
        .collect();
    format!(
        "it lacks {} and has {} more, of clients {clients:?}; counters differ: {}",
        missing(&ours, &theirs),
        missing(&theirs, &ours),
        one.counters != other.counters
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::history::{Problem, token};
    use super::*;

    /// A history that is written by hand: one operation every ten milliseconds.
    struct Tale {
        start: Instant,
        operations: Vec<Operation>,
        content: Content,
        terms: Terms,
    }

    impl Tale {
        /// Client 1 wrote 1 and 2 and a transaction 3, all by server 1; a write was refused, another is unknown.
        fn good() -> Tale {
            let mut tale = Tale {
                start: Instant::now(),
                operations: vec![],
                content: Content::default(),
                terms: Terms::default(),
            };
            tale.tell(Action::Write(token(1, 1)), Outcome::Acknowledged);
            tale.tell(Action::Write(token(1, 2)), Outcome::Acknowledged);
            tale.tell(Action::Transaction(token(1, 3)), Outcome::Acknowledged);
            tale.tell(Action::Write(token(1, 4)), Outcome::Refused(problem(1213)));
            tale.tell(Action::Count, Outcome::Unknown(problem(2013)));
            tale.tell(Action::Rollback(token(1, 5)), Outcome::Acknowledged);
            tale.see(Seen::Counters([(1, 1), (2, 7)].into()));
            tale.see(Seen::Newest(token(1, 2)));
            tale.see(Seen::Halves(vec![]));
            tale.content.writes = [(token(1, 1), 1), (token(1, 2), 1)].into();
            tale.content.halves = [(token(1, 3), (2, 1))].into();
            tale.content.counters = [(1, 2), (2, 7)].into();
            tale
        }

        fn at(&self, step: usize) -> Instant {
            self.start + Duration::from_millis(10) * u32::try_from(step).unwrap()
        }

        fn tell(&mut self, action: Action, outcome: Outcome) -> &mut Operation {
            let step = self.operations.len();
            self.operations.push(Operation {
                client: 1,
                session: 1,
                action,
                began: self.at(step),
                ended: self.at(step) + Duration::from_millis(5),
                outcome,
                seen: None,
            });
            self.operations.last_mut().unwrap()
        }

        fn see(&mut self, seen: Seen) {
            self.tell(Action::Read, Outcome::Acknowledged).seen = Some(seen);
        }

        /// The rules that it breaks.
        fn breaks(&self) -> Vec<Rule> {
            let contents = [self.content.clone(), self.content.clone()];
            let violations = check(&self.operations, &contents, &self.terms);
            violations.iter().map(|violation| violation.rule).collect()
        }
    }

    fn problem(code: u16) -> Problem {
        Problem {
            code: Some(code),
            text: "no".to_owned(),
        }
    }

    #[test]
    fn nothing_is_wrong_with_a_good_run() {
        assert_eq!(Tale::good().breaks(), []);
    }

    #[test]
    fn a_lost_write_is_found_unless_it_was_said_to_be_lost() {
        let mut tale = Tale::good();
        tale.content.writes.remove(&token(1, 2));
        assert_eq!(tale.breaks(), [Rule::Kept]);
        tale.terms.gap = 1;
        assert_eq!(tale.breaks(), []);
        let mut tale = Tale::good();
        tale.content.halves.clear();
        assert_eq!(tale.breaks(), [Rule::Kept], "a transaction");
        let mut tale = Tale::good();
        tale.content.counters.insert(1, 0);
        assert_eq!(tale.breaks(), [Rule::Kept], "a count");
        tale.content.writes.clear();
        tale.terms.gap = 2;
        assert_eq!(tale.breaks(), [Rule::Kept], "three are more than two");
    }

    #[test]
    fn a_value_from_nowhere_is_found() {
        let mut tale = Tale::good();
        tale.content.writes.insert(token(9, 9), 1);
        assert_eq!(tale.breaks(), [Rule::Attempted]);
        let mut tale = Tale::good();
        tale.content.halves.insert(token(9, 9), (2, 1));
        assert_eq!(tale.breaks(), [Rule::Attempted]);
    }

    #[test]
    fn what_was_refused_or_taken_back_is_not_there() {
        let mut tale = Tale::good();
        tale.content.writes.insert(token(1, 4), 1);
        assert_eq!(tale.breaks(), [Rule::Refused]);
        let mut tale = Tale::good();
        tale.content.halves.insert(token(1, 5), (2, 1));
        assert_eq!(tale.breaks(), [Rule::Refused]);
    }

    #[test]
    fn half_a_transaction_is_found() {
        let mut tale = Tale::good();
        tale.content.halves.insert(token(1, 3), (1, 1));
        assert_eq!(tale.breaks(), [Rule::Whole]);
        let mut tale = Tale::good();
        tale.see(Seen::Halves(vec![token(1, 3)]));
        assert_eq!(tale.breaks(), [Rule::Whole], "seen on the way");
    }

    #[test]
    fn nothing_is_done_twice() {
        let mut tale = Tale::good();
        tale.content.counters.insert(1, 3);
        assert_eq!(tale.breaks(), [Rule::Once]);
        let mut tale = Tale::good();
        tale.tell(Action::Write(token(1, 6)), Outcome::Refused(problem(1062)));
        assert_eq!(tale.breaks(), [Rule::Once], "its own key stood in its way");
    }

    #[test]
    fn servers_take_turns() {
        let mut tale = Tale::good();
        for (count, server) in [(10, 2), (11, 2), (12, 1), (13, 1)] {
            tale.tell(Action::Write(token(1, count)), Outcome::Acknowledged);
            tale.content.writes.insert(token(1, count), server);
        }
        tale.terms.promotions = 2;
        assert_eq!(tale.breaks(), []);
        tale.terms.promotions = 1;
        assert_eq!(
            tale.breaks(),
            [Rule::OneWriter],
            "the old primary took a write after the new one"
        );
        let mut tale = Tale::good();
        tale.tell(Action::Write(token(1, 10)), Outcome::Acknowledged);
        tale.content.writes.insert(token(1, 10), 2);
        assert_eq!(tale.breaks(), [Rule::OneWriter], "nobody was promoted");
        // A write that waited may have been done before or after.
        let mut tale = Tale::good();
        tale.terms.promotions = 1;
        for (count, server) in [(10, 2), (11, 2)] {
            tale.tell(Action::Write(token(1, count)), Outcome::Acknowledged);
            tale.content.writes.insert(token(1, count), server);
        }
        let (first, last) = (tale.start, tale.at(100));
        let slow = tale.tell(Action::Write(token(1, 12)), Outcome::Acknowledged);
        (slow.began, slow.ended) = (first, last);
        tale.content.writes.insert(token(1, 12), 1);
        assert_eq!(tale.breaks(), []);
    }

    #[test]
    fn a_session_sees_what_it_wrote() {
        let mut tale = Tale::good();
        tale.see(Seen::Newest(token(1, 1)));
        assert_eq!(tale.breaks(), [Rule::Monotonic], "it had seen it");
        let mut tale = Tale::good();
        tale.tell(Action::Write(token(1, 10)), Outcome::Acknowledged);
        tale.content.writes.insert(token(1, 10), 1);
        tale.see(Seen::Newest(token(1, 2)));
        assert_eq!(tale.breaks(), [Rule::OwnWrites], "it had written it");
        tale.operations.last_mut().unwrap().session = 2;
        assert_eq!(tale.breaks(), [], "another session");
        let mut tale = Tale::good();
        tale.tell(Action::Count, Outcome::Acknowledged);
        tale.content.counters.insert(1, 3);
        tale.see(Seen::Counters([(1, 1), (2, 7)].into()));
        assert_eq!(tale.breaks(), [Rule::OwnWrites], "it had counted");
    }

    #[test]
    fn nothing_that_was_seen_disappears() {
        let mut tale = Tale::good();
        tale.see(Seen::Counters([(1, 2), (2, 6)].into()));
        assert_eq!(tale.breaks(), [Rule::Monotonic]);
        tale.terms.gap = 5;
        assert_eq!(tale.breaks(), [], "what is lost may have been seen");
    }

    #[test]
    fn servers_have_the_same() {
        let tale = Tale::good();
        let mut other = tale.content.clone();
        other.writes.remove(&token(1, 1));
        let violations = check(&tale.operations, &[tale.content.clone(), other], &tale.terms);
        assert_eq!(violations.len(), 1, "{violations:?}");
        assert_eq!(violations[0].rule, Rule::Agreement);
    }
}
