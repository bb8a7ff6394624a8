//! SET GLOBAL: who logs in later has the new values, and the session that says it keeps its own, as on a server.

use super::client::Client;
use super::outcome::End;
use crate::backend::connection::Answer;
use crate::sql::{self, Facts};
use crate::wire::command::Command;
use crate::wire::framing::Expect;
use crate::wire::packet::{HEADER, Header};

// === impl Client ===

impl Client {
    /// The statement is at the front of the inbox. Connections opened from now on have other values.
    pub async fn set_global(&mut self, header: Header, facts: &Facts) -> Result<(), End> {
        // Of a longer one only the beginning is looked at.
        let bytes = self.link.inbox.bytes();
        let payload = &bytes[HEADER..header.total().min(bytes.len())];
        let text = payload.get(self.text_offset(payload)..).unwrap_or_default();
        let names = sql::global_variables(text, self.session.dialect);
        if let Err(error) = self.ready(facts).await {
            self.skip().await?;
            return self.refuse(error).await.map(drop);
        }
        for name in names {
            self.note_value(&name).await;
        }
        let outcome = self.pass(Expect::Results, facts).await?;
        if outcome.error.is_none() {
            self.server.outdate_connections();
        }
        Ok(())
    }

    /// Learns the session's value of a variable as if the client had set it, if there is such a value.
    async fn note_value(&mut self, name: &str) {
        let Some(connection) = self.connection.as_mut().filter(|_| self.aside.is_none()) else {
            return;
        };
        let sql = format!("SET SESSION {name}=@@SESSION.{name}");
        let answer = connection
            .run(Command::QUERY, &connection.as_query(sql.as_bytes()))
            .await;
        if answer.is_err() {
            // Noticed again, and told, when the statement itself is sent.
            return;
        }
        if let (Ok(Answer::Ok), Some(value)) = (answer, connection.told.get(name.as_bytes())) {
            self.session.set_variable(name.as_bytes(), value);
        }
    }
}
