//! What a server has made of a prepared statement's parameters, by the types they were executed with before.
//!
//! MySQL settles a parameter's type when it first gets a value, and keeps converting later values to it: a text is
//! compared as a number after a number was. Sessions share the statements of a connection, so a session may only
//! meet a statement there that other sessions have used as it has itself. MariaDB looks at each execution alone.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Kinds of types that a server does not tell apart here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Kind {
    /// Nothing has been settled yet. Texts settle nothing where nothing is.
    #[default]
    Open,
    Text,
    Integer,
    Real,
    Decimal,
    Date,
    DateTime,
    Time,
    Other(u8),
}

/// Two of these are equal where a statement goes on answering alike.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lineage {
    /// What each parameter was last; those at the end that were nothing yet are not here.
    kinds: Vec<Kind>,
    /// What it was before that, where it has changed.
    past: u64,
}

// === impl Kind ===

impl Kind {
    fn of(code: u8) -> Self {
        match code {
            0x06 => Self::Open,
            0x01..=0x03 | 0x08 | 0x09 | 0x0d => Self::Integer,
            0x04 | 0x05 => Self::Real,
            0x00 | 0xf6 => Self::Decimal,
            0x0a | 0x0e => Self::Date,
            0x07 | 0x0c => Self::DateTime,
            0x0b => Self::Time,
            0x0f | 0xf9..=0xfe => Self::Text,
            other => Self::Other(other),
        }
    }

    /// What a parameter is after a value of another kind.
    fn then(self, next: Self) -> Self {
        match (self, next) {
            (kept, Self::Open) | (kept @ Self::Open, Self::Text) => kept,
            (_, next) => next,
        }
    }
}

// === impl Lineage ===

impl Lineage {
    /// Whether nothing has been settled.
    pub fn is_open(&self) -> bool {
        self.kinds.is_empty() && self.past == 0
    }

    /// The kinds after an execution with these `types`, two bytes each, in which the marked ones are NULL.
    fn next_kinds<'a>(&'a self, types: &'a [u8], nulls: &'a [u8]) -> impl Iterator<Item = (Kind, Kind)> + 'a {
        let (types, _) = types.as_chunks::<2>();
        types.iter().enumerate().map(|(index, [code, _])| {
            let is_null = nulls
                .get(index / 8)
                .is_some_and(|byte| byte & (1 << (index % 8)) != 0);
            let last = self.kinds.get(index).copied().unwrap_or_default();
            let next = if is_null { Kind::Open } else { Kind::of(*code) };
            (last, last.then(next))
        })
    }

    /// Whether an execution with these types leaves it as it is.
    pub fn stays(&self, types: &[u8], nulls: &[u8]) -> bool {
        self.next_kinds(types, nulls).all(|(last, next)| last == next)
    }

    /// What it is after an execution with these types.
    #[must_use]
    pub fn after(&self, types: &[u8], nulls: &[u8]) -> Self {
        let mut kinds: Vec<Kind> = self.next_kinds(types, nulls).map(|(_, next)| next).collect();
        let turns = |(last, next): (Kind, Kind)| last != Kind::Open && last != next;
        let past = match self.next_kinds(types, nulls).any(turns) {
            true => {
                let mut hasher = DefaultHasher::new();
                (self.past, &self.kinds).hash(&mut hasher);
                // Zero is for those that have none.
                hasher.finish().max(1)
            }
            false => self.past,
        };
        while kinds.last() == Some(&Kind::Open) {
            kinds.pop();
        }
        Self { kinds, past }
    }

    /// Stands for it in a key.
    pub fn mark(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.past, &self.kinds).hash(&mut hasher);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NULL: [u8; 2] = [6, 0];
    const TEXT: [u8; 2] = [0xfe, 0];
    const INTEGER: [u8; 2] = [8, 0];
    const UNSIGNED: [u8; 2] = [3, 0x80];
    const REAL: [u8; 2] = [5, 0];

    fn after(steps: &[[[u8; 2]; 2]]) -> Lineage {
        let executed = |lineage: Lineage, step: &[[u8; 2]; 2]| {
            let next = lineage.after(step.as_flattened(), &[0]);
            assert_eq!(lineage.stays(step.as_flattened(), &[0]), next == lineage);
            next
        };
        steps.iter().fold(Lineage::default(), executed)
    }

    #[test]
    fn texts_and_nulls_settle_nothing() {
        assert!(after(&[]).is_open() && after(&[[TEXT, NULL], [NULL, TEXT]]).is_open());
        assert_eq!(
            after(&[[INTEGER, TEXT]]),
            after(&[[NULL, TEXT], [UNSIGNED, NULL], [INTEGER, TEXT]])
        );
        assert!(!after(&[[TEXT, INTEGER]]).is_open());
        assert!(Lineage::default().after(INTEGER.as_slice(), &[1]).is_open());
        assert!(!Lineage::default().after(INTEGER.as_slice(), &[2]).is_open());
    }

    #[test]
    fn what_a_parameter_was_before_counts() {
        assert_ne!(after(&[[INTEGER, TEXT]]), after(&[[REAL, TEXT]]));
        assert_ne!(after(&[[REAL, TEXT], [INTEGER, TEXT]]), after(&[[INTEGER, TEXT]]));
        assert_ne!(after(&[[INTEGER, TEXT], [TEXT, TEXT]]), after(&[[TEXT, TEXT]]));
        assert_ne!(
            after(&[[INTEGER, TEXT], [REAL, TEXT], [INTEGER, TEXT]]),
            after(&[[INTEGER, TEXT]])
        );
        let turned = [[INTEGER, TEXT], [REAL, TEXT]];
        assert_eq!(after(&turned), after(&[turned[0], turned[1], turned[1]]));
    }
}
