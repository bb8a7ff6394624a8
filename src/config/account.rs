//! Who may log in: the servers' own accounts, accounts listed in the file, or both.

use super::HostPattern;
use crate::util::Secret;

/// Where accounts come from. A listed account wins over a server's account of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounts {
    /// Clients may log in with the servers' own accounts.
    pub backend: bool,
    pub listed: Vec<Account>,
}

/// An account listed in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    /// Where the client may come from; never empty.
    pub hosts: Vec<HostPattern>,
    pub credential: AccountCredential,
    pub plugin: AccountPlugin,
    pub backend: BackendLogin,
    /// Open client connections at once; `None`: only `limits.per_user` counts.
    pub max_connections: Option<u32>,
}

/// What the proxy knows of an account's password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountCredential {
    /// The password itself; empty means that the client sends none.
    Password(Secret),
    /// SHA1(SHA1(password)), 20 bytes: what `mysql_native_password` stores on a server.
    NativeHash(Secret),
}

/// How a client of a listed account proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountPlugin {
    /// The plugin that the primary names in its own greeting.
    Mirror,
    MysqlNativePassword,
    CachingSha2Password,
    Ed25519,
    Parsec,
}

/// The name and password that the proxy uses at the servers for an account's clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackendLogin {
    /// The client's own.
    Same,
    Other(Login),
}

/// A name and its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: Secret,
}
