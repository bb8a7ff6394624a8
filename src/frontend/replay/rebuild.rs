//! Runs a transaction again on another server, and compares what it answers with what it answered before.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::time::timeout;

use crate::backend::BackendError;
use crate::config::ListenerMode;
use crate::frontend::client::Client;
use crate::frontend::outcome::{Broken, Outcome};
use crate::routing::{Place, Servers};
use crate::session::transcript::{self, Entry};
use crate::session::{Form, Holds, Template, Transcript};
use crate::sql::{Class, Facts, Verb};
use crate::wire::Capabilities;
use crate::wire::execute::Execute;
use crate::wire::framing::Expect;

/// How running it again did not come to its end.
enum Setback {
    /// The server went away meanwhile: another one may do.
    Lost(BackendError),
    Failed(BackendError),
}

/// An execution with the id of its statement on a server, and with its types.
pub fn execution(
    request: &[u8],
    parameters: u16,
    types: Option<&[u8]>,
    id: u32,
    capabilities: Capabilities,
) -> Vec<u8> {
    let mut payload = request.to_vec();
    if let Some(place) = payload.get_mut(1..5) {
        place.copy_from_slice(&id.to_le_bytes());
    }
    let parsed = Execute::parse(&payload, parameters, capabilities);
    if let (Ok(execute), Some(types)) = (parsed, types) {
        execute.put_types(&mut payload, types);
    }
    payload
}

fn not_replayed(why: impl Into<Cow<'static, str>>) -> BackendError {
    BackendError::NotReplayed {
        why: why.into().into_owned(),
    }
}

// === impl Client ===

impl Client {
    /// Brings the session's open transaction back, on the primary of the moment or, if it only reads, where there
    /// is room for it. On an error it is over.
    pub async fn rebuild(&mut self) -> Result<(), BackendError> {
        self.replay.severed = false;
        self.connection = None;
        self.gateway.pass = None;
        let holds = self.session.holds;
        if let Some(hold) = holds.iter().find(|hold| !transcript::is_carried(*hold)) {
            let error = BackendError::SessionLost {
                server: self.server.name().to_owned(),
                why: hold.text().to_owned(),
            };
            return Err(self.give_up(error, holds));
        }
        let Some(mut transcript) = self.replay.transcript.take() else {
            return Err(self.give_up(not_replayed(self.why_no_transcript()), holds));
        };
        if let Some(why) = transcript.obstacle(holds) {
            return Err(self.give_up(not_replayed(why), holds));
        }
        let now = self.session.state.variables.clone();
        if !transcript
            .state
            .variables
            .reading_as(&now)
            .same_as(&transcript.state.variables)
        {
            let why = "it changed how statements are read";
            return Err(self.give_up(not_replayed(why), holds));
        }
        let state = self.session.state.clone();
        self.session.holds = Holds::default();
        let rebuilt = self.run_again(&mut transcript).await;
        self.session.state = state;
        match rebuilt {
            Ok(()) => {
                self.session.holds = holds;
                self.replay.transcript = Some(transcript);
                self.worker.shared.recovery.replayed.add(1);
                let server = self
                    .connection
                    .as_ref()
                    .map(|connection| connection.server.name());
                tracing::info!(client = self.id, server, "transaction run again");
                Ok(())
            }
            Err(error) => Err(self.give_up(error, holds)),
        }
    }

    pub fn why_no_transcript(&self) -> &'static str {
        let settings = self.worker.shared.settings();
        if !super::record::is_enabled(&settings.config.failover) {
            "failover.replay is off"
        } else {
            "it was begun by a statement that does more than that"
        }
    }

    /// The transaction is over. What else the session had on the server may be gone as well.
    fn give_up(&mut self, error: BackendError, holds: Holds) -> BackendError {
        let counts = &self.worker.shared.recovery;
        match &error {
            _ if !self.session.in_transaction() => {}
            BackendError::Different { .. } => counts.different.add(1),
            _ => counts.unreplayable.add(1),
        }
        tracing::warn!(client = self.id, %error, "transaction lost");
        self.connection = None;
        self.gateway.pass = None;
        self.forget_transaction(holds);
        error
    }

    async fn run_again(&mut self, transcript: &mut Transcript) -> Result<(), BackendError> {
        loop {
            self.session.state = transcript.state.clone();
            let place = self.place_again(transcript).await?;
            match self.run_all_at(place, transcript).await {
                Ok(()) => return Ok(()),
                Err(Setback::Failed(error)) => return Err(error),
                Err(Setback::Lost(error)) => {
                    self.connection = None;
                    if place != self.server.index {
                        // A replica has gone, too. The primary is never the wrong place.
                        transcript.replica = None;
                    } else if self.may_wait(&error) {
                        self.wait_for_primary(&error).await?;
                    } else {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Where the transaction may go on.
    async fn place_again(&mut self, transcript: &Transcript) -> Result<usize, BackendError> {
        if self.mode == ListenerMode::Replica {
            self.server = self.worker.shared.server_for(self.mode);
            return Ok(self.server.index);
        }
        if let Some(lost) = transcript.replica {
            let mut tried = Servers::default();
            tried.insert(lost);
            let begins = Facts {
                class: Class::Begin {
                    read_only: Some(true),
                },
                ..Facts::default()
            };
            if let Place::Server { index, wait: false } = self.route(&begins, tried).place {
                return Ok(index);
            }
        }
        self.enter_gate().await?;
        Ok(self.server.index)
    }

    async fn run_all_at(&mut self, place: usize, transcript: &Transcript) -> Result<(), Setback> {
        let lost_or_not = |error: BackendError| {
            if error.is_lost() {
                Setback::Lost(error)
            } else {
                Setback::Failed(error)
            }
        };
        self.take(place).await.map_err(lost_or_not)?;
        self.start_afresh(transcript).await.map_err(lost_or_not)?;
        let id = transcript.insert_id;
        if let Some(connection) = self
            .connection
            .as_mut()
            .filter(|connection| connection.insert_id != Some(id))
        {
            let sql = format!("SET @@SESSION.last_insert_id={id}");
            connection.execute(sql.as_bytes()).await.map_err(lost_or_not)?;
        }
        let limit = self
            .worker
            .shared
            .lot
            .patience()
            .max(self.server.connect_timeout());
        for (number, (entry, request)) in transcript.answered().enumerate() {
            let payload = self.encode_again(entry, request).await.map_err(lost_or_not)?;
            let Some(connection) = &mut self.connection else {
                return Err(Setback::Lost(self.server_lost("it went away again")));
            };
            let sum = timeout(limit, connection.sum_of(&payload));
            let sum = match sum.await {
                Ok(sum) => sum.map_err(lost_or_not)?,
                Err(_) => {
                    let why = format!("its statement {} took too long there", number + 1);
                    return Err(Setback::Failed(not_replayed(why)));
                }
            };
            if sum.sum() != entry.sum {
                let error = BackendError::Different { number: number + 1 };
                return Err(Setback::Failed(error));
            }
        }
        if let Some(connection) = &mut self.connection {
            connection.sessions.last = self.session.serial;
            connection.insert_id = Some(self.session.insert_id);
        }
        Ok(())
    }

    async fn encode_again(&mut self, entry: &Entry, request: &[u8]) -> Result<Vec<u8>, BackendError> {
        let Form::Execution {
            template,
            parameters,
            types,
        } = &entry.form
        else {
            return Ok(request.to_vec());
        };
        let template = template.clone();
        match self.server_id(&template).await? {
            Ok(id) => {
                let execution = execution(request, *parameters, types.as_deref(), id, self.capabilities);
                self.note_types(&template, *parameters, types.as_ref(), &execution);
                Ok(execution)
            }
            Err((code, _, message)) => Err(not_replayed(format!(
                "a statement of it cannot be prepared there: {code} {message}"
            ))),
        }
    }

    /// What other sessions have made of the transcript's statements is not for this one.
    async fn start_afresh(&mut self, transcript: &Transcript) -> Result<(), BackendError> {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        for template in transcript.templates() {
            let used = connection.prepared.get(template);
            if used.is_some_and(|entry| !entry.lineage.is_open())
                && let Some(id) = connection.prepared.remove(template)
            {
                connection.close_statements(&[id]).await?;
            }
        }
        Ok(())
    }

    /// What the server has seen of a statement's types, so that later executions may leave them out.
    fn note_types(
        &mut self,
        template: &Arc<Template>,
        parameters: u16,
        types: Option<&Arc<[u8]>>,
        execution: &[u8],
    ) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let mariadb = connection.server.is_mariadb();
        let Some(entry) = connection.prepared.get(template) else {
            return;
        };
        entry.types = types.cloned();
        let parsed = Execute::parse(execution, parameters, self.capabilities);
        if let (Some(types), Ok(parsed), false) = (types, parsed, mariadb) {
            entry.lineage = entry.lineage.after(types, parsed.nulls(execution));
        }
    }

    /// Sends the statement that was under way once more, and its answer to the client.
    pub async fn send_again(&mut self, facts: &Facts) -> Result<Outcome, Broken> {
        let transcript = self.replay.transcript.take();
        let open = transcript.as_ref().and_then(|transcript| transcript.open());
        let payload = match open {
            Some((entry, request)) => self.encode_again(entry, request).await,
            None => Err(not_replayed("the statement under way is not known")),
        };
        self.replay.transcript = transcript;
        self.replay.checksum = Default::default();
        match payload {
            Ok(payload) if facts.features.verb == Verb::Commit && self.leaves_evidence(&payload, facts) => {
                self.ask_commit(&payload).await
            }
            Ok(payload) => self.ask(&payload, Expect::Results, None).await,
            Err(error) => Err(Broken::Server {
                error,
                started: false,
            }),
        }
    }
}

/// Whether a session that held its connection for these has lost no more with it than a transaction.
pub fn is_lost_alone(holds: Holds) -> bool {
    holds.iter().all(transcript::is_carried)
}
