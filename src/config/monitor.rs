//! The account and the rhythm of the probes.

use std::time::Duration;

use super::Login;
use super::account::LONGEST_NAME;
use super::duration;
use super::reader::Section;
use super::secrets;

/// How servers are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitor {
    /// `None`: no account was given, so the proxy knows of a server only what a connection attempt tells.
    pub login: Option<Login>,
    /// From one probe's start to the next one's.
    pub interval: Duration,
    /// A probe that takes longer has failed.
    pub timeout: Duration,
    /// How many times in a row a server must fail before it is down.
    pub failures: u32,
    pub ejection: Ejection,
    /// From one heartbeat on the primary to the next; `None`: none are written.
    pub heartbeat: Option<Duration>,
    /// Events that are remembered.
    pub events: u32,
}

/// Replicas that are taken out because sessions fail there, whatever probes say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// For how long, the first time; each time after that is twice as long.
    pub shortest: Duration,
    pub longest: Duration,
    /// Of the replicas, in percent; one at least.
    pub most: u32,
}

// === impl Ejection ===

impl Ejection {
    fn read(section: &Section<'_>) -> Self {
        let range = Duration::ZERO..=Duration::from_secs(3600);
        let shortest = section
            .field("shortest")
            .duration(range.clone(), Duration::from_millis(500));
        let field = section.field("longest");
        let longest = field.duration(range, Duration::from_secs(30));
        if field.is_given() && longest < shortest {
            let help = format!("raise it, or lower `shortest` ({})", duration::show(shortest));
            field.report("the longest is shorter than the shortest", help);
        }
        Self {
            shortest,
            longest: longest.max(shortest),
            most: section.field("most").count(0..=100, 50),
        }
    }
}

// === impl Monitor ===

impl Monitor {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let range = Duration::from_millis(50)..=Duration::from_secs(60);
        Self {
            login: login(section),
            interval: section
                .field("interval")
                .duration(range.clone(), Duration::from_millis(500)),
            timeout: section.field("timeout").duration(range, Duration::from_secs(1)),
            failures: section.field("failures").count(1..=1000, 2),
            ejection: section.field("ejection").section(Ejection::read),
            heartbeat: section.field("heartbeat").optional_duration(
                Duration::from_millis(20)..=Duration::from_secs(60),
                Some(Duration::from_millis(200)),
            ),
            events: section.field("events").count(1..=1_000_000, 1000),
        }
    }
}

/// An account with its password, or none.
pub(super) fn login(section: &Section<'_>) -> Option<Login> {
    let (user, password) = (section.field("user"), section.field("password"));
    match (user.is_given(), password.is_given()) {
        (true, false) => user.report(
            "the account has no password",
            "give `password`; `\"\"` if it has none",
        ),
        (false, true) => password.report("a password without an account", "give `user` too"),
        _ => {}
    }
    let (user, password) = (user.word(LONGEST_NAME), secrets::secret(&password));
    Some(Login {
        user: user?,
        password: password?,
    })
}
