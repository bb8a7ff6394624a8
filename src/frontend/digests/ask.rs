//! Every thread is asked for what it alone knows, and answers when it comes to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::table::{Row, merged};
use crate::frontend::shared::{Message, Shared};

/// A thread that is too busy for so long is left out.
const PATIENCE: Duration = Duration::from_secs(2);

/// The rows of all threads together.
pub async fn ask(shared: &Shared) -> Vec<Row> {
    merged(answers(shared, Message::Digests).await)
}

/// What each client runs or ran last, without literals, by the client's id.
pub async fn statements(shared: &Shared) -> HashMap<u32, Arc<[u8]>> {
    let answers = answers(shared, Message::Statements).await;
    answers.into_iter().flatten().collect()
}

async fn answers<T>(shared: &Shared, message: impl Fn(mpsc::Sender<T>) -> Message) -> Vec<T> {
    let (sender, mut receiver) = mpsc::channel(shared.workers.len().max(1));
    for worker in &shared.workers {
        // One that has ended knows nothing any more.
        let _ = worker.send(message(sender.clone()));
    }
    drop(sender);
    let deadline = Instant::now() + PATIENCE;
    let mut answers = Vec::new();
    while let Ok(Some(answer)) = timeout_at(deadline, receiver.recv()).await {
        answers.push(answer);
    }
    answers
}

/// All threads count anew.
pub fn forget(shared: &Shared) {
    for worker in &shared.workers {
        let _ = worker.send(Message::ForgetDigests);
    }
}
