//! A login that may take longer than a probe. It goes on while probes give up waiting for it, so that a server that is
//! far away or very busy is known in the end: begun anew each time, it would never be done. The first question belongs to
//! it: a probe that gets the login late has no time left for one.

use std::sync::Arc;
use std::time::Duration;

use mysql_async::Error;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connection::Connection;
use super::heartbeat::Heartbeats;
use crate::accounts::Source;
use crate::topology::Status;

pub(super) struct Opening {
    /// The login under way, and no other. It ends with this.
    login: JoinSet<Result<(Connection, Status), Error>>,
    began: Instant,
    /// One that takes longer is begun anew: the server it spoke to may have gone.
    limit: Duration,
}

// === impl Opening ===

impl Opening {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            login: JoinSet::new(),
            began: Instant::now(),
            limit,
        }
    }

    /// The connection, and what the server says of itself if that is news. Whoever stops to wait can come back for it.
    pub(super) async fn login(
        &mut self,
        source: &Source,
        heartbeats: Option<&Arc<Heartbeats>>,
    ) -> Result<(Connection, Option<Status>), Error> {
        // What went wrong before this probe is no news, nor is what was said.
        if let Some(Ok(Ok((connection, _)))) = self.login.try_join_next() {
            return Ok((connection, None));
        }
        if self.began.elapsed() > self.limit {
            self.login = JoinSet::new();
        }
        if self.login.is_empty() {
            self.began = Instant::now();
            let (source, heartbeats) = (source.clone(), heartbeats.cloned());
            self.login.spawn(async move {
                let mut connection = Connection::open(&source).await?;
                let status = connection.ask(heartbeats.as_deref()).await?;
                Ok((connection, status))
            });
        }
        match self.login.join_next().await {
            Some(Ok(opened)) => opened.map(|(connection, status)| (connection, Some(status))),
            _ => Err(Error::Other("the login was given up".into())),
        }
    }
}
