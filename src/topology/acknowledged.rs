//! What a server has acknowledged to clients of this proxy, so that a promotion can tell what it loses: probes see a
//! primary's position some times a second, and clients are told of writes until its last moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::gtid::{Position, Series};

/// A primary numbers its transactions in one series, or on MariaDB in one for each domain. More are not followed.
const MOST_SERIES: usize = 64;

/// The last number of each series. Told after every write: no lock is taken, and memory only for a new series.
#[derive(Debug, Default)]
pub(super) struct Acknowledged(ArcSwap<Vec<Last>>);

#[derive(Debug, Clone)]
struct Last {
    series: Series,
    /// Shared by all versions of the list, so that nothing told meanwhile is lost.
    number: Arc<AtomicU64>,
}

// === impl Acknowledged ===

impl Acknowledged {
    pub(super) fn note(&self, gtid: &Position) {
        // Several at once have been told one by one; tags are for what administrators do.
        let Some((series, number)) = gtid.newest() else {
            return;
        };
        if !raise(&self.0.load(), series, number) {
            self.0.rcu(|all| grown(all, series));
            raise(&self.0.load(), series, number);
        }
    }

    /// The last transaction of each series; what came before it in the series was committed before.
    pub(super) fn position(&self) -> Position {
        let mut position = Position::Empty;
        for last in self.0.load().iter() {
            position.merge(&last.series.number(last.number.load(Ordering::Relaxed)));
        }
        position
    }

    pub(super) fn forget(&self) {
        self.0.store(Arc::default());
    }
}

/// False: nobody has told of the series yet.
fn raise(all: &[Last], series: Series, number: u64) -> bool {
    let last = all.iter().find(|last| last.series == series);
    if let Some(last) = last {
        last.number.fetch_max(number, Ordering::Relaxed);
    }
    last.is_some()
}

fn grown(all: &[Last], series: Series) -> Vec<Last> {
    let mut all = all.to_vec();
    if all.len() < MOST_SERIES && all.iter().all(|last| last.series != series) {
        all.push(Last {
            series,
            number: Arc::default(),
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(mariadb: bool, gtids: &[&str]) -> (Acknowledged, String) {
        let all = Acknowledged::default();
        for gtid in gtids {
            all.note(&Position::parse(mariadb, gtid.as_bytes()).unwrap());
        }
        let text = all.position().to_string();
        (all, text)
    }

    #[test]
    fn the_last_of_each_series_is_kept_in_whatever_order_they_come() {
        let (all, text) = noted(true, &["0-1-7", "0-1-9", "0-1-8", "5-1-2"]);
        assert_eq!(text, "0-1-9,5-1-2");
        all.forget();
        assert!(all.position().is_empty());
        let source = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let gtids = [7, 9, 8].map(|number| format!("{source}:{number}"));
        let gtids: Vec<_> = gtids.iter().map(String::as_str).collect();
        assert_eq!(noted(false, &gtids).1, format!("{source}:9"));
    }

    #[test]
    fn there_is_an_end_to_the_list() {
        let many: Vec<_> = (1..=MOST_SERIES + 9)
            .map(|domain| format!("{domain}-1-1"))
            .collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(noted(true, &many).1.split(',').count(), MOST_SERIES);
    }
}
