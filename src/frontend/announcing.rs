//! What an execution says of itself beyond its text, for the session to judge by when it is done.

use super::client::Client;
use crate::sql::Verb;
use crate::wire::command::Command;
use crate::wire::execute::Execute;
use crate::wire::packet::{HEADER, Header};
use crate::wire::query::Value;

// === impl Client ===

impl Client {
    /// What the execution at the front of the inbox may write into an AUTO_INCREMENT column itself.
    pub fn announce_values(&mut self, id: u32, header: Header, command: Command) {
        let session = &mut self.session;
        let Some(statement) = session.statements.get(id) else {
            return;
        };
        if !matches!(
            statement.template.facts.features.verb,
            Verb::Insert | Verb::Replace
        ) {
            return;
        }
        let bytes = self.link.inbox.bytes();
        let whole = command == Command::STMT_EXECUTE && !statement.has_long_data;
        let payload = bytes.get(HEADER..header.total()).filter(|_| whole);
        let execute =
            payload.and_then(|payload| Execute::parse(payload, statement.parameters, self.capabilities).ok());
        let values = payload
            .zip(execute.as_ref())
            .and_then(|(payload, execute)| execute.values(payload, statement.types.as_deref()));
        let Some(values) = values else {
            return session.inserting.add_any();
        };
        for attribute in values {
            match attribute.value {
                Value::Null => {}
                Value::Signed(value) => session.inserting.add(value.unsigned_abs()),
                Value::Unsigned(value) => session.inserting.add(value),
                Value::Float(value) => session.inserting.add_float(value),
                Value::Text(text) => session.inserting.add_text(text),
                Value::Other => session.inserting.add_date(),
            }
        }
    }
}
