//! One run: clients work, something goes wrong and is over, all becomes well, and the run is judged.

use std::collections::BTreeMap;
use std::time::Duration;

use splitrail::util::Random;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::checker::{Rule, Terms, Violation, check};
use super::client::{Client, tables};
use super::fault::{Fault, Outcome as Expected};
use super::history::{Action, Content, Operation, Outcome};
use super::stage::Stage;

pub const CLIENTS: u64 = 8;
/// How long clients work before anything happens, and after all is well.
const QUIET: Duration = Duration::from_millis(1_200);

/// What became of a run.
pub struct Report {
    pub seed: u64,
    pub fault: Fault,
    pub promoted: bool,
    /// From the fault to the first acknowledged write afterwards by another server, or to the end of the longest pause.
    pub next: Option<Duration>,
    /// The longest time in which no write of any client was acknowledged.
    pub pause: Duration,
    pub acknowledged: usize,
    /// Errors by kind, and how many of each.
    pub errors: BTreeMap<String, usize>,
    /// Writes of which the client does not know.
    pub unknown: usize,
    pub violations: Vec<Violation>,
    pub notes: Vec<String>,
}

/// Plays a fault.
pub async fn play(stage: &mut Stage<'_>, fault: Fault, seed: u64) -> Report {
    let mut random = Random::new(seed);
    let database = format!("chaos_{seed}");
    prepare(stage, &database).await;
    let (stop, stopped) = watch::channel(false);
    let mut clients = JoinSet::new();
    for number in 1..=CLIENTS {
        let client = Client::new(number, stage.proxy.options(), &database, seed, stopped.clone());
        clients.spawn(client.run());
    }
    sleep(QUIET + Duration::from_millis(random.below(500))).await;
    let (before, reign) = (stage.primary, stage.reign().await);
    let began = Instant::now();
    let aftermath = fault.begin(stage, &mut random).await;
    sleep(fault.lasts(&mut random)).await;
    fault.end(stage, aftermath).await;
    let healed = Instant::now();
    let converged = stage.converge().await;
    let well = healed.elapsed();
    sleep(QUIET).await;
    stop.send_replace(true);
    let mut history: Vec<Operation> = clients.join_all().await.into_iter().flatten().collect();
    history.sort_by_key(|operation| operation.ended);
    let mut violations = Vec::new();
    match converged {
        Ok(primary) => stage.primary = primary,
        Err(why) => {
            violations.push(Violation {
                rule: Rule::Convergence,
                text: why,
            });
            stage.primary = stage.primary_of_the_proxy().await.unwrap_or(before);
        }
    }
    let mode = if stage.semi_sync { "semi-sync" } else { "async" };
    stage
        .notes
        .push(format!("{mode}; well after {} ms", well.as_millis()));
    let contents = stage.contents(&database).await;
    // Where an acknowledged write has a replica's word, none may be missing, whatever was said.
    let (told, has_lost) = stage.said_to_be_lost().await;
    let is_safe = stage.semi_sync;
    let terms = Terms {
        gap: if is_safe { 0 } else { told },
        has_lost: has_lost && !is_safe,
        promotions: stage.reign().await.saturating_sub(reign),
    };
    violations.extend(check(&history, &contents, &terms));
    let mut report = measure(&history, &contents[0], began);
    report.promoted = stage.primary != before;
    report.violations.append(&mut violations);
    report.notes = std::mem::take(&mut stage.notes);
    if !expected(fault, report.promoted) {
        report.notes.push(format!("expected: {:?}", fault.expected()));
    }
    (report.seed, report.fault) = (seed, fault);
    report
}

fn expected(fault: Fault, promoted: bool) -> bool {
    match fault.expected() {
        Expected::Promoted => promoted,
        Expected::Stays => !promoted,
        Expected::Either => true,
    }
}

async fn prepare(stage: &Stage<'_>, database: &str) {
    let primary = &stage.cluster.servers()[stage.primary];
    for sql in tables(database) {
        primary.execute(sql).await.unwrap();
    }
    let rows: Vec<_> = (1..=CLIENTS).map(|client| format!("({client}, 0)")).collect();
    let sql = format!("INSERT INTO {database}.counters VALUES {}", rows.join(", "));
    primary.execute(sql).await.unwrap();
    let contents = stage.contents(database).await;
    assert_eq!(contents[0].counters.len() as u64, CLIENTS);
}

fn measure(history: &[Operation], content: &Content, began: Instant) -> Report {
    let acknowledged: Vec<_> = history
        .iter()
        .filter(|operation| operation.is_acknowledged() && operation.may_write())
        .collect();
    let before = acknowledged
        .iter()
        .rev()
        .filter(|operation| operation.ended < began)
        .find_map(|operation| operation.server(content));
    let next = acknowledged
        .iter()
        .filter(|operation| operation.ended > began)
        .find(|operation| {
            operation
                .server(content)
                .is_some_and(|server| Some(server) != before)
        })
        .map(|operation| operation.ended - began);
    let pauses = acknowledged.windows(2).map(|pair| pair[1].ended - pair[0].ended);
    let mut errors = BTreeMap::new();
    for operation in history {
        if let Some(problem) = operation.problem() {
            let kind = match operation.action {
                Action::Login => "login",
                Action::Write(_) | Action::Count => "write",
                Action::Transaction(_) | Action::Rollback(_) => "transaction",
                Action::Read => "read",
            };
            let fate = match operation.outcome {
                Outcome::Unknown(_) => "unknown",
                _ => "failed",
            };
            let text: String = problem.to_string().chars().take(110).collect();
            *errors.entry(format!("{kind} {fate}: {text}")).or_default() += 1;
        }
    }
    Report {
        seed: 0,
        fault: Fault::Kill,
        promoted: false,
        next,
        pause: pauses.max().unwrap_or_default(),
        acknowledged: acknowledged.len(),
        errors,
        unknown: history
            .iter()
            .filter(|operation| matches!(operation.outcome, Outcome::Unknown(_)))
            .count(),
        violations: Vec::new(),
        notes: Vec::new(),
    }
}
