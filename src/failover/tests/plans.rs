//! Plans for clusters made by hand and for thousands drawn at random: who is promoted, who never is, and in which
//! steps.

use proptest::prelude::*;

use super::*;
use crate::config::FailoverMode;
use crate::failover::{By, Choice, Kind, SemiSyncAfter, StepKind, Wish, choose, finish, prepare};

/// A replica that was drawn.
#[derive(Debug, Clone)]
struct Drawn {
    executed: u64,
    fetched: u64,
    sql: (ThreadState, u32),
    io: ThreadState,
    delayed: bool,
    filtered: bool,
    errant: bool,
    promote: Promote,
    admin: Admin,
    quarantined: bool,
    answers: bool,
    near: bool,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let rarely = || prop::bool::weighted(0.15);
    let sql = prop_oneof![
        6 => Just((ThreadState::Running, 0)),
        1 => Just((ThreadState::Stopped, 0)),
        1 => Just((ThreadState::Stopped, 1062)),
    ];
    let io = prop_oneof![Just(ThreadState::Stopped), Just(ThreadState::Connecting)];
    let promote = prop_oneof![
        3 => Just(Promote::Normal),
        2 => Just(Promote::Prefer),
        1 => Just(Promote::Never),
    ];
    let admin = prop_oneof![5 => Just(Admin::Online), 1 => Just(Admin::Maintenance)];
    let places = (95u64..=105, 0u64..=5, sql, io);
    let faults = (rarely(), rarely(), rarely(), rarely(), prop::bool::weighted(0.85));
    (places, faults, promote, admin, any::<bool>()).prop_map(
        |(
            (executed, more, sql, io),
            (delayed, filtered, errant, quarantined, answers),
            promote,
            admin,
            near,
        )| {
            Drawn {
                executed,
                fetched: executed + more,
                sql,
                io,
                delayed,
                filtered,
                errant,
                promote,
                admin,
                quarantined,
                answers,
                near,
            }
        },
    )
}

fn scene(mariadb: bool, replicas: &[Drawn], last_seen: u64, max_gap: u64) -> Scene {
    let mut scene = cluster(mariadb, replicas.len() + 1);
    scene.last_seen = written(mariadb, 0, last_seen);
    scene.settings.max_gap = max_gap;
    scene.members[0].data_center = Some("east".into());
    fail(&mut scene, 0, Class::Unreachable, 5);
    for (place, replica) in replicas.iter().enumerate() {
        let index = place + 1;
        let mut status = status(mariadb, index, replica.executed);
        let own = channel(&mut status);
        own.retrieved = written(mariadb, 0, replica.fetched);
        (own.sql.state, own.sql.code) = replica.sql;
        own.io.state = replica.io;
        own.filtered = replica.filtered;
        if replica.delayed {
            own.delay = Duration::from_secs(60);
        }
        if replica.errant {
            if mariadb {
                status.executed = written(true, index, replica.executed + 1);
            } else {
                status.executed.merge(&written(false, index, 1));
            }
        }
        let now = scene.now;
        answer(&mut scene, index, now, status);
        if !replica.answers {
            fail(&mut scene, index, Class::Timeout, 3);
        }
        let member = &mut scene.members[index];
        (member.promote, member.admin) = (replica.promote, replica.admin);
        member.quarantined = replica.quarantined.then(|| "surplus".into());
        member.data_center = replica.near.then(|| "east".into());
    }
    scene
}

fn wish(scene: &Scene, kind: Kind, by: By) -> Wish {
    Wish {
        to: None,
        force: false,
        kind,
        by,
        now: scene.now,
    }
}

// === what must hold, said in numbers ===

impl Drawn {
    fn counts(&self) -> bool {
        self.answers && !self.quarantined
    }

    fn may_be_promoted(&self) -> bool {
        self.counts()
            && self.promote != Promote::Never
            && self.admin != Admin::Maintenance
            && !self.errant
            && !self.filtered
            && self.sql.1 == 0
    }

    fn drains_to(&self, mariadb: bool) -> u64 {
        let thrown_away = mariadb && self.sql.0 == ThreadState::Stopped && self.io == ThreadState::Stopped;
        if self.sql.1 != 0 || thrown_away || (mariadb && self.delayed) {
            self.executed
        } else {
            self.fetched
        }
    }

    fn gives(&self, mariadb: bool) -> Option<u64> {
        (self.counts() && !self.errant && !self.filtered).then(|| self.drains_to(mariadb))
    }
}

fn check(mariadb: bool, replicas: &[Drawn], last_seen: u64, max_gap: u64) {
    let scene = scene(mariadb, replicas, last_seen, max_gap);
    let wish = wish(&scene, Kind::Failover, By::Proxy);
    let choice = match choose(&scene, &wish) {
        Ok(choice) => choice,
        Err(refusal) => return refused(mariadb, replicas, last_seen, max_gap, &refusal.to_string()),
    };
    let chosen = &replicas[choice.candidate - 1];
    assert!(chosen.may_be_promoted(), "{chosen:?}");
    let own = chosen.drains_to(mariadb);
    let best = replicas
        .iter()
        .filter_map(|one| one.gives(mariadb))
        .max()
        .unwrap();
    // Nothing that anybody can supply is left behind.
    assert_eq!(choice.position, written(mariadb, 0, own.max(best)));
    assert_eq!(choice.fetch.is_some(), best > own);
    let counted = replicas.iter().filter(|one| one.counts());
    let had = counted.map(|one| one.fetched).max().unwrap().max(last_seen);
    assert_eq!(choice.gap, had.saturating_sub(own.max(best)));
    assert!(choice.gap <= max_gap);
    // Somebody who has it all goes before whoever is preferred.
    for other in replicas.iter().filter(|one| one.may_be_promoted()) {
        let theirs = other.drains_to(mariadb);
        assert!(theirs <= own, "{other:?} has more");
        if theirs == own && other.delayed == chosen.delayed {
            let prefers = |one: &Drawn| (one.promote == Promote::Prefer, one.near);
            assert!(prefers(other) <= prefers(chosen), "{other:?} is preferred");
        }
        assert!(theirs < own || chosen.delayed <= other.delayed);
    }
    for (index, replica) in replicas.iter().enumerate() {
        let diverged = choice.diverged.iter().any(|(diverged, _)| *diverged == index + 1);
        assert_eq!(diverged, replica.counts() && replica.errant);
    }
    steps(&scene, &choice);
}

/// A refusal has its reason: nobody who may be promoted, or more to be lost than may be.
fn refused(mariadb: bool, replicas: &[Drawn], last_seen: u64, max_gap: u64, why: &str) {
    if !replicas.iter().any(Drawn::may_be_promoted) {
        return;
    }
    let best = replicas
        .iter()
        .filter_map(|one| one.gives(mariadb))
        .max()
        .unwrap();
    let counted = replicas.iter().filter(|one| one.counts());
    let had = counted.map(|one| one.fetched).max().unwrap().max(last_seen);
    assert!(had - best > max_gap && why.contains("max_gap"), "{why}");
}

fn steps(scene: &Scene, choice: &Choice) {
    let steps = finish(scene, choice);
    let at = |is: &dyn Fn(&StepKind) -> bool| {
        steps
            .iter()
            .position(|step| step.server == choice.candidate && is(&step.kind))
    };
    let detach = at(&|kind| matches!(kind, StepKind::Detach { .. })).unwrap();
    let writable = at(&|kind| *kind == StepKind::Writable).unwrap();
    let drain = at(&|kind| matches!(kind, StepKind::Drain { .. }));
    assert!(detach < writable);
    let member = &scene.members[choice.candidate];
    match drain {
        Some(drain) => assert!(drain < detach),
        None => assert!(member.executed().contains(&choice.position)),
    }
    assert_eq!(
        steps[0].server == choice.candidate && matches!(steps[0].kind, StepKind::Follow(_)),
        choice.fetch.is_some() && {
            let donor = choice.fetch.unwrap();
            steps[0].server != donor
        }
    );
    for step in &steps {
        assert!(scene.members[step.server].is_answering(), "{step:?}");
        if let StepKind::Follow(follow) = &step.kind {
            let source = if step.server == choice.candidate {
                choice.fetch.unwrap()
            } else {
                choice.candidate
            };
            assert_eq!(follow.source, scene.members[source].address);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn nothing_is_left_behind_and_nobody_unfit_is_promoted(
        mariadb: bool,
        replicas in prop::collection::vec(drawn(), 1..=4),
        last_seen in 95u64..=112,
        max_gap in prop_oneof![Just(0u64), 0u64..10],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async { check(mariadb, &replicas, last_seen, max_gap) });
    }

    #[test]
    fn the_pace_is_kept_unless_forced(ago in 0u64..7200, count in 0usize..8, force: bool, paused: bool) {
        let mut scene = cluster(true, 3);
        fail(&mut scene, 0, Class::Unreachable, 2);
        for index in 1..3 {
            change(&mut scene, index, |status| channel(status).io.state = ThreadState::Connecting);
        }
        scene.now += Duration::from_secs(10_000);
        scene.promotions = vec![scene.now - Duration::from_secs(ago); count];
        scene.paused = paused;
        let wish = Wish { force, ..wish(&scene, Kind::Failover, By::Proxy) };
        let flaps = count > 0 && (ago < 60 || (ago < 3600 && count >= 5));
        prop_assert_eq!(prepare(&scene, &wish).is_ok(), !paused && (force || !flaps));
        let operator = Wish { by: By::Operator, ..wish };
        prop_assert!(prepare(&scene, &operator).is_ok());
    }
}

fn both(test: impl Fn(bool)) {
    test(false);
    test(true);
}

#[test]
fn a_dead_primary_is_fenced_and_its_replicas_frozen() {
    both(|mariadb| {
        let mut scene = cluster(mariadb, 3);
        fail(&mut scene, 0, Class::Unreachable, 2);
        for index in 1..3 {
            change(&mut scene, index, |status| {
                channel(status).io.state = ThreadState::Connecting;
                channel(status).sql.state = ThreadState::Stopped;
            });
        }
        let wish = wish(&scene, Kind::Failover, By::Proxy);
        let plan = prepare(&scene, &wish).unwrap();
        assert_eq!(plan.fence.len(), 2);
        // What was fetched is applied before the IO thread stops: MariaDB would throw it away.
        let kinds: Vec<_> = plan.freeze.iter().map(|step| (step.server, &step.kind)).collect();
        assert!(matches!(kinds[0], (1, StepKind::StartApplying { .. })));
        assert!(matches!(kinds[1], (1, StepKind::StopFetching { .. })));
        assert_eq!((kinds.len(), plan.undo.len()), (4, 3));
        for mode in [FailoverMode::Off, FailoverMode::Manual] {
            scene.settings.mode = mode;
            assert!(prepare(&scene, &wish).is_err());
        }
    });
}

#[test]
fn a_commit_that_only_an_absent_replica_may_have_is_not_given_up() {
    both(|mariadb| {
        let mut scene = cluster(mariadb, 3);
        change(&mut scene, 0, |status| {
            (status.semi_sync.source, status.semi_sync.clients) = (Some(true), 2);
        });
        fail(&mut scene, 0, Class::Unreachable, 2);
        let wish = wish(&scene, Kind::Failover, By::Proxy);
        assert_eq!(choose(&scene, &wish).unwrap().semi_sync, SemiSyncAfter::On);
        // What the primary alone has was acknowledged to nobody: it is told, and stops nothing.
        let seen = std::mem::replace(&mut scene.last_seen, written(mariadb, 0, 1_000_000));
        assert!(choose(&scene, &wish).unwrap().gap > scene.settings.max_gap);
        scene.last_seen = seen;
        // But for what somebody was told of.
        scene.acknowledged = one(mariadb, 103);
        let refusal = choose(&scene, &wish).unwrap_err().to_string();
        assert!(refusal.contains("lose"), "{refusal}");
        scene.acknowledged = one(mariadb, 100);
        assert!(choose(&scene, &wish).is_ok());
        fail(&mut scene, 2, Class::Timeout, 2);
        assert!(choose(&scene, &wish).unwrap_err().to_string().contains("alone"));
        let forced = Wish { force: true, ..wish };
        assert_eq!(choose(&scene, &forced).unwrap().semi_sync, SemiSyncAfter::Later);
    });
}

/// One transaction of the primary.
fn one(mariadb: bool, number: u64) -> Position {
    let text = if mariadb {
        format!("0-1-{number}")
    } else {
        format!("{}:{number}", UUIDS[0])
    };
    Position::parse(mariadb, text.as_bytes()).unwrap()
}

#[test]
fn what_clients_were_told_of_counts_as_far_as_it_goes() {
    both(|mariadb| {
        let mut scene = cluster(mariadb, 3);
        fail(&mut scene, 0, Class::Unreachable, 2);
        let wish = wish(&scene, Kind::Failover, By::Operator);
        assert_eq!(choose(&scene, &wish).unwrap().gap, 0);
        // No probe has seen it.
        scene.acknowledged = one(mariadb, 104);
        scene.last_seen.extend(&scene.acknowledged.clone());
        scene.settings.max_gap = 4;
        assert_eq!(choose(&scene, &wish).unwrap().gap, 4);
        scene.settings.max_gap = 3;
        assert!(choose(&scene, &wish).is_err());
        // Another server has it.
        change(&mut scene, 2, |status| status.executed = written(mariadb, 0, 104));
        assert_eq!(choose(&scene, &wish).unwrap().gap, 0);
    });
}

#[test]
fn a_switchover_waits_for_everything_and_demotes() {
    both(|mariadb| {
        let mut scene = cluster(mariadb, 3);
        scene.last_seen = written(mariadb, 0, 130);
        scene.members[2].promote = Promote::Prefer;
        let wish = wish(&scene, Kind::Switchover, By::Operator);
        assert_eq!(prepare(&scene, &wish).unwrap().expected, Some(2));
        let choice = choose(&scene, &wish).unwrap();
        assert_eq!((choice.candidate, choice.gap), (2, 0));
        assert_eq!(choice.position, scene.last_seen);
        let steps = finish(&scene, &choice);
        assert!(matches!(steps[0].kind, StepKind::Drain { .. }));
        let StepKind::Follow(last) = &steps.last().unwrap().kind else {
            panic!("{steps:?}");
        };
        assert!(last.demoted && steps.last().unwrap().server == 0);
        let lagging = Wish { to: Some(1), ..wish };
        change(&mut scene, 1, |status| {
            status.lag = Lag::Known(Duration::from_secs(60))
        });
        assert!(prepare(&scene, &lagging).is_err());
        fail(&mut scene, 0, Class::Timeout, 2);
        assert!(prepare(&scene, &lagging).is_err());
    });
}

#[test]
fn divergence_with_a_lower_number_is_seen_on_mariadb() {
    let mut scene = cluster(true, 3);
    scene.last_seen = written(true, 0, 200);
    // Its own write 101, when it had applied 100.
    change(&mut scene, 1, |status| status.executed = written(true, 1, 101));
    // The number is the primary's, the writer is not.
    change(&mut scene, 2, |status| {
        (status.executed, status.applied) = (written(true, 3, 200), Some(written(true, 3, 200)));
    });
    fail(&mut scene, 0, Class::Unreachable, 2);
    let wish = wish(&scene, Kind::Failover, By::Operator);
    let refusal = choose(&scene, &wish).unwrap_err();
    assert_eq!(refusal.reasons.len(), 2);
    assert!(refusal.to_string().contains("never had: 0-2-101"), "{refusal}");
    let forced = Wish {
        to: Some(1),
        force: true,
        ..wish
    };
    assert_eq!(choose(&scene, &forced).unwrap().candidate, 1);
}
