//! The first half: checks, and how to stop the old primary and its replicas.

use std::time::Duration;

use super::choose::able;
use super::standing::{has_failed, standings};
use super::{By, Kind, Refusal, Wish, choose};
use crate::config::FailoverMode;
use crate::failover::scene::Scene;
use crate::failover::step::{Step, StepKind};
use crate::failover::verdict::{Verdict, judge};
use crate::topology::{Lag, ThreadState};

/// How everything is stopped before anybody is chosen.
#[derive(Debug, Clone)]
pub struct Preparation {
    /// The primary until now.
    pub from: Option<usize>,
    /// Who would be promoted as things stand. The choice is made anew on the frozen scene.
    pub expected: Option<usize>,
    /// On the old primary, each with a deadline.
    pub fence: Vec<Step>,
    /// On the replicas, all at once; the steps of one replica in this order.
    pub freeze: Vec<Step>,
    /// What brings everything back to how it was, as long as nobody has been promoted.
    pub undo: Vec<Step>,
}

const HOUR: Duration = Duration::from_secs(3600);

pub fn prepare(scene: &Scene, wish: &Wish) -> Result<Preparation, Refusal> {
    let mut reasons = by_settings(scene, wish);
    if reasons.is_empty() {
        reasons = by_verdict(scene, wish);
    }
    if reasons.is_empty() && wish.by == By::Proxy && !wish.force {
        reasons = by_pace(scene, wish);
    }
    if !reasons.is_empty() {
        return Err(Refusal { reasons });
    }
    let able = able(scene, wish, &standings(scene))?;
    let expected = match (choose(scene, wish), wish.kind) {
        (Ok(choice), _) => Some(choice.candidate),
        // What servers have is final only once they are frozen.
        (Err(_), Kind::Failover) => None,
        (Err(refusal), Kind::Switchover) => return Err(refusal),
    };
    let candidates = match (expected, wish.kind) {
        (Some(candidate), Kind::Switchover) => vec![candidate],
        _ => scene.others().map(|(index, _)| index).collect(),
    };
    if wish.kind == Kind::Switchover && !wish.force {
        let late: Vec<_> = candidates
            .iter()
            .filter_map(|index| too_late(scene, *index))
            .collect();
        if !late.is_empty() {
            return Err(Refusal { reasons: late });
        }
    }
    debug_assert!(!able.is_empty());
    let freeze = candidates
        .iter()
        .flat_map(|index| freeze(scene, *index, wish.kind));
    let freeze: Vec<_> = freeze.collect();
    Ok(Preparation {
        from: scene.primary,
        expected,
        fence: fence(scene, wish.kind),
        undo: undo(scene, &freeze),
        freeze,
    })
}

fn by_settings(scene: &Scene, wish: &Wish) -> Vec<String> {
    let mut reasons = Vec::new();
    match (scene.settings.mode, wish.by) {
        (FailoverMode::Off, _) => reasons.push("`failover.mode` is off".to_owned()),
        (FailoverMode::Follow, _) => {
            reasons.push("`failover.mode` is follow: another proxy decides".to_owned());
        }
        (FailoverMode::Manual, By::Proxy) => {
            reasons.push("`failover.mode` is manual: an operator promotes".to_owned());
        }
        _ => {}
    }
    if scene.paused && wish.by == By::Proxy {
        reasons.push("failover is paused".to_owned());
    }
    reasons
}

fn by_verdict(scene: &Scene, wish: &Wish) -> Vec<String> {
    let analysis = judge(scene);
    let answers = matches!(
        analysis.verdict,
        Verdict::Healthy | Verdict::ReadOnly | Verdict::AcksStuck
    );
    let said = |because: &str| {
        vec![format!(
            "{because}: it is {}: {}",
            analysis.verdict, analysis.rule
        )]
    };
    match (wish.kind, wish.by) {
        // Its commits hang, so that nothing is lost by waiting for it.
        (Kind::Switchover, _) if answers => Vec::new(),
        (Kind::Switchover, _) => said("the primary has to answer for a switchover; FAILOVER goes without it"),
        (Kind::Failover, By::Proxy) if analysis.verdict == Verdict::Dead => Vec::new(),
        (Kind::Failover, By::Proxy) => said("the primary is not dead"),
        (Kind::Failover, By::Operator) if analysis.verdict == Verdict::CutOff => {
            said("nobody can be reached")
        }
        (Kind::Failover, By::Operator) if analysis.verdict == Verdict::Healthy && !wish.force => {
            said("the primary answers; SWITCHOVER changes it without loss, FORCE goes on")
        }
        (Kind::Failover, By::Operator) => Vec::new(),
    }
}

/// Two failovers in a row are rather a mistake than a misfortune.
fn by_pace(scene: &Scene, wish: &Wish) -> Vec<String> {
    let mut reasons = Vec::new();
    let settings = &scene.settings;
    let ages: Vec<_> = scene
        .promotions
        .iter()
        .map(|then| wish.now.saturating_duration_since(*then))
        .collect();
    if let Some(age) = ages.iter().min().filter(|age| **age < settings.cooldown) {
        reasons.push(format!(
            "a server was promoted {} s ago, and `failover.cooldown` is {} s; FAILOVER by an operator goes on",
            age.as_secs(),
            settings.cooldown.as_secs()
        ));
    }
    let lately = ages.iter().filter(|age| **age < HOUR).count();
    let most = usize::try_from(settings.max_per_hour).unwrap_or(usize::MAX);
    if lately >= most {
        reasons.push(format!(
            "{lately} promotions within an hour, and `failover.max_per_hour` is {most}; FAILOVER by an operator \
             goes on"
        ));
    }
    reasons
}

/// A switchover would wait for it in vain.
fn too_late(scene: &Scene, index: usize) -> Option<String> {
    let member = scene.member(index)?;
    let limit = scene.switchover.timeout;
    match member.status.as_ref()?.lag {
        Lag::Known(lag) if lag >= limit => Some(format!(
            "{} is {:.1} s behind, and `switchover.timeout` is {:.1} s; FORCE tries",
            member.name,
            lag.as_secs_f64(),
            limit.as_secs_f64()
        )),
        Lag::Infinite => Some(format!("{} does not replicate; FORCE tries", member.name)),
        _ => None,
    }
}

fn fence(scene: &Scene, kind: Kind) -> Vec<Step> {
    let Some(primary) = scene.primary else {
        return Vec::new();
    };
    let name = scene.name(primary);
    let needed = kind == Kind::Switchover;
    let read_only = format!("{name} takes no more writes");
    let kill = format!("whoever is connected to {name} is disconnected");
    vec![
        Step::new(scene, primary, StepKind::ReadOnly, needed, read_only),
        Step::new(scene, primary, StepKind::KillSessions, false, kill),
    ]
}

/// What one replica has to do before positions are compared.
fn freeze(scene: &Scene, index: usize, kind: Kind) -> Vec<Step> {
    let mut steps = Vec::new();
    let (Some(member), Some(primary)) = (scene.member(index), scene.primary) else {
        return steps;
    };
    let Some(channel) = scene.channel(index, primary).filter(|_| member.is_answering()) else {
        return steps;
    };
    let (name, of) = (&member.name, || channel.name.clone());
    let mariadb = member.status.as_ref().is_some_and(|status| status.mariadb);
    let mut push = |kind, text: String| steps.push(Step::new(scene, index, kind, false, text));
    if !channel.delay.is_zero() && !mariadb && channel.by_gtid {
        push(
            StepKind::Undelay { channel: of() },
            format!("{name} applies without delay what it has fetched"),
        );
    } else if channel.sql.state == ThreadState::Stopped && !has_failed(&channel.sql) {
        push(
            StepKind::StartApplying { channel: of() },
            format!("{name} applies what it has fetched"),
        );
    }
    // In a switchover the rest is still to come from the primary.
    if kind == Kind::Failover {
        let text =
            format!("{name} fetches nothing more, so that the old primary can have nothing acknowledged");
        let (channel, lost) = (of(), true);
        push(StepKind::StopFetching { channel, lost }, text);
    }
    steps
}

fn undo(scene: &Scene, freeze: &[Step]) -> Vec<Step> {
    let back = |step: &Step| match &step.kind {
        StepKind::StopFetching { channel, .. } => {
            let kind = StepKind::StartFetching {
                channel: channel.clone(),
            };
            let text = format!("{} follows the primary again", step.name);
            Some(Step::new(scene, step.server, kind, false, text))
        }
        _ => None,
    };
    let mut steps: Vec<_> = freeze.iter().filter_map(back).collect();
    if let Some(primary) = scene.primary {
        let text = format!("{} takes writes again", scene.name(primary));
        steps.push(Step::new(scene, primary, StepKind::Writable, true, text));
    }
    steps
}
