//! Rows that tell people about one thing, and how bytes are shown to them.

use crate::wire::result::ResultSet;

/// The columns of a table that tells people about one thing: what, how it is, and why.
const STORY: &[&str] = &["item", "value", "why"];

/// Rows of a [`STORY`].
pub struct Story(pub ResultSet);

// === impl Story ===

impl Story {
    pub fn new() -> Self {
        Self(ResultSet::new(STORY))
    }

    pub fn tell(&mut self, item: &str, value: impl Into<String>) {
        self.0.push([Some(item.to_owned()), Some(value.into()), None]);
    }

    pub fn explain(&mut self, item: &str, value: impl Into<String>, why: impl Into<String>) {
        self.0
            .push([Some(item.to_owned()), Some(value.into()), Some(why.into())]);
    }

    /// What is not there is told, too.
    pub fn tell_or(&mut self, item: &str, value: Option<String>, otherwise: &str) {
        self.tell(item, value.unwrap_or_else(|| otherwise.to_owned()));
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
