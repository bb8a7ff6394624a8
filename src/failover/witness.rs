//! What a replica can tell about a primary that does not answer.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::scene::{Member, Scene};
use super::verdict::seconds;
use crate::topology::{Channel, Class, Outcome, ThreadState};

/// Heartbeats that come more rarely are not waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Beyond the heartbeat's period, for a server that is slow and a probe that takes its time.
const SLACK: Duration = Duration::from_millis(500);

/// What one server says of the primary.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Testimony {
    /// Its latest probe failed.
    Unreachable,
    /// It answers, but says nothing of replication to the monitor's account.
    Mute,
    /// It does not follow the primary.
    Stranger,
    /// It was asked last before the primary failed.
    Unasked,
    /// Something arrived after the primary began to fail, or its IO thread could connect.
    Fed { ago: Duration },
    /// The IO thread runs; nothing has arrived, and it is too early to say that nothing will.
    Waiting { silence: Duration, limit: Duration },
    /// The IO thread runs; heartbeats come too rarely to wait for, or never.
    Rare { period: Option<Duration> },
    /// The connection to the primary is gone, or nothing comes over it any more.
    Lost { silence: Option<Duration> },
    /// Somebody stopped the IO thread.
    Stopped { why: String },
}

/// What `replica` says of `primary`, which has failed since `since`, and enough since `condemned`.
pub(super) fn testify(
    scene: &Scene,
    replica: usize,
    primary: usize,
    since: Instant,
    condemned: Instant,
) -> Testimony {
    let Some(member) = scene.member(replica) else {
        return Testimony::Unreachable;
    };
    match member.observation.as_deref().map(|seen| &seen.outcome) {
        None => return Testimony::Unreachable,
        Some(Outcome::Failed(failure)) if is_gone(failure.class) => return Testimony::Unreachable,
        Some(Outcome::Failed(_) | Outcome::Greeted { .. }) => return Testimony::Mute,
        Some(Outcome::Answered(_)) => {}
    }
    let status = member.status.as_deref();
    if status.is_none_or(|status| status.channels.is_none()) {
        return Testimony::Mute;
    }
    let Some(channel) = scene.channel(replica, primary) else {
        return Testimony::Stranger;
    };
    let Some(answered) = member.answered.filter(|answered| *answered >= condemned) else {
        return Testimony::Unasked;
    };
    match channel.io.state {
        ThreadState::Connecting => return Testimony::Lost { silence: None },
        ThreadState::Stopped => {
            let why = match channel.io.code {
                0 => "its IO thread is stopped".to_owned(),
                code => format!("its IO thread is stopped: {code} {}", channel.io.message),
            };
            return Testimony::Stopped { why };
        }
        ThreadState::Running => {}
    }
    // A thread that runs after it was told to connect anew has a connection that is new.
    let reconnected = scene.reconnected.filter(|then| *then >= since);
    if reconnected.is_some_and(|then| answered > then) {
        let ago = scene.now.saturating_duration_since(answered);
        return Testimony::Fed { ago };
    }
    by_hearing(scene, member, channel, condemned)
}

/// What follows from what has arrived there, and when.
fn by_hearing(scene: &Scene, member: &Member, channel: &Channel, condemned: Instant) -> Testimony {
    let period = channel.heartbeat.filter(|period| !period.is_zero());
    let Some(hearing) = &member.hearing else {
        return Testimony::Rare { period };
    };
    let silence = hearing.silence();
    match period {
        // Of what was first seen after the primary began to fail, some may have arrived just before: one more
        // heartbeat settles it.
        Some(period) if silence > limit(period) => Testimony::Lost {
            silence: Some(silence),
        },
        Some(period) if hearing.at > condemned + limit(period) => Testimony::Fed {
            ago: scene.now.saturating_duration_since(hearing.at),
        },
        Some(period) if period <= PATIENCE => Testimony::Waiting {
            silence,
            limit: limit(period),
        },
        // Something arrives without heartbeats: the primary is busy, and lives.
        _ if hearing.at > condemned + PATIENCE => Testimony::Fed {
            ago: scene.now.saturating_duration_since(hearing.at),
        },
        period => Testimony::Rare { period },
    }
}

/// How long nothing may arrive from a source that sends heartbeats at this rhythm.
fn limit(period: Duration) -> Duration {
    period + (period / 2).max(SLACK)
}

/// Whether nobody has answered at all.
fn is_gone(class: Class) -> bool {
    matches!(class, Class::Unreachable | Class::Timeout | Class::Stopping)
}

// === impl Testimony ===

impl Testimony {
    pub(super) fn is_reachable(&self) -> bool {
        *self != Self::Unreachable
    }
}

impl fmt::Display for Testimony {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => formatter.write_str("cannot be reached"),
            Self::Mute => formatter.write_str("answers, but replication cannot be seen there"),
            Self::Stranger => formatter.write_str("answers, but does not follow the primary"),
            Self::Unasked => formatter.write_str("has not been asked since the primary failed"),
            Self::Fed { ago } => write!(
                formatter,
                "is fed by the primary, {} ago at the latest",
                seconds(*ago)
            ),
            Self::Waiting { silence, limit } => {
                let (silence, limit) = (seconds(*silence), seconds(*limit));
                write!(
                    formatter,
                    "has heard nothing of the primary for {silence}, of {limit} that say something"
                )
            }
            Self::Rare { period: Some(period) } => {
                let period = seconds(*period);
                write!(
                    formatter,
                    "says that it is connected, and expects a heartbeat every {period} only"
                )
            }
            Self::Rare { period: None } => {
                formatter.write_str("says that it is connected, and heartbeats cannot be seen there")
            }
            Self::Lost { silence: None } => formatter.write_str("has lost its connection to the primary"),
            Self::Lost {
                silence: Some(silence),
            } => {
                let silence = seconds(*silence);
                write!(
                    formatter,
                    "says that it is connected, but has heard nothing of the primary for {silence}"
                )
            }
            Self::Stopped { why } => write!(formatter, "does not fetch: {why}"),
        }
    }
}
