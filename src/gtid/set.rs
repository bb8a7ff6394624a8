//! MySQL's replication positions: a set of transactions, `uuid:1-5:7:tag:3`, as intervals for each source.

use std::cmp::Ordering;
use std::fmt;

use super::Malformed;
use super::cursor::Cursor;

/// Servers whose sets have more intervals than this are not expected; a text with more is refused.
const MOST_INTERVALS: usize = 1 << 18;
const LAST_NUMBER: u64 = i64::MAX as u64 - 1;
const LONGEST_TAG: usize = 32;

/// A set of transactions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Set {
    /// In the order of their keys, each of them once, none of them without transactions.
    sources: Vec<Source>,
}

/// The transactions of one server under one tag.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    uuid: [u8; 16],
    /// Lower case; empty for transactions without a tag.
    tag: Box<[u8]>,
    intervals: Intervals,
}

/// In their order, with at least one number between any two.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Intervals(Vec<Interval>);

/// Both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Interval {
    first: u64,
    last: u64,
}

// === impl Set ===

impl Set {
    /// Takes what the server takes: any order, overlaps, empty intervals, upper case, a UUID in braces or
    /// without dashes.
    pub fn parse(text: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(text)?;
        let (mut set, mut items) = (Self::default(), 0);
        loop {
            while cursor.take(b',') {}
            if cursor.peek().is_none() {
                break;
            }
            set.read_uuid(&mut cursor, &mut items)?;
            if !matches!(cursor.peek(), None | Some(b',')) {
                return Err(cursor.expected("a comma"));
            }
        }
        set.normalise();
        Ok(set)
    }

    /// Everything up to the next comma.
    fn read_uuid(&mut self, cursor: &mut Cursor<'_>, items: &mut usize) -> Result<(), Malformed> {
        let mut source = Source {
            uuid: read_uuid(cursor)?,
            tag: Box::default(),
            intervals: Intervals::default(),
        };
        while cursor.take(b':') {
            *items += 1;
            if *items > MOST_INTERVALS {
                return Err(Malformed::TooLong {
                    limit: MOST_INTERVALS,
                    what: "intervals",
                });
            }
            if cursor.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                source.intervals.push(Interval::read(cursor)?);
                continue;
            }
            let tag = read_tag(cursor)?;
            let next = Source {
                uuid: source.uuid,
                tag,
                intervals: Intervals::default(),
            };
            self.push(std::mem::replace(&mut source, next));
        }
        self.push(source);
        Ok(())
    }

    fn push(&mut self, source: Source) {
        if !source.intervals.0.is_empty() {
            self.sources.push(source);
        }
    }

    /// Brings what was pushed in any order into the order that everything else relies on.
    fn normalise(&mut self) {
        for source in &mut self.sources {
            source.intervals.normalise();
        }
        if self.sources.is_sorted_by(|one, next| one.order(next).is_lt()) {
            return;
        }
        self.sources.sort_by(Source::order);
        let sources = std::mem::take(&mut self.sources);
        for mut source in sources {
            match self.sources.last_mut() {
                Some(last) if last.order(&source).is_eq() => last.intervals.0.append(&mut source.intervals.0),
                _ => self.sources.push(source),
            }
        }
        for source in &mut self.sources {
            source.intervals.normalise();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    pub fn contains(&self, other: &Self) -> bool {
        other.sources.iter().all(|theirs| {
            self.find(theirs)
                .is_ok_and(|place| self.sources[place].intervals.contain(&theirs.intervals))
        })
    }

    pub fn merge(&mut self, other: &Self) {
        match &other.sources[..] {
            // What a session does after each of its writes.
            [theirs] => match self.find(theirs) {
                Ok(place) => self.sources[place].intervals.merge(&theirs.intervals),
                Err(place) => self.sources.insert(place, theirs.clone()),
            },
            _ if self.contains(other) => {}
            many => {
                self.sources.extend_from_slice(many);
                self.normalise();
            }
        }
    }

    /// Adds what `other` has and, of the same sources, all before it: whoever commits a transaction has seen
    /// those with lower numbers committed.
    pub fn extend(&mut self, other: &Self) {
        for theirs in &other.sources {
            match self.find(theirs) {
                Ok(place) => self.sources[place].intervals.extend(&theirs.intervals),
                Err(place) => self.sources.insert(place, theirs.clone()),
            }
        }
    }

    pub fn minus(&self, other: &Self) -> Self {
        let mut rest = Self::default();
        for own in &self.sources {
            let intervals = match other.find(own) {
                Ok(place) => own.intervals.minus(&other.sources[place].intervals),
                Err(_) => own.intervals.clone(),
            };
            rest.push(Source {
                uuid: own.uuid,
                tag: own.tag.clone(),
                intervals,
            });
        }
        rest
    }

    /// Those of its transactions that a server with this UUID wrote first, under any tag.
    pub fn written_by(&self, uuid: &str) -> Self {
        let uuid = Cursor::new(uuid.as_bytes()).and_then(|mut cursor| read_uuid(&mut cursor));
        let sources = self.sources.iter();
        let sources = sources.filter(|source| uuid.as_ref().is_ok_and(|uuid| source.uuid == *uuid));
        Self {
            sources: sources.cloned().collect(),
        }
    }

    pub fn count(&self) -> u64 {
        let intervals = self.sources.iter().flat_map(|source| &source.intervals.0);
        intervals.fold(0, |sum, interval| {
            sum.saturating_add(interval.last - interval.first + 1)
        })
    }

    fn find(&self, source: &Source) -> Result<usize, usize> {
        self.sources.binary_search_by(|own| own.order(source))
    }
}

impl fmt::Display for Set {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut uuid = None;
        for source in &self.sources {
            if uuid != Some(source.uuid) {
                let comma = if uuid.is_some() { "," } else { "" };
                formatter.write_str(comma)?;
                write_uuid(formatter, &source.uuid)?;
                uuid = Some(source.uuid);
            }
            if !source.tag.is_empty() {
                write!(formatter, ":{}", source.tag.escape_ascii())?;
            }
            for Interval { first, last } in &source.intervals.0 {
                write!(formatter, ":{first}")?;
                if last > first {
                    write!(formatter, "-{last}")?;
                }
            }
        }
        Ok(())
    }
}

// === impl Source ===

impl Source {
    fn order(&self, other: &Self) -> Ordering {
        self.uuid.cmp(&other.uuid).then_with(|| self.tag.cmp(&other.tag))
    }
}

// === impl Intervals ===

impl Intervals {
    /// Adds the other's, and what lies between the two.
    fn extend(&mut self, other: &Self) {
        match (self.0.last_mut(), other.0.first(), other.0.last()) {
            (Some(own), Some(first), Some(last)) if first.first > own.last => own.last = last.last,
            _ => self.merge(other),
        }
    }

    /// Adds an interval at the end, be it in order or not; an empty one is none.
    fn push(&mut self, interval: Interval) {
        if interval.first <= interval.last {
            self.0.push(interval);
        }
    }

    /// Brings what was pushed in any order into order.
    fn normalise(&mut self) {
        if self.0.is_sorted_by(|one, next| one.last + 1 < next.first) {
            return;
        }
        self.0.sort_unstable();
        self.0.dedup_by(|next, kept| {
            let touches = next.first <= kept.last + 1;
            if touches {
                kept.last = kept.last.max(next.last);
            }
            touches
        });
    }

    fn contain(&self, other: &Self) -> bool {
        other.0.iter().all(|theirs| {
            // The only one that can have its first number.
            let place = self.0.partition_point(|own| own.last < theirs.first);
            self.0
                .get(place)
                .is_some_and(|own| own.first <= theirs.first && theirs.last <= own.last)
        })
    }

    fn merge(&mut self, other: &Self) {
        // The next transaction of a server, as a rule.
        if let ([.., last], [theirs]) = (&mut self.0[..], &other.0[..])
            && last.first <= theirs.first
            && theirs.first <= last.last + 1
        {
            last.last = last.last.max(theirs.last);
        } else if !self.contain(other) {
            self.0.extend_from_slice(&other.0);
            self.normalise();
        }
    }

    fn minus(&self, other: &Self) -> Self {
        let mut rest = Self::default();
        let mut theirs = other.0.iter().copied().peekable();
        for own in &self.0 {
            let mut first = own.first;
            while theirs.next_if(|taken| taken.last < first).is_some() {}
            while let Some(taken) = theirs.peek().copied().filter(|taken| taken.first <= own.last) {
                if taken.first > first {
                    rest.push(Interval {
                        first,
                        last: taken.first - 1,
                    });
                }
                first = taken.last + 1;
                if taken.last > own.last {
                    break;
                }
                theirs.next();
            }
            rest.push(Interval {
                first,
                last: own.last,
            });
        }
        rest
    }
}

// === impl Interval ===

impl Interval {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let start = cursor.clone();
        let first = cursor.number(LAST_NUMBER)?;
        if first == 0 {
            return Err(start.expected("a number from 1 on"));
        }
        let last = if cursor.take(b'-') {
            cursor.number(LAST_NUMBER)?
        } else {
            first
        };
        Ok(Self { first, last })
    }
}

/// 32 hexadecimal digits, with all four dashes or none, in braces or not.
fn read_uuid(cursor: &mut Cursor<'_>) -> Result<[u8; 16], Malformed> {
    let start = cursor.clone();
    let wrong = || start.expected("a UUID");
    let in_braces = cursor.take(b'{');
    let text = cursor.take_while(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if in_braces && !cursor.take(b'}') {
        return Err(wrong());
    }
    let (has_dashes, length) = (text.len() == 36, text.len());
    if length != 32 && !has_dashes {
        return Err(wrong());
    }
    let (mut uuid, mut digits) = ([0_u8; 16], 0);
    for (at, byte) in text.iter().enumerate() {
        if has_dashes && matches!(at, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return Err(wrong());
            }
            continue;
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ => return Err(wrong()),
        };
        uuid[digits / 2] = uuid[digits / 2] << 4 | digit;
        digits += 1;
    }
    Ok(uuid)
}

/// A letter or an underscore, then letters, digits and underscores.
fn read_tag(cursor: &mut Cursor<'_>) -> Result<Box<[u8]>, Malformed> {
    let start = cursor.clone();
    let tag = cursor.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_tag = tag.first().is_some_and(|byte| !byte.is_ascii_digit()) && tag.len() <= LONGEST_TAG;
    if is_tag {
        Ok(tag.to_ascii_lowercase().into())
    } else {
        Err(start.expected("a number or a tag"))
    }
}

fn write_uuid(formatter: &mut fmt::Formatter<'_>, uuid: &[u8; 16]) -> fmt::Result {
    for (index, byte) in uuid.iter().enumerate() {
        let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
        write!(formatter, "{dash}{byte:02x}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn set(text: &str) -> Set {
        Set::parse(text.replace('U', UUID).as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn shown(text: &str) -> String {
        set(text).to_string().replace(UUID, "U")
    }

    /// What a server of version 9.7 takes, and what it makes of it.
    #[test]
    fn the_servers_notation_goes_in_and_out() {
        for (text, expected) in [
            ("U:1-5:7", "U:1-5:7"),
            (" U : 1 - 5 :\n 7 ,\r\n", "U:1-5:7"),
            ("U:7:1-3:2-5", "U:1-5:7"),
            ("U:1,,U:2", "U:1-2"),
            ("U:5-3", ""),
            ("U", ""),
            ("U:tag", ""),
            ("U:1-0:4", "U:4"),
            ("U:1:tag:5:_b1:7,U:3:tag:4", "U:1:3:_b1:7:tag:4-5"),
            ("U:Tag:1", "U:tag:1"),
            ("{U}:1", "U:1"),
            ("3E11FA4771CA11E19E33C80AA9429562:1", "U:1"),
            (
                "U:9223372036854775806:1-9223372036854775805",
                "U:1-9223372036854775806",
            ),
            (
                "U:t2345678901234567890123456789012:1",
                "U:t2345678901234567890123456789012:1",
            ),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
        let two = "00000000-0000-0000-0000-000000000001:1,ffffffff-0000-0000-0000-000000000001:2-3";
        let turned = "ffffffff-0000-0000-0000-000000000001:2-3,\n00000000-0000-0000-0000-000000000001:1";
        assert_eq!(set(turned).to_string(), two);
        assert_eq!(set(two).count(), 3);
    }

    #[test]
    fn what_the_server_refuses_is_refused() {
        for text in [
            "U:",
            "U:0",
            "U:1::2",
            "U:9223372036854775807",
            "U:18446744073709551616",
            "U:1:9tag:1",
            "U:-1",
            "U:1-",
            "U:t23456789012345678901234567890123:1",
            "U;1",
            "U:1 2",
            "{U:1",
            "U}:1",
            "x",
            "1",
            ":1",
            "U:1.U:2",
            "3e11fa47-71ca-11e1-9e33c-80aa9429562:1",
            "3e11fa4-771ca-11e1-9e33-c80aa9429562:1",
            "U:té:1",
        ] {
            let text = text.replace('U', UUID);
            assert!(Set::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        let many = format!("{UUID}{}", ":1".repeat(MOST_INTERVALS + 1));
        assert!(Set::parse(many.as_bytes()).is_err());
        assert!(Set::parse(&vec![b' '; super::super::cursor::LONGEST_TEXT + 1]).is_err());
    }

    #[test]
    fn tags_are_sources_of_their_own() {
        assert!(!set("U:1-5").contains(&set("U:tag:3")));
        assert!(!set("U:tag:3").contains(&set("U:3")));
        assert!(set("U:1:tag:1-3").contains(&set("U:tag:2")));
        assert_eq!(
            set("U:1-5:tag:1-5").minus(&set("U:2:tag:5")),
            set("U:1:3-5:tag:1-4")
        );
    }

    /// Worst cases of what a server may send are not slow: this would take minutes if they were.
    #[test]
    fn large_sets_are_no_burden() {
        let odd: String = (0..MOST_INTERVALS).map(|n| format!(":{}", 2 * n + 1)).collect();
        let backwards: String = (1..=MOST_INTERVALS)
            .rev()
            .map(|n| format!(":{}", 2 * n))
            .collect();
        let (mut odd, even) = (set(&format!("U{odd}")), set(&format!("U{backwards}")));
        assert!(!odd.contains(&even));
        assert_eq!(odd.minus(&even), odd);
        odd.merge(&even);
        assert_eq!(odd, set(&format!("U:1-{}", 2 * MOST_INTERVALS)));
        let sources = |last: char| -> Set {
            let each = (0..50_000_u32)
                .rev()
                .map(|n| format!("{n:08x}-0000-0000-0000-00000000000{last}:1"));
            set(&each.collect::<Vec<_>>().join(","))
        };
        let (mut one, other) = (sources('1'), sources('2'));
        one.merge(&other);
        assert_eq!(one.count(), 100_000);
        assert_eq!(one.minus(&other), sources('1'));
    }

    // === against a set of single transactions ===

    /// UUID, tag and number.
    type Model = BTreeSet<(u8, u8, u64)>;

    fn model() -> impl Strategy<Value = Model> {
        proptest::collection::btree_set((0_u8..2, 0_u8..3, 1_u64..12), 0..40)
    }

    fn uuid(number: u8) -> String {
        format!("{number:02X}11fa47-71ca-11e1-9e33-c80aa9429562")
    }

    fn tag(number: u8) -> String {
        if number == 0 {
            String::new()
        } else {
            format!(":t{number}")
        }
    }

    /// Each transaction by itself, in any order.
    fn of_model(model: &Model) -> Set {
        let each = model
            .iter()
            .rev()
            .map(|(id, under, number)| format!("{}{}:{number}", uuid(*id), tag(*under)));
        set(&each.collect::<Vec<_>>().join(" ,\n"))
    }

    fn to_model(set: &Set) -> Model {
        let mut model = Model::new();
        for source in &set.sources {
            let under = source.tag.last().map_or(0, |digit| digit - b'0');
            for interval in &source.intervals.0 {
                model.extend((interval.first..=interval.last).map(|number| (source.uuid[0], under, number)));
            }
        }
        model
    }

    fn is_normal(set: &Set) -> bool {
        set.sources.is_sorted_by(|one, next| one.order(next).is_lt())
            && set.sources.iter().all(|source| {
                let intervals = &source.intervals.0;
                !intervals.is_empty() && intervals.is_sorted_by(|one, next| one.last + 1 < next.first)
            })
    }

    proptest! {
        #[test]
        fn it_behaves_as_a_set_of_transactions(one in model(), other in model()) {
            let (a, b) = (of_model(&one), of_model(&other));
            prop_assert_eq!(to_model(&a), one.clone());
            prop_assert_eq!(a.count(), one.len() as u64);
            prop_assert_eq!(a.is_empty(), one.is_empty());
            prop_assert_eq!(a.contains(&b), one.is_superset(&other));
            prop_assert_eq!(a == b, one == other);
            let rest = a.minus(&b);
            prop_assert_eq!(to_model(&rest), one.difference(&other).copied().collect::<Model>());
            let mut both = a.clone();
            both.merge(&b);
            prop_assert_eq!(to_model(&both), one.union(&other).copied().collect::<Model>());
            prop_assert!(both.contains(&a) && both.contains(&b) && a.contains(&rest));
            prop_assert!(is_normal(&a) && is_normal(&rest) && is_normal(&both));
            prop_assert_eq!(set(&both.to_string()), both);
        }

        #[test]
        fn one_after_the_other_makes_the_whole(model in model()) {
            let mut grown = Set::default();
            for transaction in &model {
                grown.merge(&of_model(&Model::from([*transaction])));
                prop_assert!(is_normal(&grown));
            }
            prop_assert_eq!(grown, of_model(&model));
        }

        #[test]
        fn no_text_is_too_strange(text in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Set::parse(&text);
        }

        #[test]
        fn no_text_of_the_right_parts_is(parts in proptest::collection::vec("U|[0-9]{1,3}|:|-|,| |\n|[a-z_]{1,3}|\\{|\\}", 0..20)) {
            if let Ok(set) = Set::parse(parts.concat().replace('U', UUID).as_bytes()) {
                prop_assert!(is_normal(&set));
                prop_assert_eq!(Set::parse(set.to_string().as_bytes()), Ok(set));
            }
        }
    }
}
