//! `SET splitrail.trace = 1`: where the last statement ran and why, told in one more row of SHOW WARNINGS.

use super::client::Client;
use crate::routing::Why;
use crate::sql::{Facts, Flags};
use crate::topology::Role;
use crate::wire::bytes::Put;

/// What is remembered for a session that wants to know; nothing for others.
#[derive(Debug, Default)]
pub struct Trace {
    /// For the statement under way.
    why: Option<Why>,
    /// Of the last statement that left any.
    story: Option<Box<str>>,
}

/// The code of the note: the proxy's own errors have it, too.
const CODE: &str = "1105";

// === impl Trace ===

impl Trace {
    /// The note as a row of SHOW WARNINGS: level, code and message.
    pub fn row(&self) -> Option<Vec<u8>> {
        let story = self.story.as_ref()?;
        let mut row = Vec::with_capacity(story.len() + 16);
        for column in ["Note", CODE, story] {
            row.put_lenenc_bytes(column.as_bytes());
        }
        Some(row)
    }
}

// === impl Client ===

impl Client {
    /// A place has been found for the statement under way.
    pub fn note_why(&mut self, why: Why) {
        self.trace.why = Some(why);
        self.underway.goes(why);
    }

    /// The statement ran, or tried to, on the connection at hand.
    pub fn conclude_trace(&mut self, facts: &Facts) {
        let Some(why) = self.trace.why.take() else { return };
        self.worker.traffic().routed(why);
        if !self.session.preferences.trace {
            return;
        }
        // Whoever asks what the last statement left is not the last one.
        if facts.features.has(Flags::DIAGNOSTICS) {
            return;
        }
        let index = self.connection.as_ref().map(|connection| connection.server.index);
        let snapshot = self.worker.shared.topology.snapshot();
        let server = index.and_then(|index| snapshot.servers.get(index));
        let place = server.map_or_else(
            || "nowhere".to_owned(),
            |server| match server.role {
                Role::Primary => format!("{} (primary)", server.name),
                Role::Replica => format!("{} (replica)", server.name),
            },
        );
        let why = self.told(why);
        self.trace.story = Some(format!("{place}: {why}").into());
    }

    /// The statement was answered with a result that a rule had kept.
    pub fn trace_kept(&mut self, rule: &str) {
        if self.session.preferences.trace {
            self.trace.story = Some(format!("nowhere: rule '{rule}' had kept its result").into());
        }
    }

    /// No server has run the statement.
    pub fn trace_nowhere(&mut self, why: &str) {
        self.trace.why = None;
        if self.session.preferences.trace {
            self.trace.story = Some(format!("nowhere: {why}").into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_has_the_three_columns_of_a_warning() {
        assert_eq!(Trace::default().row(), None);
        let trace = Trace {
            story: Some("db2 (replica): it only reads data".into()),
            ..Trace::default()
        };
        assert_eq!(
            trace.row().as_deref(),
            Some(&b"\x04Note\x041105\x21db2 (replica): it only reads data"[..])
        );
    }
}
