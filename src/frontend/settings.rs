//! What a reload of the configuration replaces, in one piece: nobody ever sees half of the old and half of the new.

use std::sync::Arc;

use super::caching::ResultCache;
use super::client::Client;
use super::shared::Shared;
use crate::config::{Balance, Config, ConsistencyLevel, Listener};
use crate::routing::Policy;
use crate::routing::rules::RuleSet;
use crate::topology::Topology;

/// The configuration and what is made of it once. It never changes: a new one takes its place, and each session
/// takes that up before its next statement.
pub struct Settings {
    /// Which of the process's settings these are, counted from zero.
    pub serial: u64,
    pub config: Config,
    pub rules: Arc<RuleSet>,
    /// Where a rule keeps results.
    pub results: Option<Arc<ResultCache>>,
    pub listeners: Box<[Arc<Listener>]>,
}

// === impl Settings ===

impl Settings {
    /// What is as it was in `old` is kept: counts, buckets and results with it.
    pub fn new(config: Config, old: Option<&Self>, topology: &Arc<Topology>) -> Self {
        let rules = match old {
            Some(old) if old.config.rules == config.rules => old.rules.clone(),
            Some(old) => Arc::new(RuleSet::compile(&config.rules).counting_on(&old.rules)),
            None => Arc::new(RuleSet::compile(&config.rules)),
        };
        let size = config.routing.result_cache;
        let kept = old.filter(|old| old.config.routing.result_cache == size);
        let caches = config.rules.iter().any(|rule| rule.actions.cache.is_some());
        let results = caches.then(|| {
            let most = usize::try_from(size).unwrap_or(usize::MAX);
            let fresh = || Arc::new(ResultCache::new(most, topology.clone()));
            kept.and_then(|old| old.results.clone()).unwrap_or_else(fresh)
        });
        let listeners = config.listeners.iter().cloned().map(Arc::new).collect();
        Self {
            serial: 0,
            config,
            listeners,
            rules,
            results,
        }
    }

    /// Whether it matters how soon servers answer. Nobody else pays for reading the clock.
    pub fn measures_latency(&self) -> bool {
        self.config.routing.balance == Balance::LeastLatency
    }
}

// === impl Shared ===

impl Shared {
    /// What is configured now for who comes in by this listener.
    pub fn current(&self, listener: &Arc<Listener>) -> Arc<Listener> {
        let settings = self.settings();
        let mut listeners = settings.listeners.iter();
        let current = listeners.find(|known| known.address == listener.address);
        current.unwrap_or(listener).clone()
    }
}

// === impl Client ===

impl Client {
    /// Takes up what a reload has changed, before a statement begins.
    pub fn keep_up(&mut self) {
        if self.worker.shared.settings_serial() != self.settings.serial {
            self.take_up();
        }
    }

    /// What the session set for itself stays.
    #[cold]
    fn take_up(&mut self) {
        let new = self.worker.shared.settings().clone();
        if self.settings.config.servers != new.config.servers {
            // Who has gone is not to be kept from being forgotten.
            self.seats.clear();
        }
        self.settings = new;
        self.configured_policy = self.policy_from(self.account_level);
        self.policy = self.configured_policy.preferring(&self.session.preferences);
        self.select_rules();
        self.steer_prepared();
    }

    /// The configured policy of this client, whose account asks for a level of its own or does not.
    pub fn policy_from(&self, account: Option<ConsistencyLevel>) -> Policy {
        let config = &self.settings.config;
        let mut listeners = config.listeners.iter();
        let listener = listeners.find(|listener| listener.name == self.listener);
        let levels = [listener.map(|listener| listener.consistency), account];
        Policy::new(config).with_levels(levels)
    }
}
