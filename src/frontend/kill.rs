//! KILL and PROCESS_KILL: an id of ours is turned into the id of the server connection that the client has.

use std::ops::Range;
use std::sync::Arc;

use super::client::Client;
use super::outcome::End;
use super::registry::{Aim, Entry, Registry};
use super::rewritten::rewritten_for_good;
use crate::backend::connect::Attributes;
use crate::backend::connection::Answer;
use crate::backend::{BackendError, Key};
use crate::net::Interrupt;
use crate::session::State;
use crate::sql::{self, Facts, Features, Kill, KillTarget, Verb};
use crate::wire::Capabilities;
use crate::wire::command::Command;
use crate::wire::framing::Expect;
use crate::wire::login::FILLER;
use crate::wire::packet::Header;

/// MySQL from this version on does not know PROCESS_KILL, and says so.
const WITHOUT_PROCESS_KILL: u32 = 90_000;

// === impl Client ===

impl Client {
    /// A KILL as text, which is still at the front of the inbox.
    pub async fn kill(&mut self, header: Header, text: &[u8], facts: &Facts) -> Result<(), End> {
        if self.kill_is_ours(&facts.features) {
            return self.kill_client(text, facts).await;
        }
        let mut said = rewritten_for_good(text, &facts.features, self.session.dialect, self.id);
        if let Some(variable) = sql::killed_variable(text, self.session.dialect) {
            if let Err(error) = self.ready_at(facts).await {
                self.skip().await?;
                return self.refuse(error).await.map(drop);
            }
            said = self.kill_of_value(text, variable).await;
        }
        if let Some(text) = said {
            let facts = sql::analyse(&text, self.session.dialect);
            if self.kill_is_ours(&facts.features) {
                return self.kill_client(&text, &facts).await;
            }
        }
        self.plain_query(header, facts, true).await
    }

    /// What a KILL of a user variable says with the value in its place.
    async fn kill_of_value(&mut self, text: &[u8], range: Range<usize>) -> Option<Vec<u8>> {
        let connection = self.connection.as_mut()?;
        // A SELECT would change what the session may ask of its last one, and what a SET changes is told.
        let asked = [b"SET @@SESSION.last_insert_id=", &text[range.clone()]].concat();
        connection.sessions.last = u64::MAX;
        let answer = connection.run(Command::QUERY, &connection.as_query(&asked)).await;
        if answer.is_err() {
            self.connection = None;
            self.sever();
        }
        let (Ok(Answer::Ok), Some(connection)) = (answer, &mut self.connection) else {
            return None;
        };
        let told = connection.told.get(b"last_insert_id")?;
        let id: u64 = std::str::from_utf8(told).ok()?.parse().ok()?;
        connection.insert_id = Some(id);
        let id = id.to_string();
        Some([&text[..range.start], id.as_bytes(), &text[range.end..]].concat())
    }

    /// A KILL of a client of ours, sent as text or prepared as such; the request is still at the front of the inbox.
    pub async fn kill_client(&mut self, text: &[u8], facts: &Facts) -> Result<(), End> {
        self.skip().await?;
        let features = &facts.features;
        if self.kills_itself(features) {
            return self.kill_itself(text, facts).await;
        }
        let Some((text, aim)) = self.rewrite_kill(text, features) else {
            return self.kill_unbound(features).await;
        };
        self.aim = Some(aim);
        let done = self.rewritten_query(self.query_prefix(), &text, facts).await;
        self.aim = None;
        done
    }

    /// What comes before the text of a QUERY, of a client that gives it no attributes.
    fn query_prefix(&self) -> Vec<u8> {
        let mut prefix = vec![Command::QUERY.0];
        if self.capabilities.has(Capabilities::QUERY_ATTRIBUTES) {
            prefix.extend_from_slice(&[0, 1]);
        }
        prefix
    }

    /// The statement with the server's id in place of ours, if the client that is meant has a server connection.
    fn rewrite_kill(&self, text: &[u8], features: &Features) -> Option<(Vec<u8>, Box<Aim>)> {
        let kill = features.kill.as_ref()?;
        let (range, id) = (kill.id_range()?, kill.id?);
        let aim = self.aim(id, kill.target == KillTarget::Connection)?;
        let (_, thread) = aim.place?;
        let mut out = text[..range.start].to_vec();
        out.extend_from_slice(thread.to_string().as_bytes());
        out.extend_from_slice(&text[range.end..]);
        Some((out, aim))
    }

    /// The order has to reach the server that the connection is of.
    pub async fn bind_for_kill(&mut self, kill: &Kill) -> Result<(), BackendError> {
        let entry = kill.id.and_then(|id| self.target(id));
        if let Some(entry) = &entry {
            entry.set_dying(kill.target == KillTarget::Connection);
        }
        match self.aim.as_ref().and_then(|aim| aim.place) {
            Some((server, _)) if server != self.server.index => self.visit(server).await,
            _ => self.bind().await,
        }
    }

    /// Where the client's connection is, and stays until the statement is over.
    fn aim(&self, id: u64, ends_session: bool) -> Option<Box<Aim>> {
        let mut aim = Aim::at(self.target(id)?);
        aim.ends_session = ends_session;
        Some(Box::new(aim))
    }

    fn target(&self, id: u64) -> Option<Arc<Entry>> {
        self.worker.shared.registry.get(u32::try_from(id).ok()?)
    }

    /// Whether the statement is a KILL of this very client by its number.
    fn kills_itself(&self, features: &Features) -> bool {
        let id = features.kill.as_ref().and_then(|kill| kill.id);
        features.verb == Verb::Kill && id == Some(self.id.into())
    }

    /// Only a server connection can be killed so that the server has something to say of it.
    async fn kill_itself(&mut self, text: &[u8], facts: &Facts) -> Result<(), End> {
        let features = &facts.features;
        if let Err(error) = self.bind().await {
            return self.refuse(error).await.map(drop);
        }
        let text = self.rewrite_kill(text, features).unzip().0.unwrap_or_default();
        let mut payload = self.query_prefix();
        payload.extend_from_slice(&text);
        let goes = features
            .kill
            .as_ref()
            .is_some_and(|kill| kill.target == KillTarget::Connection);
        if goes {
            // The server closes its end after the answer: nobody else may get this connection.
            self.session.hold_state_for_good();
            self.entry.set_dying(true);
        }
        self.pass_payload(&payload, Expect::Results, facts).await?;
        if goes { Err(End::Killed) } else { Ok(()) }
    }

    /// Whether the id meant can only be one of ours. Others are the server's: it knows what to do with them.
    pub fn kill_is_ours(&self, features: &Features) -> bool {
        let id = features.kill.as_ref().and_then(|kill| kill.id);
        features.verb == Verb::Kill && id.is_some_and(Registry::is_own_id)
    }

    /// Once the server has taken the order, the client that is meant goes too.
    pub fn after_kill(&self, features: &Features, done: bool) {
        if !done {
            self.spare_client(features);
        }
        let Some(kill) = features
            .kill
            .as_ref()
            .filter(|_| done && features.verb == Verb::Kill)
        else {
            return;
        };
        match (&kill.target, kill.id) {
            (KillTarget::Connection, Some(id)) => self.end_client(id),
            (KillTarget::Query, Some(id)) => self.cancel_statement(id),
            _ => {}
        }
    }

    /// The server has refused the order.
    fn spare_client(&self, features: &Features) {
        let id = features.kill.as_ref().and_then(|kill| kill.id);
        if let Some(entry) = id.and_then(|id| self.target(id)) {
            entry.set_dying(false);
        }
    }

    fn end_client(&self, id: u64) {
        if let (Some(entry), Ok(id)) = (self.target(id), u32::try_from(id)) {
            // Its thread may have its next statement before it has the letter.
            entry.kill();
            self.worker.shared.interrupt(entry.worker, id, Interrupt::Kill);
        }
    }

    /// What it runs may wait here for another server than the one that was told.
    fn cancel_statement(&self, id: u64) {
        if let (Some(entry), Ok(id)) = (self.target(id), u32::try_from(id))
            && !entry.is_idle()
        {
            entry.cancel();
            self.worker.shared.cancel(entry.worker, id);
        }
    }

    /// The client that is meant has no server connection now: nothing runs, and no server knows it.
    async fn kill_unbound(&mut self, features: &Features) -> Result<(), End> {
        let Some(kill) = &features.kill else { return Ok(()) };
        let (id, connection) = (
            kill.id.unwrap_or_default(),
            matches!(kill.target, KillTarget::Connection),
        );
        self.kill_idle(id, connection).await
    }

    async fn kill_idle(&mut self, id: u64, connection: bool) -> Result<(), End> {
        let Some(entry) = self.target(id) else {
            return self
                .error(1094, b"HY000", &format!("Unknown thread id: {id}"))
                .await;
        };
        // One's own sessions one may always end.
        if entry.user != self.login.user {
            match self.ask_to_kill(&entry, id, connection).await {
                Ok(Answer::Ok) => {}
                Ok(Answer::Error {
                    code,
                    sqlstate,
                    message,
                }) => return self.error(code, &sqlstate, &message).await,
                Err(error) => return self.refuse(error).await.map(drop),
            }
        }
        let what = if connection {
            self.end_client(id);
            "CONNECTION"
        } else {
            self.cancel_statement(id);
            "QUERY"
        };
        if let Err(error) = self.kill_what_it_took(entry, what).await {
            return self.refuse(error).await.map(drop);
        }
        self.ok().await
    }

    /// It may have got a connection since it was seen without, and run something there.
    async fn kill_what_it_took(&mut self, entry: Arc<Entry>, what: &str) -> Result<(), BackendError> {
        let aim = Aim::at(entry);
        let Some((server, thread)) = aim.place else {
            return Ok(());
        };
        self.visit(server).await?;
        if let Some(own) = &mut self.connection {
            let sql = own.as_query(format!("KILL {what} {thread}").as_bytes());
            // That it is gone already is what was wanted.
            own.run(Command::QUERY, &sql).await?;
        }
        drop(aim);
        self.unbind();
        Ok(())
    }

    /// Somebody ends the statement, the session, or the whole proxy, while it waits.
    pub fn called_off(&self) -> BackendError {
        match self.signal.get() {
            Some(Interrupt::Stop) => BackendError::Stopping,
            Some(Interrupt::Kill) => BackendError::Killed,
            _ => BackendError::Interrupted,
        }
    }

    /// Whether somebody has ended the statement, or the session. Asked once its connection can be seen.
    pub fn ends_now(&self) -> Option<BackendError> {
        if self.entry.is_killed() {
            return Some(BackendError::Killed);
        }
        self.entry.is_cancelled().then_some(BackendError::Interrupted)
    }

    /// Whether it may be killed is for the server to say: it is shown a connection of the same account, and that
    /// is killed in place of the one that it does not have.
    async fn ask_to_kill(
        &mut self,
        entry: &Entry,
        id: u64,
        connection: bool,
    ) -> Result<Answer, BackendError> {
        self.bind().await?;
        let Some(own) = &mut self.connection else {
            return Err(BackendError::Stopping);
        };
        let server = own.server.clone();
        let key = Key {
            server: server.index,
            has_schema: false,
            ..entry.key.clone()
        };
        let pools = &self.worker.pools;
        let (pool, state) = (pools.pool(&key), State::default());
        let nobody = Attributes {
            block: &[],
            is_login: false,
            filler: [0; FILLER],
        };
        let victim = match pools.acquire(&server, (&key, &pool), None, &state, nobody).await {
            // It may not log in any more, which is a reason to end its sessions.
            Err(BackendError::Refused { .. }) => return self.may_kill_all(id).await,
            victim => victim?,
        };
        let (thread, what) = (
            victim.thread.to_string(),
            if connection { "CONNECTION" } else { "QUERY" },
        );
        let sql = own.as_query(format!("KILL {what} {thread}").as_bytes());
        let mut answer = own.run(Command::QUERY, &sql).await?;
        self.session.row_count = 0;
        if let Answer::Error { message, .. } = &mut answer {
            *message = message.replace(&thread, &id.to_string());
            self.session.row_count = -1;
            pools.give_back(&pool, victim);
        }
        self.unbind();
        Ok(answer)
    }

    /// Whether the account may kill whom it likes, by its own grants.
    async fn may_kill_all(&mut self, id: u64) -> Result<Answer, BackendError> {
        let Some(own) = &mut self.connection else {
            return Err(BackendError::Stopping);
        };
        let grants = own.list(b"SHOW GRANTS").await;
        self.session.row_count = 0;
        self.unbind();
        if grants?.iter().any(|grant| allows_any_kill(grant)) {
            return Ok(Answer::Ok);
        }
        self.session.row_count = -1;
        Ok(Answer::Error {
            code: 1095,
            sqlstate: *b"HY000",
            message: format!("You are not owner of thread {id}"),
        })
    }

    pub async fn process_kill(&mut self) -> Result<(), End> {
        let payload = self.read().await?;
        let bytes = payload
            .get(1..5)
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or_default();
        let id = u32::from_le_bytes(bytes);
        let gone = !self.server.is_mariadb() && self.server_number() >= WITHOUT_PROCESS_KILL;
        let aim = self.aim(id.into(), true).filter(|_| !gone);
        let place = aim.as_ref().and_then(|aim| aim.place);
        let is_ours = aim.is_some() || Registry::is_own_id(id.into()) && !gone;
        match place {
            None if is_ours => self.kill_idle(id.into(), true).await,
            place => {
                self.aim = aim;
                let mut payload = vec![Command::PROCESS_KILL.0];
                let thread = place.map_or(id, |(_, thread)| thread as u32);
                payload.extend_from_slice(&thread.to_le_bytes());
                let mut facts = Facts::default();
                // It has to reach the server that the connection is of, as a KILL does.
                facts.features.kill = Some(Kill::of_connection(id.into()));
                let outcome = self.pass_payload(&payload, Expect::Results, &facts).await?;
                self.aim = None;
                if outcome.error.is_none() {
                    self.end_client(id.into());
                } else {
                    self.spare_client(&facts.features);
                }
                Ok(())
            }
        }
    }

    fn server_number(&self) -> u32 {
        let profile = self.worker.shared.profile();
        profile.map_or(0, |profile| profile.number())
    }

    /// Reads the whole request at the front of the inbox.
    pub async fn read(&mut self) -> Result<Vec<u8>, End> {
        let limit = self.worker.shared.settings().config.limits.max_allowed_packet;
        match super::request::read_packet(&mut self.link, limit).await {
            Ok(payload) => Ok(payload),
            Err(error) => Err(self.client_failed(&error).await),
        }
    }
}

/// Of a row of SHOW GRANTS: whether it is about everything, and lets kill other accounts' connections.
fn allows_any_kill(grant: &[u8]) -> bool {
    const WORDS: [&str; 4] = ["ALL PRIVILEGES", "SUPER", "CONNECTION_ADMIN", "CONNECTION ADMIN"];
    let text = String::from_utf8_lossy(grant);
    let Some((rights, _)) = text.split_once(" ON *.* TO ") else {
        return false;
    };
    rights.split("GRANT ").nth(1).is_some_and(|rights| {
        let mut rights = rights.split(',').map(str::trim);
        rights.any(|right| WORDS.contains(&right))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_global_rights_to_kill_count() {
        for grant in [
            "\x2aGRANT ALL PRIVILEGES ON *.* TO `root`@`%` WITH GRANT OPTION",
            "\x2aGRANT SELECT, SUPER ON *.* TO `a`@`%`",
            "\x2aGRANT CONNECTION_ADMIN,ROLE_ADMIN ON *.* TO `a`@`%`",
            "\x2aGRANT CONNECTION ADMIN ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*1'",
        ] {
            assert!(allows_any_kill(grant.as_bytes()), "{grant}");
        }
        for grant in [
            "\x2aGRANT USAGE ON *.* TO `SUPER`@`%`",
            "\x2aGRANT ALL PRIVILEGES ON `app`.* TO `a`@`%`",
            "\x2aGRANT PROCESS ON *.* TO `a`@`%`",
            "",
        ] {
            assert!(!allows_any_kill(grant.as_bytes()), "{grant}");
        }
    }
}
