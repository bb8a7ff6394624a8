//! One authenticated connection to a server, and what is known of the session that the server keeps for it.

use std::io;
use std::sync::Arc;

use tokio::time::Instant;

use super::error::BackendError;
use super::pool::Key;
use super::prepared::Prepared;
use super::server::Server;
use super::slots::Permit;
use crate::net::Link;
use crate::session::tracked::ToldState;
use crate::session::{Checksum, State, Template, UserVariables, Variables};
use crate::wire::command::Command;
use crate::wire::err::ErrPacket;
use crate::wire::framing::{self, Expect, Framer, Kind, Next};
use crate::wire::ok::OkPacket;
use crate::wire::packet::{HEADER, put_with};
use crate::wire::track::{Change, Changes};
use crate::wire::{Capabilities, Malformed, Reader, Status};

#[derive(Debug)]
pub struct Connection {
    pub link: Link,
    pub server: Arc<Server>,
    pub key: Key,
    /// The server's id of the connection, which KILL takes.
    pub thread: u64,
    pub capabilities: Capabilities,
    pub state: State,
    /// It reads for a session with autocommit off, and has it on: a read alone is to open no transaction here.
    pub reads_alone: bool,
    /// What the server made of the login; a session without a value of its own has these.
    pub initial: Variables,
    /// Variables that the server reported in the last answer to a statement of our own.
    pub told: Variables,
    pub sessions: Sessions,
    /// LAST_INSERT_ID() here, unless the session at hand is unsure of its own.
    pub insert_id: Option<u64>,
    /// It has been idle before, and may have been closed by the server meanwhile.
    pub was_pooled: bool,
    /// The server tells every client that follows its session of transactions that begin and end, ...
    pub tells_transactions: bool,
    /// ... and this is the state of which it would have told last: what a client that is told is to hear next
    /// depends on it.
    pub told_transaction: ToldState,
    pub status: Status,
    pub prepared: Prepared,
    /// What the server greeted with: a change of user begins with it.
    pub scramble: [u8; 20],
    pub plugin: Vec<u8>,
    /// Of the client that it was opened for: the server shows them to whoever looks.
    pub attributes: Box<[u8]>,
    /// Distinguishes connections for as long as the process runs.
    pub serial: u64,
    pub opened: Instant,
    pub used: Instant,
    pub generation: u64,
    /// SET_OPTION was used: whether several statements in one are allowed differs from the login.
    pub option_changed: bool,
    /// Its account's password has expired: it is nobody else's, even after a change of the password.
    pub password_expired: bool,
    /// Given back when the connection is dropped.
    pub permit: Option<Permit>,
}

/// What became of a statement of our own.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Ok,
    Error {
        code: u16,
        sqlstate: [u8; 5],
        message: String,
    },
}

/// No session: a statement of our own left the last warnings.
const OURSELVES: u64 = u64::MAX;

/// Whose results a connection has; 0: nobody's.
#[derive(Debug, Default)]
pub struct Sessions {
    /// Ran the last statement.
    pub last: u64,
    /// Ran the last one with rows, which FOUND_ROWS() has counted.
    pub rows: u64,
    /// Is warned of something.
    pub warned: u64,
}

// === impl Connection ===

impl Connection {
    /// Whether it may be given to somebody now: the peer is silent, and it is neither too old nor outdated.
    pub fn is_usable(&self, now: Instant) -> bool {
        let too_old = now.duration_since(self.opened) > self.server.max_age();
        let outdated = self.is_outdated();
        !too_old && !outdated
    }

    /// Whether it differs from what the next session expects of a connection.
    pub fn is_outdated(&self) -> bool {
        self.generation != self.server.generation() || self.option_changed || self.password_expired
    }

    /// Puts it into the event loop of the thread that calls.
    pub fn reattach(self: Box<Self>) -> Result<Box<Self>, BackendError> {
        let mut connection = *self;
        match connection.link.reattach() {
            Ok(link) => connection.link = link,
            Err(source) => {
                let server = connection.server.name().to_owned();
                return Err(BackendError::Lost { server, source });
            }
        }
        Ok(Box::new(connection))
    }

    pub fn lost(&self, source: io::Error) -> BackendError {
        BackendError::Lost {
            server: self.server.name().to_owned(),
            source,
        }
    }

    pub fn malformed(&self, source: Malformed) -> BackendError {
        BackendError::Protocol {
            server: self.server.name().to_owned(),
            source,
        }
    }

    /// Sends a command whose payload is small.
    pub async fn send(&mut self, command: Command, body: &[u8]) -> Result<(), BackendError> {
        let mut out = Vec::with_capacity(HEADER + 1 + body.len());
        put_command(&mut out, command, body);
        self.link.send(&out).await.map_err(|error| self.lost(error))
    }

    /// Runs a command of our own and reads its whole answer; rows are thrown away. Nobody but us knows that the
    /// server is at work, so it is not waited for without end.
    pub async fn run(&mut self, command: Command, body: &[u8]) -> Result<Answer, BackendError> {
        let [answer] = self.run_all([(command, body)]).await?;
        Ok(answer)
    }

    /// Runs several, the next one whatever became of the one before it, and waits only once where it can.
    pub async fn run_all<const N: usize>(
        &mut self,
        commands: [(Command, &[u8]); N],
    ) -> Result<[Answer; N], BackendError> {
        let limit = self.server.pool().acquire_timeout;
        match tokio::time::timeout(limit, self.converse(commands)).await {
            Ok(answers) => answers,
            Err(_) => Err(BackendError::Silent {
                server: self.server.name().to_owned(),
                limit,
            }),
        }
    }

    async fn converse<const N: usize>(
        &mut self,
        commands: [(Command, &[u8]); N],
    ) -> Result<[Answer; N], BackendError> {
        let mut answers = [const { Answer::Ok }; N];
        // Compressed packets are numbered by command: a server that has read two at once loses count.
        let at_once = self.link.next_number().is_none();
        if at_once {
            let mut out = Vec::with_capacity(commands.iter().map(|(_, body)| HEADER + 1 + body.len()).sum());
            for (command, body) in commands {
                put_command(&mut out, command, body);
            }
            self.link.send(&out).await.map_err(|error| self.lost(error))?;
        }
        for (answer, (command, body)) in answers.iter_mut().zip(commands) {
            if !at_once {
                self.send(command, body).await?;
            }
            self.told = Variables::default();
            *answer = self.answer(Expect::Results).await?;
        }
        Ok(answers)
    }

    pub async fn answer(&mut self, expect: Expect) -> Result<Answer, BackendError> {
        Ok(self.read_answer(expect, None).await?.0)
    }

    /// The rows of a question of our own, as they come: there had better be few.
    pub async fn list(&mut self, sql: &[u8]) -> Result<Vec<Vec<u8>>, BackendError> {
        let mut rows = Vec::new();
        let limit = self.server.pool().acquire_timeout;
        let asked = async {
            self.send(Command::QUERY, &self.as_query(sql)).await?;
            self.read_answer(Expect::Results, Some(&mut rows)).await
        };
        match tokio::time::timeout(limit, asked).await {
            Ok(answered) => answered.map(|_| rows),
            Err(_) => Err(BackendError::Silent {
                server: self.server.name().to_owned(),
                limit,
            }),
        }
    }

    /// Reads the answer to a question of our own that was sent already: the value beside this name.
    pub async fn hear(&mut self, name: &[u8]) -> Result<Option<Vec<u8>>, BackendError> {
        self.told = Variables::default();
        self.answer(Expect::Results).await?;
        Ok(self.told.get(name).map(<[u8]>::to_vec))
    }

    async fn read_answer(
        &mut self,
        expect: Expect,
        mut rows: Option<&mut Vec<Vec<u8>>>,
    ) -> Result<(Answer, Option<framing::Prepared>), BackendError> {
        let mut framer = Framer::new(self.capabilities, expect);
        framer.shows_rows = true;
        let (mut answer, mut prepared) = (Answer::Ok, None);
        loop {
            let mut position = 0;
            loop {
                let bytes = self.link.inbox.bytes();
                let next = framer.next(bytes, &mut position);
                let next = next.map_err(|error| self.malformed(error))?;
                let Next::Packet { kind, length } = next else {
                    break;
                };
                let packet = &bytes[position + HEADER..position + length];
                if let (Kind::Row, Some(rows)) = (kind, &mut rows) {
                    rows.push(packet.to_vec());
                }
                let mut heard = Heard {
                    told: &mut self.told,
                    status: &mut self.status,
                    warned_session: &mut self.sessions.warned,
                    answer: &mut answer,
                    prepared: &mut prepared,
                };
                let taken = heard.take(kind, packet, self.capabilities);
                taken.map_err(|error| self.malformed(error))?;
                position += length;
            }
            self.link.inbox.consume(position);
            if framer.is_done() {
                return Ok((answer, prepared));
            }
            if self.link.fill().await.map_err(|error| self.lost(error))? == 0 {
                return Err(self.lost(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Sends a request once more, and answers the sum of what the server answers.
    pub async fn sum_of(&mut self, payload: &[u8]) -> Result<Checksum, BackendError> {
        let sent = self.link.send_payload(0, payload).await;
        sent.map_err(|error| self.lost(error))?;
        let mut framer = Framer::new(self.capabilities, Expect::Results);
        let mut checksum = Checksum::default();
        loop {
            let mut position = 0;
            loop {
                let (bytes, unseen) = (self.link.inbox.bytes(), position);
                let next = framer.next(bytes, &mut position);
                let next = next.map_err(|error| self.malformed(error))?;
                checksum.bytes(&bytes[unseen..position]);
                let Next::Packet { kind, length } = next else {
                    break;
                };
                let payload = &bytes[position + HEADER..position + length];
                let taken = checksum.packet(kind, payload, self.capabilities);
                taken.map_err(|error| self.malformed(error))?;
                if let Kind::Ok = kind {
                    let ok = OkPacket::parse(payload, self.capabilities);
                    self.status = ok.map_err(|error| self.malformed(error))?.status;
                }
                position += length;
            }
            self.link.inbox.consume(position);
            if framer.is_done() {
                return Ok(checksum);
            }
            if self.link.fill().await.map_err(|error| self.lost(error))? == 0 {
                return Err(self.lost(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Makes the server's session what `wanted` says. On an error the connection must not be used any more.
    pub async fn restore(&mut self, wanted: &State) -> Result<(), BackendError> {
        if self.state.same_as(wanted) {
            return Ok(());
        }
        if self.state.variables.needs_login_for(&wanted.variables) {
            self.login_again(wanted).await?;
        }
        self.restore_by_statements(wanted).await
    }

    pub async fn restore_user_variables(&mut self, wanted: &UserVariables) -> Result<(), BackendError> {
        if let Some(sql) = self.state.user_variables.statement_towards(wanted, &self.initial) {
            self.execute(&sql).await?;
            self.state.user_variables = wanted.clone();
        }
        Ok(())
    }

    /// The same on a connection that a session holds: a login would end its transaction and all that it has.
    pub async fn restore_by_statements(&mut self, wanted: &State) -> Result<(), BackendError> {
        if let Some(sql) = self
            .state
            .variables
            .statement_towards(&wanted.variables, &self.initial)
        {
            self.execute(&sql).await?;
        }
        self.restore_user_variables(&wanted.user_variables).await?;
        if let Some(schema) = wanted
            .schema
            .as_deref()
            .filter(|_| self.state.schema != wanted.schema)
        {
            let answer = self.run(Command::INIT_DB, schema).await?;
            self.restored(answer)?;
        }
        self.state = wanted.clone();
        Ok(())
    }

    /// Runs a statement of our own that must not fail.
    pub async fn execute(&mut self, sql: &[u8]) -> Result<(), BackendError> {
        let answer = self.run(Command::QUERY, &self.as_query(sql)).await?;
        self.restored(answer)
    }

    /// The body of a QUERY command: with query attributes it begins with how many there are.
    pub fn as_query(&self, sql: &[u8]) -> Vec<u8> {
        let mut body = Vec::with_capacity(sql.len() + 2);
        if self.capabilities.has(Capabilities::QUERY_ATTRIBUTES) {
            body.extend_from_slice(&[0, 1]);
        }
        body.extend_from_slice(sql);
        body
    }

    /// The same with its command: a whole payload.
    pub fn as_payload(&self, sql: &[u8]) -> Vec<u8> {
        let mut payload = self.as_query(sql);
        payload.insert(0, Command::QUERY.0);
        payload
    }

    fn restored(&self, answer: Answer) -> Result<(), BackendError> {
        match answer {
            Answer::Ok => Ok(()),
            Answer::Error {
                code,
                sqlstate,
                message,
            } => Err(BackendError::Restore {
                server: self.server.name().to_owned(),
                code,
                sqlstate,
                message,
            }),
        }
    }

    /// Prepares a statement for its own sake; answers the server's id of it, and notes it.
    pub async fn prepare(&mut self, template: &Arc<Template>) -> Result<(Answer, u32), BackendError> {
        self.send(Command::STMT_PREPARE, &template.text).await?;
        let (answer, prepared) = self.read_answer(Expect::Prepared, None).await?;
        let id = prepared.map_or(0, |prepared| prepared.statement);
        if answer == Answer::Ok {
            let limit = self.server.pool().max_prepared_per_connection as usize;
            let gone = self.prepared.insert(template, id, limit);
            self.close_statements(&gone).await?;
        }
        Ok((answer, id))
    }

    /// The same for a statement that is to be read as when it was prepared first. `None`: the server refuses it.
    pub async fn prepare_as_then(&mut self, template: &Arc<Template>) -> Result<Option<u32>, BackendError> {
        let now = self.state.clone();
        self.restore_by_statements(&now.reading_as(&template.state))
            .await?;
        let (answer, id) = self.prepare(template).await?;
        self.restore_by_statements(&now).await?;
        Ok((answer == Answer::Ok).then_some(id))
    }

    /// Closes statements that the server need not keep; it does not answer.
    pub async fn close_statements(&mut self, ids: &[u32]) -> Result<(), BackendError> {
        let mut out = Vec::new();
        for id in ids {
            put_with(&mut out, 0, |out| {
                out.push(Command::STMT_CLOSE.0);
                out.extend_from_slice(&id.to_le_bytes());
            });
        }
        if out.is_empty() {
            return Ok(());
        }
        self.link.send(&out).await.map_err(|error| self.lost(error))
    }
}

fn put_command(out: &mut Vec<u8>, command: Command, body: &[u8]) {
    put_with(out, 0, |out| {
        out.push(command.0);
        out.extend_from_slice(body);
    });
}

/// Where the packets of an answer to ourselves leave what they say.
struct Heard<'a> {
    told: &'a mut Variables,
    status: &'a mut Status,
    warned_session: &'a mut u64,
    answer: &'a mut Answer,
    prepared: &'a mut Option<framing::Prepared>,
}

// === impl Heard ===

impl Heard<'_> {
    fn take(&mut self, kind: Kind, packet: &[u8], capabilities: Capabilities) -> Result<(), Malformed> {
        match kind {
            Kind::Row => {
                // Names and values, in an answer to a question of our own; NULL is empty.
                let mut row = Reader::new(packet);
                if let Ok(name) = row.lenenc_bytes() {
                    self.told.set(name, row.lenenc_bytes().unwrap_or_default());
                }
            }
            Kind::Error => {
                let error = ErrPacket::parse(packet)?;
                *self.answer = Answer::Error {
                    code: error.code,
                    sqlstate: error.sqlstate,
                    message: String::from_utf8_lossy(error.message).into_owned(),
                };
            }
            Kind::Ok => {
                let ok = OkPacket::parse(packet, capabilities)?;
                *self.status = ok.status;
                if ok.warnings > 0 {
                    *self.warned_session = OURSELVES;
                }
                for change in Changes::new(ok.track) {
                    if let Change::SystemVariable { name, value } = change? {
                        self.told.set(name, value);
                    }
                }
            }
            Kind::Prepared => *self.prepared = Some(framing::Prepared::parse(packet, capabilities)?),
            _ => {}
        }
        Ok(())
    }
}
