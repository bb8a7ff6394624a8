//! Requests that go to a server as they came, and their responses back: with what it takes to send them once more
//! when the server is lost before it answers, where that does no harm.

use super::client::Client;
use super::elsewhere::Request;
use super::outcome::{Broken, End, Outcome};
use super::request::{self, PassError};
use crate::backend::BackendError;
use crate::session::transcript;
use crate::sql::{self, Facts};
use crate::wire::command::Command;
use crate::wire::framing::Expect;
use crate::wire::packet::{HEADER, Header};

// === impl Client ===

impl Client {
    /// Forwards the request at the front of the inbox as it is, and its response.
    pub async fn pass(&mut self, expect: Expect, facts: &Facts) -> Result<Outcome, End> {
        if let Err(error) = self.ready(facts).await {
            self.skip().await?;
            return self.refuse(error).await;
        }
        match self.whole_request() {
            Some(header) => {
                self.record_front(header, expect, facts);
                if self.gives_evidence(header, facts) {
                    return self.commit_with_evidence(header, facts).await;
                }
                let request = Request::Front(header);
                if self.leaves_evidence_alone(request, facts) {
                    return Box::pin(self.write_with_evidence(request, facts)).await;
                }
                self.pass_whole(header, expect, facts, None).await
            }
            None => Box::pin(self.pass_longer(expect, facts)).await,
        }
    }

    /// A request that is not there whole: what a transaction may have to say again is waited for and kept.
    async fn pass_longer(&mut self, expect: Expect, facts: &Facts) -> Result<Outcome, End> {
        let bytes = self.link.inbox.bytes();
        let is_query = bytes.get(HEADER) == Some(&Command::QUERY.0) && expect == Expect::Results;
        let header = Header::parse(bytes).filter(|_| is_query);
        if header.is_some_and(|header| self.keeps_long(header, facts)) {
            let payload = self.read().await?;
            let text = payload.get(self.text_offset(&payload)..).unwrap_or_default();
            let facts = &sql::analyse(text, self.session.dialect);
            return self.pass_ready(&payload, expect, facts).await;
        }
        self.record_long(facts);
        self.pass_long(expect, facts).await
    }

    /// The request at the front of the inbox, if all of it is there.
    pub fn whole_request(&self) -> Option<Header> {
        let bytes = self.link.inbox.bytes();
        Header::parse(bytes).filter(|header| !header.is_continued() && bytes.len() >= header.total())
    }

    /// Forwards a request that is there whole. An execution comes with the client's id of its statement.
    pub async fn pass_whole(
        &mut self,
        header: Header,
        expect: Expect,
        facts: &Facts,
        execution: Option<u32>,
    ) -> Result<Outcome, End> {
        loop {
            let is_ping = self.link.inbox.bytes().get(HEADER) == Some(&Command::PING.0);
            let repeats = self.may_repeat(facts) || is_ping && self.stands_alone();
            let Some(connection) = &mut self.connection else {
                return Err(End::Broken);
            };
            if let Some(recording) = &mut self.caching.recording {
                recording.source(connection.server.index, &self.worker.shared.topology);
            }
            let request = &self.link.inbox.bytes()[..header.total()];
            let sent = connection.link.send(request).await.is_ok();
            if !repeats {
                self.link.inbox.consume(header.total());
            }
            // A server that takes no more may have said why before it closed.
            let answered = self.relay(expect, None).await;
            match answered {
                Err(Broken::Server {
                    error,
                    started: false,
                }) if repeats && self.may_wait(&error) => {
                    self.worker.shared.recovery.repeated.add(1);
                    let prepared = Box::pin(self.prepare_again(&error, facts, execution));
                    if let Err(error) = prepared.await {
                        self.link.inbox.consume(header.total());
                        return self.refuse(error).await;
                    }
                }
                answered => {
                    if repeats {
                        self.link.inbox.consume(header.total());
                    }
                    let ends = !sent && answered.is_ok();
                    let finished = self.finish(answered, facts).await;
                    return if ends { Err(End::ServerLost) } else { finished };
                }
            }
        }
    }

    /// Whether it changes nothing, so that it may be sent again as long as its answer has not begun.
    pub fn may_repeat(&self, facts: &Facts) -> bool {
        let asks = facts.may_move() || facts.only_asks();
        self.stands_alone() && asks && transcript::obstacle(&facts.features).is_none()
    }

    /// Whether the session loses nothing with the connection at hand, which is one to its own server.
    fn stands_alone(&self) -> bool {
        let holds = self.session.holds;
        (holds.is_empty() || holds.are_soft()) && !self.is_visiting() && self.replay.transcript.is_none()
    }

    /// Another connection for a read whose server was lost.
    pub async fn prepare_again(
        &mut self,
        error: &BackendError,
        facts: &Facts,
        execution: Option<u32>,
    ) -> Result<(), BackendError> {
        self.connection = None;
        self.show_thread();
        self.session.holds = Default::default();
        self.wait_for_primary(error).await?;
        self.ready(facts).await?;
        match execution {
            Some(id) => self.prepare_at_hand(id).await,
            None => Ok(()),
        }
    }

    /// Forwards a request as it arrives.
    pub async fn pass_long(&mut self, expect: Expect, facts: &Facts) -> Result<Outcome, End> {
        let Some(connection) = &mut self.connection else {
            return Err(End::Broken);
        };
        if let Some(recording) = &mut self.caching.recording {
            recording.source(connection.server.index, &self.worker.shared.topology);
        }
        let limit = self.settings.config.limits.max_allowed_packet;
        match request::pass_packet(&mut self.link, &mut connection.link, limit).await {
            Ok(_) => {}
            Err(PassError::Client(error)) => return Err(self.client_failed(&error).await),
            // The server may have said why before it closed: it is in the response.
            Err(PassError::Server(_)) => {
                let answered = self.relay(expect, None).await;
                let _ = self.finish(answered, facts).await;
                return Err(End::ServerLost);
            }
        }
        let answered = self.relay(expect, None).await;
        self.finish(answered, facts).await
    }
}
