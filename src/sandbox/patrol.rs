//! Looks after a sandbox's processes while it is up: reaps servers that were killed from outside, starts them again
//! when that is wanted, and notices when another process has taken over from the proxy, or none has and it has ended.

use std::collections::HashMap;
use std::io::Write as _;
use std::time::Duration;

use tokio::time::{Instant, interval};

use super::proxy::{News, Proxy};
use super::tools::Tools;
use super::{Cluster, Error, Server};

/// How often ended servers are noticed.
const ROUND: Duration = Duration::from_millis(200);

pub struct Patrol<'a> {
    pub cluster: &'a Cluster,
    pub tools: Option<&'a mut Tools>,
    /// After how long a server that has ended is started again.
    pub restart: Option<Duration>,
    /// Nobody reads along while a line of JSON is all there is to say.
    pub is_silent: bool,
}

// === impl Patrol ===

impl Patrol<'_> {
    /// Returns when the proxy has ended, and nobody has taken over from it.
    pub async fn walk(mut self, proxy: &mut Proxy) -> Result<(), Error> {
        let mut ticks = interval(ROUND);
        let mut due = HashMap::new();
        loop {
            tokio::select! {
                news = proxy.news(self.cluster) => match news {
                    News::Ended(how) => return Err(Error::ProxyEnded(how)),
                    News::TakenOver(pid) => self.follow(pid)?,
                },
                _ = ticks.tick() => {
                    proxy.forget_ended(self.cluster);
                    self.round(&mut due).await?;
                }
            }
        }
    }

    fn follow(&mut self, pid: u32) -> Result<(), Error> {
        self.say(&format!("process {pid} has taken over from the proxy"));
        match &mut self.tools {
            Some(tools) => tools.process("proxy", pid),
            None => Ok(()),
        }
    }

    async fn round(&mut self, due: &mut HashMap<String, Instant>) -> Result<(), Error> {
        for server in self.cluster.attend().await? {
            self.say(&format!("{} is started with its new data", server.name));
            self.note(server)?;
        }
        for server in self.cluster.servers() {
            if self.cluster.is_held(server) {
                due.remove(&server.name);
                continue;
            }
            if let Some(Some(status)) = server.exited() {
                let next = self.restart.map_or(String::new(), |after| {
                    due.insert(server.name.clone(), Instant::now() + after);
                    format!("; it is started again in {} s", after.as_secs_f64())
                });
                self.say(&format!("{} has ended with {status}{next}", server.name));
            }
            if due.get(&server.name).is_some_and(|due| *due <= Instant::now()) {
                due.remove(&server.name);
                server.revive()?;
                self.say(&format!("{} is started again", server.name));
                self.note(server)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, server: &Server) -> Result<(), Error> {
        match (&mut self.tools, server.pid()) {
            (Some(tools), Some(pid)) => tools.process(&server.name, pid),
            _ => Ok(()),
        }
    }

    fn say(&self, text: &str) {
        if !self.is_silent {
            // Whoever closed the terminal does not need it.
            let _ = writeln!(std::io::stderr(), "  {text}");
        }
    }
}
