//! A server's life as the topology tells it: probes and sessions report, snapshots say what follows.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, advance};

use super::*;
use crate::config::Config;
use crate::gtid::Position;

const REPLICA: usize = 1;

fn topology(more: &str) -> Arc<Topology> {
    let yaml =
        format!("servers: [\"a:1\", {{address: \"b:1\", weight: 3}}, \"c:1\"]\naccounts: backend\n{more}");
    Topology::new(&Config::parse(&yaml, Path::new("test.yaml")).unwrap())
}

fn mariadb(text: &str) -> Position {
    Position::parse(true, text.as_bytes()).unwrap()
}

fn observation(outcome: Outcome) -> Observation {
    Observation {
        began: Instant::now(),
        probe: 1,
        took: Duration::ZERO,
        outcome,
    }
}

fn failure(class: Class) -> Observation {
    observation(Outcome::Failed(Failure {
        class,
        code: None,
        message: "no".into(),
    }))
}

fn running() -> Channel {
    let thread = Thread {
        state: ThreadState::Running,
        ..Thread::default()
    };
    Channel {
        io: thread.clone(),
        sql: thread,
        ..Channel::default()
    }
}

/// A replica that follows, at `position`.
fn replica(position: &str, lag: Lag) -> Status {
    Status {
        executed: mariadb(position),
        applied: Some(mariadb(position)),
        channels: Some(vec![running()]),
        lag,
        ..Status::default()
    }
}

fn answer(status: Status) -> Observation {
    observation(Outcome::Answered(Box::new(status)))
}

fn up(topology: &Topology) {
    topology.observe(REPLICA, answer(replica("0-1-1", Lag::Known(Duration::ZERO))));
}

fn seen(topology: &Topology) -> ServerView {
    topology.snapshot().servers[REPLICA].clone()
}

fn is_down(topology: &Topology) -> bool {
    matches!(seen(topology).health, Health::Down { .. })
}

#[test]
fn at_first_everything_is_usable_and_nothing_is_known() {
    let topology = topology("");
    let snapshot = topology.snapshot();
    assert_eq!(
        (snapshot.serial, snapshot.epoch, snapshot.primary),
        (0, 1, Some(0))
    );
    let roles: Vec<_> = snapshot.servers.iter().map(|server| server.role).collect();
    assert_eq!(roles, [Role::Primary, Role::Replica, Role::Replica]);
    for server in &snapshot.servers {
        assert!(server.is_usable() && server.health == Health::Unknown && server.usable_since.is_none());
    }
    assert_eq!(
        (snapshot.servers[1].weight, snapshot.servers[1].lag),
        (3, Lag::Unknown)
    );
    assert!(topology.position(1).position.is_empty() && topology.position(1).probe == 0);
}

#[tokio::test(start_paused = true)]
async fn it_takes_failures_in_a_row_to_go_down_and_one_success_to_come_back() {
    let topology = topology("monitor: {user: m, password: m, failures: 3}");
    up(&topology);
    for _ in 0..5 {
        topology.observe(REPLICA, failure(Class::Unreachable));
        topology.observe(REPLICA, failure(Class::Timeout));
        assert_eq!(seen(&topology).health, Health::Up);
        up(&topology);
    }
    for _ in 0..3 {
        topology.observe(REPLICA, failure(Class::Timeout));
    }
    assert!(is_down(&topology) && !seen(&topology).is_usable());
    advance(Duration::from_secs(9)).await;
    let serial = topology.snapshot().serial;
    up(&topology);
    assert_eq!(seen(&topology).health, Health::Up);
    assert_eq!(seen(&topology).usable_since, Some(Instant::now()));
    assert_eq!(topology.snapshot().serial, serial + 1);
    up(&topology);
    assert_eq!(topology.snapshot().serial, serial + 1, "nothing is new");
}

#[tokio::test(start_paused = true)]
async fn sessions_that_lose_a_server_make_it_suspect_and_then_down_until_a_probe_succeeds() {
    let topology = topology("");
    up(&topology);
    let before = Instant::now();
    advance(Duration::from_millis(1)).await;
    topology.failed(REPLICA);
    topology.suspected(REPLICA).await;
    assert_eq!(seen(&topology).health, Health::Up);
    topology.succeeded(REPLICA);
    topology.failed(REPLICA);
    assert_eq!(seen(&topology).health, Health::Up);
    topology.failed(REPLICA);
    assert!(is_down(&topology));
    topology.succeeded(REPLICA);
    topology.failed(REPLICA);
    assert!(is_down(&topology));
    // It was still there when this probe began: that says nothing.
    let mut old = answer(replica("0-1-1", Lag::Unknown));
    old.began = before;
    topology.observe(REPLICA, old);
    assert!(is_down(&topology));
    advance(Duration::from_millis(500)).await;
    up(&topology);
    assert_eq!(seen(&topology).health, Health::Up);
    topology.failed(REPLICA);
    assert_eq!(seen(&topology).health, Health::Up, "the count starts again");
}

#[tokio::test(start_paused = true)]
async fn however_many_sessions_a_server_hangs_up_on_a_probe_decides() {
    let topology = topology("");
    up(&topology);
    for _ in 0..3 {
        topology.hung_up(REPLICA);
        topology.hung_up(REPLICA);
        topology.suspected(REPLICA).await;
        assert_eq!(seen(&topology).health, Health::Up);
        advance(Duration::from_millis(1)).await;
        up(&topology);
    }
    topology.hung_up(REPLICA);
    topology.failed(REPLICA);
    assert!(is_down(&topology), "nobody can connect either");
}

#[tokio::test(start_paused = true)]
async fn a_replica_at_which_only_sessions_fail_stays_out_for_longer_each_time() {
    let ejection = "ejection: {shortest: 1s, longest: 3s, most: 50}";
    let topology = topology(&format!(
        "monitor: {{user: m, password: m, failures: 1, {ejection}}}"
    ));
    for pause in [1, 2, 3, 3] {
        up(&topology);
        topology.failed(REPLICA);
        advance(Duration::from_secs(pause) - Duration::from_millis(1)).await;
        up(&topology);
        assert!(is_down(&topology), "{pause}");
        advance(Duration::from_millis(1)).await;
        up(&topology);
        assert_eq!(seen(&topology).health, Health::Up, "{pause}");
    }
    advance(Duration::from_secs(6)).await;
    topology.failed(REPLICA);
    advance(Duration::from_secs(1)).await;
    up(&topology);
    assert_eq!(seen(&topology).health, Health::Up, "all is forgiven");
    // Of two replicas, one is half.
    topology.failed(REPLICA);
    assert!(is_down(&topology));
    topology.failed(2);
    assert!(!matches!(
        topology.snapshot().servers[2].health,
        Health::Down { .. }
    ));
}

#[tokio::test(start_paused = true)]
async fn a_figure_of_lag_counts_when_it_has_fallen_by_a_quarter() {
    let topology = topology("");
    let seconds = |seconds| Lag::Known(Duration::from_secs(seconds));
    for (told, counts) in [(8, 8), (7, 8), (10, 10), (8, 10), (7, 7), (9, 9), (0, 0)] {
        topology.observe(REPLICA, answer(replica("0-1-1", seconds(told))));
        assert_eq!(seen(&topology).steady_lag, seconds(counts), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_server_at_an_address_and_two_names_for_one_are_told() {
    let topology = topology("");
    let answered = |index, uuid: &str| {
        let status = Status {
            uuid: uuid.to_owned(),
            ..replica("0-1-1", Lag::Unknown)
        };
        topology.observe(index, answer(status));
    };
    answered(1, "one");
    answered(2, "two");
    answered(1, "one");
    assert_eq!(topology.events().count(EventKind::Identity), 0);
    answered(1, "three");
    assert_eq!(topology.events().count(EventKind::Identity), 1);
    answered(2, "three");
    assert_eq!(topology.events().count(EventKind::Identity), 3);
}

#[tokio::test(start_paused = true)]
async fn a_probe_and_a_session_count_together() {
    let topology = topology("");
    topology.failed(REPLICA);
    topology.observe(REPLICA, failure(Class::Unreachable));
    assert!(is_down(&topology));
}

#[tokio::test(start_paused = true)]
async fn the_operator_takes_a_server_out_and_puts_it_back() {
    let topology = topology("");
    up(&topology);
    topology.set_admin(REPLICA, Admin::Drain);
    assert_eq!(
        (seen(&topology).admin, seen(&topology).is_usable()),
        (Admin::Drain, false)
    );
    assert_eq!(seen(&topology).health, Health::Up);
    advance(Duration::from_secs(1)).await;
    topology.set_admin(REPLICA, Admin::Maintenance);
    assert_eq!(seen(&topology).usable_since, None);
    topology.set_admin(REPLICA, Admin::Online);
    assert_eq!(seen(&topology).usable_since, Some(Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn a_failed_probe_never_makes_data_look_younger() {
    let topology = topology("");
    let second = Duration::from_secs(1);
    topology.observe(REPLICA, answer(replica("0-1-1", Lag::Known(second))));
    advance(second * 2).await;
    topology.observe(REPLICA, failure(Class::Timeout));
    assert_eq!(seen(&topology).lag, Lag::Known(second * 3));
    advance(second).await;
    topology.observe(REPLICA, failure(Class::Timeout));
    assert_eq!(seen(&topology).lag, Lag::Known(second * 4));
    topology.observe(REPLICA, answer(replica("0-1-1", Lag::Infinite)));
    topology.observe(REPLICA, failure(Class::Timeout));
    assert_eq!(seen(&topology).lag, Lag::Infinite);
    topology.observe(REPLICA, observation(Outcome::Greeted { refusal: None }));
    assert_eq!(
        (seen(&topology).lag, seen(&topology).health),
        (Lag::Unknown, Health::Up)
    );
}

#[tokio::test(start_paused = true)]
async fn without_its_source_a_replica_grows_old_from_where_it_was() {
    let topology = topology("");
    let second = Duration::from_secs(1);
    let disconnected = || {
        answer(Status {
            lag_source: LagSource::Disconnected,
            ..replica("0-1-1", Lag::Unknown)
        })
    };
    topology.observe(REPLICA, disconnected());
    assert_eq!(seen(&topology).lag, Lag::Infinite, "nobody knows since when");
    topology.observe(REPLICA, answer(replica("0-1-1", Lag::Known(second))));
    advance(second * 3).await;
    topology.observe(REPLICA, disconnected());
    assert_eq!(seen(&topology).lag, Lag::Known(second * 4));
    advance(second).await;
    topology.observe(REPLICA, disconnected());
    assert_eq!(seen(&topology).lag, Lag::Known(second * 5));
}

#[tokio::test(start_paused = true)]
async fn a_thread_that_stands_still_is_told_with_its_reason() {
    let topology = topology("");
    up(&topology);
    assert_eq!(seen(&topology).replication, Replication::Running);
    let mut status = replica("0-1-1", Lag::Infinite);
    if let Some(channels) = &mut status.channels {
        channels[0].sql = Thread {
            state: ThreadState::Stopped,
            code: 1062,
            message: "Duplicate entry".to_owned(),
        };
    }
    topology.observe(REPLICA, answer(status));
    let why = "the SQL thread is stopped: 1062 Duplicate entry".into();
    assert_eq!(seen(&topology).replication, Replication::Stopped { why });
    assert!(seen(&topology).is_usable());
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_follows_nobody_is_old_and_one_that_cannot_be_asked_is_unknown() {
    let topology = topology("");
    let status = |channels| Status {
        channels,
        ..replica("0-1-1", Lag::Unknown)
    };
    topology.observe(REPLICA, answer(status(Some(vec![]))));
    assert_eq!(
        (seen(&topology).lag, seen(&topology).replication),
        (Lag::Infinite, Replication::None)
    );
    topology.observe(REPLICA, answer(status(None)));
    assert_eq!(seen(&topology).lag, Lag::Unknown);
    topology.observe(0, answer(status(Some(vec![]))));
    assert_eq!(topology.snapshot().servers[0].lag, Lag::Known(Duration::ZERO));
    assert_eq!(topology.snapshot().servers[0].role, Role::Primary);
}

/// Its connection hangs, and it believes that it has everything.
#[tokio::test(start_paused = true)]
async fn a_replica_is_as_old_as_what_it_lacks_of_the_primary() {
    let topology = topology("");
    let primary = |position: &str| {
        answer(Status {
            executed: mariadb(position),
            channels: Some(vec![]),
            ..Status::default()
        })
    };
    let zero = Lag::Known(Duration::ZERO);
    topology.observe(0, primary("0-1-1"));
    advance(Duration::from_secs(1)).await;
    topology.observe(0, primary("0-1-2"));
    advance(Duration::from_secs(5)).await;
    topology.observe(REPLICA, answer(replica("0-1-1", zero)));
    assert_eq!(seen(&topology).lag, Lag::Known(Duration::from_secs(5)));
    topology.observe(REPLICA, answer(replica("0-1-2", zero)));
    assert_eq!(seen(&topology).lag, zero);
}

#[tokio::test(start_paused = true)]
async fn what_sessions_proved_outlives_one_probe_and_no_loss_of_the_server() {
    let topology = topology("");
    let knows = |text: &str| topology.position(REPLICA).position.contains(&mariadb(text));
    topology.observe(REPLICA, answer(replica("0-1-5", Lag::Unknown)));
    topology.reached(REPLICA, &mariadb("0-1-9"));
    assert!(knows("0-1-9"));
    assert_eq!(topology.position(REPLICA).probe, 1);
    // This probe may have read before.
    topology.observe(REPLICA, answer(replica("0-1-7", Lag::Unknown)));
    assert!(knows("0-1-9"));
    // The server was set back.
    topology.observe(REPLICA, answer(replica("0-1-7", Lag::Unknown)));
    assert!(knows("0-1-7") && !knows("0-1-8"));
    topology.observe(REPLICA, failure(Class::Timeout));
    assert!(knows("0-1-7"));
    topology.failed(REPLICA);
    assert!(!knows("0-1-1"), "it may come back with less");
    topology.reached(0, &mariadb("0-1-9"));
    assert!(
        topology.position(0).position.is_empty(),
        "nobody asks that of the primary"
    );
}

#[test]
fn functions_are_published() {
    let topology = topology("");
    let function = Function {
        schema: b"a".to_vec(),
        name: b"f".to_vec(),
        only_reads: true,
    };
    topology.set_readers(Readers::new([function.clone()]));
    topology.set_readers(Readers::new([function]));
    assert!(topology.snapshot().readers.has(b"a", b"F"));
    assert_eq!(topology.snapshot().serial, 1);
    // What was read before a routine was made anew says nothing of it.
    topology.forget_procedures();
    topology.know_procedures(0);
    let times = |topology: &Topology| (topology.snapshot().made_anew, topology.snapshot().known_as_of);
    assert_eq!(times(&topology), (1, 0));
    topology.know_procedures(topology.procedures_forgotten());
    assert_eq!(times(&topology), (1, 1));
}
