//! The servers' account tables: what is asked of them, and what a row says.

use serde_json::{Map, Value as Json};

use super::account::{Account, Method, Transport};
use super::host::HostPattern;
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
}

/// Each row is one string, its [fields](Fields) in a fixed order: to describe columns, and to read the descriptions,
/// costs both sides more than the values do. What may contain anything is in hexadecimal digits; JSON comes last.
const MYSQL: &str = "select concat_ws(char(0), if(@@skip_name_resolve, 1, 0), \
     if(@@disconnect_on_expired_password, 1, 0), hex(User), Host, plugin, ifnull(hex(authentication_string), ''), \
     account_locked, password_expired, ssl_type, max_user_connections, ifnull(User_attributes, '')) from mysql.user where User in (''";

const MARIADB: &str = "select concat_ws(char(0), if(@@skip_name_resolve, 1, 0), \
     if(@@disconnect_on_expired_password, 1, 0), hex(User), Host, Priv) from mysql.global_priv where User in (''";

/// What a row says, field by field.
struct Fields<'a>(std::str::SplitN<'a, char>);

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
            "select concat_ws(char(0), if(@@skip_name_resolve, 1, 0), Host) \
             from (select distinct Host from mysql.user) hosts"
        }
        Flavour::MariaDb => {
            "select concat_ws(char(0), if(@@skip_name_resolve, 1, 0), Host) \
             from (select distinct Host from mysql.global_priv) hosts"
        }
    }
}

/// Whether the server names its clients by asking DNS. Every row's first field tells.
pub fn resolves(row: &[u8]) -> bool {
    !row.starts_with(b"1\0")
}

/// The host in a row of [`hosts_query`].
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
        match flavour {
            Flavour::MySql => Self::read_mysql(Fields::new(row, 11)),
            Flavour::MariaDb => Self::read_mariadb(Fields::new(row, 5)),
        }
    }

    fn read_mysql(mut fields: Fields<'_>) -> Option<Self> {
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
        let attributes: Map<String, Json> = serde_json::from_str(fields.text()?).unwrap_or_default();
        Some(Self {
            methods: mysql_methods(plugin, &authentication, &attributes),
            user,
            host,
            locked,
            expired,
            refuses_expired,
            transport,
            max_connections,
        })
    }

    fn read_mariadb(mut fields: Fields<'_>) -> Option<Self> {
        let _resolves = fields.text()?;
        let refuses_expired = fields.text()? != "0";
        let (user, host) = (fields.hex()?, fields.text()?.to_owned());
        let account: Map<String, Json> = serde_json::from_str(fields.text()?).ok()?;
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
