//! Prepared statements: the client's ids stay, the server's come and go with its connection.

use std::sync::Arc;

use super::client::Client;
use super::command::LOOKED_AT;
use super::elsewhere::Request;
use super::outcome::{Broken, End, Outcome};
use super::request::{self, PassError};
use super::rewritten::rewritten_for_good;
use super::rules::Refused;
use super::wishes;
use crate::backend::BackendError;
use crate::backend::connection::Answer;
use crate::routing::{Place, Servers, Why};
use crate::session::{Hold, Lineage, State, Statement, Template, Wishes};
use crate::sql::{self, Class, Facts, Flags, Verb};
use crate::wire::Status;
use crate::wire::command::Command;
use crate::wire::framing::Expect;
use crate::wire::packet::{HEADER, Header};

/// The flag of an execution whose rows are fetched later.
const OPENS_CURSOR: u8 = 1;

/// Why a statement cannot be used on the present connection.
enum Unprepared {
    /// There is no such statement; the client has been told.
    Told,
    End(End),
}

// === impl Client ===

impl Client {
    pub async fn prepare(&mut self) -> Result<(), End> {
        let payload = self.read().await?;
        let limit = self.worker.shared.settings().config.limits.prepared_per_session as usize;
        if self.session.statements.len() >= limit {
            let text = format!(
                "Can't create more than limits.prepared_per_session statements (current value: {limit})"
            );
            return self.error(1461, b"42000", &text).await;
        }
        // How the text is read is kept with it.
        if let Err(error) = self.ask_own_now().await {
            return self.refuse(error).await.map(drop);
        }
        let text = payload.get(1..).unwrap_or_default();
        let mut facts = sql::analyse(text, self.session.dialect);
        let wishes = self.wishes(&facts, text);
        self.steer(wishes);
        self.underway.is_prepared(&facts);
        let changed = match self.blocked() {
            None => self.changed(text),
            Some(blocked) => Err(blocked),
        };
        let changed = match changed {
            Ok(changed) => changed,
            Err(refused) => return self.tell_refusal(&refused).await,
        };
        if let Some(text) = &changed {
            facts = sql::analyse(text, self.session.dialect);
        }
        let text = changed.as_deref().unwrap_or(text);
        let own = rewritten_for_good(text, &facts.features, self.session.dialect, self.id);
        if let Some(text) = own.as_deref().filter(|_| facts.features.verb == Verb::Kill) {
            facts = sql::analyse(text, self.session.dialect);
        }
        self.session.asks_counts |= facts.features.has(Flags::FOUND_ROWS | Flags::ROW_COUNT);
        let template = self.worker.templates.intern(Template {
            text: own.as_deref().unwrap_or(text).into(),
            state: State::default().reading_as(&self.session.state),
            facts,
        });
        let id = self.session.statements.reserve();
        let mut payload = vec![Command::STMT_PREPARE.0];
        payload.extend_from_slice(&template.text);
        let changed = wishes::changed(&mut self.session, &template.facts, None);
        let facts = changed.as_ref().unwrap_or(&template.facts);
        let decision = self.route(facts, Servers::default());
        self.ask_found_rows(decision.place).await;
        if matches!(decision.place, Place::Server { .. }) {
            let request = Request::Prepare {
                payload: &payload,
                id,
                template: &template,
            };
            if self.elsewhere(request, facts, decision).await?.is_some() {
                return Ok(());
            }
        }
        self.prepare_at_home(&payload, id, &template).await
    }

    async fn prepare_at_home(
        &mut self,
        payload: &[u8],
        id: u32,
        template: &Arc<Template>,
    ) -> Result<(), End> {
        if let Err(error) = self.ready(&Facts::default()).await {
            return self.refuse(error).await.map(drop);
        }
        let answered = self.ask_prepared(payload, id).await;
        self.finish_prepare(answered, id, template).await.map(drop)
    }

    /// As [`finish`](Self::finish), of a statement that was prepared.
    pub async fn finish_prepare(
        &mut self,
        answered: Result<Outcome, Broken>,
        id: u32,
        template: &Arc<Template>,
    ) -> Result<Outcome, End> {
        let answered = self.remember(answered, id, template).await;
        self.finish(answered, &Facts::default()).await
    }

    /// Notes a statement that was prepared, for the session and for the connection.
    async fn remember(
        &mut self,
        answered: Result<Outcome, Broken>,
        id: u32,
        template: &Arc<Template>,
    ) -> Result<Outcome, Broken> {
        let outcome = answered?;
        if let (Some(prepared), Some(connection)) = (outcome.prepared, &mut self.connection) {
            let parameters = prepared.parameters;
            let limit = connection.server.pool().max_prepared_per_connection as usize;
            let gone = connection.prepared.insert(template, prepared.statement, limit);
            let closed = connection.close_statements(&gone).await;
            closed.map_err(|error| Broken::Server { error, started: true })?;
            let statement = Statement {
                template: template.clone(),
                parameters,
                types: None,
                lineage: Lineage::default(),
                has_long_data: false,
                has_cursor: false,
            };
            self.session.statements.insert(id, statement);
            self.remember_steering(id);
        }
        Ok(outcome)
    }

    pub async fn execute(&mut self, header: Header, command: Command) -> Result<(), End> {
        if let Some(refused) = self.steer_named().await? {
            self.skip().await?;
            return self.tell_refusal(&refused).await;
        }
        if let Some(id) = self.may_execute_elsewhere(header, command) {
            let template = self.template(id).unwrap_or_default();
            if self.kill_is_ours(&template.facts.features) {
                return Box::pin(self.kill_client(&template.text, &template.facts)).await;
            }
            let wishes = self.wishes_of_execution(header, id);
            let changed = wishes::changed(&mut self.session, &template.facts, wishes);
            let facts = changed.as_ref().unwrap_or(&template.facts);
            if self.is_answered_by_rules(header, id, facts).await? {
                return Ok(());
            }
            let decision = self.route(facts, Servers::default());
            self.ask_found_rows(decision.place).await;
            if decision.place == Place::Nowhere {
                self.skip().await?;
                return self.nowhere(decision).await;
            }
            if matches!(decision.place, Place::Server { .. }) {
                let request = Request::Execute(header, id);
                if let Some(outcome) = self.elsewhere(request, facts, decision).await? {
                    self.executed(id, Expect::Results, &outcome);
                    return Ok(());
                }
            }
        } else {
            self.note_why(Why::Piecemeal);
        }
        self.execute_at_home(header, command).await
    }

    /// Answers an execution whose result a rule keeps, and has others compared, as the rules want it.
    async fn is_answered_by_rules(&mut self, header: Header, id: u32, facts: &Facts) -> Result<bool, End> {
        if self.cache_rule().is_none() && self.mirror_rule().is_none() {
            return Ok(false);
        }
        let Some(given) = self.given(header, id) else {
            return Ok(false);
        };
        let answered = self.answer_execution_again(id, &given, facts).await?;
        if !answered {
            self.mirror_execution(given, facts);
        }
        Ok(answered)
    }

    /// What a statement of this session was prepared from.
    pub fn template(&self, id: u32) -> Option<Arc<Template>> {
        let statement = self.session.statements.get(id)?;
        Some(statement.template.clone())
    }

    /// Treats the execution at the front of the inbox as the rules wanted when its statement was prepared.
    async fn steer_named(&mut self) -> Result<Option<Refused>, End> {
        let named = self.link.inbox.bytes().get(HEADER + 1..HEADER + 5);
        let named = named.and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
        let id = self.session.statements.resolve(u32::from_le_bytes(named));
        self.begin_execution(id);
        if !self.steer_execution(id) {
            return Ok(None);
        }
        match self.template(id) {
            Some(template) => self.wait_for_turn(&template.facts).await,
            None => Ok(None),
        }
    }

    /// What the execution at the front of the inbox, which is whole, asks for in its query attributes.
    fn wishes_of_execution(&self, header: Header, id: u32) -> Option<Wishes> {
        let bytes = self.link.inbox.bytes();
        let payload = &bytes[HEADER..header.total().min(bytes.len())];
        let statement = self.session.statements.get(id)?;
        wishes::of_execution(payload, statement, self.capabilities, self.server.is_mariadb())
    }

    /// The statement that is to be executed, if it is whole and leaves nothing on its connection.
    fn may_execute_elsewhere(&self, header: Header, command: Command) -> Option<u32> {
        let bytes = self.link.inbox.bytes();
        let flags = bytes.get(HEADER + 5).copied().unwrap_or(u8::MAX);
        let named = bytes.get(HEADER + 1..HEADER + 5)?.try_into().ok()?;
        let id = self.session.statements.resolve(u32::from_le_bytes(named));
        let statement = self.session.statements.get(id)?;
        let plain = command == Command::STMT_EXECUTE && flags & OPENS_CURSOR == 0;
        let whole = header.length <= LOOKED_AT;
        (plain && whole && !statement.has_long_data).then_some(id)
    }

    /// Whether the request at the front of the inbox executes a statement, and with a cursor.
    pub fn opens_cursor(&self) -> Option<bool> {
        let bytes = self.link.inbox.bytes();
        let executes = bytes.get(HEADER) == Some(&Command::STMT_EXECUTE.0);
        let flags = bytes.get(HEADER + 5).filter(|_| executes)?;
        Some(flags & OPENS_CURSOR != 0)
    }

    /// What the execution at the front of the inbox is answered with.
    fn answers_with(&self) -> Expect {
        match self.opens_cursor() {
            Some(true) => Expect::Cursor,
            _ => Expect::Results,
        }
    }

    async fn execute_at_home(&mut self, header: Header, command: Command) -> Result<(), End> {
        let named = self.link.inbox.bytes().get(HEADER + 1..HEADER + 5);
        let named = named
            .and_then(|bytes| bytes.try_into().ok())
            .map(u32::from_le_bytes);
        if let Some(template) = named.and_then(|id| self.template(id))
            && let Err(error) = self.ready_at(&template.facts).await
        {
            self.skip().await?;
            return self.refuse(error).await.map(drop);
        }
        let expect = self.answers_with();
        let id = match self.prepared(true).await {
            Ok(id) => id,
            Err(Unprepared::Told) => return Ok(()),
            Err(Unprepared::End(end)) => return Err(end),
        };
        let template = self.template(id).unwrap_or_default();
        let facts = &template.facts;
        self.underway.note_waits(&facts.features);
        self.session.announce_prepared(&template);
        self.session.calling = self.calling_prepared(&template);
        if facts.class == Class::Write {
            self.announce_values(id, header, command);
        }
        self.begin_write(facts, Some(&template), true);
        // From here on the request names the statement as this very connection knows it.
        if let Err(error) = self.adopt(&facts.features).await {
            self.skip().await?;
            return self.refuse(error).await.map(drop);
        }
        let why = self.cannot_repeat(id, command);
        let request = Request::Execute(header, id);
        if why.is_none() && self.whole_request().is_some() && self.leaves_evidence_alone(request, facts) {
            let outcome = Box::pin(self.write_with_evidence(request, facts)).await?;
            self.executed(id, expect, &outcome);
            return Ok(());
        }
        let types = self.missing_types(id, header);
        let mut payload = None;
        if types.is_some() || why.is_none() && self.keeps_long(header, facts) {
            payload = Some(self.read().await?);
        }
        self.record_execution(header, payload.as_deref(), id, why, facts);
        let outcome = match (payload, self.whole_request()) {
            (Some(mut payload), _) => {
                if let Some(types) = types {
                    self.put_types(id, &mut payload, &types);
                }
                self.note_source(self.server.index);
                let answered = self.ask(&payload, expect, None).await;
                self.finish(answered, facts).await?
            }
            (None, Some(header)) => self.pass_whole(header, expect, facts, Some(id)).await?,
            (None, None) => self.pass_long(expect, facts).await?,
        };
        self.executed(id, expect, &outcome);
        Ok(())
    }

    /// Writes the id of a statement into the request at the front of the inbox.
    pub fn name_statement(&mut self, id: u32) {
        let bytes = self.link.inbox.bytes_mut();
        if let Some(place) = bytes.get_mut(HEADER + 1..HEADER + 5) {
            place.copy_from_slice(&id.to_le_bytes());
        }
    }

    fn executed(&mut self, id: u32, expect: Expect, outcome: &Outcome) {
        if let Some(statement) = self.session.statements.get_mut(id) {
            let status = outcome.observed.status.filter(|_| expect == Expect::Cursor);
            let cursor = status.is_some_and(|status| status.has(Status::CURSOR_EXISTS));
            let changed = statement.has_cursor != cursor || statement.has_long_data;
            statement.has_cursor = cursor && outcome.error.is_none();
            statement.has_long_data = false;
            if changed {
                self.hold_for_statements();
            }
        }
    }

    fn hold_for_statements(&mut self) {
        let statements = &self.session.statements;
        let (cursor, long_data) = (statements.any_cursor(), statements.any_long_data());
        self.session.holds.set(Hold::Cursor, cursor);
        self.session.holds.set(Hold::LongData, long_data);
        self.unbind();
    }

    /// The statement that the request at the front of the inbox names, prepared on a connection, and the
    /// server's id written in place of ours. With `answer`, the client is told what is wrong.
    async fn prepared(&mut self, answer: bool) -> Result<u32, Unprepared> {
        let bytes = self.link.inbox.bytes();
        let named = bytes
            .get(HEADER + 1..HEADER + 5)
            .and_then(|bytes| bytes.try_into().ok());
        let named = u32::from_le_bytes(named.unwrap_or_default());
        let id = self.session.statements.resolve(named);
        let Some(template) = self.template(id) else {
            let command = Command(bytes.get(HEADER).copied().unwrap_or_default());
            self.skip().await.map_err(Unprepared::End)?;
            return Err(self.unknown(named, command, answer).await);
        };
        if let Err(error) = self.bind().await {
            self.skip().await.map_err(Unprepared::End)?;
            let (code, sqlstate, text) = error.for_client();
            return Err(self.tell(answer, code, &sqlstate, &text).await);
        }
        let opens_cursor = self.opens_cursor();
        let server_id = match self.leave_past_behind(id, &template).await {
            Ok(()) => self.server_id(&template).await,
            Err(error) => Err(error),
        };
        match server_id {
            Ok(Ok(server_id)) => {
                if let (Some(true), Some(connection)) = (opens_cursor, &mut self.connection)
                    && let Some(entry) = connection.prepared.get(&template)
                {
                    entry.opened_cursor = true;
                }
                self.name_statement(server_id);
                Ok(id)
            }
            Ok(Err((code, sqlstate, text))) => {
                self.skip().await.map_err(Unprepared::End)?;
                self.unbind();
                Err(self.tell(answer, code, &sqlstate, &text).await)
            }
            Err(error) if answer && self.may_stand_up(&error) => {
                Box::pin(self.prepared_anew(&error, &template.facts)).await
            }
            Err(error) => {
                self.skip().await.map_err(Unprepared::End)?;
                let broken = Err(Broken::Server {
                    error,
                    started: !answer,
                });
                match Box::pin(self.finish(broken, &Facts::default())).await {
                    Ok(_) => Err(Unprepared::Told),
                    Err(end) => Err(Unprepared::End(end)),
                }
            }
        }
    }

    /// The same on another connection, since the one at hand is lost.
    async fn prepared_anew(&mut self, error: &BackendError, facts: &Facts) -> Result<u32, Unprepared> {
        match self.stand_up(error, facts).await {
            Ok(()) => self.prepared(true).await,
            Err(error) => {
                self.skip().await.map_err(Unprepared::End)?;
                let told = self.refuse(error).await;
                Err(told.map_or_else(Unprepared::End, |_| Unprepared::Told))
            }
        }
    }

    /// The text names a function of the server, and clients' tests compare it.
    async fn unknown(&mut self, id: u32, command: Command, answer: bool) -> Unprepared {
        let function = match command {
            _ if !self.server.is_mariadb() => "mysql_stmt_precheck",
            Command::STMT_RESET => "mysqld_stmt_reset",
            Command::STMT_FETCH => "mysqld_stmt_fetch",
            Command::STMT_BULK_EXECUTE => "mysqld_stmt_bulk_execute",
            _ => "mysqld_stmt_execute",
        };
        let text = format!("Unknown prepared statement handler ({id}) given to {function}");
        self.tell(answer, 1243, b"HY000", &text).await
    }

    async fn tell(&mut self, answer: bool, code: u16, sqlstate: &[u8; 5], text: &str) -> Unprepared {
        if !answer {
            return Unprepared::Told;
        }
        match self.error(code, sqlstate, text).await {
            Ok(()) => Unprepared::Told,
            Err(end) => Unprepared::End(end),
        }
    }

    /// The server's id of a statement on the present connection, where it is prepared if it is not yet;
    /// or the server's refusal to prepare it.
    pub async fn server_id(
        &mut self,
        template: &Arc<Template>,
    ) -> Result<Result<u32, (u16, [u8; 5], String)>, crate::backend::BackendError> {
        let Some(connection) = &mut self.connection else {
            return Ok(Ok(0));
        };
        if let Some(entry) = connection.prepared.get(template) {
            return Ok(Ok(entry.server_id));
        }
        // It is to be read as it was when it was prepared first, and then everything as it is now.
        self.ask_own_now().await?;
        let Some(connection) = &mut self.connection else {
            return Ok(Ok(0));
        };
        // What the session changed since it has the connection is there already.
        if !connection.reads_alone {
            connection.state = self.session.state.clone();
        }
        let now = connection.state.clone();
        connection
            .restore_by_statements(&now.reading_as(&template.state))
            .await?;
        let prepared = connection.prepare(template).await?;
        connection.restore_by_statements(&now).await?;
        Ok(match prepared {
            (
                Answer::Error {
                    code,
                    sqlstate,
                    message,
                },
                _,
            ) => Err((code, sqlstate, message)),
            (Answer::Ok, id) => Ok(id),
        })
    }

    /// Long data is not answered, and neither are its errors: those come with the execution.
    pub async fn long_data(&mut self) -> Result<(), End> {
        let id = match self.prepared(false).await {
            Ok(id) => id,
            Err(Unprepared::Told) => return Ok(()),
            Err(Unprepared::End(end)) => return Err(end),
        };
        let Some(connection) = &mut self.connection else {
            return Err(End::Broken);
        };
        let limit = self.worker.shared.settings().config.limits.max_allowed_packet;
        match request::pass_packet(&mut self.link, &mut connection.link, limit).await {
            Ok(_) => {}
            Err(PassError::Client(error)) => return Err(self.client_failed(&error).await),
            Err(PassError::Server(_)) => return Err(End::ServerLost),
        }
        if let Some(statement) = self.session.statements.get_mut(id) {
            statement.has_long_data = true;
        }
        self.session.holds.insert(Hold::LongData);
        Ok(())
    }

    pub async fn fetch(&mut self) -> Result<(), End> {
        let id = match self.prepared(true).await {
            Ok(id) => id,
            Err(Unprepared::Told) => return Ok(()),
            Err(Unprepared::End(end)) => return Err(end),
        };
        let outcome = self.pass(Expect::Rows, &Facts::default()).await?;
        let ended = outcome
            .observed
            .status
            .is_some_and(|status| status.has(Status::LAST_ROW_SENT));
        if (ended || outcome.error.is_some())
            && let Some(statement) = self.session.statements.get_mut(id)
        {
            statement.has_cursor = false;
            self.hold_for_statements();
        }
        Ok(())
    }

    pub async fn reset_statement(&mut self) -> Result<(), End> {
        let id = match self.prepared(true).await {
            Ok(id) => id,
            Err(Unprepared::Told) => return Ok(()),
            Err(Unprepared::End(end)) => return Err(end),
        };
        let outcome = self.pass(Expect::Results, &Facts::default()).await?;
        if outcome.error.is_none()
            && let Some(statement) = self.session.statements.get_mut(id)
        {
            statement.has_cursor = false;
            statement.has_long_data = false;
            self.hold_for_statements();
        }
        Ok(())
    }

    /// Nothing answers this. The connection may keep the statement for others, unless something hangs on it.
    pub async fn close_statement(&mut self) -> Result<(), End> {
        let payload = self.read().await?;
        let bytes = payload
            .get(1..5)
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or_default();
        self.steering.forget(u32::from_le_bytes(bytes));
        let Some(statement) = self.session.statements.remove(u32::from_le_bytes(bytes)) else {
            return Ok(());
        };
        if statement.has_cursor || statement.has_long_data {
            if let Some(connection) = &mut self.connection
                && let Some(id) = connection.prepared.remove(&statement.template)
                && connection.close_statements(&[id]).await.is_err()
            {
                return Err(End::ServerLost);
            }
            self.hold_for_statements();
        } else if Arc::strong_count(&statement.template) == 2 {
            // Only this session and its connection know it: the server need not keep it.
            self.bind_own(&statement.template);
            if let Some(connection) = &mut self.connection
                && let Some(id) = connection.prepared.remove(&statement.template)
                && connection.close_statements(&[id]).await.is_err()
            {
                return Err(End::ServerLost);
            }
            self.unbind();
        }
        Ok(())
    }
}
