//! QUERY: a statement as text.

use super::client::Client;
use super::command::LOOKED_AT;
use super::outcome::End;
use crate::sql::{self, Features, Flags, Function, Verb};
use crate::wire::Capabilities;
use crate::wire::framing::Expect;
use crate::wire::packet::{HEADER, Header};
use crate::wire::query;

// === impl Client ===

impl Client {
    pub async fn query(&mut self, header: Header) -> Result<(), End> {
        let attributes = self.capabilities.has(Capabilities::QUERY_ATTRIBUTES);
        let bytes = self.link.inbox.bytes();
        let payload = &bytes[HEADER..header.total().min(bytes.len())];
        let start = if attributes {
            query::text_offset(payload)
        } else {
            Some(1)
        };
        let text = start.and_then(|start| payload.get(start..)).unwrap_or_default();
        let features = sql::scan(text, self.session.dialect);
        let whole = header.length <= LOOKED_AT;
        if whole && (features.verb == Verb::Kill || features.has(Flags::CONNECTION_ID)) {
            let rewritten = match features.verb {
                Verb::Kill => self.rewrite_kill(text, &features),
                _ => super::query::with_own_id(text, &features, self.id),
            };
            if let Some(text) = rewritten {
                let mut payload = payload[..start.unwrap_or(1)].to_vec();
                payload.extend_from_slice(&text);
                self.skip().await?;
                let outcome = self.pass_payload(&payload, Expect::Results, &features).await?;
                self.after_kill(&features, outcome.error.is_none());
                return Ok(());
            }
            if features.verb == Verb::Kill && self.kill_is_ours(&features) {
                self.skip().await?;
                return self.kill_unbound(&features).await;
            }
        }
        let outcome = self.pass(Expect::Results, &features).await?;
        if features.has(Flags::SETS_GLOBAL) && outcome.error.is_none() {
            self.server.outdate_connections();
        }
        Ok(())
    }
}

/// `CONNECTION_ID()` is the client's own id, the one in its greeting. Where a statement compares it with the
/// server's list of threads, it has to be the server's.
pub fn with_own_id(text: &[u8], features: &Features, id: u32) -> Option<Vec<u8>> {
    if features.has(Flags::PROCESS_LIST | Flags::SPANS_OVERFLOW) {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() + 32);
    let mut copied = 0;
    for span in features
        .spans()
        .iter()
        .filter(|span| span.function == Function::ConnectionId)
    {
        let range = span.range();
        out.extend_from_slice(&text[copied..range.start]);
        out.extend_from_slice(id.to_string().as_bytes());
        if span.bare {
            out.extend_from_slice(b" AS ");
            out.extend_from_slice(&sql::quote_identifier(&text[range.clone()]));
        }
        copied = range.end;
    }
    (copied > 0).then(|| {
        out.extend_from_slice(&text[copied..]);
        out
    })
}
