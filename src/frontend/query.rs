//! QUERY: a statement as text.

use std::borrow::Cow;

use super::client::Client;
use super::command::LOOKED_AT;
use super::elsewhere::Request;
use super::outcome::{Broken, End};
use super::rewritten::{Counts, rewritten};
use super::rows::Speaks;
use super::spans;
use super::wishes;
use crate::backend::Connection;
use crate::routing::{Decision, Place, Servers, Why};
use crate::sql::{self, Facts, Features, Flags, Verb};
use crate::wire::Capabilities;
use crate::wire::framing::Expect;
use crate::wire::packet::{HEADER, Header};
use crate::wire::query;

// === impl Client ===

impl Client {
    pub async fn query(&mut self, header: Header) -> Result<(), End> {
        let bytes = self.link.inbox.bytes();
        let payload = &bytes[HEADER..header.total().min(bytes.len())];
        let start = self.text_offset(payload);
        let text = payload.get(start..).unwrap_or_default();
        let facts = self.worker.facts.borrow_mut().look(text, self.session.dialect);
        let wishes = wishes::of_query(payload, self.capabilities, self.server.is_mariadb());
        if header.length <= LOOKED_AT
            && let Some(own) = &facts.own
        {
            let text = text.to_vec();
            self.skip().await?;
            return Box::pin(self.answer_own(own, &text, wishes)).await;
        }
        let facts = wishes::obeyed(&mut self.session, facts, wishes);
        let log = &self.settings.config.log;
        self.underway.is_statement(log, &facts, text);
        self.signal.shows(&facts.shape);
        let capabilities = self.capabilities;
        self.underway.span = spans::begin(&self.worker, text, || spans::of_query(payload, capabilities));
        let actions = self.wishes(&facts, text);
        self.steer(actions);
        if !actions.is_empty() {
            return Box::pin(self.steered_query(header, start, &facts)).await;
        }
        self.unchanged_query(header, start, &facts).await
    }

    /// A statement that a rule has something to say about.
    async fn steered_query(&mut self, header: Header, start: usize, facts: &Facts) -> Result<(), End> {
        let mut refused = self.blocked();
        if refused.is_none() {
            refused = self.wait_for_turn(facts).await?;
        }
        let bytes = self.link.inbox.bytes();
        let payload = &bytes[HEADER..header.total().min(bytes.len())];
        let (prefix, text) = payload.split_at(start.min(payload.len()));
        let mut changed = None;
        if refused.is_none() && header.length <= LOOKED_AT {
            match self.changed(text) {
                Ok(new) => changed = new,
                Err(too_long) => refused = Some(too_long),
            }
        }
        let prefix = prefix.to_vec();
        if let Some(refused) = refused {
            self.skip().await?;
            return self.tell_refusal(&refused).await;
        }
        let Some(text) = changed else {
            if self.answer_again(header, start, facts).await? {
                return Ok(());
            }
            self.mirror(header, start, facts);
            return self.unchanged_query(header, start, facts).await;
        };
        self.skip().await?;
        let new = self.worker.facts.borrow_mut().look(&text, self.session.dialect);
        let facts = wishes::kept(new, &facts.hint);
        self.session.announce(&text, &facts.features);
        self.session.calling = self.calling(&text, &facts);
        let own = rewritten(
            &text,
            &facts.features,
            self.session.dialect,
            self.id,
            Counts::default(),
        );
        self.rewritten_query(prefix, &own.unwrap_or(text), &facts).await
    }

    /// A statement whose text no rule changes.
    async fn unchanged_query(&mut self, header: Header, start: usize, facts: &Facts) -> Result<(), End> {
        let bytes = self.link.inbox.bytes();
        let payload = &bytes[HEADER..header.total().min(bytes.len())];
        let text = payload.get(start..).unwrap_or_default();
        let features = &facts.features;
        self.session.announce(text, features);
        self.session.calling = self.calling(text, facts);
        self.underway.note_waits(features);
        self.speaks = match self.lists_more(text, features) {
            Speaks::OfNone => Speaks::of(text, features),
            more => more,
        };
        let whole = header.length <= LOOKED_AT;
        if whole && features.verb == Verb::Kill {
            let text = text.to_vec();
            return Box::pin(self.kill(header, &text, facts)).await;
        }
        let lists_threads = features.has(Flags::PROCESS_LIST);
        if whole && (lists_threads || !features.spans().is_empty()) {
            let rewritten = rewritten(text, features, self.session.dialect, self.id, Counts::default());
            let rewritten = match lists_threads {
                true => self
                    .with_threads(rewritten.as_deref().unwrap_or(text))
                    .or(rewritten),
                false => rewritten,
            };
            let counts = features.has(Flags::FOUND_ROWS | Flags::ROW_COUNT);
            if rewritten.is_some() || counts {
                let (prefix, text) = (payload[..start].to_vec(), text.to_vec());
                self.skip().await?;
                let text = rewritten.unwrap_or(text);
                return Box::pin(self.rewritten_query(prefix, &text, facts)).await;
            }
        }
        self.plain_query(header, facts, whole).await
    }

    pub fn text_offset(&self, payload: &[u8]) -> usize {
        if self.capabilities.has(Capabilities::QUERY_ATTRIBUTES) {
            query::text_offset(payload).unwrap_or(payload.len())
        } else {
            1
        }
    }

    /// A statement that goes as it came.
    pub async fn plain_query(&mut self, header: Header, facts: &Facts, whole: bool) -> Result<(), End> {
        // Of a longer one only the beginning has been read.
        self.note_why(Why::TooLong);
        let decision = whole.then(|| self.route(facts, Servers::default()));
        self.ask_found_rows(decision.map_or(Place::Home, |decision| decision.place))
            .await;
        match decision {
            Some(decision) if decision.place == Place::Nowhere => {
                self.skip().await?;
                return self.nowhere(decision).await;
            }
            Some(decision) if matches!(decision.place, Place::Server { .. }) => {
                let request = Request::Front(header);
                if self.elsewhere(request, facts, decision).await?.is_some() {
                    return Ok(());
                }
            }
            _ => {}
        }
        self.begin_write(facts, None, whole);
        if facts.features.has(Flags::SETS_GLOBAL) {
            return Box::pin(self.set_global(header, facts)).await;
        }
        self.pass(Expect::Results, facts).await.map(drop)
    }

    /// The policy leaves no server that may answer.
    pub async fn nowhere(&mut self, decision: Decision) -> Result<(), End> {
        let why = decision.why.text();
        self.trace_nowhere(why);
        let text = format!("No server may answer this read: {why}");
        self.error(1105, b"HY000", &text).await
    }
}

impl Client {
    /// Sends a statement whose text was changed, or may have to be once there is a connection.
    pub async fn rewritten_query(
        &mut self,
        mut prefix: Vec<u8>,
        text: &[u8],
        facts: &Facts,
    ) -> Result<(), End> {
        let decision = self.route(facts, Servers::default());
        self.ask_found_rows(decision.place).await;
        if decision.place == Place::Nowhere {
            return self.nowhere(decision).await;
        }
        if matches!(decision.place, Place::Server { .. }) {
            let payload = [&prefix, text].concat();
            let request = Request::Payload(&payload);
            if self.elsewhere(request, facts, decision).await?.is_some() {
                return Ok(());
            }
        }
        if let Err(error) = self.ready_at(facts).await {
            return self.refuse(error).await.map(drop);
        }
        self.begin_write(facts, None, true);
        if facts.may_move() {
            return self.rewritten_read(prefix, text, facts).await;
        }
        prefix.extend_from_slice(&self.counted(text, self.counts_for(&facts.features)));
        let outcome = self.pass_payload(&prefix, Expect::Results, facts).await?;
        self.after_kill(&facts.features, outcome.error.is_none());
        Ok(())
    }

    /// Sends one that changes nothing, and once more if its server is lost before it answers.
    async fn rewritten_read(&mut self, prefix: Vec<u8>, text: &[u8], facts: &Facts) -> Result<(), End> {
        let counts = self.counts_for(&facts.features);
        let mut payload = [&prefix, &*self.counted(text, counts)].concat();
        if let Err(error) = self.adopt(&facts.features).await {
            return self.refuse(error).await.map(drop);
        }
        self.record_payload(&payload, facts);
        loop {
            let repeats = self.may_repeat(facts);
            match self.ask(&payload, Expect::Results, None).await {
                Err(Broken::Server {
                    error,
                    started: false,
                }) if repeats && self.may_wait(&error) => {
                    self.worker.shared.recovery.repeated.add(1);
                    if let Err(error) = Box::pin(self.prepare_again(&error, facts, None)).await {
                        return self.refuse(error).await.map(drop);
                    }
                    payload = [&prefix, &*self.counted(text, self.all_counts())].concat();
                }
                answered => return self.finish(answered, facts).await.map(drop),
            }
        }
    }

    fn all_counts(&self) -> Counts {
        Counts {
            row_count: Some(self.session.row_count),
            found_rows: Some(self.session.found_rows),
        }
    }

    /// What the connection at hand has of another session, or will not have any more once it answers as this session's
    /// own.
    fn counts_for(&self, features: &Features) -> Counts {
        let is_foreign = self.has_foreign_results();
        let is_disturbed = self.asks_of_connection(features) != (false, false);
        let counted_here = |connection: &Connection| {
            self.counted_at.map_or(!is_foreign, |at| {
                at == connection.serial && connection.sessions.rows == self.session.serial
            })
        };
        let all = self.all_counts();
        Counts {
            row_count: all.row_count.filter(|_| is_foreign || is_disturbed),
            found_rows: all
                .found_rows
                .filter(|_| !self.connection.as_deref().is_some_and(counted_here)),
        }
    }

    /// The text with the session's own counts, where the connection at hand has those of another one.
    fn counted<'a>(&self, text: &'a [u8], counts: Counts) -> Cow<'a, [u8]> {
        if counts.row_count.is_none() && counts.found_rows.is_none() {
            return Cow::Borrowed(text);
        }
        // The spans are those of the text as it is now.
        let features = sql::scan(text, self.session.dialect);
        let counted = rewritten(text, &features, self.session.dialect, self.id, counts);
        counted.map_or(Cow::Borrowed(text), Cow::Owned)
    }
}
