//! Every algorithm chooses a candidate and nothing else, in proportion to the weights, and adapts when servers
//! come and go.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{Balancer, Candidate};
use crate::config::Balance;

const ALL: [Balance; 6] = [
    Balance::LeastConnections,
    Balance::RoundRobin,
    Balance::LeastLatency,
    Balance::Random,
    Balance::SourceHash,
    Balance::First,
];

fn candidate(index: usize, weight: u32) -> Candidate {
    Candidate {
        index,
        weight,
        in_flight: 0,
        latency: 500,
        usable_since: None,
    }
}

fn candidates(weights: &[u32]) -> Vec<Candidate> {
    weights
        .iter()
        .enumerate()
        .map(|(index, weight)| candidate(index, *weight))
        .collect()
}

fn balancer(balance: Balance) -> Balancer {
    Balancer::new(balance, None, 7)
}

/// How often each candidate is chosen in `times` choices for as many sources.
fn counts(balancer: &mut Balancer, candidates: &[Candidate], times: u64) -> Vec<u64> {
    let (now, mut counts) = (Instant::now(), vec![0; candidates.len()]);
    for source in 0..times {
        counts[balancer.choose(candidates, source, now).unwrap()] += 1;
    }
    counts
}

/// No count is further from its share than `tolerance` of all.
fn assert_shares(counts: &[u64], weights: &[u32], tolerance: f64) {
    let (sum, total): (u64, u32) = (counts.iter().sum(), weights.iter().sum());
    for (count, weight) in counts.iter().zip(weights) {
        let (got, fair) = (*count as f64 / sum as f64, f64::from(*weight) / f64::from(total));
        assert!((got - fair).abs() <= tolerance, "{counts:?} for {weights:?}");
    }
}

fn weights() -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(1..=20_u32, 2..8)
}

// === Of any algorithm ===

fn servers() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (0..3_u32, 0..4_u32, 0..3_u64, prop::option::of(0..3_u64));
    proptest::collection::vec(one, 1..8).prop_map(|all| {
        let now = Instant::now();
        all.into_iter()
            .enumerate()
            .map(|(index, (weight, in_flight, latency, warm))| Candidate {
                index: index * 3,
                weight,
                in_flight,
                latency,
                usable_since: warm.map(|seconds| now - Duration::from_secs(seconds)),
            })
            .collect()
    })
}

proptest! {
    /// However the set changes between choices.
    #[test]
    fn nothing_but_candidates_is_chosen(
        steps in proptest::collection::vec((servers(), any::<u64>()), 1..30),
        slow in prop::option::of(1..5_u64),
        seed in any::<u64>(),
    ) {
        for balance in ALL {
            let mut balancer = Balancer::new(balance, slow.map(Duration::from_secs), seed);
            for (servers, source) in &steps {
                let chosen = balancer.choose(servers, *source, Instant::now());
                let chosen = chosen.expect("there are candidates");
                prop_assert!(chosen < servers.len());
                let is_level = servers.iter().all(|server| server.weight == 0);
                prop_assert!(is_level || servers[chosen].weight > 0, "{balance:?}");
            }
            prop_assert_eq!(balancer.choose(&[], 0, Instant::now()), None);
        }
    }

    #[test]
    fn a_seed_repeats_every_choice(servers in servers(), seed in any::<u64>()) {
        for balance in ALL {
            let choices = || {
                let mut balancer = Balancer::new(balance, None, seed);
                counts(&mut balancer, &servers, 50)
            };
            prop_assert_eq!(choices(), choices());
        }
    }

    #[test]
    fn shares_follow_the_weights(weights in weights()) {
        for (balance, tolerance) in [
            (Balance::RoundRobin, 0.001),
            (Balance::LeastConnections, 0.001),
            (Balance::Random, 0.03),
            (Balance::LeastLatency, 0.03),
            (Balance::SourceHash, 0.03),
        ] {
            let found = counts(&mut balancer(balance), &candidates(&weights), 10_000);
            assert_shares(&found, &weights, tolerance);
        }
    }
}

#[test]
fn weights_of_nothing_count_when_there_is_nothing_else() {
    for balance in ALL {
        let found = counts(&mut balancer(balance), &candidates(&[0, 3, 0]), 100);
        assert_eq!(found, [0, 100, 0], "{balance:?}");
        let found = counts(&mut balancer(balance), &candidates(&[0, 0]), 1000);
        match balance {
            Balance::First => assert_eq!(found, [1000, 0]),
            _ => assert_shares(&found, &[1, 1], 0.06),
        }
    }
}

#[test]
fn the_greatest_numbers_do_no_harm() {
    for balance in ALL {
        let mut servers = candidates(&[1_000_000, u32::MAX, 1]);
        for server in &mut servers {
            (server.in_flight, server.latency) = (u32::MAX, u64::MAX);
        }
        let found = counts(&mut balancer(balance), &servers, 1000);
        assert_eq!(found.iter().sum::<u64>(), 1000);
    }
}

#[test]
fn a_server_warms_up() {
    let (now, slow_start) = (Instant::now(), Duration::from_secs(10));
    for balance in ALL.into_iter().filter(|balance| *balance != Balance::First) {
        let share = |age: u64| {
            let mut servers = candidates(&[1, 1]);
            servers[1].usable_since = Some(now);
            let mut balancer = Balancer::new(balance, Some(slow_start), 3);
            let at = now + Duration::from_secs(age);
            let chosen = (0..20_000).filter(|source| balancer.choose(&servers, *source, at) == Some(1));
            chosen.count() as f64 / 20_000.0
        };
        assert!(share(0) < 0.01, "{balance:?}: {}", share(0));
        assert!((share(5) - 1.0 / 3.0).abs() < 0.02, "{balance:?}: {}", share(5));
        assert!((share(10) - 0.5).abs() < 0.02, "{balance:?}: {}", share(10));
        assert!((share(1000) - 0.5).abs() < 0.02, "{balance:?}");
    }
}

#[test]
fn who_comes_back_gets_its_share_and_no_more() {
    for balance in [
        Balance::RoundRobin,
        Balance::LeastConnections,
        Balance::Random,
        Balance::LeastLatency,
        Balance::SourceHash,
    ] {
        let mut balancer = balancer(balance);
        let all = candidates(&[1, 2, 3]);
        counts(&mut balancer, &all, 6_000);
        let without = [all[0], all[2]];
        assert_shares(&counts(&mut balancer, &without, 6_000), &[1, 3], 0.03);
        let back = counts(&mut balancer, &all, 60);
        assert!(back[1] <= 35 && back[1] > 5, "{balance:?}: {back:?}");
        assert_shares(&counts(&mut balancer, &all, 6_000), &[1, 2, 3], 0.03);
    }
}

// === round_robin ===

proptest! {
    #[test]
    fn a_cycle_is_exact(weights in weights(), cycles in 1..4_u64) {
        let cycle: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let mut balancer = balancer(Balance::RoundRobin);
        for _ in 0..cycles {
            let found = counts(&mut balancer, &candidates(&weights), cycle);
            let expected: Vec<_> = weights.iter().map(|weight| u64::from(*weight)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}

#[test]
fn turns_are_mixed() {
    let (servers, now) = (candidates(&[5, 1, 1]), Instant::now());
    let mut balancer = balancer(Balance::RoundRobin);
    let order: Vec<_> = (0..7)
        .map(|_| balancer.choose(&servers, 0, now).unwrap())
        .collect();
    assert_eq!(order, [0, 0, 1, 0, 2, 0, 0]);
}

#[test]
fn a_lowered_weight_is_not_paid_for_later() {
    let mut balancer = balancer(Balance::RoundRobin);
    counts(&mut balancer, &candidates(&[1_000_000, 999_999]), 1_001);
    let found = counts(&mut balancer, &candidates(&[1, 1]), 10);
    assert!(found.iter().all(|count| *count >= 4), "{found:?}");
}

// === least_connections ===

proptest! {
    /// With statements that never end, work fills up in proportion to the weights, to within one statement.
    #[test]
    fn work_follows_the_weights(weights in weights()) {
        let (mut balancer, mut servers) = (balancer(Balance::LeastConnections), candidates(&weights));
        let now = Instant::now();
        for _ in 0..500 {
            let chosen = balancer.choose(&servers, 0, now).unwrap();
            servers[chosen].in_flight += 1;
            let least = servers.iter().map(|each| f64::from(each.in_flight) / f64::from(each.weight));
            let least = least.fold(f64::MAX, f64::min);
            for each in &servers {
                let over = f64::from(each.in_flight) - least * f64::from(each.weight);
                prop_assert!(over <= 1.0 + 1e-9, "{:?}", servers);
            }
        }
    }
}

#[test]
fn a_busy_server_gets_nothing_while_another_is_idle() {
    let mut servers = candidates(&[10, 1]);
    servers[0].in_flight = 1;
    let found = counts(&mut balancer(Balance::LeastConnections), &servers, 100);
    assert_eq!(found, [0, 100]);
}

// === least_latency ===

#[test]
fn the_faster_server_is_preferred() {
    let mut servers = candidates(&[1, 1, 1]);
    servers[1].latency = 5_000;
    let found = counts(&mut balancer(Balance::LeastLatency), &servers, 3_000);
    assert_eq!(found[1], 0);
    assert_shares(&[found[0], found[2]], &[1, 1], 0.03);
}

#[test]
fn work_makes_a_fast_server_slow() {
    let mut servers = candidates(&[1, 1]);
    (servers[0].latency, servers[1].latency) = (1_000, 3_500);
    let now = Instant::now();
    let mut balancer = balancer(Balance::LeastLatency);
    for _ in 0..9 {
        let chosen = balancer.choose(&servers, 0, now).unwrap();
        servers[chosen].in_flight += 1;
    }
    assert_eq!((servers[0].in_flight, servers[1].in_flight), (7, 2));
}

#[test]
fn a_slow_measurement_fades_until_the_server_is_tried_again() {
    let (mut servers, start) = (candidates(&[1, 1]), Instant::now());
    servers[1].latency = 4_000;
    let mut balancer = balancer(Balance::LeastLatency);
    let mut tried = None;
    for second in 0..120 {
        // The other one is measured all the time.
        servers[0].latency = 500 + second % 2;
        let now = start + Duration::from_secs(second);
        if balancer.choose(&servers, 0, now) == Some(1) {
            tried = Some(second);
            break;
        }
    }
    assert!(
        tried.is_some_and(|second| (20..60).contains(&second)),
        "{tried:?}"
    );
}

#[test]
fn a_server_that_nobody_has_measured_is_not_flooded() {
    let (mut servers, now) = (candidates(&[1, 1]), Instant::now());
    (servers[0].in_flight, servers[1].latency) = (10, 0);
    let mut balancer = balancer(Balance::LeastLatency);
    for _ in 0..30 {
        let chosen = balancer.choose(&servers, 0, now).unwrap();
        servers[chosen].in_flight += 1;
    }
    assert_eq!((servers[0].in_flight, servers[1].in_flight), (20, 20));
}

// === source_hash ===

fn map(balancer: &mut Balancer, servers: &[Candidate], sources: u64) -> Vec<usize> {
    let now = Instant::now();
    (0..sources)
        .map(|source| servers[balancer.choose(servers, source, now).unwrap()].index)
        .collect()
}

proptest! {
    /// Whoever moves when a server goes was on that server; whoever moves when it comes goes there.
    #[test]
    fn only_the_sources_of_the_changed_server_move(weights in weights(), gone in any::<prop::sample::Index>()) {
        let mut balancer = balancer(Balance::SourceHash);
        let all = candidates(&weights);
        let gone = gone.index(all.len());
        let mut rest = all.clone();
        rest.remove(gone);
        let before = map(&mut balancer, &all, 2_000);
        let after = map(&mut balancer, &rest, 2_000);
        for (before, after) in before.iter().zip(&after) {
            prop_assert!(before == after || *before == gone);
        }
        prop_assert_eq!(map(&mut balancer, &all, 2_000), before);
    }

    /// A weight that grows draws sources towards its server and moves no others.
    #[test]
    fn a_greater_weight_only_draws(weights in weights(), grown in any::<prop::sample::Index>()) {
        let mut balancer = balancer(Balance::SourceHash);
        let before = candidates(&weights);
        let grown = grown.index(before.len());
        let mut after = before.clone();
        after[grown].weight *= 2;
        let moved = map(&mut balancer, &before, 2_000).into_iter().zip(map(&mut balancer, &after, 2_000));
        for (before, after) in moved {
            prop_assert!(before == after || after == grown);
        }
    }
}

#[test]
fn names_outlast_a_change_of_the_list() {
    let balancer = |names: &'static [&str]| balancer(Balance::SourceHash).with_names(names.iter().copied());
    let named = |names: &'static [&str]| -> Vec<&str> {
        let chosen = map(&mut balancer(names), &candidates(&vec![1; names.len()]), 3_000);
        chosen.into_iter().map(|index| names[index]).collect()
    };
    let (before, after) = (named(&["db1", "db2", "db3"]), named(&["db3", "db1"]));
    let moved = before
        .iter()
        .zip(&after)
        .filter(|(before, after)| before != after);
    assert!(moved.clone().all(|(before, _)| *before == "db2"));
    assert!((900..1100).contains(&moved.count()));
}

// === first ===

#[test]
fn the_first_serves_all_until_it_goes() {
    let mut balancer = balancer(Balance::First);
    let servers = candidates(&[1, 9, 9]);
    assert_eq!(counts(&mut balancer, &servers, 50), [50, 0, 0]);
    assert_eq!(counts(&mut balancer, &servers[1..], 50), [50, 0]);
}
