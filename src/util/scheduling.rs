//! Asks the kernel to schedule a thread as one that can wait (SCHED_BATCH): being woken, it does not push aside who runs
//! at that moment, and finds more to do at once when its turn comes. Its share of the CPU stays what it was.
//! Only Linux has that; elsewhere nothing happens.

use std::io;

#[cfg(target_os = "linux")]
use thread_priority::{
    Error,
    NormalThreadSchedulePolicy::{Batch, Other},
    ThreadPriority, ThreadPriorityValue,
    ThreadSchedulePolicy::Normal,
    set_thread_priority_and_policy, thread_native_id, thread_schedule_policy,
};

/// For the thread that calls. One that is not under the ordinary policy was put where it is by somebody: it stays there.
#[cfg(target_os = "linux")]
pub fn batch() -> io::Result<()> {
    match thread_schedule_policy() {
        Ok(Normal(Other)) => {}
        // One that has no name here is not the ordinary one either.
        Ok(_) | Err(Error::Ffi(_)) => return Ok(()),
        Err(error) => return Err(told(error)),
    }
    let set = set_thread_priority_and_policy(thread_native_id(), priority_kept()?, Normal(Batch));
    // The policy is set first. If only the niceness was refused, it is the right one already.
    set.or_else(|error| match thread_schedule_policy() {
        Ok(Normal(Batch)) => Ok(()),
        _ => Err(told(error)),
    })
}

#[cfg(not(target_os = "linux"))]
pub fn batch() -> io::Result<()> {
    Ok(())
}

/// Stands for the niceness that the thread has: a policy cannot be set without one, and on a scale of its own.
#[cfg(target_os = "linux")]
fn priority_kept() -> io::Result<ThreadPriority> {
    // On Linux this is the thread's own, not the process's.
    let niceness = rustix::process::getpriority_process(None)?;
    (0..=u8::MAX)
        .map_while(|value| ThreadPriorityValue::try_from(value).ok())
        .map(ThreadPriority::Crossplatform)
        .find(|priority| priority.to_posix(Normal(Batch)) == Ok(niceness))
        .ok_or_else(|| io::Error::other(format!("no priority stands for niceness {niceness}")))
}

/// As the system itself puts it.
#[cfg(target_os = "linux")]
fn told(error: Error) -> io::Error {
    match error {
        Error::OS(code) => io::Error::from_raw_os_error(code),
        error => io::Error::other(error),
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;

    /// Its policy and its niceness, as the kernel has them (proc_pid_stat(5), fields 41 and 19).
    fn of_this_thread() -> (u32, i32) {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // The name before may have blanks in it; what follows it is field 3.
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        (fields[41 - 3].parse().unwrap(), fields[19 - 3].parse().unwrap())
    }

    fn in_a_thread<T: Send>(body: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| scope.spawn(body).join().unwrap())
    }

    #[test]
    fn the_policy_of_this_thread_changes_and_nothing_else() {
        let before = of_this_thread();
        let after = in_a_thread(|| {
            batch().unwrap();
            of_this_thread()
        });
        assert_eq!(after, (3, before.1));
        assert_eq!(of_this_thread(), before);
    }

    #[test]
    fn a_thread_that_is_nicer_stays_so() {
        let after = in_a_thread(|| {
            rustix::process::nice(7).unwrap();
            let nicer = of_this_thread().1;
            batch().unwrap();
            (of_this_thread(), nicer)
        });
        assert_eq!(after.0, (3, after.1));
    }

    #[test]
    fn every_niceness_has_its_priority() {
        let all: std::collections::BTreeSet<_> = (0..=99)
            .map(|value| ThreadPriority::Crossplatform(ThreadPriorityValue::try_from(value).unwrap()))
            .map(|priority| priority.to_posix(Normal(Batch)).unwrap())
            .collect();
        assert!(all.into_iter().eq(-20..=19));
    }

    #[test]
    fn who_was_put_under_another_policy_stays_there() {
        let idle = Normal(thread_priority::NormalThreadSchedulePolicy::Idle);
        let after = in_a_thread(|| {
            // Least priority needs no privilege.
            set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle).unwrap();
            batch().unwrap();
            of_this_thread()
        });
        assert_eq!(after.0, 5);
    }
}
