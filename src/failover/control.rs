//! The connection through which a server is changed. It is kept open, so that a failover does not begin with
//! logins, and every call has a deadline.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};

use crate::accounts::Source;
use crate::config::{Config, Server};
use crate::util::driver::in_short;

/// To one server.
pub(super) struct Control {
    source: Source,
    /// `failover.step_timeout`.
    limit: Duration,
    /// Whoever uses it has it for as long as it takes.
    connection: Mutex<Option<Open>>,
}

struct Open {
    conn: Conn,
    used: Instant,
}

/// The rows of each statement.
pub(super) type Sets = Vec<Vec<Row>>;

/// Why statements were not run, or not all of them.
#[derive(Debug, Clone, Error)]
pub(super) enum Trouble {
    #[error("no answer within {0:?}")]
    Late(Duration),
    #[error("{code} {message}")]
    Refused { code: u16, message: String },
    #[error("{0}")]
    Lost(String),
}

/// A connection that was idle for so long is asked whether it still lives.
const IDLE: Duration = Duration::from_secs(5);

// === impl Control ===

impl Control {
    pub(super) fn new(config: &Config, server: &Server) -> Self {
        let source = Source::of(config, server);
        let source = match &config.failover.login {
            Some(login) => source.with_login(login),
            None => source,
        };
        Self {
            source,
            limit: config.failover.step_timeout,
            connection: Mutex::new(None),
        }
    }

    /// Runs statements in one round trip; the first that fails ends it.
    pub(super) async fn run(&self, statements: &str) -> Result<Sets, Trouble> {
        self.run_within(statements, self.limit).await
    }

    /// As [`Control::run`], for what is known to take so much longer.
    pub(super) async fn run_patiently(&self, statements: &str, longer: Duration) -> Result<Sets, Trouble> {
        self.run_within(statements, self.limit + longer).await
    }

    /// What is run may be run twice: a connection that was kept may have died since, and then a new one is tried.
    pub(super) async fn run_within(&self, statements: &str, limit: Duration) -> Result<Sets, Trouble> {
        let was_kept = self.connection.try_lock().is_ok_and(|place| place.is_some());
        match self.run_once(statements, limit).await {
            Err(Trouble::Lost(_)) if was_kept => self.run_once(statements, limit).await,
            done => done,
        }
    }

    /// What must not be run twice.
    pub(super) async fn run_once(&self, statements: &str, limit: Duration) -> Result<Sets, Trouble> {
        let deadline = Instant::now() + limit;
        let late = |_| Trouble::Late(limit);
        let mut place = timeout_at(deadline, self.connection.lock()).await.map_err(late)?;
        let mut open = match place.take() {
            Some(open) => open,
            None => timeout_at(deadline, self.open()).await.map_err(late)??,
        };
        let id = open.conn.id();
        match timeout_at(deadline, query(&mut open.conn, statements)).await {
            Ok(Ok(sets)) => {
                open.used = Instant::now();
                *place = Some(open);
                Ok(sets)
            }
            Ok(Err(Error::Server(error))) => {
                open.used = Instant::now();
                *place = Some(open);
                Err(Error::Server(error).into())
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => {
                self.kill(id);
                Err(Trouble::Late(limit))
            }
        }
    }

    /// The first field of the last statement's first row.
    pub(super) async fn ask(&self, statements: &str, limit: Duration) -> Result<Option<String>, Trouble> {
        let sets = self.run_within(statements, limit).await?;
        let row = sets
            .into_iter()
            .next_back()
            .and_then(|rows| rows.into_iter().next());
        Ok(row
            .and_then(|row| row.get_opt::<Option<String>, _>(0))
            .and_then(Result::ok)
            .flatten())
    }

    /// Opens the connection unless it is, and makes sure that it lives. Somebody who uses it proves as much.
    pub(super) async fn warm(&self) -> Result<(), Trouble> {
        let Ok(mut place) = self.connection.try_lock() else {
            return Ok(());
        };
        let late = |_| Trouble::Late(self.limit);
        match place.take() {
            Some(open) if open.used.elapsed() < IDLE => *place = Some(open),
            Some(mut open) => {
                if timeout(self.limit, open.conn.ping()).await.map_err(late)?.is_ok() {
                    open.used = Instant::now();
                    *place = Some(open);
                }
            }
            None => *place = Some(timeout(self.limit, self.open()).await.map_err(late)??),
        }
        Ok(())
    }

    async fn open(&self) -> Result<Open, Trouble> {
        let mut conn = self.source.connect().await?;
        // What nobody waits for any more does not come true later.
        let wait = self.limit.as_secs().max(1);
        conn.query_drop(format!("SET SESSION lock_wait_timeout = {wait}"))
            .await?;
        Ok(Open {
            conn,
            used: Instant::now(),
        })
    }

    /// A statement that was given up may still wait for a lock, and must not come true when it gets it.
    fn kill(&self, id: u32) {
        let (source, limit) = (self.source.clone(), self.limit);
        tokio::spawn(timeout(limit, async move {
            if let Ok(mut conn) = source.connect().await {
                let _ = conn.query_drop(format!("KILL {id}")).await;
            }
        }));
    }
}

async fn query(conn: &mut Conn, statements: &str) -> Result<Sets, Error> {
    let mut result = conn.query_iter(statements).await?;
    let mut sets = Vec::new();
    loop {
        let mut rows = Vec::new();
        result.for_each(|row| rows.push(row)).await?;
        sets.push(rows);
        if result.is_empty() {
            // The driver keeps the error of a later statement back until here.
            result.drop_result().await?;
            return Ok(sets);
        }
    }
}

// === impl Trouble ===

/// A server's own texts are cut here.
const LONGEST: usize = 300;

impl Trouble {
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let cut = |text: String| text.chars().take(LONGEST).collect::<String>();
        match error {
            Error::Server(error) => Self::Refused {
                code: error.code,
                message: cut(error.message),
            },
            error => Self::Lost(cut(in_short(&error))),
        }
    }
}
