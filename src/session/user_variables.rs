//! The user variables that a session has set to plain values, so that another connection can be given them.
//!
//! A value is kept as an expression that makes it anew with its type, character set and collation, whatever the
//! session's own are by then. Cloning is a pointer's copy, as with [`Variables`].

use std::sync::Arc;

use super::variables::Variables;
use crate::sql::{Charset, Dialect, Literal, UserAssignment};

#[derive(Debug, Clone, PartialEq, Eq)]
struct UserVariable {
    name: Box<[u8]>,
    value: Value,
    /// It was set to NULL after the value, whose type and collation it keeps.
    is_null: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Exact(Box<[u8]>),
    /// A string in `charset`; without one, as the login decided.
    Text {
        bytes: Box<[u8]>,
        charset: Option<Box<[u8]>>,
        collation: Option<Box<[u8]>>,
    },
}

/// Sorted by name.
#[derive(Debug, Clone, Default)]
pub struct UserVariables(Option<Arc<Vec<UserVariable>>>);

/// More than these, and the session keeps its connection instead.
pub const MAX_COUNT: usize = 64;
/// Of names and values together.
pub const MAX_BYTES: usize = 16 * 1024;

/// Where ASCII is ASCII, so that a text without other characters is the same bytes in all of them.
const ASCII_BASED: [&[u8]; 10] = [
    b"ascii", b"binary", b"cp1250", b"cp1251", b"latin1", b"latin2", b"latin5", b"utf8", b"utf8mb3",
    b"utf8mb4",
];

// === impl UserVariables ===

impl UserVariables {
    fn as_slice(&self) -> &[UserVariable] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    pub fn len(&self) -> usize {
        self.as_slice().len()
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

    fn find(&self, name: &[u8]) -> Result<usize, usize> {
        self.as_slice()
            .binary_search_by(|variable| (*variable.name).cmp(name))
    }

    fn get(&self, name: &[u8]) -> Option<&UserVariable> {
        self.as_slice().get(self.find(name).ok()?)
    }

    /// These with the assignments made in a session with such variables; `None` when that cannot be told, or
    /// would be too much to remember.
    pub fn with(&self, assignments: &[UserAssignment], settings: Settings<'_>) -> Option<Self> {
        let mut all = self.as_slice().to_vec();
        for UserAssignment { name, value } in assignments {
            let place = all.binary_search_by(|variable| variable.name.cmp(name));
            let value = match value {
                Literal::Null => {
                    // NULL in a variable that never was anything else is as if it had not been set.
                    if let Ok(index) = place {
                        all[index].is_null = true;
                    }
                    continue;
                }
                Literal::Exact(text) => Value::Exact(text.clone()),
                Literal::Text {
                    bytes,
                    charset,
                    collation,
                } => settings.text(bytes, charset.as_deref(), collation.as_deref())?,
            };
            let variable = UserVariable {
                name: name.clone(),
                value,
                is_null: false,
            };
            match place {
                Ok(index) => all[index] = variable,
                Err(index) => all.insert(index, variable),
            }
        }
        let bytes: usize = all.iter().map(UserVariable::bytes).sum();
        (all.len() <= MAX_COUNT && bytes <= MAX_BYTES).then(|| Self((!all.is_empty()).then(|| Arc::new(all))))
    }

    /// The statement that turns a connection with these into one with `wanted`, if there is any need.
    /// `initial` has the character sets that the login decided.
    pub fn statement_towards(&self, wanted: &Self, initial: &Variables) -> Option<Vec<u8>> {
        if self.same_as(wanted) {
            return None;
        }
        let mut sql = b"SET ".to_vec();
        let start = sql.len();
        let mut assign = |name: &[u8], put: &dyn Fn(&mut Vec<u8>)| {
            if sql.len() > start {
                sql.push(b',');
            }
            sql.extend_from_slice(b"@`");
            sql.extend_from_slice(name);
            sql.extend_from_slice(b"`=");
            put(&mut sql);
        };
        let null = |sql: &mut Vec<u8>| sql.extend_from_slice(b"NULL");
        for gone in self
            .as_slice()
            .iter()
            .filter(|known| wanted.get(&known.name).is_none())
        {
            // NULL alone would keep the type and the collation.
            assign(&gone.name, &|sql| sql.extend_from_slice(b"x''"));
            assign(&gone.name, &null);
        }
        for variable in wanted.as_slice() {
            let known = self.get(&variable.name);
            if known == Some(variable) {
                continue;
            }
            let has_value = known.is_some_and(|known| known.value == variable.value);
            if !(has_value && variable.is_null) {
                assign(&variable.name, &|sql| variable.value.put(sql, initial));
            }
            if variable.is_null {
                assign(&variable.name, &null);
            }
        }
        Some(sql)
    }
}

// === impl UserVariable ===

impl UserVariable {
    fn bytes(&self) -> usize {
        let value = match &self.value {
            Value::Exact(text) => text.len(),
            Value::Text { bytes, .. } => bytes.len(),
        };
        self.name.len() + value
    }
}

// === impl Value ===

impl Value {
    fn put(&self, sql: &mut Vec<u8>, initial: &Variables) {
        let (bytes, charset, collation) = match self {
            Self::Exact(text) => return sql.extend_from_slice(text),
            Self::Text {
                bytes,
                charset,
                collation,
            } => (bytes, charset.as_deref(), collation.as_deref()),
        };
        let (charset, collation) = match charset {
            Some(charset) => (charset, collation),
            None => {
                let login = initial
                    .get(b"collation_connection")
                    .unwrap_or(b"utf8mb4_general_ci");
                (charset_of(login), Some(login))
            }
        };
        sql.push(b'_');
        sql.extend_from_slice(charset);
        sql.extend_from_slice(b" x'");
        for byte in bytes {
            const DIGITS: [u8; 16] = *b"0123456789abcdef";
            sql.push(DIGITS[usize::from(byte >> 4)]);
            sql.push(DIGITS[usize::from(byte & 15)]);
        }
        sql.push(b'\'');
        if let Some(collation) = collation {
            sql.extend_from_slice(b" COLLATE ");
            sql.extend_from_slice(collation);
        }
    }
}

/// What in a session decides the meaning of a string literal.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    pub variables: &'a Variables,
    pub dialect: Dialect,
    /// The server has changed a collation without a word.
    pub is_unsure: bool,
}

/// A character set and a collation by their names, as far as they have been named.
type Named<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

// === impl Settings ===

impl Settings<'_> {
    /// The value of a literal; `None` when it is not certain.
    fn text(&self, bytes: &[u8], charset: Option<&[u8]>, collation: Option<&[u8]>) -> Option<Value> {
        let (named, default) = match charset {
            Some(charset) => (Some(charset), None),
            None => self.connection()?,
        };
        let collation = collation.or(default);
        // A default collation that the session has changed is not always the one that was used.
        let defaults: [&[u8]; 2] = [b"default_collation_for_utf8mb4", b"character_set_collations"];
        let changed = defaults.iter().any(|name| self.variables.get(name).is_some());
        if named.is_some() && collation.is_none() && changed {
            return None;
        }
        let named = named.or(collation.map(charset_of));
        if named.is_some_and(|name| !ASCII_BASED.contains(&name)) {
            return None;
        }
        let is_same = match charset {
            // Bytes behind an introducer are taken as they are.
            Some(b"latin1" | b"binary") => true,
            Some(b"ascii") => bytes.is_ascii(),
            Some(_) => std::str::from_utf8(bytes).is_ok(),
            None => bytes.is_ascii() || (self.reads_as_it_stores() && std::str::from_utf8(bytes).is_ok()),
        };
        is_same.then(|| Value::Text {
            bytes: bytes.into(),
            charset: named.map(Into::into),
            collation: collation.map(Into::into),
        })
    }

    /// The character set and the collation of a literal, where the session has set them.
    fn connection(&self) -> Option<Named<'_>> {
        if self.is_unsure {
            return None;
        }
        if let Some(collation) = self.variables.get(b"collation_connection") {
            return Some((Some(charset_of(collation)), Some(collation)));
        }
        if let Some(charset) = self.variables.get(b"character_set_connection") {
            return Some((Some(charset), None));
        }
        matches!(self.dialect.charset, Charset::Utf8 | Charset::Latin1).then_some((None, None))
    }

    /// Whether literals reach the server in UTF-8 and stay in it.
    fn reads_as_it_stores(&self) -> bool {
        let client = self.variables.get(b"character_set_client");
        let connection = self.connection().and_then(|(charset, _)| charset);
        match (client, connection) {
            (None, None) => self.dialect.charset == Charset::Utf8,
            (Some(b"utf8mb4"), Some(b"utf8mb4")) => true,
            (Some(b"utf8mb3"), Some(b"utf8mb3")) => true,
            _ => false,
        }
    }
}

/// `latin1_swedish_ci` is of `latin1`.
fn charset_of(collation: &[u8]) -> &[u8] {
    let end = collation
        .iter()
        .position(|byte| *byte == b'_')
        .unwrap_or(collation.len());
    &collation[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::user_assignments;

    fn with(known: &UserVariables, sql: &str, variables: &[(&str, &str)]) -> Option<UserVariables> {
        let mut set = Variables::default();
        for (name, value) in variables {
            set.set(name.as_bytes(), value.as_bytes());
        }
        let settings = Settings {
            variables: &set,
            dialect: Dialect::default(),
            is_unsure: false,
        };
        known.with(
            &user_assignments(sql.as_bytes(), Dialect::default()).unwrap(),
            settings,
        )
    }

    fn of(sql: &str) -> UserVariables {
        with(&UserVariables::default(), sql, &[]).unwrap()
    }

    fn towards(has: &UserVariables, wanted: &UserVariables) -> String {
        let mut initial = Variables::default();
        initial.set(b"collation_connection", b"utf8mb4_0900_ai_ci");
        let sql = has.statement_towards(wanted, &initial).unwrap_or_default();
        String::from_utf8(sql).unwrap()
    }

    #[test]
    fn only_what_differs_is_set() {
        let none = UserVariables::default();
        let (one, two) = (of("SET @a=1, @b='x'"), of("SET @b='x', @C=-2.50"));
        assert_eq!(
            towards(&none, &one),
            "SET @`a`=1,@`b`=_utf8mb4 x'78' COLLATE utf8mb4_0900_ai_ci"
        );
        assert_eq!(towards(&one, &two), "SET @`a`=x'',@`a`=NULL,@`c`=-2.50");
        assert_eq!(towards(&one, &of("SET @b='x', @a=1")), "");
        assert!(one.same_as(&of("SET @B='x', @A=1")));
    }

    #[test]
    fn null_keeps_the_type_of_what_it_replaces() {
        let none = UserVariables::default();
        assert!(of("SET @a=NULL").is_empty());
        let (value, null) = (of("SET @a=1"), of("SET @a=1, @a=NULL"));
        assert_eq!(towards(&none, &null), "SET @`a`=1,@`a`=NULL");
        assert_eq!(towards(&value, &null), "SET @`a`=NULL");
        assert_eq!(towards(&null, &value), "SET @`a`=1");
    }

    #[test]
    fn a_text_is_what_its_session_made_of_it() {
        let none = UserVariables::default();
        let made = |sql: &str, variables: &[(&str, &str)]| {
            with(&none, sql, variables).map(|wanted| towards(&none, &wanted))
        };
        let latin1 = [
            ("character_set_client", "latin1"),
            ("character_set_connection", "latin1"),
        ];
        let utf8 = [
            ("character_set_client", "utf8mb4"),
            ("collation_connection", "utf8mb4_bin"),
        ];
        assert_eq!(made("SET @a='x'", &latin1).unwrap(), "SET @`a`=_latin1 x'78'");
        assert_eq!(made("SET @a='é'", &latin1), None);
        assert_eq!(
            made("SET @a='é'", &utf8).unwrap(),
            "SET @`a`=_utf8mb4 x'c3a9' COLLATE utf8mb4_bin"
        );
        assert_eq!(
            made("SET @a=_latin1'x' COLLATE latin1_bin", &utf8).unwrap(),
            "SET @`a`=_latin1 x'78' COLLATE latin1_bin"
        );
        assert_eq!(made("SET @a='x'", &[("character_set_connection", "ucs2")]), None);
        assert_eq!(made("SET @a='x'", &[("collation_connection", "utf16_bin")]), None);
        let changed = [("default_collation_for_utf8mb4", "utf8mb4_general_ci")];
        assert_eq!(made("SET @a=_utf8mb4'x'", &changed), None);
    }

    #[test]
    fn there_are_only_so_many() {
        let many = |count: usize, value: &str| {
            let list: Vec<_> = (0..count).map(|index| format!("@v{index}={value}")).collect();
            with(&UserVariables::default(), &format!("SET {}", list.join(",")), &[])
        };
        assert_eq!(many(MAX_COUNT, "1").unwrap().len(), MAX_COUNT);
        assert!(many(MAX_COUNT + 1, "1").is_none());
        let long = format!("'{}'", "x".repeat(MAX_BYTES));
        assert!(many(1, &long).is_none());
    }
}
