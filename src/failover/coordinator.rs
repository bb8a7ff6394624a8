//! The task that decides and acts: it looks at every new observation, and executes commands one at a time.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::handle::{Command, Handle};
use super::report::Refusal;
use super::shared::Shared;
use crate::config::Config;
use crate::topology::Topology;

/// Commands that wait for the one before.
const QUEUE: usize = 8;

/// The handle, and the task behind it, which somebody has to run.
pub fn start(_config: &Config, _topology: Arc<Topology>) -> (Handle, impl Future<Output = ()> + use<>) {
    let (commands, mut inbox) = mpsc::channel::<Command>(QUEUE);
    let shared = Arc::new(Shared::new());
    let task = async move {
        while let Some(command) = inbox.recv().await {
            let refusal = Refusal::because(format!("not yet: {:?}", command.wanted));
            let _ = command.answer.send(Err(refusal));
        }
    };
    (Handle { shared, commands }, task)
}
