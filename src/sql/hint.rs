//! What the author of a statement wishes for, in a comment that starts with `splitrail:` or in query attributes.

use std::time::Duration;

use super::lexer::Lexer;

/// Wishes for one statement. What is not said is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hint {
    pub target: Option<HintTarget>,
    pub max_lag: Option<Duration>,
    pub consistency: Option<HintLevel>,
    /// Why a hint of this statement was ignored.
    pub problem: Option<BadHint>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HintTarget {
    Primary,
    Replica,
    /// The server of this name.
    Server(Box<[u8]>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HintLevel {
    Eventual,
    Session,
    Proxy,
    Bounded,
    Strong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHint {
    #[error("it is empty")]
    Empty,
    #[error("a word in it is not known: primary, replica, server=, max_lag= and consistency= are")]
    UnknownWord,
    #[error("a server's name is 1 to 64 bytes long")]
    BadServer,
    #[error("max_lag is a number with a unit: ms, s, m or h")]
    BadDuration,
    #[error("the consistency is one of eventual, session, proxy, bounded and strong")]
    BadLevel,
    #[error("it says the same thing twice")]
    Repeated,
}

/// The longest hint that is looked at.
const LONGEST: usize = 512;
const LONGEST_SERVER: usize = 64;

// === impl Hint ===

impl Hint {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// From what follows `splitrail:` in a comment, or from the value of a query attribute `splitrail.route`:
    /// words and `key=value` pairs, apart by commas or blanks.
    pub fn parse(text: &[u8]) -> Result<Self, BadHint> {
        let mut hint = Self::default();
        let text = text.get(..LONGEST).unwrap_or(text);
        let items = text.split(|&byte| byte == b',' || byte.is_ascii_whitespace());
        for item in items.filter(|item| !item.is_empty()) {
            match item.iter().position(|&byte| byte == b'=') {
                Some(sign) => hint.set(&item[..sign], &item[sign + 1..])?,
                None => hint.aim(match item {
                    _ if item.eq_ignore_ascii_case(b"primary") => HintTarget::Primary,
                    _ if item.eq_ignore_ascii_case(b"replica") => HintTarget::Replica,
                    _ => return Err(BadHint::UnknownWord),
                })?,
            }
        }
        if hint.is_empty() {
            Err(BadHint::Empty)
        } else {
            Ok(hint)
        }
    }

    /// One `key=value`: also for query attributes `splitrail.key`.
    pub fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), BadHint> {
        match () {
            () if key.eq_ignore_ascii_case(b"server") => {
                if value.is_empty() || value.len() > LONGEST_SERVER {
                    return Err(BadHint::BadServer);
                }
                self.aim(HintTarget::Server(value.into()))
            }
            () if key.eq_ignore_ascii_case(b"max_lag") => {
                let lag = duration(value).ok_or(BadHint::BadDuration)?;
                once(&mut self.max_lag, lag)
            }
            () if key.eq_ignore_ascii_case(b"consistency") => {
                let level = HintLevel::from_name(value).ok_or(BadHint::BadLevel)?;
                once(&mut self.consistency, level)
            }
            () => Err(BadHint::UnknownWord),
        }
    }

    /// The later hint says what counts, where both say something.
    pub fn merge(&mut self, later: Self) {
        self.target = later.target.or(self.target.take());
        self.max_lag = later.max_lag.or(self.max_lag);
        self.consistency = later.consistency.or(self.consistency);
        self.problem = later.problem.or(self.problem);
    }

    fn aim(&mut self, target: HintTarget) -> Result<(), BadHint> {
        once(&mut self.target, target)
    }

    /// All hints in the comments that a lexer met on its way.
    pub(super) fn of(text: &[u8], lexer: &Lexer) -> Self {
        let mut hint = Self::default();
        for range in lexer.hints() {
            let found = Self::parse(text.get(range).unwrap_or_default()).unwrap_or_else(|problem| Self {
                problem: Some(problem),
                ..Self::default()
            });
            hint.merge(found);
        }
        hint
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), BadHint> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(BadHint::Repeated),
    }
}

/// `500ms`, `2s`, `1m`, `1h`; whole numbers alone.
fn duration(text: &[u8]) -> Option<Duration> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    let milliseconds = match unit {
        b"ms" => 1,
        b"s" => 1_000,
        b"m" => 60_000,
        b"h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

// === impl HintLevel ===

impl HintLevel {
    pub fn from_name(name: &[u8]) -> Option<Self> {
        [
            ("eventual", Self::Eventual),
            ("session", Self::Session),
            ("proxy", Self::Proxy),
            ("bounded", Self::Bounded),
            ("strong", Self::Strong),
        ]
        .into_iter()
        .find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()))
        .map(|(_, level)| level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hints_are_words_and_pairs() {
        let hint = Hint::parse(b" replica, max_lag=500ms consistency=Strong ").unwrap();
        assert_eq!(hint.target, Some(HintTarget::Replica));
        assert_eq!(hint.max_lag, Some(Duration::from_millis(500)));
        assert_eq!(hint.consistency, Some(HintLevel::Strong));
        let hint = Hint::parse(b"server=db2,max_lag=2s").unwrap();
        assert_eq!(hint.target, Some(HintTarget::Server(b"db2"[..].into())));
        assert_eq!(hint.max_lag, Some(Duration::from_secs(2)));
        assert_eq!(Hint::parse(b"PRIMARY").unwrap().target, Some(HintTarget::Primary));
    }

    #[test]
    fn bad_hints_say_what_is_wrong() {
        for (text, problem) in [
            ("", BadHint::Empty),
            ("master", BadHint::UnknownWord),
            ("primary replica", BadHint::Repeated),
            ("server=", BadHint::BadServer),
            ("max_lag=5", BadHint::BadDuration),
            ("max_lag=99999999999999999999s", BadHint::BadDuration),
            ("max_lag=9999999999999999999h", BadHint::BadDuration),
            ("consistency=linear", BadHint::BadLevel),
            ("colour=red", BadHint::UnknownWord),
        ] {
            assert_eq!(Hint::parse(text.as_bytes()), Err(problem), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_hint_or_not(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Hint::parse(&text);
        }
    }
}
