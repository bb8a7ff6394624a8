//! Executions on whatever connection there is: made to mean there what they mean to their session.
//!
//! A connection has one statement for all sessions that prepared the same text. What earlier executions left in it,
//! types and more, has to be what this session's own have left; if it is not, the statement is prepared anew.

use std::sync::Arc;

use super::client::Client;
use super::command::LOOKED_AT;
use crate::backend::BackendError;
use crate::backend::prepared::Entry;
use crate::session::{Statement, Template};
use crate::wire::command::Command;
use crate::wire::execute::{Bulk, Execute};
use crate::wire::packet::{HEADER, Header, put_with};

/// The types that a bulk execution lacks. Single ones later go by those that it names.
fn missing_bulk_types(payload: &[u8], statement: &mut Statement, entry: &mut Entry) -> Option<Arc<[u8]>> {
    let bulk = Bulk::parse(payload, statement.parameters).ok()?;
    if let Some(types) = bulk.parameter_types(payload) {
        statement.types = Some(types.into());
    }
    let lacks = bulk.lacks_types() && entry.types != statement.types;
    entry.types = statement.types.clone();
    statement.types.clone().filter(|_| lacks)
}

// === impl Client ===

impl Client {
    /// Closes the statement on the connection at hand where an execution by this session would come out otherwise
    /// than on a connection of its own: it is then prepared anew.
    pub async fn leave_past_behind(&mut self, id: u32, template: &Arc<Template>) -> Result<(), BackendError> {
        let Some(opens_cursor) = self.opens_cursor() else {
            return Ok(());
        };
        if !self.is_used_otherwise(id) && (opens_cursor || !self.had_cursor(template)) {
            return Ok(());
        }
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        match connection.prepared.remove(template) {
            Some(id) => connection.close_statements(&[id]).await,
            None => Ok(()),
        }
    }

    /// MySQL answers an execution without a cursor wrongly on a connection where the same statement had one before,
    /// if end-of-file packets are still in use.
    fn had_cursor(&mut self, template: &Arc<Template>) -> bool {
        self.connection
            .as_mut()
            .filter(|connection| !connection.server.is_mariadb())
            .and_then(|connection| connection.prepared.get(template))
            .is_some_and(|entry| entry.opened_cursor)
    }

    /// Whether other executions have made something else of the statement than this session's own.
    fn is_used_otherwise(&mut self, id: u32) -> bool {
        let Some(statement) = self.session.statements.get(id) else {
            return false;
        };
        let Some(connection) = self.connection.as_mut().filter(|_| !statement.has_long_data) else {
            return false;
        };
        let mariadb = connection.server.is_mariadb();
        let Some(entry) = connection.prepared.get(&statement.template) else {
            return false;
        };
        if entry.types.is_none() || entry.types == statement.types && entry.lineage == statement.lineage {
            return false;
        }
        let bytes = self.link.inbox.bytes();
        let Some(header) = Header::parse(bytes) else {
            return false;
        };
        let payload = &bytes[HEADER..header.total().min(bytes.len())];
        let Ok(execute) = Execute::parse(payload, statement.parameters, self.capabilities) else {
            return false;
        };
        let sent = execute.parameter_types(payload);
        let Some(types) = sent.as_deref().or(statement.types.as_deref()) else {
            // A server that nobody has told any types refuses it.
            return execute.bound.is_some();
        };
        let nulls = execute.nulls(payload);
        let (own, theirs) = (&statement.lineage, &entry.lineage);
        !mariadb
            && !theirs.is_open()
            && own != theirs
            && own.after(types, nulls) != theirs.after(types, nulls)
    }

    /// An execution is about to be sent. Answers the types that it lacks: the client named them in an earlier one,
    /// which this connection has not seen.
    pub fn missing_types(&mut self, id: u32, header: Header) -> Option<Arc<[u8]>> {
        let statement = self.session.statements.get_mut(id)?;
        let connection = self.connection.as_mut()?;
        let mariadb = connection.server.is_mariadb();
        let entry = connection.prepared.get(&statement.template)?;
        let bytes = self.link.inbox.bytes();
        let payload = &bytes[HEADER..header.total().min(bytes.len())];
        if bytes.get(HEADER) == Some(&Command::STMT_BULK_EXECUTE.0) {
            return missing_bulk_types(payload, statement, entry);
        }
        let Ok(execute) = Execute::parse(payload, statement.parameters, self.capabilities) else {
            // What cannot be read is for the server to judge; only the longest lists do not fit what was read.
            debug_assert!(header.length <= LOOKED_AT || payload.len() >= LOOKED_AT);
            return None;
        };
        let mut missing = None;
        if let Some(types) = execute.parameter_types(payload) {
            if statement.types.as_deref() != Some(&*types) {
                // MySQL learns nothing from what it cannot read to the end.
                let whole = payload.len() == header.length && !statement.has_long_data;
                if whole && !mariadb && execute.values(payload, None).is_none() {
                    return None;
                }
                statement.types = Some(types.as_ref().into());
            }
            entry.types = statement.types.clone();
        } else if !execute.lacks_types(payload) {
            return None;
        } else if entry.types != statement.types {
            entry.types = statement.types.clone();
            missing = statement.types.clone();
        }
        if let Some(types) = statement.types.as_deref().filter(|_| !mariadb) {
            let nulls = execute.nulls(payload);
            if !entry.lineage.stays(types, nulls) {
                entry.lineage = entry.lineage.after(types, nulls);
            }
            if statement.lineage != entry.lineage {
                statement.lineage = entry.lineage.clone();
            }
        }
        missing
    }

    /// Names types in an execution that lacks them.
    pub fn put_types(&self, id: u32, payload: &mut Vec<u8>, types: &[u8]) {
        let parameters = self
            .session
            .statements
            .get(id)
            .map(|statement| statement.parameters);
        let parameters = parameters.unwrap_or_default();
        if payload.first() == Some(&Command::STMT_BULK_EXECUTE.0) {
            if let Ok(bulk) = Bulk::parse(payload, parameters) {
                bulk.put_types(payload, types);
            }
        } else if let Ok(execute) = Execute::parse(payload, parameters, self.capabilities) {
            execute.put_types(payload, types);
        }
    }

    /// An execution as the server at hand has to get it, in `out` where that differs from the request. False: the
    /// server will not prepare the statement.
    pub async fn encode_execution(
        &mut self,
        header: Header,
        id: u32,
        out: &mut Vec<u8>,
    ) -> Result<bool, BackendError> {
        let Some(statement) = self.session.statements.get(id) else {
            return Ok(false);
        };
        let template = statement.template.clone();
        self.leave_past_behind(id, &template).await?;
        let Ok(server_id) = self.server_id(&template).await? else {
            return Ok(false);
        };
        self.name_statement(server_id);
        if let Some(types) = self.missing_types(id, header) {
            let mut payload = self.link.payload(header).to_vec();
            self.put_types(id, &mut payload, &types);
            put_with(out, 0, |out| out.extend_from_slice(&payload));
        }
        Ok(true)
    }
}
