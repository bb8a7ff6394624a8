//! The servers' account tables: what is asked of them, and what a row says.

use mysql_async::{FromValueError, Row, Value, from_value_opt, prelude::FromValue};
use serde_json::{Map, Value as Json};

use super::account::{Account, Method, Transport};
use super::host::HostPattern;
use super::{ClientAddress, Flavour};

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
}

/// Columns are read by their place; [`MARIADB`] has the first four and the account as JSON.
const MYSQL: &str = "select @@skip_name_resolve, @@disconnect_on_expired_password, User, Host, plugin, \
     authentication_string, User_attributes, account_locked, password_expired, ssl_type, max_user_connections \
     from mysql.user where User in (''";

const MARIADB: &str = "select @@skip_name_resolve, @@disconnect_on_expired_password, User, Host, Priv \
     from mysql.global_priv where User in (''";

/// Asks for the accounts of these names and for the anonymous ones. Names travel as hexadecimal digits, so that
/// nothing in them can be taken for SQL.
pub fn accounts_query<'a>(flavour: Flavour, users: impl Iterator<Item = &'a [u8]>) -> String {
    let mut query = match flavour {
        Flavour::MySql => MYSQL.to_owned(),
        Flavour::MariaDb => MARIADB.to_owned(),
    };
    for user in users.filter(|user| !user.is_empty()) {
        query.push_str(", x'");
        for byte in user {
            query.push_str(&format!("{byte:02x}"));
        }
        query.push('\'');
    }
    query.push(')');
    query
}

/// Asks for the host patterns of all accounts. Under a DISTINCT of its own, MariaDB would show the variable as 0.
pub fn hosts_query(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::MySql => {
            "select @@skip_name_resolve, Host from (select distinct Host from mysql.user) hosts"
        }
        Flavour::MariaDb => {
            "select @@skip_name_resolve, Host from (select distinct Host from mysql.global_priv) hosts"
        }
    }
}

/// Whether the server names its clients by asking DNS. Every query's first column tells.
pub fn resolves(row: &Row) -> bool {
    !column::<bool>(row, 0).unwrap_or(false)
}

/// The host in a row of [`hosts_query`].
pub fn host(row: &Row) -> Option<String> {
    column(row, 1)
}

// === impl AccountRow ===

impl AccountRow {
    /// `None` for a row without a name, which is no account.
    pub fn read(flavour: Flavour, row: &Row) -> Option<Self> {
        let refuses_expired = column::<bool>(row, 1).unwrap_or(true);
        let user: Vec<u8> = column(row, 2)?;
        let host: String = column(row, 3)?;
        let mut account = match flavour {
            Flavour::MySql => Self::read_mysql(user, host, row),
            Flavour::MariaDb => Self::read_mariadb(user, host, row)?,
        };
        account.refuses_expired = refuses_expired;
        Some(account)
    }

    fn read_mysql(user: Vec<u8>, host: String, row: &Row) -> Self {
        let plugin: String = column(row, 4).unwrap_or_default();
        let authentication: Vec<u8> = column(row, 5).unwrap_or_default();
        let attributes: Map<String, Json> = column::<Vec<u8>>(row, 6)
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        let is_yes = |index| column::<Vec<u8>>(row, index).is_some_and(|text| text == b"Y");
        let transport: String = column(row, 9).unwrap_or_default();
        Self {
            methods: mysql_methods(&plugin, &authentication, &attributes),
            user,
            host,
            locked: is_yes(7),
            expired: is_yes(8),
            refuses_expired: true,
            transport: match transport.as_str() {
                "" => Transport::Any,
                "ANY" => Transport::Tls,
                "X509" => Transport::Certificate,
                _ => Transport::Particular,
            },
            max_connections: column(row, 10).filter(|&limit| limit > 0),
        }
    }

    fn read_mariadb(user: Vec<u8>, host: String, row: &Row) -> Option<Self> {
        let text: Vec<u8> = column(row, 4)?;
        let account: Map<String, Json> = serde_json::from_slice(&text).ok()?;
        if account.get("is_role").and_then(Json::as_bool).unwrap_or(false) {
            return None;
        }
        let number = |name| account.get(name).and_then(Json::as_i64);
        Some(Self {
            user,
            host,
            methods: mariadb_methods(&account),
            locked: account
                .get("account_locked")
                .and_then(Json::as_bool)
                .unwrap_or(false),
            expired: number("password_last_changed") == Some(0),
            refuses_expired: true,
            transport: match number("ssl_type").unwrap_or(0) {
                ..=0 => Transport::Any,
                1 => Transport::Tls,
                2 => Transport::Certificate,
                _ => Transport::Particular,
            },
            max_connections: number("max_user_connections")
                .and_then(|limit| u32::try_from(limit).ok())
                .filter(|&limit| limit > 0),
        })
    }

    fn is_for(&self, user: &[u8]) -> bool {
        self.user.is_empty() || self.user == user
    }

    fn account(&self, client_host: String, flavour: Flavour) -> Account {
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
    Some(row.account(address.label(host_name), flavour))
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

/// A column's value; `None` when it is NULL, not there or of another type.
fn column<T: FromValue>(row: &Row, index: usize) -> Option<T> {
    let value = row.as_ref(index).filter(|value| **value != Value::NULL)?;
    let read: Result<T, FromValueError> = from_value_opt(value.clone());
    read.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Map<String, Json> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn names_cannot_become_sql() {
        let query = accounts_query(Flavour::MariaDb, [&b"o'\\"[..], b""].into_iter());
        assert!(query.ends_with(" where User in ('', x'6f275c')"), "{query}");
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
}
