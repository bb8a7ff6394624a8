//! MariaDB's replication positions: for each domain the last transaction, `domain-server-sequence`.
//!
//! Within a domain transactions have one order, so that the last one stands for all before it. That holds as
//! long as sequence numbers grow in every domain, which the server's `gtid_strict_mode` enforces.

use std::fmt;

use super::Malformed;
use super::cursor::Cursor;

/// Servers with more domains than this are not expected; a position with more is refused.
const MOST_DOMAINS: usize = 4096;

/// The last transaction of each domain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Domains {
    /// In the order of the domains, each of them once.
    last: Vec<Gtid>,
}

/// One transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gtid {
    pub domain: u32,
    /// Who wrote it first. It plays no part in the order.
    pub server: u32,
    pub sequence: u64,
}

// === impl Domains ===

impl Domains {
    pub fn parse(text: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(text)?;
        let mut domains = Self::default();
        let mut unsorted: Vec<Gtid> = Vec::new();
        while cursor.peek().is_some() {
            if unsorted.len() + domains.last.len() >= MOST_DOMAINS {
                return Err(Malformed::TooLong {
                    limit: MOST_DOMAINS,
                    what: "domains",
                });
            }
            let gtid = Gtid::read(&mut cursor)?;
            match domains.last.last() {
                Some(last) if last.domain >= gtid.domain => unsorted.push(gtid),
                _ => domains.last.push(gtid),
            }
            if !cursor.take(b',') && cursor.peek().is_some() {
                return Err(cursor.expected("a comma"));
            }
        }
        for gtid in unsorted {
            domains.add(gtid);
        }
        Ok(domains)
    }

    pub fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    /// Each domain's last transaction, in the order of the domains.
    pub fn iter(&self) -> impl Iterator<Item = Gtid> + '_ {
        self.last.iter().copied()
    }

    pub fn contains(&self, other: &Self) -> bool {
        other.iter().all(|gtid| self.has(gtid))
    }

    pub fn merge(&mut self, other: &Self) {
        for gtid in other.iter() {
            self.add(gtid);
        }
    }

    /// The domains in which this is ahead of `other`.
    pub fn minus(&self, other: &Self) -> Self {
        Self {
            last: self.iter().filter(|gtid| !other.has(*gtid)).collect(),
        }
    }

    /// The domains whose last transaction a server with this id wrote first.
    pub fn written_by(&self, server: u32) -> Self {
        Self {
            last: self.iter().filter(|gtid| gtid.server == server).collect(),
        }
    }

    /// The domains whose last transaction is not the last one of `other`.
    pub fn unlike(&self, other: &Self) -> Self {
        let same = |gtid: &Gtid| {
            other
                .find(gtid.domain)
                .is_ok_and(|place| other.last[place] == *gtid)
        };
        Self {
            last: self.iter().filter(|gtid| !same(gtid)).collect(),
        }
    }

    /// The domains in which the last transactions of both have the same sequence number and different writers.
    pub fn conflicts(&self, other: &Self) -> Self {
        let conflicts = |gtid: &Gtid| {
            let theirs = other.find(gtid.domain).map(|place| other.last[place]);
            theirs.is_ok_and(|theirs| theirs.sequence == gtid.sequence && theirs.server != gtid.server)
        };
        Self {
            last: self.iter().filter(conflicts).collect(),
        }
    }

    /// The sum of the sequence numbers.
    pub fn count(&self) -> u64 {
        self.iter().fold(0, |sum, gtid| sum.saturating_add(gtid.sequence))
    }

    /// The sum of what `other` is behind, by the sequence numbers.
    pub fn ahead_of(&self, other: &Self) -> u64 {
        self.iter().fold(0, |sum, gtid| {
            let theirs = other
                .find(gtid.domain)
                .map_or(0, |place| other.last[place].sequence);
            sum.saturating_add(gtid.sequence.saturating_sub(theirs))
        })
    }

    fn has(&self, gtid: Gtid) -> bool {
        self.find(gtid.domain)
            .is_ok_and(|place| self.last[place].sequence >= gtid.sequence)
    }

    fn add(&mut self, gtid: Gtid) {
        match self.find(gtid.domain) {
            Ok(place) if self.last[place].sequence >= gtid.sequence => {}
            Ok(place) => self.last[place] = gtid,
            Err(place) => self.last.insert(place, gtid),
        }
    }

    fn find(&self, domain: u32) -> Result<usize, usize> {
        self.last.binary_search_by_key(&domain, |gtid| gtid.domain)
    }
}

impl fmt::Display for Domains {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, gtid) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(
                formatter,
                "{comma}{}-{}-{}",
                gtid.domain, gtid.server, gtid.sequence
            )?;
        }
        Ok(())
    }
}

// === impl Gtid ===

impl Gtid {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let part = |cursor: &mut Cursor<'_>| -> Result<u32, Malformed> {
            let number = cursor.number(u64::from(u32::MAX))?;
            if !cursor.take(b'-') {
                return Err(cursor.expected("a dash"));
            }
            Ok(u32::try_from(number).unwrap_or(u32::MAX))
        };
        Ok(Self {
            domain: part(cursor)?,
            server: part(cursor)?,
            sequence: cursor.number(u64::MAX)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Model = BTreeMap<u32, u64>;

    fn domains(text: &str) -> Domains {
        Domains::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_servers_notation_goes_in_and_out() {
        assert_eq!(domains("0-1-42,1-2-7").to_string(), "0-1-42,1-2-7");
        assert_eq!(domains(" 1-2-7 ,\n0-1-42\r\n").to_string(), "0-1-42,1-2-7");
        let largest = "4294967295-4294967295-18446744073709551615";
        assert_eq!(domains(largest).to_string(), largest);
    }

    #[test]
    fn the_last_of_a_domain_counts_whoever_wrote_it() {
        assert_eq!(domains("0-1-42,0-2-43,0-3-1").to_string(), "0-2-43");
        assert!(domains("0-2-43").contains(&domains("0-1-42")));
        assert!(!domains("0-2-43").contains(&domains("0-1-44")));
        assert!(!domains("0-2-43").contains(&domains("0-1-1,1-1-1")));
    }

    #[test]
    fn garbage_is_refused() {
        for text in [
            "0",
            "0-1",
            "0-1-",
            "0-1-x",
            "-1-1-1",
            "0-1-1;",
            "0-1-1 1-1-1",
            "4294967296-1-1",
            "x",
            "0--1",
        ] {
            assert!(Domains::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        let many: Vec<_> = (0..=MOST_DOMAINS).map(|domain| format!("{domain}-1-1")).collect();
        assert!(Domains::parse(many.join(",").as_bytes()).is_err());
    }

    fn model() -> impl Strategy<Value = Model> {
        proptest::collection::btree_map(0_u32..6, 1_u64..8, 0..6)
    }

    fn of_model(model: &Model) -> Domains {
        let text: Vec<_> = model
            .iter()
            .rev()
            .map(|(domain, sequence)| format!("{domain}-1-{sequence}"))
            .collect();
        domains(&text.join(", "))
    }

    proptest! {
        #[test]
        fn it_behaves_as_a_map_of_sequences(one in model(), other in model()) {
            let (a, b) = (of_model(&one), of_model(&other));
            let lacks = |domain: &u32, sequence: &u64| one.get(domain).is_none_or(|own| own < sequence);
            prop_assert_eq!(a.contains(&b), !other.iter().any(|(domain, sequence)| lacks(domain, sequence)));
            let ahead: Model = other.iter().filter(|(domain, sequence)| lacks(domain, sequence)).map(|(d, s)| (*d, *s)).collect();
            prop_assert_eq!(b.minus(&a), of_model(&ahead));
            let mut merged = one.clone();
            for (domain, sequence) in &other {
                let own = merged.entry(*domain).or_default();
                *own = (*own).max(*sequence);
            }
            let mut both = a.clone();
            both.merge(&b);
            prop_assert!(both.contains(&a) && both.contains(&b));
            prop_assert_eq!(both, of_model(&merged));
        }

        #[test]
        fn no_text_is_too_strange(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Domains::parse(&text);
        }

        #[test]
        fn no_text_of_the_right_characters_is(text in "[0-9, \n-]{0,40}") {
            if let Ok(domains) = Domains::parse(text.as_bytes()) {
                prop_assert_eq!(Domains::parse(domains.to_string().as_bytes()), Ok(domains));
            }
        }
    }
}
