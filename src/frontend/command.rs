//! The command loop: reads what the client asks and hands it to the file that knows the command.

use std::time::Duration;

use super::client::{Client, FIRST, STOPPING};
use super::outcome::End;
use super::request;
use super::rows::Speaks;
use crate::net::Interrupt;
use crate::net::buffer;
use crate::net::link::Filled;
use crate::routing::rules::Actions;
use crate::sql::Facts;
use crate::util::clock;
use crate::wire::command::Command;
use crate::wire::framing::Expect;
use crate::wire::packet::{HEADER, Header};

/// Requests up to this length are read whole before anything is done; of longer ones so much is looked at.
pub const LOOKED_AT: usize = 64 << 10;

// === impl Client ===

impl Client {
    /// Serves the client until one of the two ends it.
    pub async fn serve(&mut self) -> End {
        loop {
            let (header, command) = match self.next().await {
                Ok(next) => next,
                Err(end) => return end,
            };
            if self.entry.is_killed() {
                return End::Killed;
            }
            if command != Command::QUIT {
                self.statements += 1;
            }
            self.keep_up();
            self.signal.is_cancelled.set(false);
            self.entry.begins(command, clock::now());
            let began = self.worker.begin_command();
            self.begin();
            let served = self.command(header, command).await;
            self.end(served.is_err());
            if let Err(end) = served {
                return end;
            }
            self.worker.end_command(began);
            self.entry.ended(&self.session, self.statements, clock::now());
            self.link.inbox.release();
        }
    }

    /// Waits for the next command; its beginning is in the inbox then.
    async fn next(&mut self) -> Result<(Header, Command), End> {
        loop {
            let bytes = self.link.inbox.bytes();
            if let Some(header) = Header::parse(bytes)
                && bytes.len() >= header.total().min(HEADER + LOOKED_AT)
            {
                self.signal.idle_since.set(None);
                let header = match header.sequence {
                    0 => header,
                    // Compressed packets have numbers of their own, and some clients count nothing else.
                    _ if self.link.next_number().is_some() => self.number_anew(header),
                    _ => {
                        let _ = self.error(1156, b"08S01", "Got packets out of order").await;
                        return Err(End::Malformed);
                    }
                };
                let command = self
                    .link
                    .inbox
                    .bytes()
                    .get(HEADER)
                    .copied()
                    .filter(|_| header.length > 0)
                    .unwrap_or_default();
                return Ok((header, Command(command)));
            }
            let started = !bytes.is_empty();
            self.wait(started).await?;
        }
    }

    /// The command at the front of the inbox begins at 0, as the server wants it that may get it uncompressed.
    fn number_anew(&mut self, header: Header) -> Header {
        let header = Header {
            sequence: 0,
            ..header
        };
        if let Some(place) = self.link.inbox.bytes_mut().first_chunk_mut() {
            *place = header.encode();
        }
        header
    }

    async fn wait(&mut self, started: bool) -> Result<(), End> {
        let patient = self.session.in_transaction() || !self.session.leaves_clean();
        let threshold = if patient {
            Interrupt::Idle
        } else {
            Interrupt::Drain
        };
        let soft = !started && self.session.holds.are_soft();
        let server = self.connection.as_ref().map(|connection| connection.server.index);
        if !started {
            // By the clock's last tick, a client might seem silent as soon as it begins to be.
            let since = if soft { clock::tick() } else { clock::now() };
            self.signal.idle_since.set(Some(since));
        }
        self.signal.holds_softly.set(server.filter(|_| soft));
        self.signal.is_wanted.set(false);
        let filled = self.link.fill_unless(&self.signal, threshold).await;
        self.signal.holds_softly.set(None);
        match filled {
            Ok(Filled::Bytes) => Ok(()),
            Ok(Filled::Wanted) => {
                self.let_go(soft).await;
                Ok(())
            }
            Ok(Filled::Evicted) => {
                self.drop_evicted();
                Ok(())
            }
            Ok(Filled::End) => Err(End::Gone),
            Ok(Filled::Interrupted(interrupt)) => Err(self.interrupted(interrupt).await),
            Err(_) => Err(End::Broken),
        }
    }

    /// The proxy ends the connection. A client that does not read its last packet does not hold anything up.
    async fn interrupted(&mut self, interrupt: Interrupt) -> End {
        // As MySQL numbers the packet that nobody asked for. The other is for the client's next command: most clients
        // look only then, and take it for the answer.
        let (end, sequence, code, sqlstate, message) = match interrupt {
            Interrupt::Kill => return End::Killed,
            Interrupt::Idle if self.server.is_mariadb() => return End::Idle,
            Interrupt::Idle => {
                let text = "The client was disconnected by the server because of inactivity. \
                            See wait_timeout and interactive_timeout for configuring this behavior.";
                (End::Idle, 0, 4031, b"HY000", text)
            }
            Interrupt::Drain | Interrupt::Stop => (End::ShuttingDown, FIRST, 1053, b"08S01", STOPPING),
        };
        let packet = super::reply::error(sequence, self.capabilities, code, sqlstate, message);
        let _ = tokio::time::timeout(Duration::from_millis(100), self.link.send(&packet)).await;
        end
    }

    async fn command(&mut self, header: Header, command: Command) -> Result<(), End> {
        // A longer one that comes in several packets is measured as it passes.
        if header.length as u64 > self.settings.config.limits.max_allowed_packet {
            return Err(self.client_failed(&request::too_long()).await);
        }
        if buffer::is_exhausted() && self.session.holds.is_empty() && command != Command::QUIT {
            self.skip().await?;
            let text = "Out of memory: limits.buffer_memory is used up; try again later";
            return self.error(1041, b"08004", text).await;
        }
        self.follow_primary();
        self.gateway.begin();
        self.notice_loss();
        let is_answered = !matches!(
            command,
            Command::QUIT | Command::STMT_CLOSE | Command::STMT_SEND_LONG_DATA
        );
        if self.replay.severed
            && is_answered
            && let Err(error) = Box::pin(self.rebuild()).await
        {
            self.skip().await?;
            return self.refuse(error).await.map(drop);
        }
        self.steer(Actions::default());
        self.caching.begin(self.session.in_transaction());
        if self.session.has_doubts() {
            self.dispel_doubts();
        }
        // What a statement before left that was never answered.
        self.speaks = Speaks::OfNone;
        // A client has room for the most that one of these needs: what is rare, or costs more anyway, is boxed.
        match command {
            Command::QUIT => Err(End::Quit),
            Command::QUERY => self.query(header).await,
            Command::STMT_PREPARE => Box::pin(self.prepare()).await,
            Command::STMT_EXECUTE | Command::STMT_BULK_EXECUTE => self.execute(header, command).await,
            Command::STMT_SEND_LONG_DATA => Box::pin(self.long_data()).await,
            Command::STMT_FETCH => self.fetch().await,
            Command::STMT_RESET => Box::pin(self.reset_statement()).await,
            Command::STMT_CLOSE => Box::pin(self.close_statement()).await,
            Command::CHANGE_USER => Box::pin(self.change_user()).await,
            Command::RESET_CONNECTION => Box::pin(self.reset_connection()).await,
            Command::PROCESS_KILL => Box::pin(self.process_kill()).await,
            Command::BINLOG_DUMP | Command::BINLOG_DUMP_GTID => Box::pin(self.tunnel()).await,
            _ => Box::pin(self.other(command)).await,
        }
    }

    /// Everything that needs no more than to be passed on, known or unknown.
    async fn other(&mut self, command: Command) -> Result<(), End> {
        self.speaks = match command {
            Command::PROCESS_INFO => Speaks::OfProcesses,
            _ => Speaks::OfNone,
        };
        let expect = match command {
            Command::STATISTICS => Expect::Text,
            Command::FIELD_LIST => Expect::Rows,
            _ => Expect::Results,
        };
        if matches!(command, Command::REGISTER_REPLICA | Command::SET_OPTION) {
            // Both change what the connection is; it is not for others any more.
            self.session.hold_state_for_good();
        }
        self.pass(expect, &Facts::default()).await.map(drop)
    }
}
