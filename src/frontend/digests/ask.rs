//! Every thread is asked for its rows, and answers when it comes to it.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::table::{Row, merged};
use crate::frontend::shared::{Message, Shared};

/// A thread that is too busy for so long is left out.
const PATIENCE: Duration = Duration::from_secs(2);

/// The rows of all threads together.
pub async fn ask(shared: &Shared) -> Vec<Row> {
    let (sender, mut receiver) = mpsc::channel(shared.workers.len().max(1));
    for worker in &shared.workers {
        // One that has ended counts nothing any more.
        let _ = worker.send(Message::Digests(sender.clone()));
    }
    drop(sender);
    let deadline = Instant::now() + PATIENCE;
    let mut answers = Vec::new();
    while let Ok(Some(rows)) = timeout_at(deadline, receiver.recv()).await {
        answers.push(rows);
    }
    merged(answers)
}

/// All threads count anew.
pub fn forget(shared: &Shared) {
    for worker in &shared.workers {
        let _ = worker.send(Message::ForgetDigests);
    }
}
