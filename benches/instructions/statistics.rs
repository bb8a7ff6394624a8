//! What it costs to count and to time a statement.

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use splitrail::frontend::digests::{Digests, Seen, Who};
use splitrail::util::Stopwatch;
use tokio::time::Instant;

use crate::Case;

pub const CASES: &[Case] = &[
    ("statistics/count a statement", || {
        COUNTED.with_borrow_mut(Counted::count)
    }),
    ("statistics/time a statement", || {
        COUNTED.with_borrow(|counted| {
            let began = black_box(counted.stopwatch.now());
            black_box(counted.stopwatch.since(began));
        });
    }),
];

struct Counted {
    digests: Digests,
    shape: Arc<[u8]>,
    schema: Arc<[u8]>,
    now: Instant,
    stopwatch: Stopwatch,
}

thread_local! {
    static COUNTED: RefCell<Counted> = RefCell::new(Counted {
        digests: Digests::new(5_000),
        shape: b"SELECT c FROM sbtest1 WHERE id = ?"[..].into(),
        schema: b"sbtest"[..].into(),
        now: Instant::now(),
        stopwatch: Stopwatch::choose(),
    });
}

impl Counted {
    fn count(&mut self) {
        let who = Who {
            digest: black_box(1),
            shape: &self.shape,
            user: b"sbtest",
            schema: Some(&self.schema),
            server: Some(1),
        };
        let seen = Seen {
            taken: Duration::from_micros(black_box(150)),
            rows: 1,
            bytes: 200,
            failed: false,
            on_primary: Some(false),
            now: self.now,
        };
        self.digests.count(who, &seen);
    }
}
