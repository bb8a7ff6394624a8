//! What classification wants to know beyond the flags. Written only when it is asked for: it allocates.

use super::super::builtin;
use super::super::facts::Name;
use super::super::local;
use super::scanner::{Scanner, Seen};

#[derive(Default)]
pub(in crate::sql) struct Notes {
    /// Functions that are not built in, without repetition.
    pub calls: Vec<Name>,
    /// More runs than `calls` can name.
    pub unnamed: bool,
    pub sequence: bool,
    /// A function or table that every server has for itself.
    pub local_function: bool,
    pub local_table: bool,
    pub information_schema: bool,
    /// The word INTO.
    pub into: bool,
    /// System variables that are read, whether the last name was all of it, and those that say more than who
    /// the server is.
    scope: bool,
    variables: u32,
}

/// More functions than anyone would check one by one.
const CALLS: usize = 32;

// === impl Notes ===

impl Notes {
    /// Whether a system variable is read that says more than which server it is.
    pub fn reads_variables(&self) -> bool {
        self.variables > 0
    }

    /// The name behind `@@`, or the part of it behind a dot.
    pub(super) fn system_variable(&mut self, name: &[u8], scoped: bool) {
        if scoped && self.scope {
            // What was taken for a variable was its scope.
            self.variables = self.variables.saturating_sub(1);
        }
        let scopes: [&[u8]; 3] = [b"global", b"session", b"local"];
        self.scope = !scoped && scopes.iter().any(|scope| name.eq_ignore_ascii_case(scope));
        if !local::is_identity_variable(name) {
            self.variables = self.variables.saturating_add(1);
        }
    }

    pub(super) fn name_in_schema(&mut self, schema: &[u8], name: &[u8]) {
        self.local_table |= local::is_server_local(schema, name);
        self.information_schema |= local::is_information_schema(schema);
    }

    fn call(&mut self, schema: Option<&[u8]>, name: &[u8]) {
        let schema = schema.map(plain_name);
        match (plain_name(name), schema) {
            (Some(name), None) => self.keep(Name { schema: None, name }),
            (Some(name), Some(Some(schema))) => self.keep(Name {
                schema: Some(schema),
                name,
            }),
            _ => self.unnamed = true,
        }
    }

    fn keep(&mut self, name: Name) {
        if self.calls.contains(&name) {
            return;
        }
        if self.calls.len() < CALLS {
            self.calls.push(name);
        } else {
            self.unnamed = true;
        }
    }
}

/// A name that can be compared without knowing the client's character set.
fn plain_name(name: &[u8]) -> Option<Box<str>> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$');
    if name.is_empty() || !name.iter().all(plain) {
        return None;
    }
    let name = std::str::from_utf8(name).ok()?;
    Some(name.to_ascii_lowercase().into())
}

// === impl Scanner: notes of calls ===

impl Scanner<'_> {
    /// Called for any name before a parenthesis that has no flag of its own.
    pub(super) fn note_call(&mut self) {
        if self.notes.is_none() {
            return;
        }
        let name = self.bytes(self.path.name);
        let (parts, mariadb) = (self.path.parts, self.mariadb());
        let quoted = self.last == Seen::Name;
        let apart = self.text.get(self.path.name.1) != Some(&b'(');
        let owner = self.bytes(self.path.owner_name);
        self.note(|notes| match parts {
            1 if local::is_local_function(name) => notes.local_function = true,
            1 if mariadb && is_sequence_function(name) => notes.sequence = true,
            // Names that the grammar knows are functions of the user's in quotes, and some also with a blank
            // before the parenthesis.
            1 if builtin::is_known(name, mariadb) && !quoted && !(apart && needs_parenthesis(name)) => {}
            1 => notes.call(None, name),
            2 => notes.call(Some(owner), name),
            _ => notes.unnamed = true,
        });
    }
}

fn is_sequence_function(name: &[u8]) -> bool {
    [&b"nextval"[..], b"lastval", b"setval"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// Functions of the grammar that are functions only when the parenthesis follows at once, unless sql_mode has
/// IGNORE_SPACE.
fn needs_parenthesis(name: &[u8]) -> bool {
    const NAMES: &[&str] = &[
        "adddate",
        "bit_and",
        "bit_or",
        "bit_xor",
        "cast",
        "count",
        "curdate",
        "curtime",
        "date_add",
        "date_sub",
        "extract",
        "group_concat",
        "json_arrayagg",
        "json_objectagg",
        "max",
        "mid",
        "min",
        "now",
        "position",
        "session_user",
        "st_collect",
        "std",
        "stddev",
        "stddev_pop",
        "stddev_samp",
        "subdate",
        "substr",
        "substring",
        "sum",
        "sysdate",
        "system_user",
        "trim",
        "var_pop",
        "var_samp",
        "variance",
    ];
    NAMES
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}
