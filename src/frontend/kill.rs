//! KILL and PROCESS_KILL: an id of ours is turned into the id of the server connection that the client has.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::client::Client;
use super::outcome::End;
use super::registry::{Entry, Registry};
use crate::net::Interrupt;
use crate::sql::{Features, KillTarget, Verb};
use crate::wire::command::Command;
use crate::wire::framing::Expect;

// === impl Client ===

impl Client {
    /// The statement with the server's id in place of ours, if the client that is meant has a server connection.
    pub fn rewrite_kill(&self, text: &[u8], features: &Features) -> Option<Vec<u8>> {
        let kill = features.kill.as_ref()?;
        let (range, id) = (kill.id_range()?, kill.id?);
        let thread = self.target(id)?.thread.load(Ordering::Relaxed);
        if thread == 0 {
            return None;
        }
        let mut out = text[..range.start].to_vec();
        out.extend_from_slice(thread.to_string().as_bytes());
        out.extend_from_slice(&text[range.end..]);
        Some(out)
    }

    fn target(&self, id: u64) -> Option<Arc<Entry>> {
        self.worker.shared.registry.get(u32::try_from(id).ok()?)
    }

    /// Whether the id meant can only be one of ours. Others are the server's: it knows what to do with them.
    pub fn kill_is_ours(&self, features: &Features) -> bool {
        features
            .kill
            .as_ref()
            .and_then(|kill| kill.id)
            .is_some_and(Registry::is_own_id)
    }

    /// Once the server has taken the order, the client that is meant goes too.
    pub fn after_kill(&self, features: &Features, done: bool) {
        let Some(kill) = features
            .kill
            .as_ref()
            .filter(|_| done && features.verb == Verb::Kill)
        else {
            return;
        };
        if let (KillTarget::Connection, Some(id)) = (&kill.target, kill.id) {
            self.end_client(id);
        }
    }

    fn end_client(&self, id: u64) {
        if let (Some(entry), Ok(id)) = (self.target(id), u32::try_from(id)) {
            self.worker.shared.interrupt(entry.worker, id, Interrupt::Kill);
        }
    }

    /// The client that is meant has no server connection now: nothing runs, and no server knows it.
    pub async fn kill_unbound(&mut self, features: &Features) -> Result<(), End> {
        let Some(kill) = &features.kill else { return Ok(()) };
        let (id, connection) = (
            kill.id.unwrap_or_default(),
            matches!(kill.target, KillTarget::Connection),
        );
        self.kill_idle(id, connection).await
    }

    async fn kill_idle(&mut self, id: u64, connection: bool) -> Result<(), End> {
        let Some(entry) = self.target(id) else {
            return self
                .error(1094, b"HY000", &format!("Unknown thread id: {id}"))
                .await;
        };
        if entry.user != self.login.user {
            return self
                .error(1095, b"HY000", &format!("You are not owner of thread {id}"))
                .await;
        }
        if connection {
            self.end_client(id);
        }
        self.ok().await
    }

    pub async fn process_kill(&mut self) -> Result<(), End> {
        let payload = self.read().await?;
        let bytes = payload
            .get(1..5)
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or_default();
        let id = u32::from_le_bytes(bytes);
        let thread = self
            .target(id.into())
            .map(|entry| entry.thread.load(Ordering::Relaxed));
        match thread {
            Some(0) => self.kill_idle(id.into(), true).await,
            None if Registry::is_own_id(id.into()) => self.kill_idle(id.into(), true).await,
            thread => {
                let mut payload = vec![Command::PROCESS_KILL.0];
                let thread = thread.map_or(id, |thread| thread as u32);
                payload.extend_from_slice(&thread.to_le_bytes());
                let outcome = self
                    .pass_payload(&payload, Expect::Results, &Features::default())
                    .await?;
                if outcome.error.is_none() {
                    self.end_client(id.into());
                }
                Ok(())
            }
        }
    }

    /// Reads the whole request at the front of the inbox.
    pub async fn read(&mut self) -> Result<Vec<u8>, End> {
        let limit = self.worker.shared.config.limits.max_allowed_packet;
        match super::request::read_packet(&mut self.link, limit).await {
            Ok(payload) => Ok(payload),
            Err(error) => Err(self.client_failed(&error).await),
        }
    }
}
