//! One server's state, and what an observation makes of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::observation::{LagSource, Observation, Outcome, Status};
use super::snapshot::{Admin, Health, Lag, Replication, Role, ServerView};
use crate::config;

#[derive(Debug)]
pub(super) struct Record {
    pub(super) view: ServerView,
    pub(super) latest: Option<Arc<Observation>>,
    /// When the figure in `view.lag` was true.
    lag_at: Option<Instant>,
    /// When sessions or probes gave it up: a probe that began before cannot bring it back.
    down_at: Option<Instant>,
    /// Sessions keep failing there although probes do not: it stays out until then.
    ejected_until: Option<Instant>,
    /// Ejections of late; each takes twice as long as the one before.
    ejections: u32,
    /// Who answers at its address: empty until that is known.
    pub(super) identity: String,
}

/// An ejection counts no more after so many times the longest pause.
const FORGIVEN: u32 = 2;

// === impl Record ===

impl Record {
    pub(super) fn new(view: ServerView) -> Self {
        Self {
            view,
            latest: None,
            lag_at: None,
            down_at: None,
            ejected_until: None,
            ejections: 0,
            identity: String::new(),
        }
    }

    /// Whether a probe that began at `began` saw the server after it was given up.
    pub(super) fn is_news(&self, began: Instant) -> bool {
        let after = |time: Option<Instant>| time.is_none_or(|time| began >= time);
        after(self.down_at) && after(self.ejected_until)
    }

    /// Takes it out because of what sessions saw, for `shortest` the first time.
    pub(super) fn eject(&mut self, why: Arc<str>, shortest: Duration, longest: Duration, now: Instant) {
        if self
            .ejected_until
            .is_some_and(|until| now >= until + FORGIVEN * longest)
        {
            self.ejections = 0;
        }
        let pause = shortest.saturating_mul(1 << self.ejections.min(16)).min(longest);
        self.ejections += 1;
        self.ejected_until = Some(now + pause);
        self.down(why, now);
    }

    pub(super) fn is_ejected(&self, now: Instant) -> bool {
        self.ejected_until.is_some_and(|until| now < until)
    }

    /// Notes who answered. Answers who did before, if that was somebody else.
    pub(super) fn identify(&mut self, uuid: &str) -> Option<String> {
        if uuid.is_empty() || self.identity == uuid {
            return None;
        }
        let before = std::mem::replace(&mut self.identity, uuid.to_owned());
        (!before.is_empty()).then_some(before)
    }

    /// The figure of lag has been told anew.
    pub(super) fn steady(&mut self) {
        self.view.steady_lag = self.view.steady_lag.steadied(self.view.lag);
    }

    pub(super) fn up(&mut self, now: Instant) {
        self.down_at = None;
        self.change(now, |view| view.health = Health::Up);
    }

    pub(super) fn down(&mut self, why: Arc<str>, now: Instant) {
        if self.down_at.is_none() {
            self.down_at = Some(now);
        }
        self.change(now, |view| view.health = Health::Down { why });
    }

    /// Whether this is what is known of that server of the configuration.
    pub(super) fn is_still(&self, server: &config::Server) -> bool {
        *self.view.name == *server.name && self.view.admin != Admin::Gone
    }

    /// Takes up what is said of it now and was not before.
    pub(super) fn configure(&mut self, old: &ServerView, new: ServerView, now: Instant) {
        if old.weight != new.weight {
            self.view.weight = new.weight;
        }
        self.view.backup = new.backup;
        self.view.rank = new.rank;
        // It may have become the primary since that was asked.
        if old.admin != new.admin && self.view.role != Role::Primary {
            self.set_admin(new.admin, now);
        }
    }

    /// Somebody else may answer from now on: what was known is known no more, and what probes began before counts
    /// for nothing.
    pub(super) fn moved(&mut self, now: Instant) {
        self.latest = None;
        self.lag_at = None;
        self.view.lag = lag_of_nothing(self.view.role);
        self.view.steady_lag = self.view.lag;
        self.change(now, |view| view.health = Health::Unknown);
        self.down_at = Some(now);
    }

    pub(super) fn set_admin(&mut self, admin: Admin, now: Instant) {
        self.change(now, |view| view.admin = admin);
    }

    pub(super) fn set_weight(&mut self, weight: u32) {
        self.view.weight = weight;
    }

    pub(super) fn set_quarantine(&mut self, why: Option<Arc<str>>, now: Instant) {
        self.change(now, |view| view.quarantine = why);
    }

    pub(super) fn set_role(&mut self, role: Role) {
        // Removed while it was on its way to be promoted: writes go nowhere else.
        if role == Role::Primary && !self.view.is_configured() {
            self.view.admin = Admin::Online;
        }
        if self.view.role != role {
            self.view.role = role;
            self.view.lag = lag_of_nothing(role);
            self.lag_at = None;
            self.view.steady_lag = self.view.lag;
        }
    }

    /// What a probe saw of replication. `behind` is how old the data are at least, by what the primary had.
    pub(super) fn replicate(&mut self, observation: &Observation, behind: Lag) {
        match &observation.outcome {
            Outcome::Answered(status) => {
                self.view.replication = replication(status);
                if status.lag_source == LagSource::Disconnected {
                    self.grow(observation.began, Lag::Infinite);
                    return;
                }
                self.view.lag = lag(self.view.role, status, behind);
                self.lag_at = Some(observation.began);
            }
            Outcome::Greeted { .. } => {
                self.view.replication = Replication::None;
                self.view.lag = lag_of_nothing(self.view.role);
                self.lag_at = None;
            }
            Outcome::Failed(_) => self.grow(observation.began + observation.took, self.view.lag),
        }
    }

    /// Since a figure was read the data can have grown older by that time, and not by more.
    fn grow(&mut self, now: Instant, unknown: Lag) {
        self.view.lag = match (self.view.role, self.view.lag, self.lag_at) {
            (Role::Primary, ..) => lag_of_nothing(Role::Primary),
            (Role::Replica, Lag::Known(lag), Some(then)) => {
                self.lag_at = Some(then.max(now));
                Lag::Known(lag.saturating_add(now.saturating_duration_since(then)))
            }
            (Role::Replica, ..) => unknown,
        };
    }

    fn change(&mut self, now: Instant, change: impl FnOnce(&mut ServerView)) {
        let was_usable = self.view.is_usable();
        change(&mut self.view);
        match (was_usable, self.view.is_usable()) {
            (false, true) => self.view.usable_since = Some(now),
            (true, false) => self.view.usable_since = None,
            _ => {}
        }
    }
}

fn replication(status: &Status) -> Replication {
    let Some(channels) = status.channels.as_deref().filter(|channels| !channels.is_empty()) else {
        return Replication::None;
    };
    let troubles: Vec<_> = channels.iter().filter_map(|channel| channel.trouble()).collect();
    if troubles.is_empty() {
        Replication::Running
    } else {
        Replication::Stopped {
            why: troubles.join("; ").into(),
        }
    }
}

/// The primary's data are never old. A replica that follows nobody grows old for ever.
fn lag(role: Role, status: &Status, behind: Lag) -> Lag {
    match (role, &status.channels, status.lag, behind) {
        (Role::Primary, ..) => lag_of_nothing(role),
        (_, Some(channels), ..) if channels.is_empty() => Lag::Infinite,
        (_, _, Lag::Known(told), Lag::Known(behind)) => Lag::Known(told.max(behind)),
        (_, _, told, _) => told,
    }
}

fn lag_of_nothing(role: Role) -> Lag {
    match role {
        Role::Primary => Lag::Known(Duration::ZERO),
        Role::Replica => Lag::Unknown,
    }
}

// === impl LagSource ===

impl LagSource {
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Positions => "positions",
            Self::Applier => "applier",
            Self::Heartbeat => "heartbeat",
            Self::SecondsBehind => "seconds behind",
            Self::Threads => "threads",
            Self::Disconnected => "disconnected",
        }
    }
}
