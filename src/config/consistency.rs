//! How fresh a read must be, and how long it may wait for a replica to catch up.

use std::time::Duration;

use super::choice::Choice;
use super::reader::Section;

/// What reads see of earlier writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consistency {
    /// Unless a listener, an account, a rule or a hint says otherwise.
    pub level: ConsistencyLevel,
    /// What a session sees that has not done anything yet.
    pub at_login: AtLogin,
    /// How long a read waits on a replica for the writes that it must see, before it goes to the primary.
    pub wait: Duration,
    /// A replica further behind serves no reads, at any level but `eventual`.
    pub max_lag: Duration,
}

/// From the cheapest to the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConsistencyLevel {
    /// Whatever the replica has.
    Eventual,
    /// What the session itself has written and read before.
    Session,
    /// That, and all that any client of this proxy was told is committed.
    Proxy,
    /// Everything older than `max_lag`.
    Bounded,
    /// Everything that anybody had committed when the read began.
    Strong,
}

impl Choice for ConsistencyLevel {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("eventual", Self::Eventual),
        ("session", Self::Session),
        ("proxy", Self::Proxy),
        ("bounded", Self::Bounded),
        ("strong", Self::Strong),
    ];
}

/// What clients were told before a session began, by this proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtLogin {
    /// All commits that any of them was told of.
    Acknowledged,
    /// A session knows of nobody else.
    Nothing,
}

impl Choice for AtLogin {
    const WORDS: &'static [(&'static str, Self)] =
        &[("acknowledged", Self::Acknowledged), ("nothing", Self::Nothing)];
}

// === impl Consistency ===

impl Consistency {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let second = Duration::from_secs(1);
        let wait = Duration::ZERO..=second * 60;
        let max_lag = Duration::from_millis(1)..=second * 86_400;
        Self {
            level: section.field("level").choice_or(ConsistencyLevel::Session),
            at_login: section.field("at_login").choice_or(AtLogin::Acknowledged),
            wait: section.field("wait").duration(wait, Duration::from_millis(100)),
            max_lag: section.field("max_lag").duration(max_lag, second * 10),
        }
    }
}
