//! What a rule does with its statements. What is not given is left to the next rule, or to the other settings.

use std::time::Duration;

use super::super::ConsistencyLevel;
use super::super::choice::Choice;
use super::super::reader::{Field, Section};
use super::super::values::Bad;
use super::Pattern;
use super::matcher::Surroundings;
use crate::util::suggest::nearest;

/// Everything a rule can do; nothing at all is a rule that lets its statements pass the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleActions {
    pub target: Option<RuleTarget>,
    pub consistency: Option<ConsistencyLevel>,
    pub max_lag: Option<Duration>,
    /// The statement is stopped after this time.
    pub timeout: Option<Duration>,
    /// The statement is refused with this message.
    pub block: Option<String>,
    pub rewrite: Option<Rewrite>,
    pub mirror: Option<Mirror>,
    pub cache: Option<CacheRule>,
    pub throttle: Option<Throttle>,
}

/// Where statements go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleTarget {
    Primary,
    Replica,
    /// One of these, by their places in the list of servers; never empty.
    Servers(Box<[usize]>),
}

/// A text for every match of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    pub pattern: Pattern,
    /// `$1` and `$name` are what the groups of the pattern matched, `$$` is a dollar.
    pub with: String,
}

/// Statements are run on another server too, and the results compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Its place in the list of servers.
    pub server: usize,
    /// How many of 10000 statements.
    pub share: u32,
}

/// Results are kept and given again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRule {
    pub ttl: Duration,
    /// A larger result is not kept.
    pub max_bytes: u64,
}

/// At most so many statements in a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// The time that one statement uses up.
    pub interval: Duration,
    pub per: ThrottlePer,
    /// Statements that may come at once.
    pub burst: u32,
    /// A statement that would have to wait longer for its turn is refused.
    pub wait: Duration,
}

/// Who shares a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottlePer {
    User,
    Address,
    Digest,
    /// All statements of the rule.
    All,
}

#[derive(Clone, Copy)]
enum Word {
    Primary,
    Replica,
}

impl Choice for Word {
    const WORDS: &'static [(&'static str, Self)] = &[("primary", Self::Primary), ("replica", Self::Replica)];
}

impl Choice for ThrottlePer {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("user", Self::User),
        ("address", Self::Address),
        ("digest", Self::Digest),
        ("all", Self::All),
    ];
}

// === impl RuleActions ===

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const LONGEST_MESSAGE: usize = 500;
const LONGEST_PATTERN: usize = 4096;
const MIB: u64 = 1 << 20;

impl RuleActions {
    pub(super) fn read(section: &Section<'_>, around: Surroundings<'_>) -> Self {
        let actions = Self {
            target: RuleTarget::read(&section.field("target"), around),
            consistency: section.field("consistency").choice(),
            max_lag: given_duration(&section.field("max_lag"), MILLISECOND, DAY),
            timeout: given_duration(&section.field("timeout"), MILLISECOND, DAY),
            block: section.field("block").word(LONGEST_MESSAGE),
            rewrite: given(&section.field("rewrite"), Rewrite::read),
            mirror: given(&section.field("mirror"), |section| Mirror::read(section, around)),
            cache: given(&section.field("cache"), CacheRule::read),
            throttle: given(&section.field("throttle"), Throttle::read),
        };
        let alone = Self {
            block: actions.block.clone(),
            ..Self::default()
        };
        if actions.block.is_some() && actions != alone {
            let help = "remove the other actions, or `block`";
            section
                .field("block")
                .report("a statement that is refused goes nowhere", help);
        }
        actions
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A section that is read even when it is absent, so that its settings are known, but then gives nothing.
fn given<'a, T>(field: &Field<'a>, read: impl FnOnce(&Section<'a>) -> Option<T>) -> Option<T> {
    field.section(read).filter(|_| field.is_given())
}

fn given_duration(field: &Field<'_>, least: Duration, most: Duration) -> Option<Duration> {
    let duration = field.duration(least..=most, Duration::ZERO);
    (!duration.is_zero()).then_some(duration)
}

/// Reports a setting that its section cannot do without.
fn require(section: &Section<'_>, field: &Field<'_>, help: &str) {
    if section.whole().is_given() && !field.is_given() {
        let key = field.path.rsplit('.').next().unwrap_or_default();
        section.whole().report(format!("`{key}` is missing"), help);
    }
}

// === impl RuleTarget ===

impl RuleTarget {
    fn read(field: &Field<'_>, around: Surroundings<'_>) -> Option<Self> {
        if field.is_scalar() {
            field.nothing(|section| Self::read_section(section, around));
            return field.choice().map(|word| match word {
                Word::Primary => Self::Primary,
                Word::Replica => Self::Replica,
            });
        }
        field.section(|section| Self::read_section(section, around))
    }

    fn read_section(section: &Section<'_>, around: Surroundings<'_>) -> Option<Self> {
        let (one, several) = (section.field("server"), section.field("servers"));
        if one.is_given() && several.is_given() {
            one.report("there is one server and a list of them", "keep one of them");
        }
        if section.whole().is_given() && !one.is_given() && several.items().is_empty() {
            let help = "write primary, replica, `server: NAME` or `servers: [NAME, ...]`";
            section.whole().report("no target is given", help);
        }
        let mut servers: Vec<_> = several
            .items()
            .iter()
            .filter_map(|item| server(item, around))
            .collect();
        servers.extend(server(&one, around));
        servers.sort_unstable();
        servers.dedup();
        (!servers.is_empty()).then(|| Self::Servers(servers.into()))
    }
}

/// The place of the named server.
fn server(field: &Field<'_>, around: Surroundings<'_>) -> Option<usize> {
    let name = field.word(128)?;
    let names = around.servers?;
    let place = names.iter().position(|each| *each == name);
    if place.is_none() {
        let help = match nearest(&name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the servers are: {}", names.join(", ")),
        };
        field.report(format!("no server is called {}", field.quoted()), help);
    }
    place
}

// === impl Rewrite ===

impl Rewrite {
    fn read(section: &Section<'_>) -> Option<Self> {
        let (pattern, with) = (section.field("pattern"), section.field("with"));
        require(section, &pattern, "give the regular expression to replace");
        require(section, &with, "give the text to put there; `\"\"` for none");
        let pattern = pattern.pattern(LONGEST_PATTERN)?;
        let text = with.literal()?.to_owned();
        if let Some(group) = pattern.lacks_group(&text) {
            let message = format!("the pattern has no group `{group}`");
            with.report(
                message,
                "name one of its groups, in braces before a letter or digit: `${1}x`; `$$` is a dollar",
            );
        }
        Some(Self { pattern, with: text })
    }
}

// === impl Mirror ===

impl Mirror {
    fn read(section: &Section<'_>, around: Surroundings<'_>) -> Option<Self> {
        let field = section.field("server");
        require(section, &field, "give the name of a server");
        let server = server(&field, around);
        let share = section
            .field("share")
            .parse("write a share from 0.01% to 100%", share)
            .unwrap_or(10_000);
        Some(Self {
            server: server?,
            share,
        })
    }
}

/// `5%` or `0.25%`, in 10000ths.
pub(in crate::config) fn share(text: &str) -> Result<u32, Bad> {
    let number = text.strip_suffix('%').ok_or(Bad::NotA("a percentage"))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || whole.len() > 3 || fraction.len() > 2 {
        return Err(Bad::NotA("a percentage"));
    }
    let digits = format!("{whole}{fraction:0<2}");
    match digits.parse::<u32>() {
        Ok(share @ 1..=10_000) => Ok(share),
        _ => Err(Bad::OutOfRange),
    }
}

// === impl CacheRule ===

impl CacheRule {
    fn read(section: &Section<'_>) -> Option<Self> {
        let field = section.field("ttl");
        require(section, &field, "give how long a result may be used");
        let ttl = given_duration(&field, MILLISECOND, DAY);
        let max_bytes = section.field("max_bytes").size(1..=64 * MIB, MIB);
        Some(Self { ttl: ttl?, max_bytes })
    }
}

// === impl Throttle ===

impl Throttle {
    fn read(section: &Section<'_>) -> Option<Self> {
        let field = section.field("rate");
        require(section, &field, "give how many statements, such as 100/s");
        let interval = field.parse(
            "write a number of statements per second, minute or hour, such as 100/s, 10/m or 1/h",
            interval,
        );
        let throttle = Self {
            interval: SECOND,
            per: section.field("per").choice_or(ThrottlePer::All),
            burst: section.field("burst").count(1..=1_000_000, 1),
            wait: section
                .field("wait")
                .duration(Duration::ZERO..=SECOND * 60, SECOND),
        };
        interval.map(|interval| Self { interval, ..throttle })
    }
}

/// `100/s` is a statement in 10 milliseconds.
fn interval(text: &str) -> Result<Duration, Bad> {
    let (number, unit) = text.split_once('/').ok_or(Bad::NotA("a rate"))?;
    let unit = match unit.trim() {
        "s" => SECOND,
        "m" => SECOND * 60,
        "h" => SECOND * 3600,
        _ => return Err(Bad::NotA("a rate")),
    };
    let digits = number.trim();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Bad::NotA("a rate"));
    }
    match digits.parse::<u32>() {
        Ok(count @ 1..=1_000_000) => Ok(unit / count),
        _ => Err(Bad::OutOfRange),
    }
}
