//! The servers' account tables: what is asked of them, and what a row says.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value as Json};

use super::account::{Account, Method, Transport};
use super::host::HostPattern;
use super::lockouts::Policy;
use super::{ClientAddress, Flavour};
use crate::util::hexadecimal;

/// Accounts of all the hosts that a name has, before the client's address chooses one.
pub struct AccountRow {
    user: Vec<u8>,
    host: String,
    methods: Vec<Method>,
    locked: bool,
    expired: bool,
    refuses_expired: bool,
    transport: Transport,
    max_connections: Option<u32>,
    lock_policy: Option<Policy>,
    /// Another number when the row is another one.
    version: u64,
}

/// Each row is one string, its [fields](Fields) in a fixed order: to describe columns, and to read the descriptions,
/// costs both sides more than the values do. What may contain anything is in hexadecimal digits; JSON comes last.
const MYSQL: [&str; 2] = [
    "select concat_ws(char(0), if(@@skip_name_resolve, 1, 0), \
     if(@@disconnect_on_expired_password, 1, 0), hex(User), Host, plugin, ifnull(hex(authentication_string), ''), \
     account_locked, password_expired, ssl_type, max_user_connections, concat(Select_priv, Insert_priv, Update_priv, \
     Delete_priv, Create_priv, Drop_priv, Reload_priv, Shutdown_priv, Process_priv, File_priv, Grant_priv, \
     References_priv, Index_priv, Alter_priv, Show_db_priv, Super_priv, Create_tmp_table_priv, Lock_tables_priv, \
     Execute_priv, Repl_slave_priv, Repl_client_priv, Create_view_priv, Show_view_priv, Create_routine_priv, \
     Alter_routine_priv, Create_user_priv, Event_priv, Trigger_priv, Create_tablespace_priv, Create_role_priv, \
     Drop_role_priv",
    "), ifnull(User_attributes, '')) from mysql.user where find_in_set(hex(User), ",
];

const MARIADB: [&str; 2] = [
    "select concat_ws(char(0), if(@@skip_name_resolve, 1, 0), \
     if(@@disconnect_on_expired_password, 1, 0), hex(User), Host, concat(''",
    "), Priv) from mysql.global_priv where find_in_set(hex(User), ",
];

/// Until somebody runs mariadb-upgrade: what the other table has, in the same form.
const OLD_MARIADB: [&str; 2] = [
    "select concat_ws(char(0), if(@@skip_name_resolve, 1, 0), \
     if(@@disconnect_on_expired_password, 1, 0), hex(User), Host, concat(Select_priv, Insert_priv, Update_priv, \
     Delete_priv, Create_priv, Drop_priv, Grant_priv, Alter_priv, Super_priv, Execute_priv, Create_user_priv",
    "), json_object('plugin', if(plugin = '', 'mysql_native_password', plugin), 'authentication_string', \
     if(authentication_string = '', Password, authentication_string), 'ssl_type', \
     field(ssl_type, 'ANY', 'X509', 'SPECIFIED'), 'max_user_connections', max_user_connections, \
     'password_last_changed', if(password_expired = 'Y', 0, 1))) from mysql.user \
     where is_role = 'N' and find_in_set(hex(User), ",
];

/// What an account may do in each schema, and all else that is not in its row: the sums differ when that does.
macro_rules! schema_rights {
    ($account:literal, $more:literal) => {
        concat!(
            ", (select ifnull(sum(crc32(concat_ws(char(0), d.Host, d.Db, d.Select_priv, d.Insert_priv, d.Update_priv, \
             d.Delete_priv, d.Create_priv, d.Drop_priv, d.Grant_priv, d.References_priv, d.Index_priv, d.Alter_priv, \
             d.Create_tmp_table_priv, d.Lock_tables_priv, d.Create_view_priv, d.Show_view_priv, \
             d.Create_routine_priv, d.Alter_routine_priv, d.Execute_priv, d.Event_priv, d.Trigger_priv))), 0) \
             from mysql.db d where d.User in ('PUBLIC', ",
            $account,
            ".User))",
            $more
        )
    };
}

const MYSQL_SCHEMAS: &str = schema_rights!(
    "user",
    ", '/', (select ifnull(sum(crc32(concat_ws(char(0), g.HOST, g.PRIV, g.WITH_GRANT_OPTION))), 0) \
     from mysql.global_grants g where g.USER = user.User), '/', \
     (select ifnull(sum(crc32(concat_ws(char(0), r.HOST, r.DEFAULT_ROLE_HOST, r.DEFAULT_ROLE_USER))), 0) \
     from mysql.default_roles r where r.USER = user.User)"
);
const MARIADB_SCHEMAS: &str = schema_rights!("global_priv", "");
const OLD_MARIADB_SCHEMAS: &str = schema_rights!("user", "");

/// What a row says, field by field.
struct Fields<'a>(std::str::SplitN<'a, char>);

/// Where a server has its accounts, and what of them may be known.
#[derive(Debug, Clone, Copy)]
pub struct Tables {
    /// Before the account's name in the schemas' rights, after it, and where all that is.
    query: [&'static str; 2],
    schemas: &'static str,
    /// What accounts may do in schemas is asked for, too.
    pub with_schemas: bool,
}

impl Tables {
    pub fn of(flavour: Flavour) -> Self {
        let (query, schemas) = match flavour {
            Flavour::MySql => (MYSQL, MYSQL_SCHEMAS),
            Flavour::MariaDb => (MARIADB, MARIADB_SCHEMAS),
        };
        Self {
            query,
            schemas,
            with_schemas: false,
        }
    }

    /// A MariaDB whose tables are those of a version before 10.4.
    pub fn are_old(&mut self) {
        (self.query, self.schemas) = (OLD_MARIADB, OLD_MARIADB_SCHEMAS);
    }

    fn query(&self) -> String {
        let [begin, end] = self.query;
        let schemas = if self.with_schemas { self.schemas } else { "" };
        [begin, schemas, end].concat()
    }

    /// Reads nothing, and fails if not all can be read.
    pub fn probe(&self) -> String {
        self.query() + "'') and false"
    }

    /// Asks for the accounts of a list of [`names`], which is in place of the parameter.
    pub fn accounts_query(&self) -> String {
        self.query() + "?)"
    }

    /// The same for a server that prepares no more statements.
    pub fn accounts_query_of(&self, names: &str) -> String {
        format!("{}'{names}')", self.query())
    }

    /// Asks for the host patterns of all accounts. Under a DISTINCT of its own, MariaDB would show the variable as 0.
    pub fn hosts_query(&self) -> String {
        let [_, end] = self.query;
        let table = match end.contains("mysql.user") {
            true => "mysql.user",
            false => "mysql.global_priv",
        };
        format!(
            "select concat_ws(char(0), if(@@skip_name_resolve, 1, 0), Host) from (select distinct Host from {table}) hosts"
        )
    }
}

/// These names and that of the anonymous accounts, which has no letters. They travel as hexadecimal digits, so that
/// nothing in them can be taken for SQL.
pub fn names<'a>(users: impl Iterator<Item = &'a [u8]>) -> String {
    let mut list = ",".to_owned();
    for user in users.filter(|user| !user.is_empty()) {
        if list.len() > 1 {
            list.push(',');
        }
        hexadecimal::write(&mut list, user);
    }
    list
}

/// Whether the server names its clients by asking DNS. Every row's first field tells.
pub fn resolves(row: &[u8]) -> bool {
    !row.starts_with(b"1\0")
}

/// The host in a row of [`Tables::hosts_query`].
pub fn host(row: &[u8]) -> Option<String> {
    let (_, host) = std::str::from_utf8(row).ok()?.split_once('\0')?;
    Some(host.to_owned())
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// As many as there are: the last one is all the rest.
    fn new(row: &'a str, count: usize) -> Self {
        Self(row.splitn(count, '\0'))
    }

    fn text(&mut self) -> Option<&'a str> {
        self.0.next()
    }

    fn hex(&mut self) -> Option<Vec<u8>> {
        hexadecimal::read(self.text()?)
    }

    fn is_yes(&mut self) -> Option<bool> {
        Some(self.text()? == "Y")
    }
}

// === impl AccountRow ===

impl AccountRow {
    /// `None` for a row that is no account.
    pub fn read(flavour: Flavour, row: &[u8]) -> Option<Self> {
        let row = std::str::from_utf8(row).ok()?;
        let mut hasher = DefaultHasher::new();
        row.hash(&mut hasher);
        let version = hasher.finish();
        match flavour {
            Flavour::MySql => Self::read_mysql(Fields::new(row, 12), version),
            Flavour::MariaDb => Self::read_mariadb(Fields::new(row, 6), version),
        }
    }

    fn read_mysql(mut fields: Fields<'_>, version: u64) -> Option<Self> {
        let _resolves = fields.text()?;
        let refuses_expired = fields.text()? != "0";
        let (user, host) = (fields.hex()?, fields.text()?.to_owned());
        let (plugin, authentication) = (fields.text()?, fields.hex()?);
        let (locked, expired) = (fields.is_yes()?, fields.is_yes()?);
        let transport = match fields.text()? {
            "" => Transport::Any,
            "ANY" => Transport::Tls,
            "X509" => Transport::Certificate,
            _ => Transport::Particular,
        };
        let max_connections = fields.text()?.parse().ok().filter(|&limit| limit > 0);
        let _rights = fields.text()?;
        let attributes: Map<String, Json> = serde_json::from_str(fields.text()?).unwrap_or_default();
        Some(Self {
            methods: mysql_methods(plugin, &authentication, &attributes),
            lock_policy: lock_policy(&attributes),
            user,
            host,
            locked,
            expired,
            refuses_expired,
            transport,
            max_connections,
            version,
        })
    }

    fn read_mariadb(mut fields: Fields<'_>, version: u64) -> Option<Self> {
        let _resolves = fields.text()?;
        let refuses_expired = fields.text()? != "0";
        let (user, host) = (fields.hex()?, fields.text()?.to_owned());
        let _rights = fields.text()?;
        let account: Map<String, Json> = serde_json::from_str(fields.text()?).ok()?;
        if account.get("is_role").and_then(Json::as_bool).unwrap_or(false) {
            return None;
        }
        let number = |name| account.get(name).and_then(Json::as_i64);
        Some(Self {
            user,
            host,
            methods: mariadb_methods(&account),
            lock_policy: None,
            locked: account
                .get("account_locked")
                .and_then(Json::as_bool)
                .unwrap_or(false),
            expired: number("password_last_changed") == Some(0),
            refuses_expired,
            transport: match number("ssl_type").unwrap_or(0) {
                ..=0 => Transport::Any,
                1 => Transport::Tls,
                2 => Transport::Certificate,
                _ => Transport::Particular,
            },
            max_connections: number("max_user_connections")
                .and_then(|limit| u32::try_from(limit).ok())
                .filter(|&limit| limit > 0),
            version,
        })
    }

    fn is_for(&self, user: &[u8]) -> bool {
        self.user.is_empty() || self.user == user
    }

    fn account(&self, client_host: String, flavour: Flavour, version: u64) -> Account {
        Account {
            user: self.user.clone(),
            host_pattern: self.host.clone(),
            client_host,
            flavour,
            methods: self.methods.clone(),
            locked: self.locked,
            password_expired: self.expired,
            refuses_expired: self.refuses_expired,
            transport: self.transport,
            max_connections: self.max_connections,
            consistency: None,
            backend: None,
            lock_policy: self.lock_policy,
            version,
        }
    }
}

/// The account that the server would choose for this name and a client whose host has this name.
pub fn choose(
    rows: &[AccountRow],
    user: &[u8],
    address: ClientAddress,
    host_name: Option<&str>,
    flavour: Flavour,
) -> Option<Account> {
    let matching = rows.iter().filter(|row| row.is_for(user)).filter_map(|row| {
        let pattern = HostPattern::parse(&row.host, flavour);
        let matches = pattern.matches(address, host_name);
        matches.then(|| (pattern.rank(row.user.is_empty(), flavour), row))
    });
    let (_, row) = matching.min_by_key(|(rank, _)| *rank)?;
    // The servers see the proxy's host, and may choose another one of them.
    let own = rows.iter().filter(|row| row.is_for(user));
    let version = own.fold(0_u64, |sum, row| sum.wrapping_add(row.version));
    Some(row.account(address.label(host_name), flavour, version))
}

/// The hosts of the accounts that this name could be.
pub fn hosts_of<'a>(
    rows: &'a [AccountRow],
    user: &'a [u8],
    flavour: Flavour,
) -> impl Iterator<Item = HostPattern> + 'a {
    let own = rows.iter().filter(move |row| row.is_for(user));
    own.map(move |row| HostPattern::parse(&row.host, flavour))
}

/// `FAILED_LOGIN_ATTEMPTS` and `PASSWORD_LOCK_TIME`, which is negative when it has no end.
fn lock_policy(attributes: &Map<String, Json>) -> Option<Policy> {
    let locking = attributes.get("Password_locking")?;
    let number = |name: &str| locking.get(name).and_then(Json::as_i64).unwrap_or(0);
    let attempts = u32::try_from(number("failed_login_attempts")).ok()?;
    let days = number("password_lock_time_days");
    (attempts > 0 && days != 0).then(|| Policy {
        attempts,
        days: u32::try_from(days).ok(),
    })
}

/// A password that was replaced but is kept for a while counts as well.
fn mysql_methods(plugin: &str, authentication: &[u8], attributes: &Map<String, Json>) -> Vec<Method> {
    if attributes.contains_key("multi_factor_authentication") {
        return vec![Method::Unsupported(format!("{plugin} with further factors"))];
    }
    let mut stored = vec![authentication];
    if let Some(additional) = attributes.get("additional_password").and_then(Json::as_str) {
        stored.push(additional.as_bytes());
    }
    vec![Method::stored(plugin, &stored)]
}

/// The alternatives of `auth_or`, among which `{}` stands for the account's own plugin.
fn mariadb_methods(account: &Map<String, Json>) -> Vec<Method> {
    let text = |object: &Map<String, Json>, name: &str| {
        object
            .get(name)
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let method = |object: &Map<String, Json>| {
        let stored = text(object, "authentication_string");
        Method::stored(&text(object, "plugin"), &[stored.as_bytes()])
    };
    match account.get("auth_or").and_then(Json::as_array) {
        None => vec![method(account)],
        Some(alternatives) => alternatives
            .iter()
            .filter_map(Json::as_object)
            .map(|alternative| {
                method(if alternative.is_empty() {
                    account
                } else {
                    alternative
                })
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Map<String, Json> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn names_cannot_become_sql() {
        let names = names([&b"o'\\"[..], b"", b"app"].into_iter());
        assert_eq!(names, ",6F275C,617070");
        let query = Tables::of(Flavour::MariaDb).accounts_query_of(&names);
        assert!(
            query.ends_with(" where find_in_set(hex(User), ',6F275C,617070')"),
            "{query}"
        );
    }

    #[test]
    fn who_has_no_name_asks_for_the_anonymous_ones() {
        assert_eq!(names([&b""[..]].into_iter()), ",");
    }

    #[test]
    fn alternatives_are_tried_in_their_order() {
        let methods = mariadb_methods(&json(
            r#"{"access":0,"plugin":"mysql_native_password",
                "authentication_string":"*B69027D44F6E5EDC07F1AEAD1477967B16F28227",
                "auth_or":[{"plugin":"ed25519","authentication_string":"x"},{"plugin":"unix_socket"},{}]}"#,
        ));
        assert!(matches!(
            &methods[..],
            [Method::Unsupported(first), Method::Unsupported(second), Method::Native(stored)]
                if first == "ed25519" && second == "unix_socket" && stored.len() == 1
        ));
    }

    #[test]
    fn an_account_without_a_password_says_so() {
        use crate::wire::auth::Plugin;
        assert!(matches!(
            mariadb_methods(&json(r#"{"access":1}"#))[..],
            [Method::Empty(Plugin::Native)]
        ));
        let native = |stored: &[u8]| Method::stored("mysql_native_password", &[stored]);
        assert!(matches!(native(b"invalid"), Method::Native(stored) if stored.is_empty()));
        assert!(matches!(native(b""), Method::Empty(Plugin::Native)));
    }

    #[test]
    fn a_second_password_counts_and_a_second_factor_cannot_be_checked() {
        let stored = format!("$A$005${}", "x".repeat(63));
        let attributes = json(&format!(r#"{{"additional_password":"{stored}"}}"#));
        let methods = mysql_methods("caching_sha2_password", stored.as_bytes(), &attributes);
        assert!(matches!(&methods[..], [Method::CachingSha2(stored)] if stored.len() == 2));
        let attributes = json(r#"{"multi_factor_authentication":[]}"#);
        let methods = mysql_methods("caching_sha2_password", stored.as_bytes(), &attributes);
        assert!(matches!(&methods[..], [Method::Unsupported(_)]));
    }

    #[test]
    fn what_is_no_account_is_left_out() {
        let fields = [
            "0",
            "1",
            "617070",
            "10.%",
            "caching_sha2_password",
            "2A",
            "Y",
            "N",
            "ANY",
            "7",
            "YN",
            "",
        ];
        let row = fields.join("\0");
        let account = AccountRow::read(Flavour::MySql, row.as_bytes()).unwrap();
        assert_eq!((&account.user[..], &account.host[..]), (&b"app"[..], "10.%"));
        assert!(account.locked && !account.expired && account.refuses_expired);
        assert_eq!(account.max_connections, Some(7));
        assert!(matches!(account.transport, Transport::Tls));
        let cut = fields[..9].join("\0");
        assert!(AccountRow::read(Flavour::MySql, cut.as_bytes()).is_none());
        let role = ["0", "1", "72", "", r#"{"is_role":true}"#].join("\0");
        assert!(AccountRow::read(Flavour::MariaDb, role.as_bytes()).is_none());
        assert!(resolves(row.as_bytes()) && !resolves(b"1\0x"));
    }
}
