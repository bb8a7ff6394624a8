//! Reads on another server than the session's own: sent, answered, and tried again elsewhere as long as nothing of
//! a result has reached the client.

use std::sync::Arc;

use super::client::Client;
use super::outcome::{Broken, End, Outcome};
use crate::backend::BackendError;
use crate::routing::{Decision, Place, Servers, Why};
use crate::session::Template;
use crate::sql::Facts;
use crate::util::clock;
use crate::wire::command::Command;
use crate::wire::framing::Expect;
use crate::wire::packet::{Header, put_with};

/// What is sent, kept until it is answered.
#[derive(Debug, Clone, Copy)]
pub enum Request<'a> {
    /// The packet at the front of the inbox, whole.
    Front(Header),
    /// A payload that was made from it.
    Payload(&'a [u8]),
    /// A PREPARE, and the client's id for the statement.
    Prepare {
        payload: &'a [u8],
        id: u32,
        template: &'a Arc<Template>,
    },
    /// An execution of this statement, at the front of the inbox.
    Execute(Header, u32),
}

/// How a try on one server ended.
enum Attempt {
    Done(Outcome),
    /// Another server may do better.
    Again,
    /// Only the session's own server can tell.
    Home,
}

/// What replicas say to a write: it has not been run.
const READ_ONLY: [u16; 3] = [1290, 1792, 1836];
/// The server is about to go, and has not run this.
pub const SHUTDOWN: u16 = 1053;

/// Whether a statement that failed so may run on another server.
pub fn may_move(code: u16) -> bool {
    code == SHUTDOWN || READ_ONLY.contains(&code)
}

// === impl Client: to decide ===

impl Client {
    /// Where a statement goes.
    pub fn route(&mut self, facts: &Facts, tried: Servers) -> Decision {
        let worker = self.worker.clone();
        let mut router = worker.router.borrow_mut();
        self.look(router.topology(), facts);
        let decision = router.decide(facts, self.asker(facts, tried), clock::now());
        drop(router);
        if decision.place == Place::Home && decision.why == Why::NotSeenYet {
            self.session.seen.is_detained();
        }
        self.note_why(decision.why);
        decision
    }

    pub fn asker<'a>(&'a self, facts: &Facts, tried: Servers) -> crate::routing::Asker<'a> {
        let begins = matches!(facts.class, crate::sql::Class::Begin { .. });
        let stays = if begins {
            self.session
                .holds
                .iter()
                .find(|hold| *hold != crate::session::Hold::Diagnostics)
        } else {
            self.session.must_stay(&facts.features, facts.tables.as_deref())
        };
        crate::routing::Asker {
            mode: self.mode,
            policy: self.policy(),
            stays,
            autocommit: self.session.status.has(crate::wire::Status::AUTOCOMMIT),
            seen: &self.session.seen,
            schema: self.session.state.schema.as_deref(),
            source: self.source,
            tried,
        }
    }
}

// === impl Client: to read elsewhere ===

impl Client {
    /// Runs a read where it was decided, and where else it can run when that fails. `None`: it is for home, and
    /// still at the front of the inbox.
    pub async fn elsewhere(
        &mut self,
        request: Request<'_>,
        facts: &Facts,
        first: Decision,
    ) -> Result<Option<Outcome>, End> {
        let (mut tried, mut place) = (Servers::default(), first.place);
        while let Place::Server { index, wait } = place {
            let worker = self.worker.clone();
            let underway = worker.shared.topology.load(index).enter(worker.index);
            let attempt = self.attempt(request, facts, index, wait).await;
            drop(underway);
            match attempt? {
                Attempt::Done(outcome) => {
                    if let Request::Front(header) | Request::Execute(header, _) = request {
                        self.link.inbox.consume(header.total());
                    }
                    return Ok(Some(outcome));
                }
                Attempt::Again | Attempt::Home if self.entry.is_dying() => return Err(End::Killed),
                // Never twice to the same one.
                Attempt::Again if tried.insert(index) => {}
                Attempt::Again | Attempt::Home => break,
            }
            place = self.route(facts, tried).place;
        }
        if let Request::Execute(_, id) = request {
            self.name_statement(id);
        }
        Ok(None)
    }

    async fn attempt(
        &mut self,
        request: Request<'_>,
        facts: &Facts,
        index: usize,
        wait: bool,
    ) -> Result<Attempt, End> {
        if let Err(error) = self.visit(index).await {
            return self.not_there(index, error).await;
        }
        if let Err(error) = self.adopt(&facts.features).await {
            return self.not_there(index, error).await;
        }
        let mut out = Vec::new();
        let prepared = match self.encode(request, &mut out).await {
            Ok(prepared) => prepared,
            Err(error) => return self.not_there(index, error).await,
        };
        if !prepared {
            self.unbind();
            return Ok(Attempt::Home);
        }
        self.note_source(index);
        self.record_elsewhere(&request, facts, index);
        let sent = if wait {
            self.send_after_wait(&request, &out, index).await
        } else {
            self.send_request(&request, &out).await.map(|()| true)
        };
        match sent {
            Ok(true) => {}
            Ok(false) => return Ok(Attempt::Again),
            Err(error) => return self.not_there(index, error).await,
        }
        let (expect, statement) = match request {
            Request::Prepare { id, .. } => (Expect::Prepared, Some(id)),
            _ => (Expect::Results, None),
        };
        let answered = self.relay_unless_refused(expect, statement).await;
        self.conclude(request, facts, index, answered).await
    }

    async fn conclude(
        &mut self,
        request: Request<'_>,
        facts: &Facts,
        index: usize,
        answered: Result<Outcome, Broken>,
    ) -> Result<Attempt, End> {
        match answered {
            Ok(outcome) if outcome.refused => {
                let code = outcome.error.unwrap_or_default();
                self.unbind();
                if code == SHUTDOWN {
                    self.worker.shared.topology.failed(index);
                    return Ok(Attempt::Again);
                }
                tracing::debug!(
                    client = self.id,
                    code,
                    "a replica refuses a write: it goes to the primary"
                );
                self.worker.router.borrow_mut().refusals.remember(facts.digest);
                self.note_why(Why::RefusedBefore);
                Ok(Attempt::Home)
            }
            Err(Broken::Server {
                error,
                started: false,
            }) => self.not_there(index, error).await,
            answered => {
                if answered.is_ok() {
                    self.worker.shared.topology.succeeded(index);
                }
                if let Request::Prepare { id, template, .. } = request {
                    // Boxed, so that a client that prepares nothing has no room for it.
                    let prepared = Box::pin(self.finish_prepare(answered, id, template)).await;
                    return prepared.map(Attempt::Done);
                }
                self.finish(answered, facts).await.map(Attempt::Done)
            }
        }
    }

    /// A server did not answer, or nobody could be asked there.
    async fn not_there(&mut self, index: usize, error: BackendError) -> Result<Attempt, End> {
        self.connection = None;
        self.show_thread();
        if self.has_lost_its_hold() {
            tracing::warn!(client = self.id, %error, "the session's connection is lost");
            self.refuse(error).await?;
            return Err(End::ServerLost);
        }
        Ok(match error {
            BackendError::Killed => return Err(End::Killed),
            BackendError::Interrupted => Attempt::Done(self.refuse(error).await?),
            BackendError::Stopping => Attempt::Home,
            // The schema may be on its way, or has gone: the session's own server knows.
            error if error.lacks_schema() => Attempt::Home,
            error => {
                tracing::warn!(client = self.id, %error, "a read goes elsewhere");
                self.blame(index, &error);
                Attempt::Again
            }
        })
    }

    /// What goes out in place of the request in the inbox, if anything does. False: the server will not prepare it.
    pub async fn encode(&mut self, request: Request<'_>, out: &mut Vec<u8>) -> Result<bool, BackendError> {
        match request {
            Request::Front(_) => Ok(true),
            Request::Payload(payload) | Request::Prepare { payload, .. } => {
                put_with(out, 0, |out| out.extend_from_slice(payload));
                Ok(true)
            }
            Request::Execute(header, id) => self.encode_execution(header, id, out).await,
        }
    }

    pub async fn send_request(&mut self, request: &Request<'_>, out: &[u8]) -> Result<(), BackendError> {
        let Some(connection) = &mut self.connection else {
            return Err(BackendError::Stopping);
        };
        let bytes = match request {
            Request::Front(header) | Request::Execute(header, _) if out.is_empty() => {
                &self.link.inbox.bytes()[..header.total()]
            }
            _ => out,
        };
        let sent = connection.link.send(bytes).await;
        sent.map_err(|error| connection.lost(error))
    }

    /// Lets the server wait for what the session has seen, with the request right behind. False: it did not come
    /// in time.
    async fn send_after_wait(
        &mut self,
        request: &Request<'_>,
        out: &[u8],
        index: usize,
    ) -> Result<bool, BackendError> {
        let (position, limit) = (self.session.seen.position().clone(), self.policy().wait);
        let is_held = self.is_held();
        let Some(connection) = &mut self.connection else {
            return Err(BackendError::Stopping);
        };
        let sql = wait_statement(self.server.is_mariadb(), &position.to_string(), limit);
        let mut both = Vec::new();
        put_with(&mut both, 0, |both| {
            both.push(Command::QUERY.0);
            both.extend_from_slice(&connection.as_query(sql.as_bytes()));
        });
        // Compressed packets are numbered from each command on. A connection that the session holds cannot be closed
        // to be rid of a result.
        let pipelined = !is_held && connection.link.next_number().is_none();
        if pipelined {
            match request {
                Request::Front(header) | Request::Execute(header, _) if out.is_empty() => {
                    both.extend_from_slice(&self.link.inbox.bytes()[..header.total()]);
                }
                _ => both.extend_from_slice(out),
            }
        }
        let sent = connection.link.send(&both).await;
        sent.map_err(|error| connection.lost(error))?;
        let reached = connection.hear(WAITED).await?.as_deref() == Some(b"0");
        let topology = self.worker.shared.topology.clone();
        let waits = &self.worker.traffic().waits;
        if reached {
            waits.on_replica.add(1);
            topology.reached(index, &position);
            self.session.seen.reached(index);
        } else {
            let serial = topology.position(index).probe;
            waits.on_replica_in_vain.add(1);
            self.worker.router.borrow_mut().refusals.stall(index, serial);
            if pipelined {
                // The result of the read is on its way, and nobody wants it.
                self.connection = None;
            }
            return Ok(false);
        }
        if !pipelined {
            self.send_request(request, out).await?;
        }
        Ok(true)
    }
}

const WAITED: &[u8] = b"waited";

fn wait_statement(mariadb: bool, position: &str, limit: std::time::Duration) -> String {
    let seconds = limit.as_secs_f64();
    let function = if mariadb {
        "MASTER_GTID_WAIT"
    } else {
        "WAIT_FOR_EXECUTED_GTID_SET"
    };
    format!("SELECT 'waited',{function}('{position}',{seconds:.3})")
}
