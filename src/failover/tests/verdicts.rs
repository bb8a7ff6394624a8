//! What is concluded from probes that fail, and from what replicas say of their connections.

use std::time::Duration;

use super::*;
use crate::failover::{Action, Verdict, judge};

/// Replicas are asked again after the primary has failed, with this state of their IO threads.
fn ask(scene: &mut Scene, io: ThreadState, heard_after: Duration, asked_after: Duration) {
    let then = scene.now;
    for index in 1..scene.members.len() {
        let mut status = Status::clone(scene.members[index].status.as_ref().unwrap());
        channel(&mut status).io.state = io;
        answer(scene, index, then + asked_after, status);
        scene.members[index].hearing = Some(Hearing {
            at: then + heard_after,
            until: then + asked_after,
        });
    }
    scene.now = then + asked_after;
}

fn verdict(scene: &Scene) -> Verdict {
    let analysis = judge(scene);
    assert!(!analysis.rule.is_empty() && !analysis.findings.is_empty());
    analysis.verdict
}

const MS: fn(u64) -> Duration = Duration::from_millis;

#[tokio::test]
async fn a_primary_that_refuses_and_has_left_its_replicas_is_dead() {
    let mut scene = cluster(false, 3);
    assert_eq!(verdict(&scene), Verdict::Healthy);
    fail(&mut scene, 0, Class::Unreachable, 1);
    assert_eq!(judge(&scene).action, Action::Ask(vec![0, 1, 2]));
    fail(&mut scene, 0, Class::Unreachable, 2);
    scene.members[1].answered = Some(scene.now - MS(1));
    assert_eq!(judge(&scene).action, Action::Ask(vec![1]));
    ask(&mut scene, ThreadState::Connecting, MS(0), MS(50));
    let analysis = judge(&scene);
    assert_eq!(
        (analysis.verdict, analysis.action),
        (Verdict::Dead, Action::Promote)
    );
    assert_eq!(analysis.findings.len(), 3);
}

#[tokio::test]
async fn one_replica_that_is_fed_keeps_the_primary_alive() {
    for (class, expected) in [
        (Class::Timeout, Verdict::Hung),
        (Class::Unreachable, Verdict::Severed),
    ] {
        let mut scene = cluster(true, 3);
        fail(&mut scene, 0, class, 5);
        ask(&mut scene, ThreadState::Running, MS(3000), MS(3100));
        change(&mut scene, 1, |status| {
            channel(status).io.state = ThreadState::Connecting
        });
        let analysis = judge(&scene);
        assert_eq!((analysis.verdict, analysis.action), (expected, Action::Report));
    }
}

#[tokio::test]
async fn silence_kills_once_a_heartbeat_is_overdue() {
    let mut scene = cluster(true, 3);
    fail(&mut scene, 0, Class::Timeout, 2);
    let mut early = scene.clone();
    ask(&mut early, ThreadState::Running, MS(0), MS(1400));
    assert_eq!(judge(&early).action, Action::Ask(vec![1, 2]));
    ask(&mut scene, ThreadState::Running, MS(0), MS(1600));
    assert_eq!(verdict(&scene), Verdict::Dead);
    // Rare heartbeats are not waited for.
    for index in 1..3 {
        change(&mut scene, index, |status| {
            channel(status).heartbeat = Some(Duration::from_secs(30));
        });
    }
    assert_eq!(judge(&scene).action, Action::Reconnect(vec![1, 2]));
    scene.reconnected = Some(scene.now - MS(100));
    assert_eq!(verdict(&scene), Verdict::Hung);
    change(&mut scene, 1, |status| {
        channel(status).io.state = ThreadState::Connecting
    });
    change(&mut scene, 2, |status| {
        channel(status).io.state = ThreadState::Connecting
    });
    assert_eq!(verdict(&scene), Verdict::Dead);
}

#[tokio::test]
async fn whoever_reaches_nobody_is_cut_off() {
    let mut scene = cluster(false, 3);
    for index in 0..3 {
        fail(&mut scene, index, Class::Timeout, 9);
    }
    let analysis = judge(&scene);
    assert_eq!(
        (analysis.verdict, analysis.action),
        (Verdict::CutOff, Action::Report)
    );
    let mut alone = cluster(false, 1);
    fail(&mut alone, 0, Class::Unreachable, 9);
    assert_eq!(verdict(&alone), Verdict::CutOff);
}

#[tokio::test]
async fn a_primary_that_says_what_ails_it_is_not_dead() {
    for (class, expected) in [
        (Class::TooManyConnections, Verdict::Full),
        (Class::DiskFull, Verdict::DiskFull),
        (Class::Denied, Verdict::Denied),
    ] {
        let mut scene = cluster(false, 2);
        fail(&mut scene, 0, class, 99);
        ask(&mut scene, ThreadState::Connecting, MS(0), MS(50));
        let analysis = judge(&scene);
        assert_eq!((analysis.verdict, analysis.action), (expected, Action::Report));
    }
    let mut scene = cluster(false, 2);
    change(&mut scene, 0, |status| status.read_only = true);
    assert_eq!(verdict(&scene), Verdict::ReadOnly);
    change(&mut scene, 0, |status| status.semi_sync.source = Some(true));
    assert_eq!(verdict(&scene), Verdict::AcksStuck);
    scene.members[0].observation = None;
    assert_eq!(verdict(&scene), Verdict::Unwatched);
}

#[tokio::test]
async fn replicas_that_may_not_be_looked_into_cannot_testify() {
    let mut scene = cluster(false, 2);
    fail(&mut scene, 0, Class::Unreachable, 2);
    change(&mut scene, 1, |status| status.channels = None);
    assert_eq!(verdict(&scene), Verdict::Denied);
}
