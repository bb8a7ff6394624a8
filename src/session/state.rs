//! What of a session can be put back on any server connection: its current schema, its variables,
//! and the user variables that have plain values.

use std::sync::Arc;

use super::user_variables::UserVariables;
use super::variables::Variables;

#[derive(Debug, Clone, Default)]
pub struct State {
    pub schema: Option<Arc<[u8]>>,
    pub variables: Variables,
    pub user_variables: UserVariables,
}

// === impl State ===

impl State {
    /// This state, but with texts read as in the other one.
    pub fn reading_as(&self, other: &Self) -> Self {
        Self {
            schema: other.schema.clone().or_else(|| self.schema.clone()),
            variables: self.variables.reading_as(&other.variables),
            user_variables: self.user_variables.clone(),
        }
    }

    pub fn same_as(&self, other: &Self) -> bool {
        self.schema == other.schema
            && self.variables.same_as(&other.variables)
            && self.user_variables.same_as(&other.user_variables)
    }

    /// Becomes the other. Mostly it is already, and neither counts references nor frees anything.
    pub fn follow(&mut self, other: &Self) {
        let is_schema = match (&self.schema, &other.schema) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            (one, two) => one.is_none() && two.is_none(),
        };
        if !is_schema {
            self.schema.clone_from(&other.schema);
        }
        if !self.variables.is(&other.variables) {
            self.variables.clone_from(&other.variables);
        }
        if !self.user_variables.is(&other.user_variables) {
            self.user_variables.clone_from(&other.user_variables);
        }
    }

    pub fn set_schema(&mut self, name: &[u8]) {
        if self.schema.as_deref().unwrap_or_default() != name {
            self.schema = (!name.is_empty()).then(|| name.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_follows_is_the_same_in_everything() {
        let mut session = State::default();
        session.set_schema(b"shop");
        session.variables.set(b"sql_mode", b"ANSI");
        let mut connection = State::default();
        connection.variables.set(b"time_zone", b"UTC");
        connection.follow(&session);
        assert!(connection.same_as(&session) && connection.variables.is(&session.variables));
        session.set_schema(b"");
        session.variables.set(b"sql_mode", b"");
        assert!(!connection.same_as(&session));
        connection.follow(&session);
        assert!(connection.same_as(&session) && connection.schema.is_none());
        connection.follow(&State::default());
        assert!(connection.variables.is_empty());
    }
}
