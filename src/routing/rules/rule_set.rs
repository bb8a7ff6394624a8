//! All rules, ready to be asked about every statement of every client.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::actions::{Actions, Place, Said};
use super::buckets::{Buckets, MOST, Verdict};
use crate::config::{
    self, CacheRule, ConsistencyLevel, Mirror, Rewrite, Rule, RuleActions, RuleTarget, Throttle, ThrottlePer,
};
use crate::sql::{self, Dialect, Facts, Flavour};

/// Held for one look at a table, and never across an await.
#[allow(clippy::disallowed_types)]
type Mutex<T> = std::sync::Mutex<T>;

/// The rules in their order. Threads share it; only a throttled statement takes a lock.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Box<[Compiled]>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Compiled {
    rule: Rule,
    /// What the examples of statements have in common with those that they stand for.
    digests: Vec<u64>,
    buckets: Option<Mutex<Buckets>>,
    /// Statements that it was applied to.
    hits: AtomicU64,
}

/// How a client came in.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// The name that it logged in with.
    pub user: &'a [u8],
    pub listener: &'a str,
    /// `None`: through a Unix socket.
    pub address: Option<IpAddr>,
}

/// A statement, and all that rules may ask about it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub client: Client<'a>,
    /// The session's.
    pub schema: Option<&'a [u8]>,
    pub facts: &'a Facts,
    /// As far as it is known: of a very long statement, its beginning.
    pub text: &'a [u8],
}

/// The rules that a client's statements may match: the part that is the same for all of them, worked out once.
#[derive(Debug, Clone, Default)]
pub struct Selection(Box<[Place]>);

// === impl RuleSet ===

impl RuleSet {
    pub fn compile(rules: &[Rule]) -> Self {
        Self {
            // A place fits: the configuration has fewer rules.
            rules: rules
                .iter()
                .take(usize::from(Place::MAX))
                .map(Compiled::new)
                .collect(),
            hasher: RandomState::new(),
        }
    }

    /// Goes on counting where rules of the same names are.
    pub fn counting_on(self, old: &Self) -> Self {
        for compiled in &self.rules {
            let mut before = old.rules.iter();
            if let Some(before) = before.find(|before| before.rule.name == compiled.rule.name) {
                compiled
                    .hits
                    .store(before.hits.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
        self
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// A statement is treated as these rules want.
    pub fn count(&self, actions: &Actions) {
        actions.each_rule(|place| {
            if let Some(compiled) = self.rules.get(usize::from(place)) {
                compiled.hits.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    /// Each rule's name and its statements, in their order.
    pub fn hits(&self) -> impl Iterator<Item = (&str, u64)> {
        let rules = self.rules.iter();
        rules.map(|compiled| (compiled.rule.name.as_str(), compiled.hits.load(Ordering::Relaxed)))
    }

    /// The rules that the client's statements may match.
    pub fn select(&self, client: Client<'_>) -> Selection {
        let may_match = |(place, compiled): (usize, &Compiled)| {
            let place = Place::try_from(place).ok()?;
            compiled.suits(client).then_some(place)
        };
        Selection(self.rules.iter().enumerate().filter_map(may_match).collect())
    }

    /// The names of the selected rules, in their order.
    pub fn names(&self, selection: &Selection) -> impl Iterator<Item = &str> {
        let rules = selection
            .0
            .iter()
            .filter_map(|&place| self.rules.get(usize::from(place)));
        rules.map(|compiled| compiled.rule.name.as_str())
    }

    /// What the rules want with the statement.
    pub fn matching(&self, subject: &Subject<'_>) -> Actions {
        self.matching_among(&self.select(subject.client), subject)
    }

    /// The same, among the rules selected for this very client. Without any it costs nothing.
    pub fn matching_among(&self, selection: &Selection, subject: &Subject<'_>) -> Actions {
        let mut actions = Actions::default();
        for &place in &selection.0 {
            let Some(compiled) = self.rules.get(usize::from(place)) else {
                continue;
            };
            if !compiled.matches(subject) {
                continue;
            }
            actions.take(&compiled.rule.actions, place);
            if !compiled.rule.continues {
                actions.last = Some(place);
                break;
            }
        }
        actions
    }

    /// Asks for the statement's turn under the rule that throttles it.
    pub fn throttle(
        &self,
        actions: &Actions,
        subject: &Subject<'_>,
        now: Instant,
    ) -> Option<(Said<'_, Throttle>, Verdict)> {
        let said = self.throttled(actions)?;
        let compiled = self.rules.get(usize::from(actions.throttle?))?;
        let who = match said.value.per {
            ThrottlePer::User => self.hasher.hash_one(subject.client.user),
            ThrottlePer::Address => self.hasher.hash_one(subject.client.address),
            ThrottlePer::Digest => subject.facts.digest,
            ThrottlePer::All => 0,
        };
        let mut buckets = compiled
            .buckets
            .as_ref()?
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Some((said, buckets.ask(who, now)))
    }

    fn said<'a, T: ?Sized>(
        &'a self,
        place: Option<Place>,
        pick: impl Fn(&'a RuleActions) -> Option<&'a T>,
    ) -> Option<Said<'a, T>> {
        let rule = &self.rules.get(usize::from(place?))?.rule;
        Some(Said {
            rule: &rule.name,
            value: pick(&rule.actions)?,
        })
    }
}

/// What the actions are.
impl RuleSet {
    /// The rule after which no other was asked.
    pub fn last(&self, actions: &Actions) -> Option<&str> {
        let compiled = self.rules.get(usize::from(actions.last?))?;
        Some(&compiled.rule.name)
    }

    pub fn target(&self, actions: &Actions) -> Option<Said<'_, RuleTarget>> {
        self.said(actions.target, |actions| actions.target.as_ref())
    }

    pub fn consistency(&self, actions: &Actions) -> Option<Said<'_, ConsistencyLevel>> {
        self.said(actions.consistency, |actions| actions.consistency.as_ref())
    }

    pub fn max_lag(&self, actions: &Actions) -> Option<Said<'_, Duration>> {
        self.said(actions.max_lag, |actions| actions.max_lag.as_ref())
    }

    pub fn timeout(&self, actions: &Actions) -> Option<Said<'_, Duration>> {
        self.said(actions.timeout, |actions| actions.timeout.as_ref())
    }

    pub fn block(&self, actions: &Actions) -> Option<Said<'_, str>> {
        self.said(actions.block, |actions| actions.block.as_deref())
    }

    pub fn throttled(&self, actions: &Actions) -> Option<Said<'_, Throttle>> {
        self.said(actions.throttle, |actions| actions.throttle.as_ref())
    }

    pub fn rewrite(&self, actions: &Actions) -> Option<Said<'_, Rewrite>> {
        self.said(actions.rewrite, |actions| actions.rewrite.as_ref())
    }

    pub fn mirror(&self, actions: &Actions) -> Option<Said<'_, Mirror>> {
        self.said(actions.mirror, |actions| actions.mirror.as_ref())
    }

    pub fn cache(&self, actions: &Actions) -> Option<Said<'_, CacheRule>> {
        self.said(actions.cache, |actions| actions.cache.as_ref())
    }
}

// === impl Selection ===

impl Selection {
    /// No statement of the client matches any rule.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

// === impl Actions ===

impl Actions {
    /// Adds what is not given yet.
    fn take(&mut self, given: &RuleActions, place: Place) {
        let slots = [
            (&mut self.target, given.target.is_some()),
            (&mut self.consistency, given.consistency.is_some()),
            (&mut self.max_lag, given.max_lag.is_some()),
            (&mut self.timeout, given.timeout.is_some()),
            (&mut self.block, given.block.is_some()),
            (&mut self.rewrite, given.rewrite.is_some()),
            (&mut self.mirror, given.mirror.is_some()),
            (&mut self.cache, given.cache.is_some()),
            (&mut self.throttle, given.throttle.is_some()),
        ];
        for (slot, _) in slots.into_iter().filter(|(_, is_given)| *is_given) {
            slot.get_or_insert(place);
        }
    }
}

// === impl Compiled ===

impl Compiled {
    fn new(rule: &Rule) -> Self {
        let number = |text: &String, flavour| {
            let facts = sql::analyse(text.as_bytes(), Dialect::new(flavour, 0));
            facts.digest
        };
        let both = |text| [Flavour::MySql, Flavour::MariaDb].map(|flavour| number(text, flavour));
        let mut digests: Vec<_> = rule.matches.digests.iter().flat_map(both).collect();
        digests.sort_unstable();
        digests.dedup();
        let buckets = |throttle: &config::Throttle| Mutex::new(Buckets::new(throttle, MOST));
        Self {
            digests,
            buckets: rule.actions.throttle.as_ref().map(buckets),
            rule: rule.clone(),
            hits: AtomicU64::new(0),
        }
    }

    /// Whether statements of this client can match.
    fn suits(&self, client: Client<'_>) -> bool {
        let matches = &self.rule.matches;
        one_of(&matches.users, |user| user.as_bytes() == client.user)
            && one_of(&matches.listeners, |listener| listener == client.listener)
            && one_of(&matches.networks, |network| {
                client.address.is_some_and(|address| network.contains(address))
            })
    }

    /// Whether the statement matches, given that its client suits. The text comes last: it costs most.
    fn matches(&self, subject: &Subject<'_>) -> bool {
        let (matches, facts) = (&self.rule.matches, subject.facts);
        one_of(&matches.verbs, |verb| facts.features.verbs.contains(*verb))
            && one_of(&matches.schemas, |schema| {
                subject
                    .schema
                    .is_some_and(|mine| schema.as_bytes().eq_ignore_ascii_case(mine))
            })
            && (matches.digests.is_empty() || self.digests.binary_search(&facts.digest).is_ok())
            && one_of(&matches.tables, |pattern| {
                facts.tables.iter().flatten().any(|table| {
                    let schema = table.schema.as_deref().or(subject.schema);
                    pattern.matches(schema, &table.name)
                })
            })
            && matches
                .text
                .as_ref()
                .is_none_or(|text| text.regex().is_match(subject.text))
    }
}

/// An empty list is everything.
fn one_of<T>(list: &[T], is_it: impl FnMut(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(is_it)
}
