//! Clients' ids in statements that look at a server's threads: there each has the id of its connection.

use super::client::Client;
use super::registry::Registry;
use crate::sql::{Lexer, TokenKind};

// === impl Client ===

impl Client {
    /// The text with the server's ids in place of clients', where it names any that has a connection to this server.
    pub fn with_threads(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut lexer = Lexer::new(text, self.session.dialect);
        let mut out = Vec::new();
        let mut copied = 0;
        loop {
            let token = lexer.next_token();
            match token.kind {
                TokenKind::End => break,
                TokenKind::Number => {}
                _ => continue,
            }
            if let Some(id) = self.thread_of(text.get(token.start..token.end)?) {
                out.extend_from_slice(&text[copied..token.start]);
                out.extend_from_slice(id.as_bytes());
                copied = token.end;
            }
        }
        out.extend_from_slice(&text[copied..]);
        (copied > 0).then_some(out)
    }

    fn thread_of(&self, number: &[u8]) -> Option<String> {
        let id: u64 = std::str::from_utf8(number).ok()?.parse().ok()?;
        if !Registry::is_own_id(id) {
            return None;
        }
        if id == u64::from(self.id) {
            // Whichever connection the statement will run on.
            return Some("CONNECTION_ID()".to_owned());
        }
        let entry = self.worker.shared.registry.get(u32::try_from(id).ok()?)?;
        let (server, thread) = entry.place()?;
        (server == self.server.index).then(|| thread.to_string())
    }
}
