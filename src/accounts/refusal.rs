//! Why a login is refused: the servers' own errors, by flavour.

/// Which family of servers stands behind the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavour {
    MySql,
    MariaDb,
}

/// The end of a login that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: u16,
    pub sqlstate: [u8; 5],
    /// For the client.
    pub message: String,
    /// For the log: what the client is not told.
    pub reason: String,
}

// === impl Flavour ===

impl Flavour {
    /// By the version that a server's greeting or `@@version` shows.
    pub fn from_version(version: &str) -> Self {
        match version.contains("MariaDB") {
            true => Self::MariaDb,
            false => Self::MySql,
        }
    }

    fn server(self) -> &'static str {
        match self {
            Self::MySql => "MySQL",
            Self::MariaDb => "MariaDB",
        }
    }
}

/// ER_NET_READ_ERROR: no other refusal has this code.
const UNREACHABLE: u16 = 1158;
const WRONG: u16 = 1045;

// === impl Refusal ===

impl Refusal {
    fn new(code: u16, sqlstate: &[u8; 5], message: String, reason: &str) -> Self {
        Self {
            code,
            sqlstate: *sqlstate,
            message,
            reason: reason.to_owned(),
        }
    }

    pub fn is_wrong_password(&self) -> bool {
        self.code == WRONG
    }

    /// Nobody has judged the login: the accounts could not be read.
    pub fn is_unreachable(&self) -> bool {
        self.code == UNREACHABLE
    }

    pub(super) fn because(self, reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            ..self
        }
    }
}

/// The user as a message shows it: what is not UTF-8 is replaced.
fn shown(user: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(user)
}

/// The answer to a wrong name as well as to a wrong password.
pub fn access_denied(user: &[u8], host: &str, using_password: bool) -> Refusal {
    let used = if using_password { "YES" } else { "NO" };
    let user = shown(user);
    let message = format!("Access denied for user '{user}'@'{host}' (using password: {used})");
    Refusal::new(WRONG, b"28000", message, "wrong user or password")
}

/// No account at all is for clients from this host.
pub fn host_not_allowed(flavour: Flavour, host: &str) -> Refusal {
    let server = flavour.server();
    let message = format!("Host '{host}' is not allowed to connect to this {server} server");
    Refusal::new(1130, b"HY000", message, "no account allows the client's host")
}

pub fn account_locked(flavour: Flavour, user: &[u8], host: &str) -> Refusal {
    let reason = "the account is locked";
    match flavour {
        Flavour::MySql => {
            let user = shown(user);
            let message = format!("Access denied for user '{user}'@'{host}'. Account is locked.");
            Refusal::new(3118, b"HY000", message, reason)
        }
        Flavour::MariaDb => Refusal::new(
            4151,
            b"HY000",
            "Access denied, this account is locked".to_owned(),
            reason,
        ),
    }
}

/// By too many wrong passwords. The times are in days.
pub fn account_blocked(user: &[u8], host: &str, lasts: &str, left: &str, attempts: u32) -> Refusal {
    let user = shown(user);
    let message = format!(
        "Access denied for user '{user}'@'{host}'. Account is blocked for {lasts} day(s) ({left} day(s) remaining) \
         due to {attempts} consecutive failed logins."
    );
    Refusal::new(3955, b"HY000", message, "too many wrong passwords")
}

/// For clients that could not change the password in this session either.
pub fn password_expired(flavour: Flavour) -> Refusal {
    let end = match flavour {
        Flavour::MySql => ".",
        Flavour::MariaDb => "",
    };
    let message = format!(
        "Your password has expired. To log in you must change it using a client that supports expired passwords{end}"
    );
    Refusal::new(1862, b"HY000", message, "the password has expired")
}

/// The plugin by the server's name for it.
pub fn unsupported_plugin(plugin: &str) -> Refusal {
    let message = format!("Plugin '{plugin}' is not loaded");
    let reason = format!(
        "the account uses {plugin}, which cannot be verified here; list the account in the configuration"
    );
    Refusal::new(1524, b"HY000", message, &reason)
}

/// The client cannot be asked to use another plugin.
pub fn old_client() -> Refusal {
    let message = "Client does not support authentication protocol requested by server; consider upgrading \
                   MySQL client";
    Refusal::new(
        1251,
        b"08004",
        message.to_owned(),
        "the client cannot change plugins",
    )
}

pub fn bad_handshake() -> Refusal {
    Refusal::new(
        1043,
        b"08S01",
        "Bad handshake".to_owned(),
        "a reply of the wrong form",
    )
}

/// The accounts could not be read, so nobody can be let in.
pub fn server_unreachable(server: &str, why: &str) -> Refusal {
    let message = format!("cannot read the accounts of server '{server}'");
    Refusal::new(UNREACHABLE, b"08S01", message, why)
}

/// The server has answered, and shows no accounts.
pub fn accounts_unreadable(server: &str, why: &str) -> Refusal {
    let message = format!("cannot read the accounts of server '{server}'");
    Refusal::new(1105, b"HY000", message, why)
}

/// Something failed that should not, like the system's source of random numbers.
pub fn internal() -> Refusal {
    Refusal::new(1105, b"HY000", "Unknown error".to_owned(), "no random numbers")
}
