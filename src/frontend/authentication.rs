//! The exchange in which a client proves who it is, at login and when it changes its user.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::registry::Place;
use super::worker::Worker;
use crate::accounts::{
    Account, ClientAddress, ClientChannel, ClientLogin, Credential, Flavour, Refusal, Then,
};
use crate::backend::{Identity, Profile};
use crate::config::ConsistencyLevel;
use crate::net::Link;
use crate::wire::Capabilities;

/// No packet of the exchange is longer: passwords, encrypted or not.
const LONGEST: usize = 64 << 10;
/// How often accounts are asked for that cannot be read because there is no primary.
const ASK_AGAIN: Duration = Duration::from_millis(100);

pub struct Exchange<'a> {
    pub link: &'a mut Link,
    pub worker: &'a Worker,
    /// The number of the next packet to send.
    pub sequence: u8,
    pub capabilities: Capabilities,
}

/// What the client says for a start.
pub struct Proof<'a> {
    pub user: &'a [u8],
    pub reply: &'a [u8],
    pub plugin: Option<&'a [u8]>,
    pub scramble: [u8; 20],
    /// The client is asked for another reply, whatever the first one is.
    pub change_user: bool,
}

#[derive(Debug)]
pub struct Accepted {
    pub identity: Arc<Identity>,
    pub max_connections: Option<u32>,
    /// How much its reads may miss, where the account has a say in that.
    pub consistency: Option<ConsistencyLevel>,
}

// === impl Accepted ===

impl Accepted {
    /// At the servers the client is who it is here, unless the configuration names somebody else.
    fn new(account: Account, user: &[u8], credential: Credential) -> Self {
        let (max_connections, consistency) = (account.max_connections, account.consistency);
        let identity = match account.backend {
            Some(login) => Identity {
                user: login.user,
                credential: login.credential,
                expired: false,
                version: 0,
            },
            None => Identity {
                user: user.to_vec(),
                credential,
                expired: account.password_expired,
                version: account.version,
            },
        };
        Self {
            identity: Arc::new(identity),
            max_connections,
            consistency,
        }
    }
}

impl Accepted {
    /// Counts the connection for its user; the text says why there are too many already.
    pub fn count(&self, place: &mut Place, user: &[u8], otherwise: Option<u32>) -> Result<(), String> {
        let limit = self.max_connections.or(otherwise);
        place
            .belongs_to(user, limit.map(|limit| limit as usize))
            .map_err(|_| {
                let (user, limit) = (String::from_utf8_lossy(user), limit.unwrap_or_default());
                format!(
                    "User '{user}' has exceeded the 'max_user_connections' resource (current value: {limit})"
                )
            })
    }
}

/// A refusal as the log tells it: with the reason, which is not for the client.
pub fn logged(refusal: &Refusal) -> String {
    format!("{} {}: {}", refusal.code, refusal.message, refusal.reason)
}

// === impl Exchange ===

impl Exchange<'_> {
    /// `Err(None)` means that the client went away.
    pub async fn run(
        &mut self,
        proof: Proof<'_>,
        from: ClientAddress,
        profile: &Profile,
    ) -> Result<Accepted, Option<Refusal>> {
        let flavour = match profile.is_mariadb() {
            true => Flavour::MariaDb,
            false => Flavour::MySql,
        };
        let accounts = &self.worker.shared.accounts;
        let account = self.account(proof.user, from, flavour).await.map_err(Some)?;
        let known = account.clone();
        let login = ClientLogin {
            user: proof.user,
            reply: proof.reply,
            plugin: proof.plugin,
            scramble: proof.scramble.into(),
            channel: self.channel(),
            change_user: proof.change_user,
            can_handle_expired: self.capabilities.has(Capabilities::CAN_HANDLE_EXPIRED_PASSWORDS),
        };
        let (mut auth, mut step) = accounts.begin(account, login);
        loop {
            if let Some(payload) = step.send {
                self.sequence = match step.then {
                    // The OK follows at once, or the error in its place: the client is woken up for both together.
                    Then::Accept(_) => self.link.hold_payload(self.sequence, &payload),
                    _ => {
                        let sent = self.link.send_payload(self.sequence, &payload).await;
                        sent.map_err(|_| None)?
                    }
                };
            }
            match accounts.judge(&known, step.then) {
                Then::Accept(credential) => {
                    return Ok(Accepted::new(known, proof.user, credential));
                }
                Then::Refuse(refusal) => return Err(Some(refusal)),
                Then::Read => {}
            }
            let header = self.link.packet(LONGEST).await.map_err(|_| None)?;
            self.sequence = header.sequence.wrapping_add(1);
            step = auth.receive(accounts, self.link.payload(header));
            self.link.inbox.consume(header.total());
        }
    }

    /// Who comes while there is no primary to ask for accounts waits for one.
    async fn account(&self, user: &[u8], from: ClientAddress, flavour: Flavour) -> Result<Account, Refusal> {
        let shared = &self.worker.shared;
        let directory = self.worker.directory();
        let until = Instant::now() + shared.lot.patience();
        loop {
            let found = shared.accounts.find(user, from, flavour, directory).await;
            let waits = matches!(&found, Err(refusal) if refusal.is_unreachable())
                && shared.waits_for_primary()
                && Instant::now() < until;
            if !waits {
                return found;
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    fn channel(&self) -> ClientChannel {
        let tls = self.link.tls();
        ClientChannel {
            secure: self.link.is_secure(),
            tls: tls.is_some(),
            certificate: tls.is_some_and(|tls| tls.peer_certificates().is_some()),
        }
    }
}
