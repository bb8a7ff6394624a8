//! An execution as rules see it that keep or compare results: a statement, and the values that it was given.
//!
//! Only those are looked at whose result depends on nothing else: no cursor, no long data, no query attributes, and
//! nothing that earlier values of other types have made of the statement.

use std::sync::Arc;

use super::client::Client;
use crate::backend::{BackendError, Connection};
use crate::routing::dependence;
use crate::session::{Lineage, State, Template};
use crate::sql::Facts;
use crate::wire::execute::{Execute, Parameters};
use crate::wire::packet::{HEADER, Header};

/// Copied, for as long as it takes.
#[derive(Debug)]
pub struct Given {
    pub template: Arc<Template>,
    nulls: Vec<u8>,
    types: Arc<[u8]>,
    values: Vec<u8>,
    /// What it makes of the statement.
    lineage: Lineage,
}

// === impl Given ===

impl Given {
    /// What its result depends on beside the session and the tables. Each part has its length or follows from one.
    pub fn key(&self) -> Vec<u8> {
        let parts = [&self.template.text, &*self.types, &self.nulls, &self.values];
        let mut key = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
        for part in parts {
            key.extend_from_slice(&(part.len() as u64).to_le_bytes());
            key.extend_from_slice(part);
        }
        key
    }

    /// The tables that the result depends on, if it depends on no more than that.
    pub fn depends_on(&self, client: &Client, facts: &Facts) -> Option<Box<[Box<[u8]>]>> {
        let (dialect, schema) = (client.session.dialect, client.session.state.schema.as_deref());
        dependence::repeatable(facts, &self.template.text, dialect, schema)
    }

    fn parameters(&self) -> Parameters<'_> {
        Parameters {
            nulls: &self.nulls,
            types: (&*self.types).into(),
            values: &self.values,
        }
    }

    /// The execution for this connection, where the statement is prepared if it has to be; `None`: the server will
    /// not prepare it.
    pub async fn encode_for(&self, connection: &mut Connection) -> Result<Option<Vec<u8>>, BackendError> {
        let fits = |lineage: &Lineage| lineage.is_open() || *lineage == self.lineage;
        let entry = connection.prepared.get(&self.template);
        let id = match entry.map(|entry| (entry.server_id, fits(&entry.lineage))) {
            Some((id, true)) => id,
            known => {
                if let Some((id, _)) = known {
                    connection.prepared.remove(&self.template);
                    connection.close_statements(&[id]).await?;
                }
                let Some(id) = connection.prepare_as_then(&self.template).await? else {
                    return Ok(None);
                };
                id
            }
        };
        if let Some(entry) = connection.prepared.get(&self.template) {
            entry.types = Some(self.types.clone()).filter(|types| !types.is_empty());
            entry.lineage = self.lineage.clone();
        }
        Ok(Some(self.parameters().encode(id, connection.capabilities)))
    }
}

// === impl Client ===

impl Client {
    /// The execution at the front of the inbox, which is whole, if rules may keep or compare its result.
    pub fn given(&self, header: Header, id: u32) -> Option<Given> {
        let statement = self.session.statements.get(id)?;
        let template = &statement.template;
        if !self.reads_as_then(&template.state) {
            return None;
        }
        let payload = self.link.inbox.bytes().get(HEADER..header.total())?;
        let execute = Execute::parse(payload, statement.parameters, self.capabilities).ok()?;
        let parameters = execute.parameters(payload, statement.types.as_deref())?;
        let after = |lineage: &Lineage| lineage.after(&parameters.types, parameters.nulls);
        let lineage = after(&Lineage::default());
        // Where a server makes something of types, it has to be what it would make of these alone.
        let is_plain = statement.lineage.is_open() || after(&statement.lineage) == lineage;
        is_plain.then(|| Given {
            template: template.clone(),
            nulls: parameters.nulls.to_vec(),
            types: parameters.types.as_ref().into(),
            values: parameters.values.to_vec(),
            lineage: if self.server.is_mariadb() {
                Lineage::default()
            } else {
                lineage
            },
        })
    }

    /// Whether the session reads texts now as it did when it prepared a statement.
    fn reads_as_then(&self, then: &State) -> bool {
        let now = State::default().reading_as(&self.session.state);
        now.schema == then.schema && now.variables.same_as(&then.variables)
    }

    /// It has been answered without a server, which would know its types now.
    pub fn note_given(&mut self, id: u32, given: &Given) {
        if let Some(statement) = self.session.statements.get_mut(id) {
            statement.lineage = given.lineage.clone();
            if !given.types.is_empty() {
                statement.types = Some(given.types.clone());
            }
        }
    }
}
