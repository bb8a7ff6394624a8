//! Where a statement goes, and why. Pure: a statement, what is known of its session and of the servers, and the
//! policy go in, and a place with its reason comes out. [`Router::explain`] tells the same story at length.
//!
//! The order: what the session holds, hints, the listener's mode, the statement's class, consistency, balancing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::balance::{Balancer, Candidate};
use super::dependence::is_system;
use super::policy::{Policy, Target};
use super::reason::{Obstacle, Why};
use super::refusals::Refusals;
use crate::config::{ConsistencyLevel, ListenerMode, MOST_SERVERS, ReadsFromPrimary, WhenAllLag};
use crate::session::{Hold, Seen};
use crate::sql::{Class, Facts, HintTarget, Name, Reason};
use crate::topology::{Admin, Health, Lag, Replication, Role, ServerView, Snapshot, Topology};

/// Where a statement runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the connection that the session holds, else at home.
    Home,
    /// On the connection that ran the statement before, if it is still at hand.
    Last,
    /// On this server. With `wait`, once it has what the session has seen.
    Server { index: usize, wait: bool },
    /// Nowhere: there is no server that may answer.
    Nowhere,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    pub place: Place,
    pub why: Why,
}

/// What matters of the session and of how its client came in.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    pub mode: ListenerMode,
    pub policy: &'a Policy,
    /// Why the session's reads stay where it is, if they do.
    pub stays: Option<Hold>,
    pub autocommit: bool,
    pub seen: &'a Seen,
    /// The current schema, in which functions without one are looked up.
    pub schema: Option<&'a [u8]>,
    /// Where it comes from, for algorithms that keep a source together.
    pub source: u64,
    /// Servers that have been tried for this statement.
    pub tried: Servers,
}

/// A set of servers, with room for as many as a configuration may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Servers(u64);

const _: () = assert!(MOST_SERVERS <= u64::BITS as usize);

/// One thread's part in routing.
pub struct Router {
    topology: Arc<Topology>,
    /// The topology's latest, and its number: asking for the number costs less than asking for the snapshot.
    snapshot: Arc<Snapshot>,
    published: u64,
    balancer: Balancer,
    /// Both are kept for their memory alone.
    candidates: Vec<Candidate>,
    obstacles: Vec<Option<Obstacle>>,
    pub refusals: Refusals,
}

/// What speaks for or against each server, for people.
#[derive(Debug)]
pub struct Explanation {
    pub decision: Decision,
    pub servers: Vec<(usize, Option<Obstacle>)>,
}

// === impl Servers ===

impl Servers {
    /// Whether it is new in the set. One that there is no room for never is.
    pub fn insert(&mut self, index: usize) -> bool {
        let is_new = !self.has(index) && index < u64::BITS as usize;
        self.0 |= Self::bit(index);
        is_new
    }

    pub fn has(self, index: usize) -> bool {
        self.0 & Self::bit(index) != 0
    }

    fn bit(index: usize) -> u64 {
        u32::try_from(index)
            .ok()
            .and_then(|index| 1_u64.checked_shl(index))
            .unwrap_or(0)
    }
}

// === impl Decision ===

impl Decision {
    fn at_home(why: Why) -> Self {
        Self {
            place: Place::Home,
            why,
        }
    }
}

// === impl Router ===

impl Router {
    /// Another way to choose among servers, from now on.
    pub fn set_balancer(&mut self, balancer: Balancer) {
        self.balancer = balancer;
    }

    pub fn new(topology: Arc<Topology>, balancer: Balancer) -> Self {
        let published = topology.published();
        Self {
            snapshot: Arc::clone(&topology.snapshot()),
            published,
            topology,
            balancer,
            candidates: Vec::new(),
            obstacles: Vec::new(),
            refusals: Refusals::default(),
        }
    }

    pub fn topology(&self) -> &Arc<Topology> {
        &self.topology
    }

    fn keep_up(&mut self) {
        let published = self.topology.published();
        if self.published != published {
            self.snapshot = Arc::clone(&self.topology.snapshot());
            self.published = published;
        }
    }

    pub fn decide(&mut self, facts: &Facts, asker: Asker<'_>, now: Instant) -> Decision {
        self.keep_up();
        match self.before_balancing(facts, asker) {
            Err(decision) => decision,
            Ok(why) => self.choose(facts, asker, why, now),
        }
    }

    /// The decision with everything that led to it. It counts as no statement.
    pub fn explain(&mut self, facts: &Facts, asker: Asker<'_>, now: Instant) -> Explanation {
        let decision = self.decide(facts, asker, now);
        let snapshot = self.topology.snapshot();
        let backup = |server: &ServerView| server.backup.then_some(Obstacle::Backup);
        let judge = |(index, server)| {
            let obstacle = self.obstacle(index, server, facts, asker, &snapshot);
            let spared = decision.place != Place::Server { index, wait: false };
            (index, obstacle.or(backup(server).filter(|_| spared)))
        };
        let servers = snapshot.present().map(judge).collect();
        Explanation { decision, servers }
    }

    /// Whether the statement may run on a replica at all: the reason, or the place that it has instead.
    fn before_balancing(&self, facts: &Facts, asker: Asker<'_>) -> Result<Why, Decision> {
        let home = |why| Err(Decision::at_home(why));
        if facts.is_for_last(asker.stays.is_some()) {
            return Err(Decision {
                place: Place::Last,
                why: Why::Class(facts.reason),
            });
        }
        if asker.mode != ListenerMode::Split {
            return home(Why::Mode(asker.mode));
        }
        if let Some(hold) = asker.stays {
            return home(Why::Held(hold));
        }
        let starts = matches!(
            facts.class,
            Class::Begin {
                read_only: Some(true)
            }
        );
        let reads = match facts.class {
            Class::Read => true,
            Class::ReadIf => self.only_reads(facts, asker.schema),
            _ => starts,
        };
        let hinted = facts.hint.target.as_ref().filter(|_| asker.policy.hints);
        if matches!(hinted, Some(HintTarget::Primary)) {
            return home(Why::Hint);
        }
        let ruled = asker.policy.target.filter(|_| hinted.is_none());
        if ruled == Some(Target::Primary) {
            return home(Why::Rule);
        }
        if !reads {
            return home(Why::Class(facts.reason));
        }
        if !starts && asker.schema.is_some_and(is_system) && facts.names_table_of_current_schema() {
            return home(Why::Class(Reason::ServerLocalTable));
        }
        if !asker.autocommit && (starts || !asker.policy.autocommit_off_reads) {
            return home(Why::AutocommitOff);
        }
        if self.refusals.has(facts.digest) {
            return home(Why::RefusedBefore);
        }
        if asker.policy.level(facts) == ConsistencyLevel::Strong {
            return home(Why::Strong);
        }
        Ok(if hinted.is_some() {
            Why::Hint
        } else if ruled.is_some() {
            Why::Rule
        } else if starts {
            Why::ReadOnlyTransaction
        } else {
            Why::Class(facts.reason)
        })
    }

    /// Whether all functions that the statement calls are known to change nothing.
    pub fn only_reads(&self, facts: &Facts, schema: Option<&[u8]>) -> bool {
        let readers = self.topology.snapshot().readers.clone();
        let reads = |call: &Name| {
            let schema = call.schema.as_deref().map(str::as_bytes).or(schema);
            schema.is_some_and(|schema| readers.has(schema, call.name.as_bytes()))
        };
        !facts.calls.is_empty() && facts.calls.iter().all(reads)
    }

    fn choose(&mut self, facts: &Facts, asker: Asker<'_>, why: Why, now: Instant) -> Decision {
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        let mut obstacles = std::mem::take(&mut self.obstacles);
        obstacles.clear();
        let snapshot = &*self.snapshot;
        let (mut behind, mut worst, mut may_answer) = (Servers::default(), Why::NoReplica, false);
        for (index, server) in snapshot.servers.iter().enumerate() {
            let obstacle = self.obstacle(index, server, facts, asker, snapshot);
            if obstacle == Some(Obstacle::Behind) {
                behind.insert(index);
            }
            worst = worst.worse(obstacle);
            may_answer |= matches!(obstacle, None | Some(Obstacle::Behind | Obstacle::Lag));
            obstacles.push(obstacle);
        }
        for round in Round::ALL.iter().filter(|_| may_answer) {
            if round.standing == Standing::Stale && asker.policy.when_all_lag != WhenAllLag::Stale {
                continue;
            }
            for (index, server) in snapshot.servers.iter().enumerate() {
                if round.admits(server.backup, obstacles[index]) {
                    candidates.push(self.candidate(index, server));
                }
            }
            if round.standing == Standing::Stale {
                keep_least_late(&mut candidates, snapshot);
            }
            if !candidates.is_empty() {
                break;
            }
        }
        let chosen = self.balancer.choose(&candidates, asker.source, now);
        let chosen = chosen
            .and_then(|place| candidates.get(place))
            .map(|candidate| candidate.index);
        self.candidates = candidates;
        self.obstacles = obstacles;
        match chosen {
            Some(index) if Some(index) == snapshot.primary => Decision::at_home(why),
            Some(index) => {
                let wait = behind.has(index);
                Decision {
                    place: Place::Server { index, wait },
                    why,
                }
            }
            None if worst == Why::AllLag && asker.policy.when_all_lag == WhenAllLag::Error => Decision {
                place: Place::Nowhere,
                why: worst,
            },
            None if asker.policy.reads_from_primary == ReadsFromPrimary::Never => Decision {
                place: Place::Nowhere,
                why: worst,
            },
            None => Decision::at_home(worst),
        }
    }

    fn candidate(&self, index: usize, server: &ServerView) -> Candidate {
        let load = self.topology.load(index);
        Candidate {
            index,
            weight: server.weight,
            in_flight: load.in_flight(),
            latency: load.latency.load(Ordering::Relaxed),
            usable_since: server.usable_since,
        }
    }

    /// What keeps a server from answering this statement, if anything does.
    fn obstacle(
        &self,
        index: usize,
        server: &ServerView,
        facts: &Facts,
        asker: Asker<'_>,
        snapshot: &Snapshot,
    ) -> Option<Obstacle> {
        let policy = asker.policy;
        if let Some(HintTarget::Server(name)) = facts.hint.target.as_ref().filter(|_| policy.hints)
            && !name.eq_ignore_ascii_case(server.name.as_bytes())
        {
            return Some(Obstacle::OtherServer);
        }
        let among = match policy.target {
            Some(Target::Among(servers)) if facts.hint.target.is_none() || !policy.hints => Some(servers),
            _ => None,
        };
        if among.is_some_and(|servers| !servers.has(index)) {
            return Some(Obstacle::OtherServer);
        }
        if asker.tried.has(index) {
            return Some(Obstacle::Failed);
        }
        match server.admin {
            Admin::Online => {}
            Admin::Drain => return Some(Obstacle::Drain),
            Admin::Maintenance => return Some(Obstacle::Maintenance),
            Admin::Removed | Admin::Gone => return Some(Obstacle::Removed),
        }
        if matches!(server.health, Health::Down { .. }) {
            return Some(Obstacle::Down);
        }
        if Some(index) == snapshot.primary || server.role == Role::Primary {
            let shares = policy.reads_from_primary == ReadsFromPrimary::Share;
            let named = matches!(facts.hint.target, Some(HintTarget::Server(_))) || among.is_some();
            return (!shares && !named).then_some(Obstacle::Primary);
        }
        if policy.level(facts) == ConsistencyLevel::Eventual {
            return None;
        }
        if matches!(server.replication, Replication::Stopped { .. }) || self.is_late(server, facts, policy) {
            return Some(Obstacle::Lag);
        }
        match policy.level(facts) {
            ConsistencyLevel::Session | ConsistencyLevel::Proxy => self.follows(index, server, asker),
            _ => None,
        }
    }

    fn is_late(&self, server: &ServerView, facts: &Facts, policy: &Policy) -> bool {
        let limit = facts.hint.max_lag.filter(|_| policy.hints).or(policy.max_lag);
        match server.steady_lag {
            Lag::Infinite => true,
            Lag::Known(lag) => limit.is_some_and(|limit| lag > limit),
            // Good enough for a session that sees its own writes, and no bound on anything.
            Lag::Unknown => policy.level(facts) == ConsistencyLevel::Bounded,
        }
    }

    /// Whether a read there would miss something that the session wrote or saw.
    fn follows(&self, index: usize, server: &ServerView, asker: Asker<'_>) -> Option<Obstacle> {
        if !asker.seen.may_move_to(index) {
            return Some(Obstacle::SeenElsewhere);
        }
        let known = self.topology.position(index);
        if asker.seen.is_reached(index) || asker.seen.is_in(&known.position) {
            return None;
        }
        let hopeless = match server.lag {
            Lag::Known(lag) => lag > asker.policy.wait,
            Lag::Infinite => true,
            Lag::Unknown => false,
        };
        if hopeless || asker.policy.wait.is_zero() || self.refusals.stalls(index, known.probe) {
            Some(Obstacle::TooFarBehind)
        } else {
            Some(Obstacle::Behind)
        }
    }
}

/// Of replicas that are all too late, those that are so least. One that has stopped may say what it lags: it will
/// not catch up.
fn keep_least_late(candidates: &mut Vec<Candidate>, snapshot: &Snapshot) {
    let lateness = |candidate: &Candidate| {
        let server = &snapshot.servers[candidate.index];
        let has_stopped = matches!(server.replication, Replication::Stopped { .. });
        match server.lag {
            Lag::Known(lag) => (has_stopped, lag),
            Lag::Unknown | Lag::Infinite => (true, Duration::MAX),
        }
    };
    if let Some(least) = candidates.iter().map(lateness).min() {
        candidates.retain(|candidate| lateness(candidate) == least);
    }
}

/// Who is asked, if nobody was found in the rounds before.
#[derive(Debug, Clone, Copy)]
struct Round {
    backup: bool,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It has what the session has seen.
    Current,
    /// It will have it soon.
    Waiting,
    /// It is too late, and allowed to be.
    Stale,
}

// === impl Round ===

impl Round {
    const ALL: [Self; 5] = [
        Self::new(false, Standing::Current),
        Self::new(false, Standing::Waiting),
        Self::new(true, Standing::Current),
        Self::new(true, Standing::Waiting),
        Self::new(false, Standing::Stale),
    ];

    const fn new(backup: bool, standing: Standing) -> Self {
        Self { backup, standing }
    }

    fn admits(self, is_backup: bool, obstacle: Option<Obstacle>) -> bool {
        match self.standing {
            Standing::Current => self.backup == is_backup && obstacle.is_none(),
            Standing::Waiting => self.backup == is_backup && obstacle == Some(Obstacle::Behind),
            Standing::Stale => obstacle == Some(Obstacle::Lag),
        }
    }
}
