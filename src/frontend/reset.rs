//! RESET_CONNECTION and CHANGE_USER: a session begins anew on the same client connection.

use std::sync::Arc;

use super::audit::Event;
use super::authentication::{Accepted, Exchange, Proof, logged};
use super::client::{Client, FIRST};
use super::login::dialect;
use super::outcome::End;
use super::reply;
use crate::accounts::{ClientAddress, Refusal};
use crate::backend::Profile;
use crate::session::Session;
use crate::sql::Facts;
use crate::wire::change_user::ChangeUser;

/// MariaDB lets nobody guess passwords for longer.
const MOST_FAILED_CHANGES: u8 = 3;

// === impl Client ===

impl Client {
    /// What the server would have forgotten is forgotten: the session gets a connection like one just reset.
    pub async fn reset_connection(&mut self) -> Result<(), End> {
        self.skip().await?;
        if let Err(error) = self.ready_at(&Facts::default()).await {
            return self.refuse(error).await.map(drop);
        }
        let Some(connection) = &mut self.connection else {
            return Err(End::Broken);
        };
        if let Err(error) = connection.reset().await {
            self.connection = None;
            self.refuse(error).await?;
            return Err(End::ServerLost);
        }
        self.session.reset();
        self.begin_seeing();
        self.replay.forget();
        self.leave_gate();
        self.policy = self.configured_policy;
        self.trace = Default::default();
        self.evidence.keep_warnings(Vec::new());
        self.steering.forget_all();
        self.login.key.was_reset = true;
        self.seats.clear();
        self.unbind();
        self.ok().await
    }

    /// Another account on the same connection: everything of the old session goes.
    pub async fn change_user(&mut self) -> Result<(), End> {
        let payload = self.read().await?;
        let Ok(request) = ChangeUser::parse(&payload, self.capabilities) else {
            self.error(1047, b"08S01", "Unknown command").await?;
            return Err(End::Malformed);
        };
        if self.login.failed_changes >= MOST_FAILED_CHANGES {
            return self.error(1047, b"08S01", "Unknown command").await;
        }
        self.leave();
        let Some(profile) = self.worker.shared.profile() else {
            return Err(End::ServerLost);
        };
        let from = self
            .address
            .map_or(ClientAddress::Local, |address| ClientAddress::Ip(address.ip()));
        let mut exchange = Exchange {
            link: &mut self.link,
            worker: &self.worker,
            sequence: FIRST,
            capabilities: self.capabilities,
        };
        let proof = Proof {
            user: request.user,
            reply: request.auth,
            plugin: request.plugin,
            scramble: self.login.scramble,
            change_user: true,
        };
        let accepted = exchange.run(proof, from, &profile).await;
        let sequence = exchange.sequence;
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(Some(refusal)) => {
                return Box::pin(self.refuse_change(sequence, &refusal, &profile)).await;
            }
            Err(None) => return Err(End::Gone),
        };
        let per_user = self.worker.shared.settings().config.limits.per_user;
        if let Err(text) = accepted.count(&mut self.place, request.user, per_user) {
            return Err(self.dismiss(sequence, 1226, b"42000", &text).await);
        }
        self.become_user(&request, accepted, &profile);
        self.welcome(sequence).await?;
        self.tell_audit(Event::ChangeUser, |record| record);
        Ok(())
    }

    /// Nobody that it may be. On MariaDB the client stays who it was, in a new session; MySQL hangs up.
    async fn refuse_change(&mut self, sequence: u8, refusal: &Refusal, profile: &Profile) -> Result<(), End> {
        let (code, sqlstate, message) = (refusal.code, &refusal.sqlstate, &refusal.message);
        if !profile.is_mariadb() {
            self.why = Some(logged(refusal));
            return Err(self.dismiss(sequence, code, sqlstate, message).await);
        }
        tracing::info!(
            client = self.id,
            reason = logged(refusal),
            "change of the user refused"
        );
        self.tell_failed_change(code, message);
        self.login.failed_changes += 1;
        let schema = self.session.state.schema.take();
        self.begin_session(schema, profile);
        let packet = reply::error(sequence, self.capabilities, code, sqlstate, message);
        self.link.send(&packet).await.map_err(|_| End::Broken)
    }

    fn tell_failed_change(&self, code: u16, message: &str) {
        self.tell_audit(Event::LoginFailed, |record| {
            record.with("reason", format!("change of the user: {code} {message}"))
        });
    }

    /// The client stays nobody: its connection ends.
    async fn dismiss(&mut self, sequence: u8, code: u16, sqlstate: &[u8; 5], message: &str) -> End {
        self.tell_failed_change(code, message);
        let packet = reply::error(sequence, self.capabilities, code, sqlstate, message);
        let _ = self.link.send(&packet).await;
        self.why.get_or_insert_with(|| format!("{code} {message}"));
        End::LoginFailed
    }

    /// Begins the new account's session.
    fn become_user(&mut self, request: &ChangeUser<'_>, accepted: Accepted, profile: &Profile) {
        let key = &mut self.login.key;
        key.identity = accepted.identity;
        key.collation = request.collation.unwrap_or(key.collation);
        self.login.user = request.user.to_vec();
        if let Some(attributes) = request.attributes {
            self.login.attributes = attributes.into();
        }
        self.account_level = accepted.consistency;
        self.configured_policy = self.policy_from(accepted.consistency);
        self.begin_session(request.database.map(Into::into), profile);
        self.enlist();
    }

    /// As after a login of the account that the client has now.
    fn begin_session(&mut self, schema: Option<Arc<[u8]>>, profile: &Profile) {
        let key = &mut self.login.key;
        key.has_schema = schema.is_some();
        key.was_reset = false;
        self.seats.clear();
        self.session = Session::new(dialect(profile, self.login.key.collation));
        self.evidence.keep_warnings(Vec::new());
        self.session.state.schema = schema;
        self.begin_seeing();
        self.policy = self.configured_policy;
        self.trace = Default::default();
        self.select_rules();
    }
}
