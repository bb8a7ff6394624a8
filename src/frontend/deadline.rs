//! A statement that takes longer than a rule lets it is stopped, as by KILL QUERY from another connection.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::connect::{Attributes, connect};
use crate::backend::slots::Permit;
use crate::backend::{BackendError, Connection, Key, Server};
use crate::session::State;
use crate::wire::err::ErrPacket;
use crate::wire::login::FILLER;

/// The time that the statement under way has on its server connection.
pub struct Deadline {
    limit: Duration,
    server: Arc<Server>,
    key: Key,
    thread: u64,
}

/// Whether the statement was stopped, for whoever reads its answer.
#[derive(Debug, Default)]
pub struct Stopped(Cell<bool>);

/// What a server says of a statement that somebody has killed.
const INTERRUPTED: u16 = 1317;

// === impl Deadline ===

impl Deadline {
    pub fn new(limit: Duration, connection: &Connection) -> Self {
        Self {
            limit,
            server: connection.server.clone(),
            key: connection.key.clone(),
            thread: connection.thread,
        }
    }

    /// Waits for the answer. When that comes too late, the statement is stopped first: both have ended when this
    /// returns, so that nothing else on the connection can be hit.
    pub async fn over<T>(self, answer: impl Future<Output = T>, stopped: &Stopped) -> T {
        tokio::pin!(answer);
        tokio::select! {
            biased;
            answer = &mut answer => return answer,
            () = tokio::time::sleep(self.limit) => {}
        }
        stopped.0.set(true);
        // Boxed, for it is rare, and its room would be every client's.
        let stop = Box::pin(async {
            if let Err(error) = self.stop().await {
                tracing::warn!(server = self.server.name(), %error, "cannot stop a statement in time");
            }
        });
        tokio::join!(answer, stop).0
    }

    /// On a connection beyond the pool's: the pool may be full of statements that take too long.
    async fn stop(&self) -> Result<(), BackendError> {
        let key = Key {
            has_schema: false,
            was_reset: false,
            ..self.key.clone()
        };
        let attributes = Attributes {
            block: &[],
            is_login: false,
            filler: [0; FILLER],
        };
        let state = State::default();
        let mut connection = connect(&self.server, &key, Permit::uncounted(), &state, attributes).await?;
        let sql = format!("KILL QUERY {}", self.thread);
        connection.execute(sql.as_bytes()).await
    }
}

// === impl Stopped ===

impl Stopped {
    pub fn get(&self) -> bool {
        self.0.get()
    }

    /// The error in the words that the server has for a statement that took too long.
    pub fn reword(&self, code: u16, mariadb: bool) -> Option<(u16, Vec<u8>)> {
        if !self.get() || code != INTERRUPTED {
            return None;
        }
        let (code, sqlstate, message) = if mariadb {
            let text = "Query execution was interrupted (max_statement_time exceeded)";
            (1969, *b"70100", text)
        } else {
            let text = "Query execution was interrupted, maximum statement execution time exceeded";
            (3024, *b"HY000", text)
        };
        let error = ErrPacket {
            code,
            sqlstate,
            message: message.as_bytes(),
        };
        let mut payload = Vec::new();
        error.encode(&mut payload);
        Some((code, payload))
    }
}
