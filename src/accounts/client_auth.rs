//! The proxy's side of a client's login: from the client's first reply to a verdict, without any I/O.
//!
//! Each of the account's methods is tried in turn, with a switch of plugin where the client used another one.
//! What the account demands besides the password is looked at only after it, as servers do, so that a stranger
//! learns nothing of an account.

use zeroize::Zeroizing;

use crate::util::Secret;
use crate::wire::auth::scramble::{ED25519_NONCE, ed25519_nonce};
use crate::wire::auth::{Plugin, Scramble, clear, crypt, ed25519, message, native, sha2};

use super::account::{Account, Method, Transport};
use super::refusal::{self, Flavour, Refusal};
use super::{Accounts, Credential};

/// What a client's login packet or COM_CHANGE_USER says.
#[derive(Clone, Copy)]
pub struct ClientLogin<'a> {
    /// The name that the client gave, which is not the account's when that is anonymous.
    pub user: &'a [u8],
    pub reply: &'a [u8],
    /// `None` from a client without the PLUGIN_AUTH capability, which can only do `mysql_native_password`.
    pub plugin: Option<&'a [u8]>,
    /// The scramble that the reply was made with: the one in the proxy's greeting.
    pub scramble: Scramble,
    pub channel: ClientChannel,
    /// This is COM_CHANGE_USER, where servers ask every client to reply once more.
    pub change_user: bool,
    /// The client has the capability to go on with an expired password.
    pub can_handle_expired: bool,
}

/// How safe the client's connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientChannel {
    /// Nobody can read it: TLS or a Unix socket.
    pub secure: bool,
    pub tls: bool,
    /// The client showed a certificate, and it was verified.
    pub certificate: bool,
}

/// One login under way.
pub struct ClientAuth {
    account: Account,
    user: Vec<u8>,
    scramble: Scramble,
    channel: ClientChannel,
    can_handle_expired: bool,
    can_switch: bool,
    change_user: bool,
    using_password: bool,
    /// The account's method that is being tried.
    method: usize,
    expected: Expected,
}

/// The packet that should come next.
#[derive(Clone, Copy)]
enum Expected {
    Nothing,
    Reply(Plugin),
    Signature([u8; ED25519_NONCE]),
    /// The password, or this byte, which asks for the public key.
    Password {
        key_request: u8,
    },
    EncryptedPassword,
}

/// What to do now: send the payload if there is one, then go on.
#[derive(Debug)]
pub struct ClientStep {
    pub send: Option<Vec<u8>>,
    pub then: Then,
}

#[derive(Debug)]
pub enum Then {
    /// Wait for the client's next packet.
    Read,
    /// The client is who it says. The OK packet is the caller's to send.
    Accept(Credential),
    Refuse(Refusal),
}

enum Verdict {
    Right(Credential),
    Wrong,
    /// Only the password itself can tell.
    NeedsPassword,
}

// === impl ClientStep ===

impl ClientStep {
    fn read_after(payload: Vec<u8>) -> Self {
        Self {
            send: Some(payload),
            then: Then::Read,
        }
    }

    pub(super) fn refuse(refusal: Refusal) -> Self {
        Self {
            send: None,
            then: Then::Refuse(refusal),
        }
    }
}

// === impl ClientAuth ===

impl ClientAuth {
    pub(super) fn begin(accounts: &Accounts, account: Account, login: ClientLogin<'_>) -> (Self, ClientStep) {
        let mut auth = Self {
            account,
            user: login.user.to_vec(),
            scramble: login.scramble,
            channel: login.channel,
            can_handle_expired: login.can_handle_expired,
            can_switch: login.plugin.is_some(),
            change_user: login.change_user,
            using_password: !is_empty(login.reply),
            method: 0,
            expected: Expected::Nothing,
        };
        let plugin = match login.plugin {
            None => Some(Plugin::Native),
            Some(name) => Plugin::from_name(name),
        };
        let reply = Some(login.reply).filter(|_| !(login.change_user && auth.can_switch));
        let step = auth.try_methods(accounts, plugin, reply);
        (auth, step)
    }

    /// Takes the client's next packet. A first full login costs milliseconds of processor time.
    pub fn receive(&mut self, accounts: &Accounts, packet: &[u8]) -> ClientStep {
        match std::mem::replace(&mut self.expected, Expected::Nothing) {
            Expected::Nothing => self.refused(),
            Expected::Reply(plugin) => {
                self.using_password |= !is_empty(packet);
                self.judge(accounts, plugin, packet)
            }
            Expected::Signature(nonce) => {
                self.using_password = true;
                self.judge_signature(accounts, &nonce, packet)
            }
            Expected::Password { key_request } => {
                self.using_password |= !is_empty(packet);
                self.judge_password_packet(accounts, key_request, packet)
            }
            Expected::EncryptedPassword => self.judge_encrypted(accounts, packet),
        }
    }

    /// Goes on with the first method from here on that can be verified. `reply` is the one in the login packet,
    /// good for the first method if the client's plugin is the method's.
    fn try_methods(
        &mut self,
        accounts: &Accounts,
        client: Option<Plugin>,
        reply: Option<&[u8]>,
    ) -> ClientStep {
        while let Some(method) = self.account.methods.get(self.method) {
            let Some(wanted) = self.wanted(method, client) else {
                self.method += 1;
                continue;
            };
            return match reply {
                Some(reply)
                    if client == Some(wanted) && !matches!(wanted, Plugin::Ed25519 | Plugin::Sha256) =>
                {
                    self.judge(accounts, wanted, reply)
                }
                _ if !self.can_switch => self.end(refusal::old_client()),
                _ => self.switch_to(wanted),
            };
        }
        self.refused()
    }

    /// The plugin that a method wants of a client that uses `client` by itself.
    fn wanted(&self, method: &Method, client: Option<Plugin>) -> Option<Plugin> {
        match method {
            Method::Unsupported(_) => None,
            Method::Password {
                plugin: Some(Plugin::Clear),
                ..
            } if !self.channel.secure => None,
            Method::Password {
                plugin: Some(plugin), ..
            } => Some(*plugin),
            Method::Password { plugin: None, .. } => Some(match (client, self.account.flavour) {
                (Some(own @ (Plugin::Native | Plugin::CachingSha2)), _) => own,
                (_, Flavour::MySql) => Plugin::CachingSha2,
                (_, Flavour::MariaDb) => Plugin::Native,
            }),
            Method::Empty(plugin) => Some(*plugin),
            Method::Native(_) => Some(Plugin::Native),
            Method::CachingSha2(_) => Some(Plugin::CachingSha2),
            Method::Sha256(_) => Some(Plugin::Sha256),
        }
    }

    fn switch_to(&mut self, plugin: Plugin) -> ClientStep {
        // The servers' `mysql_native_password` says the greeting's scramble again, and libmariadb relies on that.
        if self.change_user && plugin != Plugin::Native {
            self.scramble = Scramble::generate().unwrap_or(self.scramble);
        }
        match plugin {
            Plugin::Native | Plugin::CachingSha2 => {
                self.expected = Expected::Reply(plugin);
                ClientStep::read_after(message::switch_with_scramble(plugin.name(), &self.scramble))
            }
            Plugin::Sha256 => {
                self.expected = Expected::Password {
                    key_request: sha2::SHA256_REQUEST_PUBLIC_KEY,
                };
                ClientStep::read_after(message::switch_with_scramble(plugin.name(), &self.scramble))
            }
            Plugin::Clear => {
                self.expected = Expected::Reply(plugin);
                ClientStep::read_after(message::switch(plugin.name(), &[]))
            }
            Plugin::Ed25519 => match ed25519_nonce() {
                Ok(nonce) => {
                    self.expected = Expected::Signature(nonce);
                    ClientStep::read_after(message::switch(plugin.name(), &nonce))
                }
                Err(_) => self.end(refusal::internal()),
            },
        }
    }

    fn judge(&mut self, accounts: &Accounts, plugin: Plugin, reply: &[u8]) -> ClientStep {
        match self.verdict(accounts, plugin, reply) {
            Verdict::Right(credential) => {
                // Clients wait for this after a reply, but not after an empty one.
                let fast = plugin == Plugin::CachingSha2 && credential != Credential::Empty;
                self.accept(credential, fast)
            }
            Verdict::Wrong => self.next_method(accounts),
            Verdict::NeedsPassword => {
                self.expected = Expected::Password {
                    key_request: sha2::REQUEST_PUBLIC_KEY,
                };
                ClientStep::read_after(message::more(&[sha2::FULL]))
            }
        }
    }

    fn verdict(&self, accounts: &Accounts, plugin: Plugin, reply: &[u8]) -> Verdict {
        let right = match self.account.methods.get(self.method) {
            Some(Method::Empty(_)) => is_empty(reply).then_some(Credential::Empty),
            Some(Method::Password { password, .. }) => verify(plugin, password, reply, &self.scramble)
                .then(|| Credential::Password(password.clone())),
            Some(Method::Native(stored)) => stored
                .iter()
                .find_map(|stored| native::verify(reply, &self.scramble, stored))
                .map(|hash| Credential::native_hash(&hash)),
            Some(Method::CachingSha2(stored)) => return self.sha2_verdict(accounts, stored, reply),
            // It sends the password itself; see `judge_password`.
            Some(Method::Sha256(_)) => None,
            Some(Method::Unsupported(_)) | None => None,
        };
        right.map_or(Verdict::Wrong, Verdict::Right)
    }

    fn sha2_verdict(&self, accounts: &Accounts, stored: &[crypt::Stored], reply: &[u8]) -> Verdict {
        if reply.len() != sha2::LENGTH {
            return Verdict::Wrong;
        }
        let Account {
            user, host_pattern, ..
        } = &self.account;
        match accounts
            .passwords()
            .verify(user, host_pattern, stored, reply, &self.scramble)
        {
            Some(password) => Verdict::Right(Credential::Password(password)),
            None => Verdict::NeedsPassword,
        }
    }

    fn judge_signature(
        &mut self,
        accounts: &Accounts,
        nonce: &[u8; ED25519_NONCE],
        reply: &[u8],
    ) -> ClientStep {
        let credential = match self.account.methods.get(self.method) {
            Some(Method::Password { password, .. })
                if ed25519::verify(reply, nonce, &ed25519::public_key(password.expose())) =>
            {
                Credential::Password(password.clone())
            }
            // Without a password, the client signs with an empty one.
            Some(Method::Empty(_)) if ed25519::verify(reply, nonce, &ed25519::public_key(b"")) => {
                Credential::Empty
            }
            _ => return self.next_method(accounts),
        };
        self.accept(credential, false)
    }

    fn judge_password_packet(&mut self, accounts: &Accounts, key_request: u8, packet: &[u8]) -> ClientStep {
        // No password looks like this: a zero would end it. For `sha256_password`, clients ask on Unix sockets too.
        if packet == [key_request] {
            self.expected = Expected::EncryptedPassword;
            return ClientStep::read_after(message::more(accounts.keys().public_pem().as_bytes()));
        }
        if self.channel.secure || is_empty(packet) {
            return self.judge_password(accounts, clear::password(packet).unwrap_or_default());
        }
        self.judge_encrypted(accounts, packet)
    }

    fn judge_encrypted(&mut self, accounts: &Accounts, cipher: &[u8]) -> ClientStep {
        let password: Option<Zeroizing<Vec<u8>>> = accounts.keys().decrypt(cipher, &self.scramble);
        self.judge_password(accounts, password.as_ref().map_or(&[], |password| &password[..]))
    }

    /// An empty password stands for none, and for one that could not be read.
    fn judge_password(&mut self, accounts: &Accounts, password: &[u8]) -> ClientStep {
        let Account {
            user,
            host_pattern,
            methods,
            ..
        } = &self.account;
        let right = match methods.get(self.method) {
            Some(Method::Empty(_)) => password.is_empty(),
            Some(Method::Password { password: known, .. }) => Secret::from(password) == *known,
            Some(Method::Sha256(stored)) if !password.is_empty() => {
                stored.iter().any(|stored| stored.verify(password))
            }
            Some(Method::CachingSha2(stored)) if !password.is_empty() => {
                let right = stored.iter().find(|stored| stored.verify(password));
                if let Some(stored) = right {
                    accounts
                        .passwords()
                        .remember(user, host_pattern, stored, password);
                }
                right.is_some()
            }
            _ => false,
        };
        match right {
            true => self.accept(Credential::password(password), false),
            false => self.next_method(accounts),
        }
    }

    fn next_method(&mut self, accounts: &Accounts) -> ClientStep {
        self.method += 1;
        self.try_methods(accounts, None, None)
    }

    /// The password was right; what else does the account demand?
    fn accept(&mut self, credential: Credential, fast: bool) -> ClientStep {
        let denied = || refusal::access_denied(&self.user, &self.account.client_host, self.using_password);
        let transport = match self.account.transport {
            Transport::Any => true,
            Transport::Tls => self.channel.tls,
            Transport::Certificate => self.channel.certificate,
            Transport::Particular => false,
        };
        let refusal = if !transport {
            Some(denied().because("the account demands another kind of TLS connection"))
        } else if self.account.locked {
            Some(refusal::account_locked(
                self.account.flavour,
                &self.user,
                &self.account.client_host,
            ))
        } else if self.account.password_expired && self.account.refuses_expired && !self.can_handle_expired {
            Some(refusal::password_expired(self.account.flavour))
        } else {
            None
        };
        ClientStep {
            send: fast.then(|| message::more(&[sha2::FAST_OK])),
            then: refusal.map_or(Then::Accept(credential), Then::Refuse),
        }
    }

    /// No method is left. If none could even be tried, the client learns the plugin's name, as from a server
    /// that lacks it.
    fn refused(&mut self) -> ClientStep {
        let mut unsupported = self.account.methods.iter().map(|method| match method {
            Method::Unsupported(plugin) => Some(plugin.as_str()),
            _ => None,
        });
        let refusal = match unsupported.next().flatten() {
            Some(plugin) if unsupported.all(|other| other.is_some()) => refusal::unsupported_plugin(plugin),
            _ => refusal::access_denied(&self.user, &self.account.client_host, self.using_password),
        };
        self.end(refusal)
    }

    fn end(&mut self, refusal: Refusal) -> ClientStep {
        self.expected = Expected::Nothing;
        self.method = self.account.methods.len();
        ClientStep::refuse(refusal)
    }
}

/// Clients without a password send nothing, or a lone zero.
fn is_empty(reply: &[u8]) -> bool {
    matches!(reply, [] | [0])
}

/// Whether a reply was made with a password that is known here.
fn verify(plugin: Plugin, password: &Secret, reply: &[u8], scramble: &Scramble) -> bool {
    let bytes = password.expose();
    match plugin {
        Plugin::Native => native::verify(reply, scramble, &native::stored(&native::stage1(bytes))).is_some(),
        Plugin::CachingSha2 => sha2::verify(reply, scramble, &sha2::stage2(&sha2::stage1(bytes))).is_some(),
        Plugin::Clear => clear::password(reply).is_some_and(|given| Secret::from(given) == *password),
        // These have a reply of their own kind; see `judge_signature` and `judge_password`.
        Plugin::Ed25519 | Plugin::Sha256 => false,
    }
}
