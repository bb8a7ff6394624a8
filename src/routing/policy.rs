//! How much a session may miss, and what is done when nobody can answer as it wants: the configuration's words,
//! with those of the listener, the account and the session itself laid over them.

use std::time::Duration;

use super::decide::Servers;
use super::rules::{Actions, RuleSet};
use crate::config::{AutocommitOffReads, Config, ConsistencyLevel, ReadsFromPrimary, RuleTarget, WhenAllLag};
use crate::session::Preferences;
use crate::sql::{Facts, HintLevel};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub level: ConsistencyLevel,
    /// How long a read waits on a replica for what the session has seen.
    pub wait: Duration,
    /// Replicas that are further behind take no reads, at any level but `eventual`.
    pub max_lag: Option<Duration>,
    pub reads_from_primary: ReadsFromPrimary,
    pub when_all_lag: WhenAllLag,
    /// Reads with autocommit off go to replicas too.
    pub autocommit_off_reads: bool,
    pub hints: bool,
    /// Where a rule wants the statement.
    pub target: Option<Target>,
}

/// The servers that a statement may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Primary,
    Replica,
    Among(Servers),
}

// === impl Policy ===

impl Policy {
    pub fn new(config: &Config) -> Self {
        Self {
            level: config.consistency.level,
            wait: config.consistency.wait,
            max_lag: Some(config.consistency.max_lag),
            reads_from_primary: config.routing.reads_from_primary,
            when_all_lag: config.routing.when_all_lag,
            autocommit_off_reads: config.routing.autocommit_off_reads == AutocommitOffReads::Replica,
            hints: config.routing.hints,
            target: None,
        }
    }

    /// With the levels of the listener and of the account, where they have any: the last one counts.
    pub fn with_levels(mut self, levels: [Option<ConsistencyLevel>; 2]) -> Self {
        self.level = levels.into_iter().flatten().last().unwrap_or(self.level);
        self
    }

    /// With what the session set for itself.
    pub fn preferring(mut self, preferences: &Preferences) -> Self {
        self.level = preferences.consistency.map_or(self.level, level);
        if let Some(max_lag) = preferences.max_lag {
            self = self.lagging_at_most(max_lag);
        }
        self
    }

    /// Whoever names a lag does not take whatever a replica has.
    fn lagging_at_most(mut self, max_lag: Duration) -> Self {
        self.max_lag = Some(max_lag);
        if self.level == ConsistencyLevel::Eventual {
            self.level = ConsistencyLevel::Bounded;
        }
        self
    }

    /// For a statement that rules have something to say about.
    pub fn steered(mut self, rules: &RuleSet, actions: &Actions) -> Self {
        if let Some(max_lag) = rules.max_lag(actions) {
            self = self.lagging_at_most(*max_lag.value);
        }
        if let Some(level) = rules.consistency(actions) {
            self.level = *level.value;
        }
        self.target = rules.target(actions).map(|target| match target.value {
            RuleTarget::Primary => Target::Primary,
            RuleTarget::Replica => Target::Replica,
            RuleTarget::Servers(places) => {
                let mut servers = Servers::default();
                for place in places {
                    servers.insert(*place);
                }
                Target::Among(servers)
            }
        });
        self
    }

    /// For one statement: it may have a level of its own.
    pub fn level(&self, facts: &Facts) -> ConsistencyLevel {
        match facts.hint.consistency.filter(|_| self.hints) {
            Some(hinted) => level(hinted),
            None if facts.hint.max_lag.is_some()
                && self.hints
                && self.level == ConsistencyLevel::Eventual =>
            {
                ConsistencyLevel::Bounded
            }
            None => self.level,
        }
    }
}

fn level(level: HintLevel) -> ConsistencyLevel {
    match level {
        HintLevel::Eventual => ConsistencyLevel::Eventual,
        HintLevel::Session => ConsistencyLevel::Session,
        HintLevel::Proxy => ConsistencyLevel::Proxy,
        HintLevel::Bounded => ConsistencyLevel::Bounded,
        HintLevel::Strong => ConsistencyLevel::Strong,
    }
}
