//! Which statements are traced, and the queue before the task that sends their spans.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::span::Span;
use crate::config::{Endpoint, Traces};
use crate::util::clock;

/// Held once, when the process starts, and never across an await.
#[allow(clippy::disallowed_types)]
type Mutex<T> = std::sync::Mutex<T>;

/// There is one where the configuration names a collector.
#[derive(Debug)]
pub struct Tracer {
    pub endpoint: Endpoint,
    pub service: String,
    /// How a collector behind TLS is met: set before the first span is sent.
    pub(super) tls: OnceLock<Arc<rustls::ClientConfig>>,
    /// Of 10000 statements that nobody traces.
    pub sample: u32,
    pub counts: Arc<SpanCounts>,
    /// Spans that have been told and neither sent nor given up.
    pub(super) pending: AtomicU64,
    queue: mpsc::Sender<Box<Span>>,
    /// For the task that sends.
    inbox: Mutex<Option<mpsc::Receiver<Box<Span>>>>,
}

/// Spans, since the start.
#[derive(Debug, Default)]
pub struct SpanCounts {
    /// The collector has them.
    pub sent: AtomicU64,
    /// There was no room in the queue.
    pub dropped: AtomicU64,
    /// The collector did not take them.
    pub failed: AtomicU64,
}

/// How long the end of the process waits for the collector.
const PATIENCE: Duration = Duration::from_secs(2);

// === impl Tracer ===

impl Tracer {
    pub fn new(traces: &Traces) -> Option<Self> {
        let endpoint = traces.endpoint.clone()?;
        let (queue, inbox) = mpsc::channel(traces.queue as usize);
        Some(Self {
            endpoint,
            tls: OnceLock::new(),
            service: traces.service.clone(),
            sample: traces.sample,
            counts: Arc::default(),
            pending: AtomicU64::new(0),
            queue,
            inbox: Mutex::new(Some(inbox)),
        })
    }

    /// To be called before [`run`](super::run).
    pub fn trust(&self, tls: Option<Arc<rustls::ClientConfig>>) {
        if let Some(tls) = tls {
            self.tls.get_or_init(|| tls);
        }
    }

    /// Never waits.
    pub fn tell(&self, span: Box<Span>) {
        self.pending.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send(span).is_err() {
            self.pending.fetch_sub(1, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all that was told is sent, but not for long.
    pub async fn finish(&self) {
        let until = Instant::now() + PATIENCE;
        while self.pending.load(Ordering::Relaxed) > 0 && Instant::now() < until {
            sleep(clock::TICK).await;
        }
    }

    /// Only the first who asks gets it.
    pub(super) fn inbox(&self) -> Option<mpsc::Receiver<Box<Span>>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
