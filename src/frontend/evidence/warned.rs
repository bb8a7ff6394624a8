//! Warnings and errors of the last statement that its connection does not have any more, and for which the client may
//! ask as if nothing had come between: MySQL's COMMIT and ROLLBACK throw those of the write before them away, and a
//! connection that somebody waits for goes to him.

use super::commit::Evidence;
use crate::backend::BackendError;
use crate::frontend::client::Client;
use crate::frontend::rows::Speaks;
use crate::frontend::trace::Trace;
use crate::sql::{Dialect, Features, Flags, Lexer, TokenKind, Verb};

/// A row of a list of errors begins so, and one of warnings may.
const ERROR: &[u8] = b"\x05Error";
/// As many as a server keeps unless it is told otherwise (`max_error_count`).
const LIST: &[u8] = b"SHOW WARNINGS LIMIT 1024";
/// Uses a table, or MariaDB would keep the list.
const CLEAR: &[u8] = b"DO (SELECT 1 FROM (SELECT 1) AS t)";

/// SHOW WARNINGS or SHOW ERRORS, and no count of either.
fn listed(text: &[u8], dialect: Dialect) -> Speaks {
    let mut lexer = Lexer::new(text, dialect);
    lexer.next_token();
    let second = lexer.next_token();
    let word = text.get(second.start..second.end).unwrap_or_default();
    match second.kind {
        TokenKind::Word if word.eq_ignore_ascii_case(b"warnings") => Speaks::OfWarnings,
        TokenKind::Word if word.eq_ignore_ascii_case(b"errors") => Speaks::OfErrors,
        _ => Speaks::OfNone,
    }
}

// === impl Evidence ===

impl Evidence {
    pub fn rows_of_warnings(&self, trace: &Trace) -> Vec<Vec<u8>> {
        self.warnings().iter().cloned().chain(trace.row()).collect()
    }

    pub fn rows_of_errors(&self) -> Vec<Vec<u8>> {
        let rows = self.warnings().iter();
        rows.filter(|row| row.starts_with(ERROR)).cloned().collect()
    }
}

// === impl Client ===

impl Client {
    /// Whether the statement is to list more than its server would.
    pub fn lists_more(&self, text: &[u8], features: &Features) -> Speaks {
        let has_more = self.session.preferences.trace || !self.evidence.warnings().is_empty();
        let lists = has_more
            && features.verb == Verb::Show
            && features.has(Flags::DIAGNOSTICS)
            && !features.has(Flags::SEVERAL | Flags::BROKEN);
        if lists {
            listed(text, self.session.dialect)
        } else {
            Speaks::OfNone
        }
    }

    /// Another statement has been answered, and left what it left.
    pub fn forget_warnings(&mut self, features: &Features) {
        if !features.has(Flags::DIAGNOSTICS) {
            self.evidence.keep_warnings(Vec::new());
        }
    }

    /// Asks the server at hand for them, before it forgets. MariaDB does not.
    pub async fn ask_for_warnings(&mut self) -> Result<Vec<Vec<u8>>, BackendError> {
        match &mut self.connection {
            Some(connection) if !connection.server.is_mariadb() => connection.list(LIST).await,
            _ => Ok(Vec::new()),
        }
    }

    /// Takes them from a connection that goes to somebody else. One that fails does not.
    pub async fn take_warnings_along(&mut self) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let mut listed = connection.list(LIST).await;
        if listed.as_ref().is_ok_and(|warnings| !warnings.is_empty()) {
            listed = connection.execute(CLEAR).await.and(listed);
        }
        match listed {
            Ok(mut warnings) => {
                warnings.extend_from_slice(self.evidence.warnings());
                self.evidence.keep_warnings(warnings);
            }
            Err(_) => self.connection = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_list_has_room_for_more() {
        let lists = |text: &str| listed(text.as_bytes(), Dialect::default());
        assert_eq!(lists("SHOW WARNINGS"), Speaks::OfWarnings);
        assert_eq!(
            lists("show /* all of the */ Warnings LIMIT 5;"),
            Speaks::OfWarnings
        );
        assert_eq!(lists("SHOW ERRORS"), Speaks::OfErrors);
        for other in ["SHOW COUNT(*) WARNINGS", "SHOW", "SHOW `WARNINGS`"] {
            assert_eq!(lists(other), Speaks::OfNone, "{other}");
        }
    }
}
