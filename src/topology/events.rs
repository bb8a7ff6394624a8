//! What has happened to the servers, newest last: for whoever asks afterwards why something is as it is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

/// Held for a push or a copy of pointers, and never across an await.
#[allow(clippy::disallowed_types)]
type Mutex<T> = std::sync::Mutex<T>;

/// A bounded history.
#[derive(Debug)]
pub struct Events {
    latest: Mutex<VecDeque<Arc<Event>>>,
    most: AtomicUsize,
    counts: [AtomicU64; EventKind::ALL.len()],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub at: SystemTime,
    pub kind: EventKind,
    /// Its name; `None`: it concerns the whole.
    pub server: Option<Arc<str>>,
    /// One sentence.
    pub text: String,
    /// What led to it, as names and values.
    pub details: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    Health,
    Role,
    Replication,
    /// An operator drained it, took it out, or put it back.
    State,
    Quarantine,
    /// Another server than before answers at an address.
    Identity,
    /// What the coordinator thinks of the primary has changed.
    Verdict,
    Failover,
    Switchover,
    Rejoin,
    Configuration,
    /// An operator did something else.
    Admin,
}

// === impl EventKind ===

impl EventKind {
    pub const ALL: [Self; 12] = [
        Self::Health,
        Self::Role,
        Self::Replication,
        Self::State,
        Self::Quarantine,
        Self::Identity,
        Self::Verdict,
        Self::Failover,
        Self::Switchover,
        Self::Rejoin,
        Self::Configuration,
        Self::Admin,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Role => "role",
            Self::Replication => "replication",
            Self::State => "state",
            Self::Quarantine => "quarantine",
            Self::Identity => "identity",
            Self::Verdict => "verdict",
            Self::Failover => "failover",
            Self::Switchover => "switchover",
            Self::Rejoin => "rejoin",
            Self::Configuration => "configuration",
            Self::Admin => "admin",
        }
    }
}

// === impl Event ===

impl Event {
    /// Something that happens now.
    pub fn new(kind: EventKind, server: Option<&str>, text: impl Into<String>) -> Self {
        Self {
            at: SystemTime::now(),
            kind,
            server: server.map(Into::into),
            text: text.into(),
            details: Vec::new(),
        }
    }

    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.details.push((name.to_owned(), value.to_string()));
        self
    }
}

// === impl Events ===

impl Events {
    /// Keeps so many.
    pub fn new(most: usize) -> Self {
        Self {
            latest: Mutex::default(),
            most: AtomicUsize::new(most.max(1)),
            counts: Default::default(),
        }
    }

    /// Keeps so many from now on.
    pub fn keep(&self, most: usize) {
        self.most.store(most.max(1), Ordering::Relaxed);
    }

    pub fn record(&self, event: Event) {
        self.counts[event.kind as usize].fetch_add(1, Ordering::Relaxed);
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        while latest.len() >= self.most.load(Ordering::Relaxed) {
            latest.pop_front();
        }
        latest.push_back(Arc::new(event));
    }

    /// The newest `most` of them, oldest first.
    pub fn latest(&self, most: usize) -> Vec<Arc<Event>> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let skipped = latest.len().saturating_sub(most);
        latest.iter().skip(skipped).cloned().collect()
    }

    /// How many of a kind there were since the start.
    pub fn count(&self, kind: EventKind) -> u64 {
        self.counts[kind as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_and_all_are_counted() {
        let events = Events::new(2);
        for text in ["one", "two", "three"] {
            events.record(Event::new(EventKind::Health, Some("db1"), text).with("was", "up"));
        }
        events.record(Event::new(EventKind::Admin, None, "four"));
        let texts: Vec<_> = events.latest(10).iter().map(|event| event.text.clone()).collect();
        assert_eq!(texts, ["three", "four"]);
        assert_eq!(events.latest(1)[0].text, "four");
        assert_eq!(events.count(EventKind::Health), 3);
        for (place, kind) in EventKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place, "{}", kind.word());
        }
    }
}
