//! Who may log in: the servers' own accounts, accounts listed in the file, or both.

use super::choice::Choice;
use super::reader::{Field, Section, Unique};
use super::secrets;
use super::values::Bad;
use super::{ConsistencyLevel, HostPattern};
use crate::util::Secret;
use crate::util::hexadecimal;

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
    /// `None`: the listener's.
    pub consistency: Option<ConsistencyLevel>,
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

/// `accounts: backend`.
#[derive(Clone, Copy)]
struct Backend;

impl Choice for Backend {
    const WORDS: &'static [(&'static str, Self)] = &[("backend", Self)];
}

impl Choice for AccountPlugin {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("mirror", Self::Mirror),
        ("mysql_native_password", Self::MysqlNativePassword),
        ("caching_sha2_password", Self::CachingSha2Password),
        ("ed25519", Self::Ed25519),
        ("parsec", Self::Parsec),
    ];
}

// === impl Accounts ===

/// Longest account name that any server takes.
pub(super) const LONGEST_NAME: usize = 128;

impl Accounts {
    /// `backend`, a list of accounts, or a section with both.
    pub(super) fn read(field: &Field<'_>) -> Self {
        if field.is_scalar() {
            field.choice::<Backend>();
            field.nothing(Self::read_section);
            return Self {
                backend: true,
                listed: Vec::new(),
            };
        }
        let accounts = if field.is_list() {
            Self {
                backend: false,
                listed: Account::read_all(field),
            }
        } else {
            field.section(Self::read_section)
        };
        if !accounts.backend && accounts.listed.is_empty() && field.has_no_items() {
            field.report(
                "nobody could log in",
                "write `accounts: backend`, or list accounts",
            );
        }
        accounts
    }

    fn read_section(section: &Section<'_>) -> Self {
        let listed = section.field("static");
        Self {
            backend: section.field("backend").choice_or(!listed.is_given()),
            listed: Account::read_all(&listed),
        }
    }
}

// === impl Account ===

impl Account {
    fn read_all(field: &Field<'_>) -> Vec<Self> {
        let mut unique = Unique::default();
        let mut accounts = Vec::new();
        for item in field.items() {
            if item.is_scalar() {
                item.report(
                    "an account needs more than a name",
                    "write `- name: ...` and `password: ...` under it",
                );
                continue;
            }
            if let Some(account) = item.section(Self::read) {
                for host in &account.hosts {
                    unique.check(&item, "account", &format!("{}@{host}", account.name));
                }
                accounts.push(account);
            }
        }
        accounts
    }

    fn read(section: &Section<'_>) -> Option<Self> {
        let (name, hosts, limit) = (
            section.field("name"),
            section.field("hosts"),
            section.field("max_connections"),
        );
        if !name.is_given() {
            section.whole().report("an account needs a name", "give `name`");
        }
        let name = name.word(LONGEST_NAME);
        let patterns = host_patterns(&hosts);
        let credential = AccountCredential::read(section);
        let plugin = Self::plugin(section, credential.as_ref());
        let backend = BackendLogin::read(section);
        let max_connections = limit.optional_count(1..=1_000_000, None);
        let consistency = section.field("consistency").choice();
        Some(Self {
            name: name?,
            hosts: patterns,
            credential: credential?,
            plugin,
            backend,
            max_connections,
            consistency,
        })
    }

    fn plugin(section: &Section<'_>, credential: Option<&AccountCredential>) -> AccountPlugin {
        let field = section.field("plugin");
        if !matches!(credential, Some(AccountCredential::NativeHash(_))) {
            return field.choice_or(AccountPlugin::Mirror);
        }
        let plugin = field.choice_or(AccountPlugin::MysqlNativePassword);
        if plugin != AccountPlugin::MysqlNativePassword {
            let help = "use mysql_native_password, or give `password` instead of `hash`";
            field.report("this plugin needs the password itself, not a hash", help);
        }
        plugin
    }
}

fn host_patterns(field: &Field<'_>) -> Vec<HostPattern> {
    let pattern = |item: Field<'_>| {
        let allowed = "write a host, an address, a network such as 10.0.0.0/8, or a pattern such as 10.0.%";
        item.parse(allowed, |text| {
            HostPattern::parse(text).ok_or(Bad::NotA("a host pattern"))
        })
    };
    let patterns: Vec<_> = field.items().into_iter().filter_map(pattern).collect();
    if patterns.is_empty() {
        HostPattern::parse("%").into_iter().collect()
    } else {
        patterns
    }
}

// === impl AccountCredential ===

impl AccountCredential {
    fn read(section: &Section<'_>) -> Option<Self> {
        let (password, hash) = (section.field("password"), section.field("hash"));
        match (password.is_given(), hash.is_given()) {
            (true, true) => hash.report("there is a password and a hash", "keep one of them"),
            (false, false) => {
                let help = "give `password` (`\"\"` for none) or `hash`";
                section.whole().report("an account needs a password", help);
            }
            (true, false) => return secrets::secret(&password).map(Self::Password),
            (false, true) => return native_hash(&hash).map(Self::NativeHash),
        }
        None
    }
}

/// `*` and 40 hexadecimal digits, as `mysql.user` shows it.
fn native_hash(field: &Field<'_>) -> Option<Secret> {
    let text = secrets::secret(field)?;
    let text = text.expose_text()?;
    if text.starts_with("$A$") {
        let help = "give `password`: nobody can log in to a server with this hash";
        field.report("a caching_sha2_password hash cannot be used", help);
        return None;
    }
    let hash = text
        .strip_prefix('*')
        .filter(|digits| digits.len() == 40)
        .and_then(hexadecimal::read);
    if hash.is_none() {
        let help = "write `*` and 40 hexadecimal digits in quotes, as mysql.user shows them";
        field.report("this is no mysql_native_password hash", help);
    }
    hash.map(Secret::new)
}

// === impl BackendLogin ===

impl BackendLogin {
    fn read(section: &Section<'_>) -> Self {
        let (user, password) = (section.field("backend_user"), section.field("backend_password"));
        match (user.is_given(), password.is_given()) {
            (false, false) => return Self::Same,
            (true, false) => user.report("the account has no password", "give `backend_password` too"),
            (false, true) => password.report("a password without an account", "give `backend_user` too"),
            (true, true) => {
                if let (Some(user), Some(password)) = (user.word(LONGEST_NAME), secrets::secret(&password)) {
                    return Self::Other(Login { user, password });
                }
            }
        }
        Self::Same
    }
}
