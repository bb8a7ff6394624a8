//! The sandbox's proxy, and whoever takes over from it. The sandbox is its service manager: a proxy that was replaced
//! says which process serves now, and that is the sandbox's proxy from then on.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::net::UnixDatagram;
use tokio::time::{Instant, sleep, timeout_at};

use super::command::Http;
use super::process::Process;
use super::server::visit;
use super::{Cluster, Error, Server};

/// The one that serves, and those before it that have clients left. All end when it is dropped.
pub struct Proxy {
    process: Process,
    former: Vec<Process>,
    manager: UnixDatagram,
    pub(super) port: u16,
    pub(super) admin_port: u16,
    pub(super) http: Http,
}

/// What a sandbox has to know about its proxy.
pub enum News {
    /// This process serves now.
    TakenOver(u32),
    /// And how.
    Ended(String),
}

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// The longest message that is understood.
const LONGEST: usize = 256;

// === impl Proxy ===

impl Proxy {
    pub fn start(
        cluster: &Cluster,
        configuration: &Path,
        (port, admin_port, http): (u16, u16, Http),
        log: Stdio,
    ) -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(Error::io("cannot find this program"))?;
        // Nobody else can open this folder.
        let socket = cluster.folder().join("notify");
        let manager = UnixDatagram::bind(&socket).map_err(Error::path("create", &socket))?;
        let mut command = Command::new(program);
        command.arg("run").arg("-c").arg(configuration);
        command.env("NOTIFY_SOCKET", &socket);
        // Standard output is for the report alone.
        command.stdin(Stdio::null()).stdout(std::io::stderr()).stderr(log);
        let child = command.process_group(0).spawn();
        let pid = child.map_err(Error::io("cannot start the proxy"))?.id();
        cluster.adopt(pid);
        Ok(Self {
            process: Process::open(pid)?,
            former: Vec::new(),
            manager,
            port,
            admin_port,
            http,
        })
    }

    /// Of the process that serves.
    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    pub async fn wait_until_ready(&self, primary: &Server) -> Result<(), Error> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if self.process.has_ended() {
                return Err(Error::Proxy(self.process.ended().await));
            }
            let Err(reason) = visit(primary.options().tcp_port(self.port)).await else {
                return Ok(());
            };
            if Instant::now() > deadline {
                return Err(Error::Proxy(reason));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until there is some. It may be dropped and called again.
    pub async fn news(&mut self, cluster: &Cluster) -> News {
        let mut message = [0; LONGEST];
        loop {
            let received = tokio::select! {
                // What it said before its end comes first.
                biased;
                received = self.manager.recv(&mut message) => received,
                how = self.process.ended() => match self.manager.try_recv(&mut message) {
                    Ok(count) => Ok(count),
                    Err(_) => return News::Ended(how),
                },
            };
            let named = received.ok().and_then(|count| successor(&message[..count]));
            let Some(process) = named.and_then(|pid| Process::open(pid).ok()) else {
                continue;
            };
            let pid = process.pid;
            cluster.adopt(pid);
            self.former.push(std::mem::replace(&mut self.process, process));
            return News::TakenOver(pid);
        }
    }

    /// Forgets those that were replaced and have ended since.
    pub fn forget_ended(&mut self, cluster: &Cluster) {
        self.former.retain(|process| {
            let has_ended = process.has_ended();
            if has_ended {
                cluster.release(process.pid);
            }
            !has_ended
        });
    }

    pub async fn end(self, cluster: &Cluster) {
        let all = || self.former.iter().chain([&self.process]);
        all().for_each(|process| process.signal(Signal::TERM));
        let deadline = Instant::now() + STOP_LIMIT;
        for process in all() {
            // Those that take longer are killed when they are dropped.
            let _ = timeout_at(deadline, process.ended()).await;
            cluster.release(process.pid);
        }
    }
}

/// Which process serves, if that is what a message to the service manager says.
fn successor(message: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(message).ok()?;
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix("MAINPID="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_is_a_successor() {
        assert_eq!(successor(b"MAINPID=12"), Some(12));
        assert_eq!(successor(b"READY=1\nMAINPID=7\n"), Some(7));
        for other in [&b"READY=1"[..], b"MAINPID=", b"MAINPID=-1", b"MAINPID=x", b"\xff"] {
            assert_eq!(successor(other), None);
        }
    }
}
