//! What the proxy answered at one moment, and how fast its counters grew since the moment before.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::admin::client::connection::Rows;

#[derive(Debug)]
pub struct Sample {
    pub at: Instant,
    pub version: Rows,
    pub analysis: Rows,
    pub servers: Rows,
    pub sessions: Rows,
    pub digests: Rows,
}

/// Counters of the sample before, by table, row and column.
#[derive(Debug, Default)]
pub struct Counters {
    at: Option<Instant>,
    values: HashMap<String, [f64; 3]>,
}

/// What grew since the sample before: a second's worth of each counter. `None`: nobody knows yet.
pub type Rates = Option<[f64; 3]>;

/// More digests are not looked at: those that took most of the time.
pub const MOST_DIGESTS: usize = 500;
/// More sessions are not looked at; where there are more, those that are idle are left out.
pub const MOST_SESSIONS: usize = 1000;

// === impl Counters ===

impl Counters {
    /// Remembers a row's counters for the next sample, and tells how they grew since the last one.
    pub fn grow(&self, next: &mut Self, key: String, values: [f64; 3]) -> Rates {
        let before = self.values.get(&key).copied();
        next.values.insert(key, values);
        let seconds = self.between(next)?.as_secs_f64();
        let before = before?;
        // They were counted anew, or by another process.
        if values.iter().zip(before).any(|(now, before)| *now < before) {
            return None;
        }
        let grown = |place: usize| (values[place] - before[place]) / seconds;
        Some([grown(0), grown(1), grown(2)])
    }

    pub fn at(moment: Instant) -> Self {
        Self {
            at: Some(moment),
            ..Self::default()
        }
    }

    fn between(&self, next: &Self) -> Option<Duration> {
        let between = next.at?.saturating_duration_since(self.at?);
        (between > Duration::ZERO).then_some(between)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_become_rates() {
        let start = Instant::now();
        let mut first = Counters::at(start);
        assert_eq!(
            Counters::default().grow(&mut first, "a".to_owned(), [5.0, 1.0, 0.0]),
            None
        );
        let mut second = Counters::at(start + Duration::from_secs(2));
        let rates = first.grow(&mut second, "a".to_owned(), [9.0, 1.0, 3.0]);
        assert_eq!(rates, Some([2.0, 0.0, 1.5]));
        assert_eq!(first.grow(&mut second, "new".to_owned(), [9.0; 3]), None);
        let mut third = Counters::at(start + Duration::from_secs(3));
        assert_eq!(
            second.grow(&mut third, "a".to_owned(), [1.0; 3]),
            None,
            "counted anew"
        );
    }
}
