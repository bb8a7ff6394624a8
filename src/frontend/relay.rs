//! A response on its way from a server to the client: forwarded as it is, but for what only one of them should see.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::caching::Recording;
use super::client::FIRST;
use super::deadline::Stopped;
use super::elsewhere::may_move;
use super::evidence::commit::is_kept;
use super::evidence::{Done, Kept};
use super::numbers::Numbers;
use super::outcome::{Broken, Outcome};
use super::registry::Aim;
use super::request::{self, PassError};
use super::rows::Rows;
use super::shown::{self, Audience};
use crate::backend::Connection;
use crate::net::link::Filled;
use crate::net::{Interrupt, Link, Signal};
use crate::session::{Checksum, Hold, Observation, Session};
use crate::topology::Acknowledged;
use crate::wire::bytes::Put;
use crate::wire::eof::EofPacket;
use crate::wire::err::ErrPacket;
use crate::wire::framing::{Expect, Framer, Kind, Next, Prepared};
use crate::wire::ok::OkPacket;
use crate::wire::packet::{HEADER, Header, put_packet};
use crate::wire::track::Changes;
use crate::wire::{Capabilities, Malformed, Status};

/// The two ends of one response.
pub struct Relay<'a> {
    pub client: &'a mut Link,
    pub connection: &'a mut Connection,
    pub signal: &'a Signal,
    pub session: &'a mut Session,
    /// What the client negotiated.
    pub capabilities: Capabilities,
    /// The id that the client is to see in place of the server's for what it prepares.
    pub statement: Option<u32>,
    /// What the statement is, and thereby which errors are not for the client.
    pub purpose: Purpose,
    /// What the client hears in place of what the server says of the rows, where the statement stands for another.
    pub says: Option<&'a Done>,
    /// What the statement is to kill.
    pub aim: Option<&'a Aim>,
    /// The server would end the statement if its client left, and has to hear of that.
    pub watches: bool,
    /// Longest packet of a file that the client sends.
    pub max_packet: u64,
    /// The statement may have been stopped for taking too long.
    pub stopped: &'a Stopped,
    /// For rows that speak of the client's connection.
    pub rows: Option<Rows<'a>>,
    /// Gets a copy of what the client gets.
    pub recording: Option<&'a mut Recording>,
    /// When the request was sent, where it matters how soon it is answered.
    pub since: Option<Instant>,
    /// Gets what the server answers, for comparing it with another run.
    pub checksum: Option<&'a mut Checksum>,
    /// Hears of what the client is about to be told is committed.
    pub acknowledged: &'a Acknowledged,
    /// Where one of the two sides compresses.
    pub numbers: Option<Numbers>,
}

/// What a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The client's own.
    Plain,
    /// A read that may run elsewhere, if the server says that it does not run it.
    Visit,
    /// A call in place of a COMMIT, which is said plainly if the call did not run.
    Evidence,
    /// A write, or what begins its transaction: the client hears of it when it is committed.
    Keep,
}

/// Why forwarding stops to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// More has to come from the server.
    ForMore,
    /// A result has ended and another one follows.
    Result,
    /// The client sends a file now.
    File,
    /// The server does not run this, and another one may.
    Refused,
    /// This is not for the client yet.
    Kept,
}

/// What is to be done about a packet that was looked at.
enum Verdict {
    Pass,
    /// A payload to send in its place.
    Replace(Vec<u8>),
    /// The client sends a file now.
    File,
}

// === impl Purpose ===

impl Purpose {
    /// Whether an answer that is this error is kept from the client.
    fn keeps(self, code: u16) -> bool {
        match self {
            Self::Plain | Self::Keep => false,
            Self::Visit => may_move(code),
            Self::Evidence => is_kept(code),
        }
    }
}

// === impl Verdict ===

impl Verdict {
    fn of(replacement: Option<Vec<u8>>) -> Self {
        replacement.map_or(Self::Pass, Self::Replace)
    }

    /// What goes out in place of the packet, if it is not the packet alone.
    fn changed<'a>(&'a self, more: &[Vec<u8>], payload: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Replace(payload) => Some(payload),
            _ => (!more.is_empty()).then_some(payload),
        }
    }
}

/// Until the client has said that it sends no more, and for as long as a server would take to notice that.
async fn left(client: &Link) {
    client.socket().read_closed().await;
    tokio::time::sleep(UNNOTICED).await;
}

/// Some clients that have said all wait for an answer: servers look for the others every five seconds.
const UNNOTICED: Duration = Duration::from_secs(5);

// === impl Relay ===

impl Relay<'_> {
    /// Forwards one whole response.
    pub async fn run(mut self, expect: Expect) -> Result<Outcome, Broken> {
        let mut framer = Framer::new(self.connection.capabilities, expect);
        framer.shows_rows = self.rows.is_some();
        let mut outcome = Outcome::default();
        let mut rewritten = Vec::new();
        let compressed = self.client.next_number().or(self.connection.link.next_number());
        self.numbers = compressed.map(|_| Numbers::new(self.client.next_number().unwrap_or(FIRST)));
        loop {
            let passed = self.scan(&mut framer, &mut outcome, &mut rewritten);
            let (position, pause) =
                passed.map_err(|error| self.broken(&outcome, self.connection.malformed(error)))?;
            if matches!(pause, Pause::Refused | Pause::Kept) {
                self.connection.link.inbox.consume(position);
                outcome.refused = pause == Pause::Refused;
                return Ok(outcome);
            }
            if let Some(gtid) = &self.session.gtid {
                self.acknowledged.add(gtid);
            }
            if let Some(aim) = self.aim.filter(|_| framer.is_done() && outcome.error.is_none()) {
                aim.met();
            }
            self.forward(position, &mut rewritten, &mut outcome).await?;
            if pause == Pause::File {
                self.file(&mut framer, &outcome).await?;
            }
            if pause != Pause::ForMore {
                self.count_anew();
                continue;
            }
            if framer.is_done() {
                if outcome.observed.affected.is_none() && outcome.error.is_none() {
                    outcome.observed.rows = Some(framer.rows);
                    outcome.observed.first_row_is_one = framer.first_row.is_one();
                }
                return Ok(outcome);
            }
            let filled = match self.watches {
                true => Box::pin(self.fill_or_leave()).await?,
                false => self.fill().await,
            };
            match filled {
                Ok(Filled::Interrupted(_)) => {
                    return Err(Broken::Stopped {
                        started: outcome.started,
                    });
                }
                Ok(Filled::End) => {
                    let lost = self.connection.lost(io::ErrorKind::UnexpectedEof.into());
                    return Err(self.broken(&outcome, lost));
                }
                Ok(Filled::Bytes | Filled::Wanted | Filled::Evicted) => {}
                Err(error) => return Err(self.broken(&outcome, self.connection.lost(error))),
            }
        }
    }

    async fn fill(&mut self) -> io::Result<Filled> {
        self.connection
            .link
            .fill_unless(self.signal, Interrupt::Stop)
            .await
    }

    /// As servers do in a statement that waits for nothing but time or a lock: who hangs up ends it.
    async fn fill_or_leave(&mut self) -> Result<io::Result<Filled>, Broken> {
        let filled = self.connection.link.fill_unless(self.signal, Interrupt::Stop);
        tokio::select! {
            biased;
            filled = filled => Ok(filled),
            () = left(self.client) => Err(Broken::Client(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// A result is over, or the client has sent a file: under compression the numbers go on from there.
    fn count_anew(&mut self) {
        if let (Some(numbers), Some(next)) = (&mut self.numbers, self.client.next_number()) {
            numbers.next = next;
        }
    }

    fn broken(&self, outcome: &Outcome, error: crate::backend::BackendError) -> Broken {
        Broken::Server {
            error,
            started: outcome.started,
        }
    }

    /// Goes over what has arrived. Answers how much of it can go, and whether the client is asked for a file.
    /// When something had to be changed, `rewritten` has all up to there, changed.
    fn scan(
        &mut self,
        framer: &mut Framer,
        outcome: &mut Outcome,
        rewritten: &mut Vec<u8>,
    ) -> Result<(usize, Pause), Malformed> {
        let (mut position, mut copied) = (0, 0);
        let bytes = self.connection.link.inbox.bytes();
        let pause = loop {
            let unseen = position;
            let next = framer.next(bytes, &mut position)?;
            let checksums = self.checksum.iter_mut();
            checksums.for_each(|checksum| checksum.bytes(&bytes[unseen..position]));
            let Next::Packet { kind, length } = next else {
                break Pause::ForMore;
            };
            let packet = &bytes[position..position + length];
            let payload = &packet[HEADER..];
            if let Some(checksum) = &mut self.checksum {
                checksum.packet(kind, payload, self.connection.capabilities)?;
            }
            let verdict = match (kind, &self.rows) {
                (Kind::Row, Some(rows)) => Verdict::of(rows.replace(payload)),
                _ => {
                    let audience = Audience {
                        capabilities: self.told(),
                        hears_transactions: self.connection.tells_transactions,
                        told: &mut self.connection.told_transaction,
                        reads_alone: self.connection.reads_alone,
                    };
                    let ends = (self.connection.capabilities, audience);
                    let about = (self.statement, self.says);
                    judge(kind, payload, self.session, ends, about, outcome)?
                }
            };
            let verdict = self.late(kind, outcome).map_or(verdict, Verdict::Replace);
            if let Some(pause) = self.held_back(kind, position == 0, outcome) {
                let told = verdict.changed(&[], payload).filter(|_| kind == Kind::Error);
                outcome.kept = Kept::read(kind, told.unwrap_or(payload), self.connection.capabilities)?;
                return Ok((position + length, pause));
            }
            let more = self.rows.as_ref().map_or(&[][..], |rows| rows.before(kind));
            if let Some(changed) = verdict.changed(more, payload) {
                rewritten.put_bytes(&bytes[copied..position]);
                put_changed(rewritten, packet, more, changed);
                copied = position + length;
            }
            position += length;
            let ends_result = matches!(kind, Kind::Ok | Kind::End) && !framer.is_done();
            match verdict {
                _ if ends_result && self.numbers.is_some() => break Pause::Result,
                Verdict::File => break Pause::File,
                _ => {}
            }
        };
        if copied > 0 {
            rewritten.put_bytes(&bytes[copied..position]);
        }
        Ok((position, pause))
    }

    /// What the client understands of what it is told: of what is kept from it, nothing.
    fn told(&self) -> Capabilities {
        match self.purpose {
            Purpose::Keep => Capabilities::default(),
            _ => self.capabilities,
        }
    }

    /// Whether a packet is not for the client, and why.
    fn held_back(&self, kind: Kind, is_first: bool, outcome: &Outcome) -> Option<Pause> {
        let refuses = |code| is_first && !outcome.started && self.purpose.keeps(code);
        match kind {
            Kind::Ok | Kind::Error if self.purpose == Purpose::Keep => Some(Pause::Kept),
            Kind::Error if outcome.error.is_some_and(refuses) => Some(Pause::Refused),
            _ => None,
        }
    }

    /// What the client is told of a statement that was stopped for taking too long, or tried to write in a
    /// transaction that may run on a replica.
    fn late(&self, kind: Kind, outcome: &mut Outcome) -> Option<Vec<u8>> {
        let code = outcome.error.filter(|_| kind == Kind::Error)?;
        let mariadb = self.connection.server.is_mariadb();
        let reads_only = self.session.status.has(Status::IN_READ_ONLY_TRANSACTION);
        let (code, payload) = match self.stopped.reword(code, mariadb) {
            None if reads_only => shown::read_only(code, mariadb)?,
            reworded => reworded?,
        };
        outcome.error = Some(code);
        Some(payload)
    }

    async fn forward(
        &mut self,
        position: usize,
        rewritten: &mut Vec<u8>,
        outcome: &mut Outcome,
    ) -> Result<(), Broken> {
        if position == 0 {
            return Ok(());
        }
        if let Some(numbers) = &mut self.numbers {
            if rewritten.is_empty() {
                rewritten.put_bytes(&self.connection.link.inbox.bytes()[..position]);
            }
            numbers.apply(rewritten);
        }
        let bytes = if rewritten.is_empty() {
            &self.connection.link.inbox.bytes()[..position]
        } else {
            &rewritten[..]
        };
        if !outcome.started {
            // Here, because how fast the client reads on says nothing of the server.
            outcome.answered_after = self.since.map(|since| since.elapsed());
        }
        outcome.started = true;
        outcome.bytes += bytes.len() as u64;
        if let Some(recording) = &mut self.recording {
            recording.add(bytes);
        }
        self.client.send(bytes).await.map_err(Broken::Client)?;
        rewritten.clear();
        self.connection.link.inbox.consume(position);
        Ok(())
    }

    /// LOAD DATA LOCAL: packets from the client up to an empty one.
    async fn file(&mut self, framer: &mut Framer, outcome: &Outcome) -> Result<(), Broken> {
        if let Some(numbers) = &mut self.numbers {
            // The server expects the file's packets to go on from its own.
            numbers.last_of_server = numbers.last_of_server.wrapping_add(1);
        }
        while self.file_goes_on().await? {
            let number = self.numbers.as_mut().map(|numbers| {
                numbers.next = numbers.next.wrapping_add(1);
                &mut numbers.last_of_server
            });
            let server = &mut self.connection.link;
            match request::pass_numbered(self.client, server, self.max_packet, number).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(PassError::Client(error)) => return Err(Broken::Client(error)),
                Err(PassError::Server(error)) => {
                    return Err(self.broken(outcome, self.connection.lost(error)));
                }
            }
        }
        framer.file_sent();
        Ok(())
    }

    /// Waits for more of the file. A server that answers or hangs up before its end wants no more of it.
    async fn file_goes_on(&mut self) -> Result<bool, Broken> {
        let (client, server) = (&mut *self.client, &mut self.connection.link);
        if !client.inbox.bytes().is_empty() {
            return Ok(true);
        }
        poll_fn(|context| match client.poll_fill(context) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(Broken::Client(io::ErrorKind::UnexpectedEof.into()))),
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(true)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(Broken::Client(error))),
            // What it says, or that it says no more, is found in its inbox and by the next read.
            Poll::Pending => server.poll_fill(context).map(|_| Ok(false)),
        })
        .await
    }
}

/// A packet in place of the one that came, after rows of the proxy's own if there are any. Nothing follows that would
/// have to be numbered anew: only what ends a response has such rows before it.
fn put_changed(out: &mut Vec<u8>, came: &[u8], more: &[Vec<u8>], payload: &[u8]) {
    let sequence = Header::parse(came).map_or(0, |header| header.sequence);
    let sequence = more
        .iter()
        .fold(sequence, |sequence, row| put_packet(out, sequence, row));
    put_packet(out, sequence, payload);
}

/// Looks at one packet: what does it say of the session, and may the client have it as it is?
fn judge(
    kind: Kind,
    payload: &[u8],
    session: &mut Session,
    (server, audience): (Capabilities, Audience<'_>),
    (statement, says): (Option<u32>, Option<&Done>),
    outcome: &mut Outcome,
) -> Result<Verdict, Malformed> {
    let observed = &mut outcome.observed;
    // The client has set session tracking itself: all that is tracked is for it.
    let is_own = session.holds.has(Hold::Tracking) && audience.capabilities.has(Capabilities::SESSION_TRACK);
    match kind {
        Kind::Progress | Kind::Row => Ok(Verdict::Pass),
        Kind::LocalInfile => Ok(Verdict::File),
        Kind::Error => {
            let code = ErrPacket::parse(payload)?.code;
            observed.failed_with(code);
            outcome.error = Some(code);
            Ok(Verdict::Pass)
        }
        Kind::Prepared => {
            let answer = Prepared::parse(payload, server)?;
            observed.warnings = answer.warnings;
            outcome.prepared = Some(answer);
            let Some(id) = statement else {
                return Ok(Verdict::Pass);
            };
            let mut payload = payload.to_vec();
            payload[1..5].copy_from_slice(&id.to_le_bytes());
            Ok(Verdict::Replace(payload))
        }
        Kind::ColumnsEnd => {
            let eof = EofPacket::parse(payload)?;
            Ok(Verdict::of(
                shown::eof(&eof, audience.reads_alone).filter(|_| !is_own),
            ))
        }
        Kind::End if payload.len() <= 5 => {
            let eof = EofPacket::parse(payload)?;
            observed.ended(eof.status, eof.warnings, false);
            observed.affected = None;
            Ok(Verdict::of(
                shown::eof(&eof, audience.reads_alone).filter(|_| !is_own),
            ))
        }
        Kind::Ok | Kind::End => {
            let mut ok = OkPacket::parse(payload, server)?;
            let stands = says.is_some_and(|says| says.put_into(&mut ok));
            observe(&ok, session, observed)?;
            if is_own {
                return Ok(Verdict::Pass);
            }
            let capabilities = audience.capabilities;
            let shown = shown::ok(&ok, audience)?;
            Ok(Verdict::of(
                shown.or_else(|| stands.then(|| encoded(&ok, capabilities))),
            ))
        }
    }
}

fn encoded(ok: &OkPacket<'_>, capabilities: Capabilities) -> Vec<u8> {
    let mut payload = Vec::new();
    ok.encode(&mut payload, capabilities);
    payload
}

fn observe(ok: &OkPacket<'_>, session: &mut Session, observed: &mut Observation) -> Result<(), Malformed> {
    observed.ended(ok.status, ok.warnings, true);
    observed.affected = (!ok.ends_rows).then_some(ok.affected_rows);
    if ok.last_insert_id != 0 {
        observed.insert_id = Some(ok.last_insert_id);
    }
    for change in Changes::new(ok.track) {
        observed.changed(session, &change?);
    }
    Ok(())
}
