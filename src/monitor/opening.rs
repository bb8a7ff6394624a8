//! A login that may take longer than a probe. It goes on while probes give up waiting for it, so that a server that is
//! far away or very busy is known in the end: begun anew each time, it would never be done.

use std::time::Duration;

use mysql_async::Error;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connection::Connection;
use crate::accounts::Source;

pub(super) struct Opening {
    /// The login under way, and no other. It ends with this.
    login: JoinSet<Result<Connection, Error>>,
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

    /// Whoever stops to wait can come back for it.
    pub(super) async fn login(&mut self, source: &Source) -> Result<Connection, Error> {
        // What went wrong before this probe is no news.
        if let Some(Ok(Ok(connection))) = self.login.try_join_next() {
            return Ok(connection);
        }
        if self.began.elapsed() > self.limit {
            self.login = JoinSet::new();
        }
        if self.login.is_empty() {
            self.began = Instant::now();
            let source = source.clone();
            self.login.spawn(async move { Connection::open(&source).await });
        }
        match self.login.join_next().await {
            Some(Ok(opened)) => opened,
            _ => Err(Error::Other("the login was given up".into())),
        }
    }
}
