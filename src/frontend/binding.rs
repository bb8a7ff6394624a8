//! On which server connection a session runs: the one that it holds, one at home, or one for a read elsewhere.
//!
//! What a session holds stays its own. A read that may run elsewhere puts that connection aside, takes another
//! one from a pool, and gives it back when the result has passed.

use std::rc::Rc;
use std::sync::Arc;

use super::client::Client;
use crate::backend::connect::Attributes;
use crate::backend::pool::{Pool, Ticket};
use crate::backend::{BackendError, Connection, Key, Server};
use crate::config::{ListenerMode, ServerTlsMode};
use crate::net::Link;
use crate::session::{Hold, State, Template};
use crate::util::clock;
use crate::wire::Status;

/// A server as one session uses it.
#[derive(Debug)]
pub struct Seat {
    pub key: Key,
    pool: Rc<Pool>,
    /// Where the session's last connection to this server lies, if it still lies there.
    ticket: Option<Ticket>,
}

// === impl Client: to bind ===

impl Client {
    /// Makes sure that there is a connection in this session's state: the one that it holds, or one at home.
    pub async fn bind(&mut self) -> Result<(), BackendError> {
        match self.bind_strictly().await {
            // Somebody dropped the schema. A server lets such a session go on until it uses a table.
            Err(error) if error.lacks_schema() && self.session.state.schema.is_some() => {
                self.session.state.schema = None;
                self.bind_strictly().await
            }
            bound => bound,
        }
    }

    /// The same for a login, which fails when its schema is not there.
    pub async fn bind_strictly(&mut self) -> Result<(), BackendError> {
        if self.aside.is_some() {
            self.end_visit().await;
        }
        // A listener for replicas keeps its clients where they are as long as there is somebody.
        if self.mode == ListenerMode::Replica
            && self.session.holds.is_empty()
            && self.worker.shared.is_no_replica(self.server.index)
        {
            self.server = self.worker.shared.server_for(self.mode);
        }
        self.follow_primary();
        let home = self.server.index;
        let stays = |connection: &Connection| connection.server.index == home;
        match &self.connection {
            Some(connection) if stays(connection) || self.session.holds.leave_traces() => Ok(()),
            _ => self.take(home).await,
        }
    }

    /// Home is where the primary is, as soon as nothing of the session is left on the old one.
    pub fn follow_primary(&mut self) {
        let shared = &self.worker.shared;
        let primary = shared.topology.primary().unwrap_or(self.server.index);
        if primary == self.server.index
            || self.mode == ListenerMode::Replica
            || self.session.holds.leave_traces()
        {
            return;
        }
        if let Some(server) = shared.servers.get(primary) {
            self.server = Arc::clone(&server);
        }
    }

    /// Takes a connection to another server for a read, and puts aside what the session holds.
    pub async fn visit(&mut self, server: usize) -> Result<(), BackendError> {
        let at = |connection: &Option<Box<Connection>>| {
            connection
                .as_ref()
                .is_some_and(|connection| connection.server.index == server)
        };
        if at(&self.connection) {
            return Ok(());
        }
        if self.aside.is_some() {
            let returns = at(&self.aside);
            self.end_visit().await;
            if returns {
                return Ok(());
            }
        }
        if self.session.holds.leave_traces() {
            self.ask_now().await?;
            self.aside = self.connection.take();
        }
        self.take(server).await
    }

    /// Whether the connection at hand is not the one that the session holds, or would hold.
    pub fn is_visiting(&self) -> bool {
        let alone = self
            .connection
            .as_deref()
            .map(|connection| connection.reads_alone);
        self.aside.is_some() || alone == Some(true)
    }

    /// Whether the connection at hand is the one that the session cannot do without.
    pub fn is_held(&self) -> bool {
        self.aside.is_none() && self.session.holds.leave_traces()
    }

    /// Whether that connection is gone.
    pub fn has_lost_its_hold(&self) -> bool {
        self.is_held() && self.connection.is_none()
    }

    /// Back to the connection that the session holds.
    async fn end_visit(&mut self) {
        self.take_reported_home().await;
        self.session.holds.remove(Hold::Diagnostics);
        self.unbind();
        self.connection = self.aside.take();
        self.show_thread();
    }

    /// A connection to this server, in place of one that is kept for no good reason.
    pub async fn take(&mut self, server: usize) -> Result<(), BackendError> {
        if self.connection.is_some() {
            self.session.holds.remove(Hold::Diagnostics);
            self.ask_if_unsure().await;
            self.give_back();
        }
        if self.take_at_once(server) {
            return Ok(());
        }
        Box::pin(self.take_or_wait(server)).await
    }

    async fn take_or_wait(&mut self, server: usize) -> Result<(), BackendError> {
        let connection = loop {
            let mut connection = self.acquire(server).await?;
            let reused = connection.was_pooled;
            let alone = self.reading_alone(server);
            let wanted = alone.as_ref().unwrap_or(&self.session.state);
            match connection.restore(wanted).await {
                Ok(()) => {
                    connection.reads_alone = alone.is_some();
                    break connection;
                }
                // It went away while it lay idle, and nothing of the client's has been sent.
                Err(BackendError::Lost { .. }) if reused => {}
                Err(error) => return Err(error),
            }
        };
        self.show_taken(connection)
    }

    /// Takes the session's own connection again, or another one in its state: nothing has to be waited for. False: there
    /// is none, and nothing has changed.
    fn take_at_once(&mut self, server: usize) -> bool {
        if self.connection.is_some() || self.statements == 0 || self.reading_alone(server).is_some() {
            return false;
        }
        let place = self.seat(server);
        let seat = &mut self.seats[place];
        let wanted = &self.session.state;
        let Some(connection) = seat.pool.take(seat.ticket.take(), wanted, None, clock::now()) else {
            return false;
        };
        if !connection.state.same_as(wanted) {
            seat.ticket = Some(seat.pool.put(connection));
            return false;
        }
        self.show_taken(connection).is_ok()
    }

    /// Whoever has killed the session, or its statement, a moment ago has seen it without a connection.
    fn show_taken(&mut self, connection: Box<Connection>) -> Result<(), BackendError> {
        self.connection = Some(connection);
        self.show_thread();
        let Some(why) = self.ends_now() else {
            return Ok(());
        };
        self.connection = None;
        self.show_thread();
        Err(why)
    }

    /// Whether the session has a connection at home, or has one now, without having to wait or to change anything
    /// there. Nearly always it has.
    pub fn is_at_home(&mut self) -> bool {
        let home = self.server.index;
        match &self.connection {
            _ if self.aside.is_some() || self.mode == ListenerMode::Replica => false,
            Some(connection) => connection.server.index == home,
            None => !self.session.holds.leave_traces() && self.take_at_once(home),
        }
    }

    /// The session's state for a read on another server while autocommit is off.
    fn reading_alone(&self, server: usize) -> Option<State> {
        let off = !self.session.status.has(Status::AUTOCOMMIT);
        (off && self.policy().autocommit_off_reads && server != self.server.index).then(|| {
            let mut state = self.session.state.clone();
            state.variables.set(b"autocommit", b"ON");
            state
        })
    }

    async fn acquire(&mut self, server: usize) -> Result<Box<Connection>, BackendError> {
        let place = self.seat(server);
        let seat = &mut self.seats[place];
        let ticket = seat.ticket.take();
        let (key, pool) = (&seat.key, &*seat.pool);
        let attributes = Attributes {
            block: &self.login.attributes,
            is_login: self.statements == 0,
            filler: self.login.filler,
        };
        // Nearly always it lies where it was put, and nothing has to be waited for.
        let wanted = &self.session.state;
        if let Some(connection) = pool.take(ticket, wanted, attributes.known_by(), clock::now()) {
            return Ok(connection);
        }
        let Some(server) = self.worker.shared.servers.get(server) else {
            return Err(BackendError::Stopping);
        };
        // A guard is for moments.
        let server = &Arc::clone(&server);
        let pools = &self.worker.pools;
        let acquired = pools.acquire(server, (key, pool), None, wanted, attributes);
        tokio::select! {
            biased;
            acquired = acquired => acquired,
            () = self.signal.called_off() => Err(self.called_off()),
            () = leaves_the_queue(&self.link, server) => {
                let server = server.name().to_owned();
                Err(BackendError::ClientLeft { server })
            }
        }
    }

    /// Takes up the session's own connection again on which a statement is prepared, if nobody else has.
    pub fn bind_own(&mut self, template: &Arc<Template>) {
        for seat in &mut self.seats {
            let lies = seat.ticket.filter(|_| self.connection.is_none());
            let Some(mut connection) = lies.and_then(|ticket| seat.pool.take_own(ticket)) else {
                continue;
            };
            if connection.prepared.get(template).is_some() {
                self.connection = Some(connection);
                return;
            }
            seat.ticket = Some(seat.pool.put(connection));
        }
    }

    /// Where this session's connections to a server come from.
    fn seat(&mut self, server: usize) -> usize {
        // From which pool it can be served depends on whether it has a schema.
        let has_schema = self.session.state.schema.is_some();
        if has_schema != self.login.key.has_schema {
            self.login.key.has_schema = has_schema;
            self.seats.clear();
        }
        if let Some(place) = self.seats.iter().position(|seat| seat.key.server == server) {
            return place;
        }
        let is_tls = self.link.tls().is_some();
        let known = self.worker.shared.servers.get(server).filter(|_| is_tls);
        let tls = known.is_some_and(|server| server.endpoint().tls_mode == ServerTlsMode::Follow);
        let key = Key {
            server,
            tls,
            ..self.login.key.clone()
        };
        let pool = self.worker.pools.pool(&key);
        self.seats.push(Seat {
            key,
            pool,
            ticket: None,
        });
        self.seats.len() - 1
    }
}

/// Waits until the client hangs up while statements wait for this server. One that has only said all that it has to
/// say cannot be told from it, and is served as long as nobody waits.
async fn leaves_the_queue(client: &Link, server: &Server) {
    client.socket().read_closed().await;
    while !server.slots.has_waiters() {
        tokio::time::sleep(clock::TICK).await;
    }
}

// === impl Client: to let go ===

impl Client {
    /// Gives the connection back, unless the session has a reason to keep it.
    pub fn unbind(&mut self) {
        let holds = self.session.holds;
        let keeps = if self.is_visiting() {
            holds.has(Hold::Diagnostics)
        } else {
            !holds.is_empty()
        };
        if keeps {
            return;
        }
        if self.connection.is_some() && self.entry.hide() {
            // A KILL is on its way to this connection, and is not to meet another session there.
            self.session.holds.insert(Hold::Diagnostics);
            self.show_thread();
        } else {
            self.give_back();
        }
    }

    /// A statement is over: its server is asked what there is to be asked, mostly nothing, and the connection goes back.
    pub async fn let_go_after_statement(&mut self) {
        self.hold_nothing_elsewhere();
        if self.lingers() {
            self.move_on().await;
        }
        if self.session.is_unsure || !self.session.reported.is_empty() {
            self.ask_if_unsure().await;
        }
        self.unbind();
    }

    /// Outside a transaction, no connection to another server than the session's own is held: the next write would
    /// follow it there. What a read's function may have left on it, or an error that does not say, goes with it.
    fn hold_nothing_elsewhere(&mut self) {
        let home = self.server.index;
        let away = self
            .connection
            .as_ref()
            .is_some_and(|connection| connection.server.index != home);
        let splits = self.mode == ListenerMode::Split;
        if away && splits && self.is_held() && !self.session.in_transaction() {
            self.session.holds = Default::default();
            self.session.is_unsure = false;
            self.connection = None;
            self.show_thread();
        }
    }

    fn give_back(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        self.show_thread();
        let place = self.seat(connection.server.index);
        let seat = &mut self.seats[place];
        if connection.key != seat.key {
            connection.key = seat.key.clone();
        }
        connection.was_pooled = true;
        if !std::mem::take(&mut connection.reads_alone) {
            connection.state.follow(&self.session.state);
        }
        connection.status = self.session.status;
        seat.ticket = self.worker.pools.give_back(&seat.pool, connection);
    }

    /// Somebody waits for a connection, and this client has said nothing for a while.
    pub async fn let_go(&mut self, still_soft: bool) {
        if still_soft {
            self.take_warnings_along().await;
            self.session.holds = Default::default();
            self.ask_if_unsure().await;
            self.unbind();
        }
    }

    /// Ends the session: the connection goes back if nothing is left on it, and is closed otherwise.
    pub fn leave(&mut self) {
        if self.session.leaves_clean() {
            self.session.holds = Default::default();
            self.unbind();
        }
        self.drop_connections();
    }

    /// Nobody may use them any more.
    pub fn drop_connections(&mut self) {
        self.gateway.pass = None;
        self.replay.forget();
        self.connection = None;
        self.aside = None;
        self.show_thread();
    }

    /// Notes for others which server connection works for this client, or waits for it.
    pub fn show_thread(&self) {
        let shown = self.connection.as_ref().or(self.aside.as_ref());
        self.entry
            .set_place(shown.map(|connection| (connection.server.index, connection.thread)));
    }
}
