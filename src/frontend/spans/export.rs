//! The task that sends spans: some at a time, in an HTTP request of OTLP, a few times again where the collector
//! is busy or away. Then they are thrown away, and counted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::encode;
use super::span::Span;
use super::tracer::Tracer;
use crate::config::Endpoint;
use crate::frontend::shared::Shared;

/// Spans of one request.
const BATCH: usize = 512;
/// How long the first of them waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// For one request.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pauses before it is tried again.
const AGAIN: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
/// Of an answer so much is read.
const LONGEST_ANSWER: u64 = 16 << 10;

/// What became of a request.
enum Answer {
    Taken,
    /// It may be taken later.
    Busy(String),
    Refused(String),
}

/// Sends until the task is dropped. Nothing to do where no collector is configured.
pub async fn run(shared: Arc<Shared>) {
    let Some(tracer) = &shared.tracer else { return };
    let Some(mut inbox) = tracer.inbox() else { return };
    let mut works = true;
    while let Some(spans) = batch(&mut inbox).await {
        let sent = send(tracer, &spans).await;
        let count = match &sent {
            Ok(()) => &tracer.counts.sent,
            Err(_) => &tracer.counts.failed,
        };
        let number = spans.len() as u64;
        count.fetch_add(number, Ordering::Relaxed);
        tracer.pending.fetch_sub(number, Ordering::Relaxed);
        let Endpoint { host, port, .. } = &tracer.endpoint;
        match sent {
            Ok(()) if !works => tracing::info!(host, port, "the collector takes spans again"),
            Err(why) if works => tracing::warn!(host, port, reason = why, "the collector takes no spans"),
            _ => continue,
        }
        works = !works;
    }
}

async fn batch(inbox: &mut mpsc::Receiver<Box<Span>>) -> Option<Vec<Box<Span>>> {
    let mut spans = vec![inbox.recv().await?];
    let until = Instant::now() + GATHER;
    while spans.len() < BATCH {
        let room = BATCH - spans.len();
        match timeout_at(until, inbox.recv_many(&mut spans, room)).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    Some(spans)
}

async fn send(tracer: &Tracer, spans: &[Box<Span>]) -> Result<(), String> {
    let body = encode::request(&tracer.service, spans).to_string();
    let mut pauses = AGAIN.iter();
    loop {
        let why = match timeout(PATIENCE, post(tracer, &body)).await {
            Ok(Ok(Answer::Taken)) => return Ok(()),
            Ok(Ok(Answer::Refused(why))) => return Err(why),
            Ok(Ok(Answer::Busy(why))) => why,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {PATIENCE:?}"),
        };
        match pauses.next() {
            Some(pause) => sleep(*pause).await,
            None => return Err(why),
        }
    }
}

async fn post(tracer: &Tracer, body: &str) -> io::Result<Answer> {
    let Endpoint { host, port, .. } = &tracer.endpoint;
    let stream = TcpStream::connect((host.as_str(), *port)).await?;
    if !tracer.endpoint.is_secure {
        return exchange(stream, &tracer.endpoint, body).await;
    }
    let Some(tls) = tracer.tls.get() else {
        return Err(io::Error::other("there is nothing to check its certificate with"));
    };
    let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
    let stream = TlsConnector::from(tls.clone()).connect(name, stream).await?;
    exchange(stream, &tracer.endpoint, body).await
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    endpoint: &Endpoint,
    body: &str,
) -> io::Result<Answer> {
    let Endpoint { host, port, path, .. } = endpoint;
    let named = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {named}:{port}\r\nUser-Agent: splitrail/{}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION"),
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    let read = stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await;
    match status(&answer) {
        Some(200..=299) => Ok(Answer::Taken),
        // As OTLP says: only then is it worth coming back.
        Some(code @ (429 | 502..=504)) => Ok(Answer::Busy(format!("status {code}"))),
        Some(code) => Ok(Answer::Refused(format!("status {code}"))),
        None => Err(read
            .err()
            .unwrap_or_else(|| io::Error::other("it does not speak HTTP"))),
    }
}

/// Of the first line of an answer.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_in_the_first_line() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n{}"), Some(200));
        assert_eq!(status(b"HTTP/1.0 503 x"), Some(503));
        for nonsense in [
            &b""[..],
            b"\x4a\0\0\0\x0a8.0.36",
            b"HTTP/2 200",
            b"HTTP/1.1 many\r\n",
        ] {
            assert_eq!(status(nonsense), None);
        }
    }
}
