//! A replication position of either flavour.

use std::fmt;

use super::{Domains, Malformed, Set};

/// Which transactions somebody has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Position {
    /// None. A set or a list of domains in a position is never empty.
    #[default]
    Empty,
    MySql(Set),
    MariaDb(Domains),
}

// === impl Position ===

impl Position {
    /// Reads a position in the notation of MariaDB (`0-1-42,1-2-7`) or of MySQL (`uuid:1-5:7,uuid:tag:3`), with
    /// white space anywhere between its parts.
    pub fn parse(mariadb: bool, text: &[u8]) -> Result<Self, Malformed> {
        if mariadb {
            Domains::parse(text).map(Self::from)
        } else {
            Set::parse(text).map(Self::from)
        }
    }

    /// Whether whoever is at this position has all that `other` has. Positions of different flavours have
    /// nothing in common.
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Empty) => true,
            (Self::MySql(own), Self::MySql(other)) => own.contains(other),
            (Self::MariaDb(own), Self::MariaDb(other)) => own.contains(other),
            _ => false,
        }
    }

    /// Adds all that `other` has. Of the other flavour's positions there is nothing to keep: the newcomer's
    /// takes the place of the old one, as its server took the place of another.
    pub fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (_, Self::Empty) => {}
            (Self::MySql(own), Self::MySql(other)) => own.merge(other),
            (Self::MariaDb(own), Self::MariaDb(other)) => own.merge(other),
            (own, other) => *own = other.clone(),
        }
    }

    /// Adds what a later commit proves: its transaction, and all that came before it.
    pub fn extend(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::MySql(own), Self::MySql(other)) => own.extend(other),
            _ => self.merge(other),
        }
    }

    /// What this position has and `other` does not. On MariaDB: the domains in which it is ahead.
    pub fn minus(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::MySql(own), Self::MySql(other)) => own.minus(other).into(),
            (Self::MariaDb(own), Self::MariaDb(other)) => own.minus(other).into(),
            _ => self.clone(),
        }
    }

    /// What one server wrote first. On MariaDB: the domains whose last transaction it wrote.
    pub fn written_by(&self, uuid: &str, server_id: u32) -> Self {
        match self {
            Self::Empty => Self::Empty,
            Self::MySql(own) => own.written_by(uuid).into(),
            Self::MariaDb(own) => own.written_by(server_id).into(),
        }
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::Empty
    }

    /// How many transactions there are. MariaDB numbers the transactions of a domain but does not say which
    /// numbers were used: there, it is the sum of the sequence numbers, which says little but whether it grows.
    pub fn count(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::MySql(set) => set.count(),
            Self::MariaDb(domains) => domains.count(),
        }
    }

    /// How many transactions `other` lacks; on MariaDB by the sequence numbers, so that it may be too many.
    pub fn ahead_of(&self, other: &Self) -> u64 {
        match (self, other) {
            (Self::MariaDb(own), Self::MariaDb(other)) => own.ahead_of(other),
            _ => self.minus(other).count(),
        }
    }
}

impl From<Set> for Position {
    fn from(set: Set) -> Self {
        if set.is_empty() {
            Self::Empty
        } else {
            Self::MySql(set)
        }
    }
}

impl From<Domains> for Position {
    fn from(domains: Domains) -> Self {
        if domains.is_empty() {
            Self::Empty
        } else {
            Self::MariaDb(domains)
        }
    }
}

impl fmt::Display for Position {
    /// The server's own notation, without line breaks.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => Ok(()),
            Self::MySql(set) => set.fmt(formatter),
            Self::MariaDb(domains) => domains.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn mysql(intervals: &str) -> Position {
        Position::parse(false, format!("{UUID}:{intervals}").as_bytes()).unwrap()
    }

    fn mariadb(text: &str) -> Position {
        Position::parse(true, text.as_bytes()).unwrap()
    }

    #[test]
    fn nothing_is_contained_in_everything() {
        for text in ["", " \n ", ",", ", ,"] {
            assert_eq!(
                Position::parse(false, text.as_bytes()),
                Ok(Position::Empty),
                "{text:?}"
            );
        }
        assert_eq!(Position::parse(true, b"  "), Ok(Position::Empty));
        assert!(Position::Empty.contains(&Position::Empty));
        assert!(mysql("1").contains(&Position::Empty) && !Position::Empty.contains(&mysql("1")));
        assert_eq!(mysql("1-9").minus(&mysql("1-10")), Position::Empty);
        assert_eq!(mariadb("0-1-5").minus(&mariadb("0-2-5")), Position::Empty);
    }

    #[test]
    fn flavours_do_not_mix() {
        let (mut old, new) = (mysql("1-3"), mariadb("0-1-42"));
        assert!(!old.contains(&new) && !new.contains(&old));
        assert_eq!(old.minus(&new), old);
        old.merge(&new);
        assert_eq!(old, new);
    }

    #[test]
    fn what_is_ahead_can_be_counted() {
        assert_eq!(mysql("1-10:20").ahead_of(&mysql("3-12")), 3);
        assert_eq!(mysql("1-10").ahead_of(&Position::Empty), 10);
        assert_eq!(mariadb("0-1-42,1-1-7").ahead_of(&mariadb("0-2-40,1-1-9")), 2);
        assert_eq!(mariadb("0-1-42").ahead_of(&Position::Empty), 42);
    }
}
