//! Decisions before servers as the monitor would have found them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::balance::Balancer;
use super::*;
use crate::config::{Balance, Config, ListenerMode, MOST_SERVERS};
use crate::session::Seen;
use crate::sql::{Dialect, analyse};
use crate::topology::{Channel, Lag, Observation, Outcome, Status, Thread, ThreadState, Topology};

/// A primary and three replicas.
struct Scene {
    topology: Arc<Topology>,
    router: Router,
    policy: Policy,
    tried: Servers,
}

// === impl Scene ===

impl Scene {
    fn new(settings: &str) -> Self {
        let yaml = format!("servers: [\"a:1\", \"b:1\", \"c:1\", \"d:1\"]\naccounts: backend\n{settings}");
        let config = Config::parse(&yaml, Path::new("test.yaml")).unwrap();
        let topology = Topology::new(&config);
        let balancer = Balancer::new(Balance::RoundRobin, None, 7);
        Self {
            router: Router::new(topology.clone(), balancer),
            topology,
            policy: Policy::new(&config),
            tried: Servers::default(),
        }
    }

    /// A probe finds a replica that follows, so far behind.
    fn lags(&self, replica: usize, lag: Lag) {
        let thread = Thread {
            state: ThreadState::Running,
            ..Thread::default()
        };
        let channel = Channel {
            io: thread.clone(),
            sql: thread,
            ..Channel::default()
        };
        let status = Status {
            channels: Some(vec![channel]),
            lag,
            ..Status::default()
        };
        let observation = Observation {
            began: Instant::now(),
            probe: 1,
            took: Duration::ZERO,
            outcome: Outcome::Answered(Box::new(status)),
        };
        self.topology.observe(replica, observation);
    }

    fn decide(&mut self, sql: &str) -> Place {
        let asker = Asker {
            mode: ListenerMode::Split,
            policy: &self.policy,
            stays: None,
            autocommit: true,
            seen: &Seen::default(),
            schema: None,
            source: 1,
            tried: self.tried,
        };
        let facts = analyse(sql.as_bytes(), Dialect::default());
        self.router.decide(&facts, asker, Instant::now()).place
    }

    /// Where so many reads go, each server once.
    fn readers(&mut self, sql: &str) -> Vec<usize> {
        let mut servers = Vec::new();
        for _ in 0..12 {
            match self.decide(sql) {
                Place::Server { index, .. } => servers.push(index),
                Place::Home => servers.push(0),
                other => panic!("{other:?}"),
            }
        }
        servers.sort_unstable();
        servers.dedup();
        servers
    }
}

fn seconds(seconds: u64) -> Lag {
    Lag::Known(Duration::from_secs(seconds))
}

const READ: &str = "SELECT a FROM t";

#[tokio::test]
async fn where_all_lag_the_least_late_serves_stale_reads() {
    let mut scene = Scene::new("routing: {when_all_lag: stale}");
    scene.lags(1, seconds(60));
    scene.lags(2, seconds(30));
    scene.lags(3, Lag::Infinite);
    assert_eq!(scene.readers(READ), [2]);
    scene.tried.insert(2);
    assert_eq!(scene.readers(READ), [1]);
    scene.tried.insert(1);
    assert_eq!(scene.readers(READ), [3], "nobody else is left");
    scene.tried = Servers::default();
    scene.lags(1, seconds(30));
    assert_eq!(scene.readers(READ), [1, 2], "equals take turns");
}

#[tokio::test]
async fn a_lag_beyond_the_limit_counts_at_every_level_but_eventual() {
    let mut scene = Scene::new("consistency: {max_lag: 10s}");
    scene.lags(1, seconds(60));
    scene.lags(2, seconds(1));
    scene.lags(3, Lag::Infinite);
    let at = |level: &str| format!("/* splitrail: consistency={level} */ {READ}");
    assert_eq!(scene.readers(READ), [2]);
    assert_eq!(scene.readers(&at("bounded")), [2]);
    assert_eq!(scene.readers(&at("eventual")), [1, 2, 3]);
    assert_eq!(scene.readers(&at("strong")), [0]);
    // An unknown lag is good enough for a session that sees its own writes, and no bound on anything.
    scene.lags(1, Lag::Unknown);
    assert_eq!(scene.readers(READ), [1, 2]);
    assert_eq!(scene.readers(&at("bounded")), [2]);
}

#[tokio::test]
async fn whoever_names_a_lag_is_not_eventual() {
    let mut scene = Scene::new("consistency: {level: eventual}");
    scene.lags(1, seconds(60));
    scene.lags(2, seconds(1));
    scene.lags(3, seconds(5));
    assert_eq!(scene.readers(READ), [1, 2, 3]);
    assert_eq!(scene.readers("/* splitrail: max_lag=2s */ SELECT a FROM t"), [2]);
    let mut preferences = crate::session::Preferences::default();
    preferences.set("max_lag", Some("5s"), false).unwrap();
    scene.policy = scene.policy.preferring(&preferences);
    assert_eq!(scene.readers(READ), [2, 3]);
}

#[tokio::test]
async fn every_server_is_tried_once_and_then_the_primary() {
    let mut scene = Scene::new("");
    for _ in 0..3 {
        let Place::Server { index, .. } = scene.decide(READ) else {
            panic!("nobody is tried");
        };
        assert!(scene.tried.insert(index));
    }
    assert_eq!(scene.decide(READ), Place::Home);
}

#[test]
fn a_set_of_servers_has_room_for_all_and_takes_no_others() {
    let mut servers = Servers::default();
    for index in 0..MOST_SERVERS {
        assert!(!servers.has(index));
        assert!(servers.insert(index) && servers.has(index));
        assert!(!servers.insert(index), "it is in there already");
    }
    for index in [MOST_SERVERS, usize::MAX, 1 << 32] {
        assert!(!servers.insert(index) && !servers.has(index));
    }
}
