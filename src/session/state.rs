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

    pub fn set_schema(&mut self, name: &[u8]) {
        if self.schema.as_deref().unwrap_or_default() != name {
            self.schema = (!name.is_empty()).then(|| name.into());
        }
    }
}
