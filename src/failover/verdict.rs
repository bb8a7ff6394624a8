//! What is the case with the primary: a verdict, what led to it, and what would change it.

use std::fmt;
use std::time::Duration;

use super::scene::{Member, Scene};
use super::witness::{Testimony, testify};
use crate::topology::{Class, Failure, Outcome, Status};

/// What is the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Healthy,
    /// It takes no writes, and does not say that it is broken.
    ReadOnly,
    /// Commits wait for replicas that do not acknowledge.
    AcksStuck,
    /// It let nobody in: it has as many connections as it may have.
    Full,
    DiskFull,
    /// It fails, and it is not yet clear what that means.
    Suspect {
        failures: u32,
        of: u32,
    },
    /// It accepts connections or probes and never answers, and still feeds replicas.
    Hung,
    /// It cannot be reached from here, and still feeds replicas.
    Severed,
    Dead,
    /// No server at all can be reached.
    CutOff,
    /// It does not let the monitor in, or replicas do not tell it enough.
    Denied,
    /// Nothing is known: no account to watch with, or no probe yet.
    Unwatched,
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Nothing,
    /// Tell the operator.
    Report,
    /// Probe these at once: their answers decide.
    Ask(Vec<usize>),
    /// Let these replicas' IO threads connect anew: whether they can tells a primary that lives from one that does
    /// not. Their probes decide after that.
    Reconnect(Vec<usize>),
    /// Promote another server.
    Promote,
}

/// A verdict that explains itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    pub verdict: Verdict,
    pub action: Action,
    /// One line for each observation.
    pub findings: Vec<String>,
    /// The rule that decided.
    pub rule: &'static str,
    /// What would change it, a line each.
    pub change: Vec<String>,
}

/// What is the case with the primary, and what to do about it.
///
/// # The rule
/// The primary is dead when `failover.failures` of its probes failed in a row, at least one other server answers,
/// and no replica that answers is fed by it any more. A replica testifies once it was asked after the last of
/// those failures began. It is not fed when its IO thread has no connection, or is stopped, or says that it runs
/// but has received nothing for one and a half heartbeat periods, at least half a second more than one: a network
/// that swallows everything leaves the thread "running" for minutes. It is fed when something has arrived since
/// the primary began to fail. In between it is asked again; and where heartbeats are too rare to wait for, it is
/// told to connect anew, which a dead primary does not let it.
///
/// A primary that says why it does not serve (too many connections, a full disk, the monitor's account) is not
/// dead, whatever its replicas say. With no server answering at all it is the proxy that is cut off.
pub fn judge(scene: &Scene) -> Analysis {
    let Some((index, primary)) = scene
        .primary
        .and_then(|index| Some((index, scene.member(index)?)))
    else {
        let rule = "no server is the primary";
        return Analysis::new(Verdict::Unwatched, Action::Nothing, rule).change("a server is promoted");
    };
    let analysis = match primary.observation.as_deref().map(|seen| &seen.outcome) {
        None => Analysis::new(
            Verdict::Unwatched,
            Action::Nothing,
            "nothing is judged before the first probe",
        )
        .change("the first probe of the primary ends"),
        Some(Outcome::Greeted { refusal: None }) => {
            let rule =
                "without the monitor's account nothing is known of replication, so nothing is promoted";
            Analysis::new(Verdict::Unwatched, Action::Nothing, rule).change("`monitor.user` is set")
        }
        Some(Outcome::Greeted {
            refusal: Some(refusal),
        }) => denied(refusal),
        Some(Outcome::Answered(status)) => answered(scene, status),
        Some(Outcome::Failed(failure)) => failed(scene, index, primary, failure),
    };
    analysis.with_first(about_primary(scene, primary))
}

fn denied(refusal: &Failure) -> Analysis {
    let rule = "a primary that does not let the monitor in is there: it is not dead, and nothing is promoted";
    Analysis::new(Verdict::Denied, Action::Report, rule)
        .finding(format!("the monitor's account is refused: {refusal}"))
        .change("the primary lets the monitor's account in")
}

/// The primary answers.
fn answered(scene: &Scene, status: &Status) -> Analysis {
    let semi_sync = status.semi_sync;
    if semi_sync.source == Some(true) && semi_sync.clients == 0 {
        let rule = "semi-synchronous replication is on and no replica acknowledges: commits wait for the server's \
            own timeout; the primary lives, so nothing is promoted";
        let waiting = semi_sync.waiting;
        return Analysis::new(Verdict::AcksStuck, Action::Report, rule)
            .finding(format!(
                "{waiting} commits wait for an acknowledgement, from 0 replicas"
            ))
            .change("a replica with semi-synchronous replication connects to the primary")
            .change("semi-synchronous replication is switched off on the primary");
    }
    if status.read_only {
        let rule = "the primary answers and is read-only: it lives, so nothing is promoted";
        let analysis = Analysis::new(Verdict::ReadOnly, Action::Report, rule)
            .change("read_only is switched off on the primary")
            .change("an operator promotes another server");
        let awaited = scene
            .awaited()
            .filter(|awaited| !scene.came_back && !awaited.is_empty());
        return match awaited {
            Some(awaited) => analysis.change(format!(
                "it was started so, and takes writes again once {} answers, read-only, as its replica",
                awaited.join(" and ")
            )),
            None => analysis,
        };
    }
    Analysis::new(Verdict::Healthy, Action::Nothing, "the primary answers")
}

fn failed(scene: &Scene, index: usize, primary: &Member, failure: &Failure) -> Analysis {
    match (failure.class, failure.code) {
        (Class::TooManyConnections, _) => {
            let rule = "a primary that says that it is full lives: nothing is promoted, as its clients would come \
                along to the new one";
            Analysis::new(Verdict::Full, Action::Report, rule)
                .change("connections to the primary end, or max_connections is raised")
                .change("an operator promotes another server")
        }
        (Class::DiskFull, _) => {
            let rule = "a primary that says that its disk is full lives: nothing is promoted, as replicas may \
                be as full";
            Analysis::new(Verdict::DiskFull, Action::Report, rule)
                .change("there is space on the primary's disk again")
                .change("an operator promotes another server")
        }
        (Class::Denied, _) | (Class::Other, Some(_)) => denied(failure),
        _ => silent(scene, index, primary, failure),
    }
}

/// The primary does not answer.
fn silent(scene: &Scene, index: usize, primary: &Member, failure: &Failure) -> Analysis {
    let of = scene.settings.failures;
    let failures = primary.failures;
    let others: Vec<_> = scene.others().map(|(other, _)| other).collect();
    let suspect = Verdict::Suspect { failures, of };
    let Some(condemned) = primary.condemned.filter(|_| failures >= of) else {
        let mut ask = vec![index];
        ask.extend(others);
        let rule = "fewer failures in a row than `failover.failures` say nothing yet";
        return Analysis::new(suspect, Action::Ask(ask), rule)
            .change("the next probe of the primary is answered")
            .change(format!("{} more of its probes fail", of.saturating_sub(failures)));
    };
    let since = primary.failing_since.unwrap_or(condemned);
    let heard: Vec<_> = others
        .iter()
        .map(|other| (*other, testify(scene, *other, index, since, condemned)))
        .collect();
    let findings = heard
        .iter()
        .map(|(other, testimony)| format!("{} {testimony}", scene.name(*other)));
    by_testimony(&heard, failure, suspect).with(findings)
}

/// Each server that could be asked has said what it knows.
fn by_testimony(heard: &[(usize, Testimony)], failure: &Failure, suspect: Verdict) -> Analysis {
    let who = |is: fn(&Testimony) -> bool| -> Vec<usize> {
        let chosen = heard.iter().filter(|(_, testimony)| is(testimony));
        chosen.map(|(other, _)| *other).collect()
    };
    let of_kind = |kind: fn(&Testimony) -> bool| !who(kind).is_empty();
    if !of_kind(Testimony::is_reachable) {
        let rule = "no server answers at all: it is the proxy that is cut off, and nothing is promoted";
        Analysis::new(Verdict::CutOff, Action::Report, rule).change("any server answers")
    } else if of_kind(|testimony| matches!(testimony, Testimony::Fed { .. })) {
        fed(failure)
    } else if let unasked @ [_, ..] = &who(|testimony| matches!(testimony, Testimony::Unasked))[..] {
        let rule =
            "replicas that were asked before the primary failed cannot say whether it still feeds them";
        Analysis::new(suspect, Action::Ask(unasked.to_vec()), rule).change("their next probes end")
    } else if let rare @ [_, ..] = &who(|testimony| matches!(testimony, Testimony::Rare { .. }))[..] {
        let rule = "their IO threads say that they run, and heartbeats are too rare to tell from their absence: \
            they connect anew, which a dead primary does not let them";
        Analysis::new(suspect, Action::Reconnect(rare.to_vec()), rule)
            .change("a replica's IO thread cannot connect to the primary: then it is dead")
            .change("MASTER_HEARTBEAT_PERIOD or SOURCE_HEARTBEAT_PERIOD of 1 s: then waiting is enough")
    } else if let waiting @ [_, ..] = &who(|testimony| matches!(testimony, Testimony::Waiting { .. }))[..] {
        let rule = "a replica that has heard nothing for less than one and a half heartbeat periods may still be \
            fed";
        Analysis::new(suspect, Action::Ask(waiting.to_vec()), rule)
            .change("a heartbeat or an event arrives from the primary: then it is not dead")
            .change("none does: then it is")
    } else if !of_kind(|testimony| matches!(testimony, Testimony::Lost { .. } | Testimony::Stopped { .. })) {
        let rule =
            "no server that answers can tell whether the primary still feeds replicas: nothing is promoted";
        Analysis::new(Verdict::Denied, Action::Report, rule)
            .change("the monitor's account may see replication on the replicas")
            .change("an operator promotes another server")
    } else {
        let rule = "the primary fails its probes and no replica is fed by it any more: it is dead";
        Analysis::new(Verdict::Dead, Action::Promote, rule)
            .change("a probe of the primary is answered")
            .change("a replica's IO thread receives anything from it")
    }
}

fn fed(failure: &Failure) -> Analysis {
    let (verdict, rule) = match failure.class {
        Class::Timeout => (
            Verdict::Hung,
            "the primary does not answer, but feeds a replica: it hangs, and what it may still commit would be \
             lost, so nothing is promoted by itself",
        ),
        _ => (
            Verdict::Severed,
            "the primary cannot be reached from here, but feeds a replica: it lives, and others may write to it, \
             so nothing is promoted by itself",
        ),
    };
    Analysis::new(verdict, Action::Report, rule)
        .change("no replica receives anything from it any more: then it is dead")
        .change("an operator promotes another server")
}

fn about_primary(scene: &Scene, primary: &Member) -> String {
    let name = &primary.name;
    let ago = |then| seconds(scene.now.saturating_duration_since(then));
    match primary.observation.as_deref().map(|seen| &seen.outcome) {
        None => format!("{name}, the primary, has not been probed yet"),
        Some(Outcome::Greeted { .. }) => format!("{name}, the primary, greets"),
        Some(Outcome::Answered(_)) => format!("{name}, the primary, answers its probes"),
        Some(Outcome::Failed(failure)) => {
            let since = primary.failing_since.map_or_else(String::new, |since| {
                format!(", the first of them {} ago", ago(since))
            });
            let (failures, of) = (primary.failures, scene.settings.failures);
            format!("{name}, the primary, failed {failures} probes in a row (of {of}){since}: {failure}")
        }
    }
}

/// A time as people say it.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

// === impl Analysis ===

impl Analysis {
    fn new(verdict: Verdict, action: Action, rule: &'static str) -> Self {
        Self {
            verdict,
            action,
            findings: Vec::new(),
            rule,
            change: Vec::new(),
        }
    }

    fn finding(mut self, text: impl Into<String>) -> Self {
        self.findings.push(text.into());
        self
    }

    fn with(mut self, findings: impl Iterator<Item = String>) -> Self {
        self.findings.extend(findings);
        self
    }

    fn with_first(mut self, text: String) -> Self {
        self.findings.insert(0, text);
        self
    }

    fn change(mut self, text: impl Into<String>) -> Self {
        self.change.push(text.into());
        self
    }
}

// === impl Verdict ===

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::ReadOnly => "read-only",
            Self::AcksStuck => "acks stuck",
            Self::Full => "full",
            Self::DiskFull => "disk full",
            Self::Suspect { .. } => "suspect",
            Self::Hung => "hung",
            Self::Severed => "severed",
            Self::Dead => "dead",
            Self::CutOff => "cut off",
            Self::Denied => "denied",
            Self::Unwatched => "unwatched",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suspect { failures, of } => write!(formatter, "suspect ({failures} of {of} failures)"),
            other => formatter.write_str(other.word()),
        }
    }
}
