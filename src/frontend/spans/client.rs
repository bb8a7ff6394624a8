//! Where a statement's span begins and ends.

use std::time::SystemTime;

use tokio::time::Instant;

use super::parent::Parent;
use super::span::{Beginning, Place, Span};
use super::tracer::Tracer;
use crate::config::Address;
use crate::frontend::client::Client;
use crate::frontend::lines::Lines;
use crate::frontend::underway::{Statement, Underway};
use crate::frontend::worker::Worker;
use crate::session;
use crate::topology::Role;
use crate::wire::Capabilities;
use crate::wire::execute::Execute;
use crate::wire::packet::{HEADER, Header};
use crate::wire::query::{self, Attributes};

/// A statement has begun. `None`: it is not traced.
pub fn begin<'a>(
    worker: &Worker,
    text: &[u8],
    attributes: impl FnOnce() -> Option<Attributes<'a>>,
) -> Option<Box<Beginning>> {
    let tracer = worker.shared.tracer.as_ref()?;
    let parent = attributes().and_then(Parent::of_attributes);
    let parent = parent.or_else(|| Parent::of_text(text));
    is_traced(tracer, &worker.lines, parent).then(|| {
        let number = || worker.lines.number();
        let trace = || u128::from(number()) << 64 | u128::from(number().max(1));
        Box::new(Beginning {
            trace: parent.map_or_else(trace, |parent| parent.trace),
            span: number().max(1),
            parent,
            at: SystemTime::now(),
            began: Instant::now(),
            sent: None,
        })
    })
}

/// The application decides where it traces at all.
fn is_traced(tracer: &Tracer, lines: &Lines, parent: Option<Parent>) -> bool {
    match parent {
        Some(parent) => parent.is_sampled,
        None => lines.is_sampled(tracer.sample),
    }
}

/// Of a QUERY.
pub fn of_query(payload: &[u8], capabilities: Capabilities) -> Option<Attributes<'_>> {
    capabilities
        .has(Capabilities::QUERY_ATTRIBUTES)
        .then(|| query::attributes(payload))
}

/// Of the EXECUTE of this statement at the front of the inbox, if that is whole.
pub fn of_execution<'a>(
    bytes: &'a [u8],
    statement: &'a session::Statement,
    capabilities: Capabilities,
) -> Option<Attributes<'a>> {
    let payload = bytes.get(HEADER..Header::parse(bytes)?.total())?;
    let parameters = statement.parameters;
    if statement.has_long_data || !Execute::has_attributes(payload, parameters, capabilities) {
        return None;
    }
    let execute = Execute::parse(payload, parameters, capabilities).ok()?;
    Some(execute.attributes(payload))
}

// === impl Client ===

impl Client {
    /// The statement is over.
    pub fn end_span(
        &self,
        beginning: Beginning,
        underway: &Underway,
        statement: &Statement,
        broke_off: bool,
    ) {
        let Some(tracer) = &self.worker.shared.tracer else {
            return;
        };
        let reason = underway.why.map_or("".into(), |why| self.told(why));
        tracer.tell(Box::new(Span {
            took: beginning.began.elapsed(),
            beginning,
            digest: statement.digest,
            shape: statement.shape.clone(),
            client: self.id,
            user: self.login.user.as_slice().into(),
            schema: self.session.state.schema.as_deref().unwrap_or_default().into(),
            listener: self.listener.as_str().into(),
            server: underway.server.and_then(|server| self.place(server)),
            reason: (&*reason).into(),
            rows: underway.rows,
            bytes: underway.bytes,
            error: underway.error,
            broke_off,
        }));
    }

    fn place(&self, index: usize) -> Option<Place> {
        let server = self.worker.shared.servers.get(index)?;
        let (host, port) = match &server.endpoint().address {
            Address::Tcp { host, port } => (host.clone(), Some(*port)),
            Address::Unix(path) => (path.display().to_string(), None),
        };
        let snapshot = self.worker.shared.topology.snapshot();
        Some(Place {
            name: server.name().into(),
            host: host.into(),
            port,
            is_primary: snapshot.servers.get(index)?.role == Role::Primary,
            is_mariadb: server.is_mariadb(),
        })
    }
}
