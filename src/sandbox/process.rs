//! A process that is watched by its descriptor: unlike a number, that never means another process, and it works for
//! processes that somebody else started.

use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Waker};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Error;

/// Killed when dropped, and waited for if it is a child of this process.
pub struct Process {
    pub pid: u32,
    descriptor: AsyncFd<OwnedFd>,
}

// === impl Process ===

impl Process {
    // What takes its place is unsafe, for types that may close their descriptor behind its back: this one does not.
    #[allow(deprecated)]
    pub fn open(pid: u32) -> Result<Self, Error> {
        let failed = || Error::io(format!("cannot watch process {pid}"));
        let known = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let known = known.ok_or(Errno::SRCH).map_err(|error| failed()(error.into()))?;
        let descriptor = pidfd_open(known, PidfdFlags::empty()).map_err(|error| failed()(error.into()))?;
        let descriptor = AsyncFd::with_interest(descriptor, Interest::READABLE).map_err(failed())?;
        Ok(Self { pid, descriptor })
    }

    /// Returns when it has ended, and answers how.
    pub async fn ended(&self) -> String {
        // The descriptor stays readable from its end on.
        let _ = self.descriptor.readable().await;
        self.reap().unwrap_or_else(|| "it has ended".to_owned())
    }

    /// Answers how it has ended. `None`: it runs, or is nobody's child here.
    pub fn reap(&self) -> Option<String> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let status = waitid(WaitId::PidFd(self.descriptor.get_ref().as_fd()), options).ok()??;
        Some(match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => format!("it ended with exit status: {code}"),
            (None, Some(signal)) => format!("it ended by signal: {signal}"),
            (None, None) => "it has ended".to_owned(),
        })
    }

    /// As far as it was noticed.
    pub fn has_ended(&self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        self.descriptor.poll_read_ready(&mut context).is_ready()
    }

    pub fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(self.descriptor.get_ref(), signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let options = WaitIdOptions::EXITED;
        let _ = waitid(WaitId::PidFd(self.descriptor.get_ref().as_fd()), options);
    }
}
