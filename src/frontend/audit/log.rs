//! The queue before the audit file, and the thread behind it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;

use super::file::Rotated;
use super::record::Record;
use crate::config;

/// For everybody who has something to tell.
#[derive(Debug, Default)]
pub struct Audit {
    /// `None`: nothing is written.
    queue: Option<SyncSender<Item>>,
    pub counts: Arc<AuditCounts>,
}

/// Records, since the start.
#[derive(Debug, Default)]
pub struct AuditCounts {
    pub written: AtomicU64,
    /// They came faster than they could be written.
    pub dropped: AtomicU64,
    /// The file could not be written to.
    pub lost: AtomicU64,
}

#[derive(Debug)]
enum Item {
    Line(String),
    /// Nothing comes behind it. Goes when all before it is written.
    End(oneshot::Sender<()>),
}

/// Lines that wait at once, of at most some twenty KiB each and usually 200 bytes.
const QUEUE: usize = 4_096;
/// Bytes written at once.
const BATCH: usize = 64 << 10;
/// How long the end of the process waits for the file.
const PATIENCE: Duration = Duration::from_secs(2);

// === impl Audit ===

impl Audit {
    /// With a thread that writes to the file of the configuration, if there is one.
    pub fn open(config: &config::Audit) -> io::Result<Self> {
        let audit = Self::default();
        let Some(path) = &config.file else {
            return Ok(audit);
        };
        let file = Rotated::open(path, config.max_bytes, config.keep)?;
        let (queue, items) = sync_channel(QUEUE);
        let counts = audit.counts.clone();
        let thread = std::thread::Builder::new().name("audit".to_owned());
        thread.spawn(move || write(file, &items, &counts))?;
        Ok(Self {
            queue: Some(queue),
            ..audit
        })
    }

    pub fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Never waits. `record` is made only when somebody wants it.
    pub fn tell(&self, record: impl FnOnce() -> Record) {
        let Some(queue) = &self.queue else { return };
        let line = record().line(SystemTime::now());
        if queue.try_send(Item::Line(line)).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all that was told is written, but not for ever.
    pub async fn finish(&self) {
        let Some(queue) = &self.queue else { return };
        let (sender, written) = oneshot::channel();
        if let Err(TrySendError::Full(_)) = queue.try_send(Item::End(sender)) {
            tracing::warn!("the audit log is not written to its end: the file takes too long");
            return;
        }
        if tokio::time::timeout(PATIENCE, written).await.is_err() {
            tracing::warn!("the audit log is not written to its end: the file takes too long");
        }
    }
}

/// Until nobody can tell anything any more.
fn write(mut file: Rotated, items: &Receiver<Item>, counts: &AuditCounts) {
    let mut fails = false;
    while let Ok(first) = items.recv() {
        let (mut lines, mut number, mut end) = (String::new(), 0, None);
        let mut next = Ok(first);
        loop {
            match next {
                Ok(Item::Line(line)) => {
                    lines.push_str(&line);
                    number += 1;
                }
                Ok(Item::End(sender)) => end = Some(sender),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
            if lines.len() >= BATCH || end.is_some() {
                break;
            }
            next = items.try_recv();
        }
        let written = match number {
            0 => Ok(()),
            _ => file.write(lines.as_bytes()),
        };
        let count = if written.is_ok() {
            &counts.written
        } else {
            &counts.lost
        };
        count.fetch_add(number, Ordering::Relaxed);
        // Told once, and once more when it is over.
        match &written {
            Err(error) if !fails => tracing::error!(%error, "the audit log cannot be written"),
            Ok(()) if fails && number > 0 => tracing::info!("the audit log is written again"),
            _ => {}
        }
        fails = written.is_err() || fails && number == 0;
        drop(end);
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Event;
    use super::*;

    fn settings(path: Option<std::path::PathBuf>) -> config::Audit {
        config::Audit {
            file: path,
            max_bytes: 1 << 20,
            keep: 1,
        }
    }

    #[tokio::test]
    async fn all_that_was_told_is_in_the_file_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let audit = Audit::open(&settings(Some(path.clone()))).unwrap();
        for number in 0..1_000 {
            audit.tell(|| Record::new(Event::Login).with_number("client", number));
        }
        audit.finish().await;
        let text = std::fs::read_to_string(path).unwrap();
        let dropped = audit.counts.dropped.load(Ordering::Relaxed);
        assert_eq!(text.lines().count() as u64 + dropped, 1_000);
        assert_eq!(audit.counts.written.load(Ordering::Relaxed) + dropped, 1_000);
    }

    #[tokio::test]
    async fn without_a_file_nothing_is_made() {
        let audit = Audit::open(&settings(None)).unwrap();
        audit.tell(|| panic!("nobody wants it"));
        audit.finish().await;
        assert!(!audit.is_on());
        assert!(Audit::open(&settings(Some("/nowhere/at/all".into()))).is_err());
    }
}
