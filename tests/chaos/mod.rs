//! The proof of failover: clients work through the proxy while servers, links and the proxy fail, and afterwards
//! every promise is held against what clients were told. A few faults are part of every test run; `make chaos`
//! plays as many as one has time for.

mod checker;
mod client;
mod clock;
mod disk;
mod fault;
mod history;
mod round;
mod stage;
mod summary;

use fault::Fault;
use round::{Report, play};
use splitrail::util::Random;
use stage::Stage;
use summary::Summary;

use crate::evidence;
use crate::fixture::network::Network;
use crate::fixture::{Flavour, on_both_flavours};

/// Commits can be looked up, so that nothing needs to stay unknown.
const EVIDENCE: &str = ", commit_evidence: true";

/// Plays one fault on a stage of its own, and fails if a promise was broken.
#[allow(clippy::print_stdout)]
async fn alone(flavour: Flavour, fault: Fault, seed: u64, settings: &str) -> Report {
    let cluster = stage::cluster(flavour, true, &[]).await;
    if settings == EVIDENCE {
        evidence::prepare(&cluster).await;
    }
    let network = Network::around(&cluster).await;
    let mut stage = Stage::before(&cluster, &network, true, settings, None).await;
    let report = play(&mut stage, fault, seed).await;
    println!("{}", Summary::row(&report));
    println!("{}", Summary::details(&report));
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
    report
}

/// A test for each flavour, of a fault that must lead to another primary.
macro_rules! promotes {
    ($($name:ident: $fault:expr;)*) => {
        $(
            mod $name {
                use super::*;

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn mysql() {
                    assert!(alone(Flavour::MySql, $fault, 1, "").await.promoted);
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn mariadb() {
                    assert!(alone(Flavour::MariaDb, $fault, 1, "").await.promoted);
                }
            }
        )*
    };
}

promotes! {
    kill_9: Fault::Kill;
    sigstop: Fault::Pause;
    switchover: Fault::Switchover;
    a_returned_primary: Fault::Isolated;
}

on_both_flavours! {
    async fn with_evidence_nothing_stays_unknown(flavour) {
        let report = alone(flavour, Fault::Kill, 1, EVIDENCE).await;
        assert!(report.promoted);
        assert_eq!(report.unknown, 0, "{:#?}", report.errors);
    }
}

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok().filter(|given| !given.is_empty());
    given.map_or(default, |given| {
        given.parse().unwrap_or_else(|_| panic!("{name} is a number"))
    })
}

/// The flavours that are asked for: all, unless FLAVOUR names one.
fn flavours() -> Vec<Flavour> {
    match std::env::var("FLAVOUR").as_deref() {
        Ok("mysql") => vec![Flavour::MySql],
        Ok("mariadb") => vec![Flavour::MariaDb],
        _ => vec![Flavour::MySql, Flavour::MariaDb],
    }
}

/// `make chaos`: ROUNDS for each flavour, from SEED on; FAULT plays that one alone; ASYNC=1: without semi-sync;
/// EVIDENCE=1: with evidence of commits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes as long as it is told to: make chaos"]
#[allow(clippy::print_stdout)]
async fn rounds() {
    let (rounds, first) = (number("ROUNDS", 60), number("SEED", 1));
    let mut broken = 0;
    for flavour in flavours() {
        let mut summary = Summary::new(flavour, number("ASYNC", 0) == 0);
        let mut seeds = first..first + rounds;
        while let Some(seed) = seeds.next() {
            on_one_stage(seed, &mut seeds, &mut summary).await;
        }
        broken += summary.finish();
    }
    assert_eq!(broken, 0, "promises were broken");
}

/// Plays rounds until a stage is beyond repair.
async fn on_one_stage(first: u64, seeds: &mut std::ops::Range<u64>, summary: &mut Summary) {
    let cluster = stage::cluster(summary.flavour, summary.semi_sync, &[]).await;
    let evidence = number("EVIDENCE", 0) != 0;
    if evidence {
        evidence::prepare(&cluster).await;
    }
    let network = Network::around(&cluster).await;
    // Without anybody's acknowledgement there is something to lose with every promotion.
    let gap = if summary.semi_sync {
        ""
    } else {
        ", max_gap: 1000000"
    };
    let settings = format!("{gap}{}", if evidence { EVIDENCE } else { "" });
    let mut stage = Stage::before(&cluster, &network, summary.semi_sync, &settings, None).await;
    let mut seed = first;
    loop {
        let report = play(&mut stage, chosen(seed), seed).await;
        let is_well = report.violations.is_empty();
        summary.add(report, &stage);
        if !is_well {
            return;
        }
        match seeds.next() {
            Some(next) => seed = next,
            None => return,
        }
    }
}

fn chosen(seed: u64) -> Fault {
    let random = &mut Random::new(seed);
    let Ok(name) = std::env::var("FAULT") else {
        return Fault::any(random);
    };
    if name.is_empty() {
        return Fault::any(random);
    }
    // Whoever names one waits for its turn.
    let mut faults = std::iter::repeat_with(|| Fault::any(random)).take(10_000);
    let named = faults.find(|fault| fault.to_string().split(' ').next() == Some(&name));
    named.unwrap_or_else(|| panic!("there is no fault {name}"))
}

/// A full disk has a file system of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes root: make chaos"]
#[allow(clippy::print_stdout)]
async fn a_full_disk() {
    if let Some(obstacle) = disk::obstacle() {
        println!("NOT PLAYED: a full disk: {obstacle}");
        return;
    }
    for flavour in flavours() {
        let cluster = stage::cluster(flavour, true, &[]).await;
        let _disk = disk::SmallDisk::under(cluster.primary()).await;
        let network = Network::around(&cluster).await;
        let mut stage = Stage::before(&cluster, &network, true, "", None).await;
        let report = play(&mut stage, Fault::DiskFull, 1).await;
        println!("{}\n{}", Summary::row(&report), Summary::details(&report));
        assert!(report.violations.is_empty(), "{:#?}", report.violations);
    }
}

/// Clocks that jump belong to processes that were started for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a C compiler: make chaos"]
#[allow(clippy::print_stdout)]
async fn a_clock_that_jumps() {
    if let Some(obstacle) = clock::obstacle() {
        println!("NOT PLAYED: a clock that jumps: {obstacle}");
        return;
    }
    let mut broken = Vec::new();
    for flavour in flavours() {
        let environment = clock::environment(clock::OF_A_SERVER);
        let cluster = stage::cluster(flavour, true, &environment).await;
        let network = Network::around(&cluster).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clock");
        let mut stage = Stage::before(&cluster, &network, true, "", Some(&file)).await;
        for (seed, (of_proxy, seconds)) in [(false, 3600), (false, -3600), (true, 3600), (true, -3600)]
            .into_iter()
            .enumerate()
        {
            let fault = Fault::Clock { of_proxy, seconds };
            let report = play(&mut stage, fault, 1 + seed as u64).await;
            println!("{}\n{}", Summary::row(&report), Summary::details(&report));
            if report.promoted {
                broken.push(format!("{fault}: promoted"));
            }
            broken.extend(
                report
                    .violations
                    .iter()
                    .map(|violation| format!("{fault}: {violation}")),
            );
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
