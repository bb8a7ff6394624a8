//! All that logins share: who may log in, the proxy's RSA keys and the passwords that clients have shown.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::time::Instant;

use crate::wire::auth::KeyPair;

use super::ClientAddress;
use super::account::Account;
use super::client_auth::{ClientAuth, ClientLogin, ClientStep, Then};
use super::directory::{Directory, Whereabouts};
use super::lockouts::Lockouts;
use super::password_cache::PasswordCache;
use super::refusal::{self, Flavour, Refusal};
use super::static_user::StaticUser;

/// Accounts whose wrong passwords are counted; with more of them, all counts begin anew.
const LOCKOUTS: usize = 4096;

/// Passwords kept in memory.
const PASSWORDS: usize = 4096;

/// One for the whole process, used by all threads.
pub struct Accounts {
    /// By name; replaced when the configuration is read again.
    listed: ArcSwap<HashMap<Vec<u8>, Vec<StaticUser>>>,
    directory: Option<Whereabouts>,
    keys: KeyPair,
    passwords: PasswordCache,
    lockouts: Lockouts,
}

/// The accounts could not be set up.
#[derive(Debug, Clone, Copy, Error)]
#[error("no RSA keys could be made")]
pub struct Setup;

fn by_name(listed: Vec<StaticUser>) -> HashMap<Vec<u8>, Vec<StaticUser>> {
    let mut by_name: HashMap<Vec<u8>, Vec<StaticUser>> = HashMap::new();
    for user in listed {
        by_name.entry(user.user.clone()).or_default().push(user);
    }
    by_name
}

// === impl Accounts ===

impl Accounts {
    /// Makes the RSA keys, which takes some tenths of a second. Without `directory`, only listed accounts count.
    pub fn new(listed: Vec<StaticUser>, directory: Option<Whereabouts>) -> Result<Self, Setup> {
        Ok(Self {
            listed: ArcSwap::from_pointee(by_name(listed)),
            directory,
            keys: KeyPair::generate().map_err(|_| Setup)?,
            passwords: PasswordCache::new(PASSWORDS),
            lockouts: Lockouts::new(LOCKOUTS),
        })
    }

    /// Other accounts are listed from now on. Who is logged in stays so.
    pub fn set_listed(&self, listed: Vec<StaticUser>) {
        self.listed.store(Arc::new(by_name(listed)));
    }

    /// Starts to read the servers' own accounts, where they count, on the runtime that runs this.
    pub fn open_directory(&self) -> Option<Directory> {
        self.directory.as_ref().map(Directory::open)
    }

    /// The account that a client with this name and address has to prove, as it is now. `flavour` is what the
    /// proxy's greeting showed. An unknown name is given an account that no password fits, so that the login
    /// goes on and strangers learn nothing.
    pub async fn find(
        &self,
        user: &[u8],
        address: ClientAddress,
        flavour: Flavour,
        directory: Option<&Directory>,
    ) -> Result<Account, Refusal> {
        let host = address.label(address.name(true));
        let listed = self.listed.load_full();
        match (listed.get(user), directory) {
            (Some(listed), _) => Ok(listed
                .iter()
                .find_map(|user| user.account(address, flavour))
                .unwrap_or_else(|| Account::unknown(user, host, flavour))),
            (None, Some(directory)) => directory.find(user, address).await,
            (None, None) if self.allows_anyone_at(address) => Ok(Account::unknown(user, host, flavour)),
            (None, None) => Err(refusal::host_not_allowed(flavour, &host)),
        }
    }

    fn allows_anyone_at(&self, address: ClientAddress) -> bool {
        self.listed
            .load()
            .values()
            .flatten()
            .any(|user| user.allows(address))
    }

    /// Takes up a client's login or COM_CHANGE_USER.
    pub fn begin(&self, account: Account, login: ClientLogin<'_>) -> (ClientAuth, ClientStep) {
        ClientAuth::begin(self, account, login)
    }

    /// How the login has ended for a client that shows to be the account's owner, or does not: not always as it says.
    pub fn judge(&self, account: &Account, then: Then) -> Then {
        let locked = match &then {
            Then::Accept(_) => self.lockouts.passed(account, Instant::now()),
            Then::Refuse(refusal) if refusal.is_wrong_password() => {
                self.lockouts.failed(account, Instant::now())
            }
            _ => None,
        };
        locked.map_or(then, Then::Refuse)
    }

    /// The passwords that clients have shown are forgotten: each login proves its own in full again. Nobody is locked
    /// any more who failed to.
    pub fn forget_passwords(&self) {
        self.passwords.forget_all();
        self.lockouts.forget_all();
    }

    /// What clients encrypt passwords with, where there is no TLS.
    pub fn public_key(&self) -> &str {
        self.keys.public_pem()
    }

    pub(super) fn keys(&self) -> &KeyPair {
        &self.keys
    }

    pub(super) fn passwords(&self) -> &PasswordCache {
        &self.passwords
    }
}
