//! The session variables that differ from what a fresh connection has, as the server reported them.
//!
//! Cloning is a pointer's copy, and two equal sets mostly are the same pointer, so that asking whether a
//! server connection already has what a session needs costs next to nothing.

use std::sync::Arc;

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Variable {
    name: Box<[u8]>,
    value: Box<[u8]>,
}

/// Sorted by name.
#[derive(Debug, Clone, Default)]
pub struct Variables(Option<Arc<Vec<Variable>>>);

/// What a text prepared under another value of these might mean something else, and nothing more: to change
/// others, such as autocommit, for the sake of a prepare could end a transaction.
const READING: [&[u8]; 4] = [
    b"character_set_client",
    b"character_set_connection",
    b"collation_connection",
    b"sql_mode",
];

// === impl Variables ===

impl Variables {
    fn as_slice(&self) -> &[Variable] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Names with values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.as_slice()
            .iter()
            .map(|variable| (&*variable.name, &*variable.value))
    }

    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let slice = self.as_slice();
        let index = slice
            .binary_search_by(|variable| (*variable.name).cmp(name))
            .ok()?;
        Some(&slice[index].value)
    }

    /// A character set and its collation imply each other, and servers report only the one that was set: the
    /// other one is forgotten.
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        if self.get(name) == Some(value) {
            return;
        }
        match name {
            b"character_set_connection" => self.remove(b"collation_connection"),
            b"collation_connection" => self.remove(b"character_set_connection"),
            _ => {}
        }
        let list = Arc::make_mut(self.0.get_or_insert_default());
        let variable = Variable {
            name: name.into(),
            value: value.into(),
        };
        match list.binary_search_by(|known| (*known.name).cmp(name)) {
            Ok(index) => list[index] = variable,
            Err(index) => list.insert(index, variable),
        }
    }

    fn remove(&mut self, name: &[u8]) {
        if let Some(list) = &mut self.0
            && let Ok(index) = list.binary_search_by(|known| (*known.name).cmp(name))
        {
            Arc::make_mut(list).remove(index);
        }
    }

    /// These, but for what decides how a text is read: that is as in `other`.
    pub fn reading_as(&self, other: &Self) -> Self {
        let mut mixed = self.clone();
        for name in READING {
            mixed.remove(name);
        }
        for name in READING {
            if let Some(value) = other.get(name) {
                mixed.set(name, value);
            }
        }
        mixed
    }

    pub fn same_as(&self, other: &Self) -> bool {
        self.is(other) || self.as_slice() == other.as_slice()
    }

    /// Whether they are the very same, one a copy of the other.
    pub fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            (one, two) => one.is_none() && two.is_none(),
        }
    }

    /// Whether character sets would have to go back to what the login made of them. No statement can do that: it
    /// takes the name of a character set for its default collation, and the login named a collation.
    pub fn needs_login_for(&self, wanted: &Self) -> bool {
        let leaves = |name: &[u8]| self.get(name).is_some() && wanted.get(name).is_none();
        let connection: [&[u8]; 2] = [b"collation_connection", b"character_set_connection"];
        let any = |set: &Self| connection.iter().any(|name| set.get(name).is_some());
        leaves(b"character_set_client") || leaves(b"character_set_results") || any(self) && !any(wanted)
    }

    /// The statement that turns a connection with these variables into one with `wanted`, if there is any need.
    /// `initial` has what logins decide: there a variable's DEFAULT is not what the connection began with.
    pub fn statement_towards(&self, wanted: &Self, initial: &Self) -> Option<Vec<u8>> {
        if self.same_as(wanted) {
            return None;
        }
        let mut sql = b"SET ".to_vec();
        let start = sql.len();
        let mut assign = |name: &[u8], value: Option<&[u8]>| {
            if sql.len() > start {
                sql.push(b',');
            }
            sql.extend_from_slice(b"@@SESSION.`");
            sql.extend_from_slice(name);
            sql.extend_from_slice(b"`=");
            match value {
                Some(value) => put_value(&mut sql, name, value),
                // MySQL takes DEFAULT for off here, whatever the global value is.
                None if matches!(name, b"foreign_key_checks" | b"unique_checks") => {
                    sql.extend_from_slice(b"@@GLOBAL.");
                    sql.extend_from_slice(name);
                }
                None => sql.extend_from_slice(b"DEFAULT"),
            }
        };
        for gone in self
            .as_slice()
            .iter()
            .filter(|known| wanted.get(&known.name).is_none())
        {
            let name = match &*gone.name {
                b"character_set_connection" => b"collation_connection",
                name => name,
            };
            assign(name, initial.get(name));
        }
        for variable in wanted.as_slice() {
            if self.get(&variable.name) != Some(&variable.value) {
                assign(&variable.name, Some(&variable.value));
            }
        }
        Some(sql)
    }
}

/// Text of a kind that needs no quotes: the server refuses a quoted number for a numeric variable.
fn is_number(value: &[u8]) -> bool {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    digits.first().is_some_and(u8::is_ascii_digit)
        && digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
        && digits.iter().filter(|byte| **byte == b'.').count() <= 1
}

/// Servers report NULL as nothing, and do not take nothing for these.
fn is_null_when_empty(name: &[u8]) -> bool {
    name.starts_with(b"character_set_")
        || matches!(
            name,
            b"enforce_storage_engine" | b"default_tmp_storage_engine" | b"innodb_ft_user_stopword_table"
        )
}

fn put_value(sql: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    if value.is_empty() && is_null_when_empty(name) {
        sql.extend_from_slice(b"NULL");
    } else if is_number(value) && name != b"time_zone" {
        sql.extend_from_slice(value);
    } else if value
        .iter()
        .all(|byte| byte.is_ascii() && !matches!(byte, b'\'' | b'\\' | 0))
    {
        sql.push(b'\'');
        sql.extend_from_slice(value);
        sql.push(b'\'');
    } else {
        // Whatever the session's quoting rules and charset are, hexadecimal is read alike.
        sql.extend_from_slice(b"CONVERT(X'");
        for byte in value {
            sql.extend_from_slice(format!("{byte:02x}").as_bytes());
        }
        sql.extend_from_slice(b"' USING utf8mb4)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let mut variables = Variables::default();
        for (name, value) in pairs {
            variables.set(name.as_bytes(), value.as_bytes());
        }
        variables
    }

    #[test]
    fn only_what_differs_is_set() {
        let has = variables(&[
            ("autocommit", "OFF"),
            ("sql_mode", "ANSI"),
            ("wait_timeout", "100"),
        ]);
        let wants = variables(&[
            ("sql_mode", "ANSI"),
            ("wait_timeout", "7"),
            ("character_set_results", ""),
            ("enforce_storage_engine", ""),
        ]);
        let sql = String::from_utf8(has.statement_towards(&wants, &Variables::default()).unwrap()).unwrap();
        assert_eq!(
            sql,
            "SET @@SESSION.`autocommit`=DEFAULT,@@SESSION.`character_set_results`=NULL,@@SESSION.`enforce_storage_engine`=NULL,@@SESSION.`wait_timeout`=7"
        );
        assert_eq!(has.statement_towards(&has.clone(), &Variables::default()), None);
    }

    #[test]
    fn what_a_login_decided_comes_back() {
        let initial = variables(&[("collation_connection", "latin1_bin")]);
        let has = variables(&[("character_set_connection", "utf8mb4")]);
        let sql = has.statement_towards(&Variables::default(), &initial).unwrap();
        assert_eq!(
            String::from_utf8(sql).unwrap(),
            "SET @@SESSION.`collation_connection`='latin1_bin'"
        );
    }

    #[test]
    fn a_collation_and_its_character_set_are_not_both_kept() {
        let mut has = variables(&[("collation_connection", "utf8mb4_bin")]);
        has.set(b"character_set_connection", b"latin1");
        assert_eq!(has.get(b"collation_connection"), None);
        has.set(b"collation_connection", b"latin1_bin");
        assert_eq!(has.get(b"character_set_connection"), None);
    }

    #[test]
    fn a_value_is_quoted_so_that_no_mode_misreads_it() {
        let wants = variables(&[("init_connect", "it's a \\"), ("time_zone", "+02:00")]);
        let sql = String::from_utf8(
            Variables::default()
                .statement_towards(&wants, &Variables::default())
                .unwrap(),
        )
        .unwrap();
        assert!(
            sql.contains("`init_connect`=CONVERT(X'697427732061205c' USING utf8mb4)"),
            "{sql}"
        );
        assert!(sql.contains("`time_zone`='+02:00'"), "{sql}");
    }
}
