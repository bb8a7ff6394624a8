//! Prepared statements on their way to another connection than the one that was lost.

use crate::backend::BackendError;
use crate::frontend::client::Client;
use crate::frontend::outcome::{Broken, Outcome};
use crate::sql::Facts;
use crate::wire::command::Command;
use crate::wire::framing::Expect;

// === impl Client ===

impl Client {
    /// Sends a PREPARE, and once more if the server is lost: nothing has been run.
    pub async fn ask_prepared(&mut self, payload: &[u8], id: u32) -> Result<Outcome, Broken> {
        match self.ask(payload, Expect::Prepared, Some(id)).await {
            Err(Broken::Server {
                error,
                started: false,
            }) if self.may_stand_up(&error) => match self.stand_up(&error, &Facts::default()).await {
                Ok(()) => self.ask(payload, Expect::Prepared, Some(id)).await,
                Err(error) => Err(Broken::Server {
                    error,
                    started: false,
                }),
            },
            answered => answered,
        }
    }

    /// Why the execution at the front of the inbox is more than its request, if it is.
    pub fn cannot_repeat(&self, id: u32, command: Command) -> Option<&'static str> {
        let statement = self.session.statements.get(id)?;
        if command != Command::STMT_EXECUTE {
            Some("a statement of it was executed in bulk")
        } else if self.opens_cursor() != Some(false) {
            Some("it opened a cursor")
        } else {
            statement
                .has_long_data
                .then_some("a parameter of it was sent in pieces")
        }
    }

    /// Prepares the statement of the execution at the front of the inbox on another connection, and names it there.
    pub async fn prepare_at_hand(&mut self, id: u32) -> Result<(), BackendError> {
        let Some(template) = self.template(id) else {
            return Ok(());
        };
        match self.server_id(&template).await? {
            Ok(server_id) => {
                self.name_statement(server_id);
                Ok(())
            }
            Err((code, sqlstate, message)) => Err(BackendError::Restore {
                server: self.server.name().to_owned(),
                code,
                sqlstate,
                message,
            }),
        }
    }
}
