//! A clock that is read without asking the kernel, for what need not be exact.
//!
//! On many virtual machines reading the time is a system call, and there are several readings in every
//! statement. Each thread that serves clients moves its own hand on with [`tick`].

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// How often the hand is moved.
pub const TICK: Duration = Duration::from_millis(100);

thread_local! {
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The time of the last tick.
pub fn now() -> Instant {
    NOW.get().unwrap_or_else(tick)
}

/// Reads the real time, for this thread.
pub fn tick() -> Instant {
    let now = Instant::now();
    NOW.set(Some(now));
    now
}
