//! How old a replica's data are, by the best figure that there is.

use std::time::Duration;

use crate::gtid::Position;
use crate::topology::{Channel, Lag, LagSource, Status, ThreadState};

/// Of one that has something to apply, however little its own figure says: that is in whole seconds, or by clocks
/// that differ.
const LEAST: Duration = Duration::from_millis(1);

/// Of a replica that had applied `applied` before its channels were looked at. `applying`: the age of the oldest
/// transaction that is being applied.
///
/// A figure of zero is given only where all threads run and all that was fetched was applied. Where the
/// connection to the source is lost there is no figure ([`LagSource::Disconnected`]): the last one grows.
pub(super) fn judge(
    channels: &[Channel],
    applied: &Position,
    applying: Option<Duration>,
) -> (Lag, LagSource) {
    let of_each = channels
        .iter()
        .map(|channel| judge_channel(channel, applied, applying));
    of_each
        .max_by_key(|(lag, source)| rank(*lag, *source))
        .unwrap_or_default()
}

/// A heartbeat is better than what a server says of its own lag: it is measured by one clock. A replica that has
/// applied all that it fetched is late only by what it has not fetched.
pub(super) fn refine(status: &mut Status, by_heartbeat: Duration, is_late: bool) {
    let counts = match status.lag_source {
        LagSource::Applier | LagSource::SecondsBehind => true,
        LagSource::Positions => is_late,
        _ => false,
    };
    if counts {
        status.lag = Lag::Known(by_heartbeat.max(LEAST));
        status.lag_source = LagSource::Heartbeat;
    }
}

fn judge_channel(channel: &Channel, applied: &Position, applying: Option<Duration>) -> (Lag, LagSource) {
    match (channel.io.state, channel.sql.state) {
        (ThreadState::Running, ThreadState::Running) => {}
        (ThreadState::Connecting, ThreadState::Running) => return (Lag::Unknown, LagSource::Disconnected),
        _ => return (Lag::Infinite, LagSource::Threads),
    }
    if channel.by_gtid && applied.contains(&channel.retrieved) {
        return (Lag::Known(Duration::ZERO), LagSource::Positions);
    }
    match (applying, channel.behind) {
        (Some(age), _) => (Lag::Known(age.max(LEAST)), LagSource::Applier),
        (None, Some(behind)) => (Lag::Known(behind.max(LEAST)), LagSource::SecondsBehind),
        (None, None) => (Lag::Infinite, LagSource::SecondsBehind),
    }
}

/// Of several channels, the worst.
fn rank(lag: Lag, source: LagSource) -> (u8, Duration) {
    match (lag, source) {
        (Lag::Infinite, _) => (2, Duration::ZERO),
        (Lag::Unknown, _) => (1, Duration::ZERO),
        (Lag::Known(lag), _) => (0, lag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Thread;

    fn channel(io: ThreadState, sql: ThreadState, retrieved: &str, behind: Option<u64>) -> Channel {
        let thread = |state| Thread {
            state,
            ..Thread::default()
        };
        Channel {
            io: thread(io),
            sql: thread(sql),
            retrieved: Position::parse(true, retrieved.as_bytes()).unwrap(),
            by_gtid: true,
            behind: behind.map(Duration::from_secs),
            ..Channel::default()
        }
    }

    #[test]
    fn a_heartbeat_is_better_than_the_server_s_own_figure() {
        let refined = |lag, lag_source, is_late| {
            let mut status = Status {
                lag,
                lag_source,
                ..Status::default()
            };
            refine(&mut status, Duration::from_millis(210), is_late);
            (status.lag, status.lag_source)
        };
        let known = |millis| Lag::Known(Duration::from_millis(millis));
        assert_eq!(
            refined(known(3000), LagSource::SecondsBehind, false),
            (known(210), LagSource::Heartbeat)
        );
        assert_eq!(
            refined(known(0), LagSource::Positions, false),
            (known(0), LagSource::Positions)
        );
        assert_eq!(
            refined(known(0), LagSource::Positions, true),
            (known(210), LagSource::Heartbeat)
        );
        for source in [LagSource::Threads, LagSource::Disconnected, LagSource::None] {
            assert_eq!(refined(Lag::Infinite, source, true), (Lag::Infinite, source));
        }
    }

    #[test]
    fn the_best_figure_is_taken_and_zero_only_when_it_is_sure() {
        use ThreadState::{Connecting, Running, Stopped};
        let applied = Position::parse(true, b"0-1-5").unwrap();
        let of = |channels: &[Channel], applying| judge(channels, &applied, applying);
        let one = |io, sql, retrieved, behind| of(&[channel(io, sql, retrieved, behind)], None);
        let known = |seconds| Lag::Known(Duration::from_secs(seconds));
        assert_eq!(
            one(Running, Running, "0-1-5", Some(9)),
            (known(0), LagSource::Positions)
        );
        assert_eq!(
            one(Running, Running, "0-1-6", Some(9)),
            (known(9), LagSource::SecondsBehind)
        );
        assert_eq!(one(Running, Running, "0-1-6", None).0, Lag::Infinite);
        assert_eq!(one(Running, Running, "0-1-6", Some(0)).0, Lag::Known(LEAST));
        let applying = Some(Duration::from_millis(1500));
        let lagging = channel(Running, Running, "0-1-6", Some(0));
        assert_eq!(
            of(std::slice::from_ref(&lagging), applying),
            (Lag::Known(Duration::from_millis(1500)), LagSource::Applier)
        );
        for (io, sql) in [
            (Stopped, Running),
            (Running, Stopped),
            (Connecting, Stopped),
            (Stopped, Stopped),
        ] {
            assert_eq!(
                one(io, sql, "0-1-5", Some(0)),
                (Lag::Infinite, LagSource::Threads)
            );
        }
        assert_eq!(
            one(Connecting, Running, "0-1-5", Some(0)),
            (Lag::Unknown, LagSource::Disconnected)
        );
        // Several channels: the worst counts.
        let fine = channel(Running, Running, "0-1-5", Some(0));
        let stopped = channel(Running, Stopped, "0-1-5", None);
        assert_eq!(of(&[lagging, fine.clone()], applying).1, LagSource::Applier);
        assert_eq!(of(&[fine.clone(), stopped, fine], None).0, Lag::Infinite);
        assert_eq!(of(&[], None), (Lag::Unknown, LagSource::None));
        // Positions say nothing of what was fetched by file and offset.
        let mut by_file = channel(Running, Running, "", Some(3));
        by_file.by_gtid = false;
        assert_eq!(of(&[by_file], None), (known(3), LagSource::SecondsBehind));
    }
}
