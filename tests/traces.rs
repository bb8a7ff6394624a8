//! Spans of statements, as a collector gets them.

use std::sync::{Arc, Mutex};

use mysql_async::prelude::Queryable;
use serde_json::Value;
use splitrail::net::tls::{self, Certificate};
use splitrail::wire::Capabilities;
use splitrail::wire::command::Command;
use splitrail::wire::framing::Expect;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use crate::commands::query_with_attributes;
use crate::fixture::proxy::{Signal, free_port, wait_for};
use crate::fixture::raw::{Raw, Who};
use crate::fixture::{Cluster, Flavour, Proxy, on_both_flavours};
use crate::routing::execution;

/// Takes spans, as a collector of OpenTelemetry does.
struct Collector {
    port: u16,
    requests: Arc<Mutex<Vec<Value>>>,
    task: AbortHandle,
}

// === impl Collector ===

impl Collector {
    async fn start() -> Self {
        Self::behind(None).await
    }

    async fn behind(tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = requests.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let request = match &tls {
                    None => take(stream).await,
                    // Who does not trust it goes away.
                    Some(tls) => match TlsAcceptor::from(tls.clone()).accept(stream).await {
                        Ok(stream) => take(stream).await,
                        Err(_) => continue,
                    },
                };
                kept.lock().unwrap().push(request);
            }
        });
        Self {
            port,
            requests,
            task: task.abort_handle(),
        }
    }

    fn spans(&self) -> Vec<Value> {
        let requests = self.requests.lock().unwrap();
        let spans = |request: &Value| {
            request["resourceSpans"][0]["scopeSpans"][0]["spans"]
                .as_array()
                .unwrap()
                .clone()
        };
        requests.iter().flat_map(spans).collect()
    }

    /// The span of a statement whose digest says this.
    async fn span(&self, part: &str) -> Value {
        let is_it = |span: &&Value| attribute(span, "db.query.text").is_some_and(|text| text.contains(part));
        wait_for(&format!("a span of {part}"), async || {
            self.spans().iter().find(is_it).cloned()
        })
        .await
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request, which is answered.
async fn take(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Value {
    let mut bytes = Vec::new();
    loop {
        stream.read_buf(&mut bytes).await.unwrap();
        let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .unwrap();
        if bytes.len() < end + 4 + length.parse::<usize>().unwrap() {
            continue;
        }
        assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("Content-Type: application/json"), "{head}");
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        stream.write_all(answer).await.unwrap();
        stream.shutdown().await.unwrap();
        return serde_json::from_slice(&bytes[end + 4..]).unwrap();
    }
}

fn attribute(span: &Value, key: &str) -> Option<String> {
    let mut all = span["attributes"].as_array()?.iter();
    let value = &all.find(|attribute| attribute["key"] == key)?["value"];
    let text = value["stringValue"].as_str().or(value["intValue"].as_str())?;
    Some(text.to_owned())
}

fn number(span: &Value, key: &str) -> u64 {
    attribute(span, key).unwrap().parse().unwrap()
}

fn traceparent(trace: u32, flags: &str) -> String {
    format!("00-{:032x}-00000000000000aa-{flags}", u128::from(trace))
}

fn settings(collector: &Collector, sample: &str) -> String {
    let port = collector.port;
    format!("traces: {{endpoint: \"http://127.0.0.1:{port}\", sample: {sample}, service: shop}}")
}

on_both_flavours! {
    async fn a_span_tells_where_a_statement_ran_and_how_long(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let collector = Collector::start().await;
        let proxy = Proxy::before(cluster).with(settings(&collector, "100%")).start().await;
        let mut client = proxy.client().await;
        client.query_drop("SELECT SLEEP(0.2), 'a secret' AS slept").await.unwrap();
        client.query_drop("SELECT 'a secret' FROM nowhere.missing").await.unwrap_err();
        client.exec_drop("SELECT ? AS prepared", (5,)).await.unwrap();
        let span = collector.span("slept").await;
        assert_eq!((span["name"].as_str(), span["kind"].as_u64()), (Some("SELECT"), Some(2)));
        assert_eq!(span["traceId"].as_str().unwrap().len(), 32);
        assert_eq!(span["spanId"].as_str().unwrap().len(), 16);
        assert_eq!((span.get("parentSpanId"), span.get("status")), (None, None));
        let system = if flavour == Flavour::MariaDb { "mariadb" } else { "mysql" };
        assert_eq!(attribute(&span, "db.system.name").as_deref(), Some(system));
        let server = attribute(&span, "splitrail.server").unwrap();
        let found = cluster.servers().iter().find(|each| each.name == server).unwrap();
        assert_eq!(number(&span, "server.port"), u64::from(found.port));
        assert!(attribute(&span, "splitrail.reason").is_some());
        assert_eq!((number(&span, "splitrail.rows"), attribute(&span, "user.name")), (1, Some(cluster.user.clone())));
        assert!(number(&span, "splitrail.run_us") >= 200_000, "{span:#}");
        let nanos = |key: &str| span[key].as_str().unwrap().parse::<u128>().unwrap();
        let took = (nanos("endTimeUnixNano") - nanos("startTimeUnixNano")) / 1_000;
        let parts = number(&span, "splitrail.run_us") + number(&span, "splitrail.wait_us");
        assert!(took.abs_diff(u128::from(parts)) <= 2, "{span:#}");
        let failed = collector.span("missing").await;
        assert_eq!(failed["status"]["code"], 2);
        // 1146 where the schema is there; the two flavours differ where it is not.
        assert!(["1146", "1049"].contains(&&*attribute(&failed, "error.type").unwrap()), "{failed:#}");
        collector.span("prepared").await;
        let said = collector.requests.lock().unwrap().clone();
        assert!(said.iter().all(|request| !request.to_string().contains("secret")));
        let resource = &said[0]["resourceSpans"][0]["resource"];
        assert_eq!(attribute(resource, "service.name").as_deref(), Some("shop"));
        // What was done last is sent before the end.
        client.query_drop("SELECT 1 AS the_last").await.unwrap();
        proxy.signal(Signal::TERM);
        collector.span("the_last").await;
        proxy.wait_exit().await;
    }

    async fn the_application_says_what_is_traced_and_under_what(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let collector = Collector::start().await;
        let proxy = Proxy::before(cluster).with(settings(&collector, "off")).start().await;
        let mut client = proxy.client().await;
        let comment = |trace, flags| format!("/*application='a',traceparent='{}'*/", traceparent(trace, flags));
        client.query_drop("SELECT 1 AS untraced").await.unwrap();
        client.query_drop(format!("SELECT 1 AS unsampled {}", comment(1, "00"))).await.unwrap();
        client.query_drop(format!("SELECT 1 AS commented {}", comment(2, "01"))).await.unwrap();
        client.exec_drop(format!("SELECT ? AS prepared {}", comment(3, "01")), (1,)).await.unwrap();
        let is_under = |span: &Value, trace: u32| {
            assert_eq!(span["traceId"], format!("{:032x}", u128::from(trace)), "{span:#}");
            assert_eq!(span["parentSpanId"], "00000000000000aa");
        };
        is_under(&collector.span("commented").await, 2);
        is_under(&collector.span("prepared").await, 3);
        let who = Who::of(cluster, Who::usual() | Capabilities::QUERY_ATTRIBUTES);
        let mut raw = Raw::open(&proxy.address(), &who).await;
        if raw.capabilities.has(Capabilities::QUERY_ATTRIBUTES) {
            // What the attributes say counts more.
            let sql = format!("SELECT 1 AS attributed {}", comment(4, "00"));
            let body = query_with_attributes(&sql, &[("traceparent", &traceparent(5, "01"))]);
            raw.command(Command::QUERY, &body, Expect::Results).await;
            is_under(&collector.span("attributed").await, 5);
            let prepared = raw.command(Command::STMT_PREPARE, b"SELECT ? AS executed", Expect::Prepared).await;
            let body = execution(prepared[0][1..5].try_into().unwrap(), ("traceparent", &traceparent(6, "01")));
            raw.command(Command::STMT_EXECUTE, &body, Expect::Results).await;
            is_under(&collector.span("executed").await, 6);
        } else {
            assert_eq!(flavour, Flavour::MariaDb);
        }
        let spans = collector.spans();
        let texts = spans.iter().filter_map(|span| attribute(span, "db.query.text"));
        assert!(texts.filter(|text| text.contains("untraced") || text.contains("unsampled")).count() == 0);
    }
}

/// A number of /metrics.
async fn metric(port: u16, name: &str) -> u64 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {page}"))
        .trim()
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_collector_behind_tls_has_to_prove_who_it_is() {
    let cluster = Cluster::shared(Flavour::MariaDb).await;
    let files = &cluster.certificates;
    let shown = Certificate::load(&files.server_certificate(), &files.server_key()).unwrap();
    let collector = Collector::behind(Some(tls::server(shown, None, false, false).unwrap())).await;
    let endpoint = format!("endpoint: \"https://127.0.0.1:{}\", sample: 100%", collector.port);
    let trusting = format!("traces: {{{endpoint}, ca: \"{}\"}}", files.authority().display());
    let proxy = Proxy::before(cluster).with(trusting).start().await;
    proxy
        .client()
        .await
        .query_drop("SELECT 1 AS trusted")
        .await
        .unwrap();
    collector.span("trusted").await;
    // Whoever the system trusts has not signed this one.
    let authority = rcgen::generate_simple_self_signed(vec!["other".to_owned()]).unwrap();
    let start = Proxy::before(cluster).file("other.crt", authority.cert.pem());
    let other = start.folder().join("other.crt");
    let start = start.with(format!("traces: {{{endpoint}, ca: \"{}\"}}", other.display()));
    let proxy = start.start().await;
    proxy
        .client()
        .await
        .query_drop("SELECT 1 AS doubtful")
        .await
        .unwrap();
    proxy
        .wait_for_log(&["the collector takes no spans", "certificate"])
        .await;
    assert!(
        collector
            .spans()
            .iter()
            .all(|span| !span.to_string().contains("doubtful"))
    );
}

#[tokio::test]
async fn a_collector_that_is_away_costs_spans_and_nothing_else() {
    let cluster = Cluster::shared(Flavour::MariaDb).await;
    let (away, port) = (free_port(), free_port());
    let proxy = Proxy::before(cluster)
        .with(format!(
            "traces: {{endpoint: \"http://127.0.0.1:{away}/\", sample: 100%, queue: 16}}"
        ))
        .with(format!("http: {{address: \"127.0.0.1:{port}\", open: metrics}}"))
        .start()
        .await;
    let mut client = proxy.client().await;
    // More than one request has and the queue holds.
    for _ in 0..1500 {
        assert_eq!(client.query_first("SELECT 1").await.unwrap(), Some(1));
    }
    let of = async |result: &str| {
        metric(
            port,
            &format!("splitrail_trace_spans_total{{result=\"{result}\"}}"),
        )
        .await
    };
    assert!(of("dropped").await > 0);
    wait_for("the spans to be given up", async || {
        (of("failed").await > 0).then_some(())
    })
    .await;
    assert_eq!(of("sent").await, 0);
    proxy.wait_for_log(&["the collector takes no spans"]).await;
}
