//! The HTTP listener: health, metrics, the API and who may use what, before real servers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mysql_async::prelude::Queryable;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::fixture::proxy::{PATIENCE, Signal, free_port, wait_for};
use crate::fixture::{Cluster, Proxy, on_both_flavours};

const OPERATE: &str = "operate-operate-operate";
const READ: &str = "read-read-read-read";

/// What a listener answered.
struct Answer {
    status: u16,
    headers: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// A client of one listener, with a token or without.
#[derive(Clone, Copy)]
pub struct Site {
    port: u16,
    token: Option<&'static str>,
}

impl Site {
    fn with(self, token: &'static str) -> Self {
        Self {
            token: Some(token),
            ..self
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "").await
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let token = self
            .token
            .map(|token| format!("Authorization: Bearer {token}\r\n"))
            .unwrap_or_default();
        let length = body.len();
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {length}\r\n{token}\r\n{body}"
        ))
        .await
    }

    async fn send(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer))
            .await
            .unwrap()
            .unwrap();
        let text = String::from_utf8(answer).unwrap();
        let (headers, body) = text.split_once("\r\n\r\n").unwrap();
        let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
        Answer {
            status,
            headers: headers.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    /// The numbers of the page that begin with a name, added up.
    pub async fn number(&self, name: &str) -> f64 {
        let page = self.get("/metrics").await.body;
        let lines = page.lines().filter(|line| line.starts_with(name));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

fn settings(port: u16) -> String {
    format!(
        "http: {{address: '127.0.0.1:{port}', tokens: [{{name: ops, token: {OPERATE}, role: operate}}, {{name: \
         eye, token: {READ}}}]}}"
    )
}

async fn before(cluster: &Cluster) -> (Proxy<'_>, Site) {
    before_with(cluster, "").await
}

pub async fn before_with<'a>(cluster: &'a Cluster, more: &str) -> (Proxy<'a>, Site) {
    let port = free_port();
    let settings = format!("{}\n{more}", settings(port));
    let proxy = Proxy::before(cluster).with(settings).start().await;
    proxy.wait_for_log(&["HTTP listener open"]).await;
    (proxy, Site { port, token: None })
}

on_both_flavours! {
    async fn each_sees_what_it_may(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let (_proxy, site) = before(cluster).await;
        assert_eq!(site.get("/healthz").await.body, "ok\n");
        let ready = wait_for("readiness", async || {
            let answer = site.get("/readyz").await;
            (answer.status == 200).then(|| answer.json())
        })
        .await;
        assert_eq!(ready["has_primary"], true);
        assert_eq!(site.get("/metrics").await.status, 200);
        assert_eq!(site.get("/api/v1/servers").await.status, 401);
        assert_eq!(site.with("wrong-wrong-wrong-wrong").get("/metrics").await.status, 401);
        assert_eq!(site.with(READ).get("/api/v1/servers").await.status, 200);
        let refused = site.with(READ).ask("PATCH", "/api/v1/servers/nobody", "{\"weight\": 2}").await;
        assert_eq!((refused.status, &refused.json()["error"]["code"]), (403, &json!("forbidden")));
        let page = site.get("/").await;
        assert!(page.headers.contains("content-security-policy: default-src 'none'"), "{}", page.headers);
        assert!(page.headers.contains("x-content-type-options: nosniff"));
        let foreign = site.send("GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").await;
        assert_eq!(foreign.status, 421);
    }

    async fn every_path_that_is_described_is_there(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let (_proxy, site) = before(cluster).await;
        let described = site.get("/api/v1/openapi.json").await.json();
        let site = site.with(READ);
        for (path, methods) in described["paths"].as_object().unwrap() {
            let path = path.replace("{id}", "1").replace("{name}", "nobody");
            for method in methods.as_object().unwrap().keys() {
                let answer = site.ask(&method.to_ascii_uppercase(), &path, "{}").await;
                let is_known = ![404, 405].contains(&answer.status) || path.contains("sessions/1");
                assert!(is_known, "{method} {path}: {} {}", answer.status, answer.body);
                if method == "get" && answer.headers.contains("application/json") {
                    answer.json();
                }
            }
        }
        let unknown = site.get("/api/v1/server").await;
        assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (404, &json!("not_found")));
        assert_eq!(site.ask("DELETE", "/api/v1/servers", "").await.status, 405);
    }

    async fn numbers_move_and_are_well_formed(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let rules = "rules: [{name: to-the-primary, match: {verb: select}, target: primary}, {name: nobody, match: \
                     {tables: not.there}, cache: {ttl: 1s}}]";
        let (proxy, site) = before_with(cluster, rules).await;
        let mut client = proxy.client().await;
        let before = site.number("splitrail_commands_total").await;
        for _ in 0..20 {
            client.query_drop("SELECT 1").await.unwrap();
        }
        client.query_drop("SELECT nonsense").await.unwrap_err();
        wait_for("the counters", async || {
            // Some count a statement before, and some after its answer is out.
            let more = site.number("splitrail_commands_total").await - before;
            let failed = site.number("splitrail_command_errors_total{by=\"server\"}").await;
            let answered = site.number("splitrail_server_statements_total").await;
            let routed = site.number("splitrail_statements_routed_total").await;
            (more >= 21.0 && failed >= 1.0 && answered >= 20.0 && routed >= 20.0).then_some(())
        })
        .await;
        assert_eq!(site.number("splitrail_clients{").await, 1.0);
        wait_for("a measured statement", async || {
            client.query_drop("SELECT 1").await.unwrap();
            (site.number("splitrail_command_duration_seconds_count").await > 0.0).then_some(())
        })
        .await;
        for name in ["rule_hits", "statement_cache_lookups", "log_lines_dropped", "audit_records", "memory_bytes"] {
            let name = format!("splitrail_{name}");
            let page = site.get("/metrics").await.body;
            assert!(page.lines().any(|line| line.starts_with(&name)), "{name} is not there");
        }
        assert!(site.number("splitrail_rule_hits_total{rule=\"to-the-primary\"}").await >= 1.0);
        assert_eq!(site.number("splitrail_rule_hits_total{rule=\"nobody\"}").await, 0.0);
        let rules = site.with(READ).get("/api/v1/rules").await.json();
        let shown = |place: usize, column: &str| rules["rows"][place][column].as_str().unwrap().to_owned();
        assert_eq!([shown(0, "matches"), shown(0, "actions")], ["verb: select", "target: primary"]);
        let keeps = "cache: {ttl: 1s, max_bytes: 1MiB}";
        assert_eq!([shown(1, "matches"), shown(1, "actions")], ["tables: not.there", keeps]);
        let families = read_strictly(&site.get("/metrics").await.body);
        for file in ["deploy/grafana/splitrail.json", "deploy/prometheus/alerts.yaml"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            for name in names_in(&std::fs::read_to_string(path).unwrap()) {
                // Counters of failover and of traces are not there where those are off.
                let off = ["failover", "switchover", "trace_spans"].iter().any(|part| name.contains(part));
                assert!(families.contains(&name) || off, "{file} asks for {name}, which is not there");
            }
        }
    }

    async fn an_operator_looks_and_steers(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let (proxy, site) = before(cluster).await;
        let site = site.with(OPERATE);
        let mut client = proxy.client().await;
        let id: u64 = client.query_first("SELECT CONNECTION_ID()").await.unwrap().unwrap();
        client.query_drop("SET @a = 1").await.unwrap();
        let sessions = site.get(&format!("/api/v1/sessions?id={id}")).await.json();
        assert_eq!((&sessions["total"], &sessions["rows"][0]["id"]), (&json!(1), &json!(id)));
        let overview = site.get("/api/v1/overview").await.json();
        assert_eq!(overview["may"], "operate");
        let replica = overview["servers"].as_array().unwrap().iter().find(|server| server["role"] == "replica");
        let name = replica.unwrap()["server"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/servers/{name}");
        let done = site.ask("PATCH", &path, "{\"weight\": 7, \"state\": \"drain\"}").await;
        assert_eq!(done.status, 200, "{}", done.body);
        let server = site.get(&format!("/api/v1/servers?server={name}")).await.json();
        assert_eq!((&server["rows"][0]["weight"], &server["rows"][0]["state"]), (&json!(7), &json!("drain")));
        let weight = async |name: &str| {
            let server = site.get(&format!("/api/v1/servers?server={name}")).await.json();
            server["rows"][0]["weight"].clone()
        };
        let wrong = site.ask("PATCH", &path, "{\"weight\": 9, \"max_connections\": 0}").await;
        assert_eq!((wrong.status, weight(&name).await), (400, json!(7)), "{}", wrong.body);
        let refused = site.ask("PATCH", "/api/v1/servers/db1", "{\"weight\": 9, \"state\": \"drain\"}").await;
        assert_eq!((refused.status, weight("db1").await), (409, json!(1)), "{}", refused.body);
        let events = site.get("/api/v1/events?kind=admin").await.json();
        let last = events["rows"][0]["text"].as_str().unwrap();
        assert!(last.starts_with("ops: SET SERVER db1 STATE = drain: db1 is the primary"), "{events}");
        let explained = site.ask("POST", "/api/v1/explain-route", "{\"statement\": \"SELECT 1\"}").await;
        assert!(explained.json()["rows"].as_array().is_some_and(|rows| !rows.is_empty()), "{}", explained.body);
        assert_eq!(site.ask("DELETE", &format!("/api/v1/sessions/{id}"), "").await.status, 200);
        wait_for("the session's end", async || client.query_drop("DO 1").await.is_err().then_some(())).await;
        assert_eq!(site.ask("DELETE", "/api/v1/sessions/1", "").await.status, 404);
    }

    async fn what_is_not_understood_is_said_so(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let (proxy, site) = before(cluster).await;
        let site = site.with(OPERATE);
        let reason = async |method: &str, path: &str, body: &str| {
            let answer = site.ask(method, path, body).await;
            let reason = answer.json()["error"]["reason"].as_str().unwrap_or_default().to_owned();
            (answer.status, reason)
        };
        let (status, why) = reason("GET", "/api/v1/servers?limt=3", "").await;
        assert!(status == 400 && why.contains("`limit`"), "{why}");
        assert_eq!(reason("GET", "/api/v1/servers?limit=-1", "").await.0, 400);
        assert_eq!(reason("POST", "/api/v1/switchover", "{\"two\": 1}").await.0, 400);
        assert_eq!(reason("POST", "/api/v1/switchover", "[").await.0, 400);
        assert_eq!(reason("POST", "/api/v1/switchover", "{\"to\": \"nobody\"}").await.0, 409);
        assert_eq!(reason("PATCH", "/api/v1/servers/nobody", "{\"weight\": 1}").await.0, 404);
        let (status, why) = reason("PATCH", "/api/v1/servers/db1", "{\"weight\": -1}").await;
        assert!(status == 400 && why.contains("from 0 to 1000000"), "{why}");
        let (status, why) = reason("POST", "/api/v1/switchover", "{\"timeout\": \"500ms\"}").await;
        assert!(status == 400 && why.contains("from 1s to 1h"), "{why}");
        let long = format!("{{\"statement\": \"{}\"}}", "x".repeat(2 << 20));
        let length = long.len();
        let mut stream = TcpStream::connect(("127.0.0.1", site.port)).await.unwrap();
        let head = format!(
            "POST /api/v1/explain-route HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {OPERATE}\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let _ = stream.write_all(long.as_bytes()).await;
        let mut start = [0; 12];
        timeout(PATIENCE, stream.read_exact(&mut start)).await.unwrap().unwrap();
        assert_eq!(&start, b"HTTP/1.1 413");
        for garbage in ["\r\n\r\n", "GET\r\n\r\n", "\u{16}\u{3}\u{1}", "GET /metrics HTTP/9\r\n\r\n"] {
            let mut stream = TcpStream::connect(("127.0.0.1", site.port)).await.unwrap();
            stream.write_all(garbage.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut rest = Vec::new();
            let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
        }
        assert_eq!(site.get("/healthz").await.status, 200);
        assert!(!proxy.log().contains(OPERATE));
    }

    async fn operators_see_who_holds_the_end_up_and_end_that(flavour) {
        let cluster = Cluster::shared(flavour).await;
        let port = free_port();
        let start = Proxy::before(cluster).with(settings(port)).with("shutdown: {grace: 1h}").admin();
        let proxy = start.start().await;
        proxy.wait_for_log(&["HTTP listener open"]).await;
        let site = Site { port, token: None }.with(OPERATE);
        let mut client = proxy.client().await;
        let id: u32 = client.query_first("SELECT CONNECTION_ID()").await.unwrap().unwrap();
        client.query_drop("BEGIN").await.unwrap();
        proxy.signal(Signal::TERM);
        wait_for("a closed door", async || TcpStream::connect(("127.0.0.1", proxy.port())).await.err()).await;
        let ready = site.get("/readyz").await;
        assert_eq!((ready.status, &ready.json()["stopping"]), (503, &json!(true)), "{}", ready.body);
        let sessions = site.get("/api/v1/sessions").await.json();
        assert_eq!((&sessions["total"], &sessions["rows"][0]["id"]), (&json!(1), &json!(id)));
        let reloaded = site.ask("POST", "/api/v1/reload/config", "").await;
        assert!(reloaded.status == 409 && reloaded.body.contains("about to end"), "{}", reloaded.body);
        client.query_drop("SELECT 1").await.unwrap();
        assert!(proxy.exit_status().is_none());
        let mut admin = proxy.admin().await;
        let open: Vec<u32> = admin.query("SELECT id FROM transactions").await.unwrap();
        assert_eq!(open, [id]);
        admin.query_drop(format!("KILL {id}")).await.unwrap();
        assert_eq!(proxy.wait_exit().await.code(), Some(0));
        client.query_drop("COMMIT").await.unwrap_err();
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    }
}

/// The names of the families' samples; anything that the format forbids fails the test.
fn read_strictly(page: &str) -> BTreeSet<String> {
    let (mut names, mut series) = (BTreeSet::new(), BTreeSet::new());
    let mut types = BTreeMap::<String, String>::new();
    let mut family = (String::new(), String::new());
    let body = page.strip_suffix("# EOF\n").expect("the page ends as it must");
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (what, name, rest) = (
                words.next().unwrap(),
                words.next().unwrap(),
                words.next().unwrap(),
            );
            match what {
                "TYPE" => {
                    assert!(
                        types.insert(name.to_owned(), rest.to_owned()).is_none(),
                        "{name} comes twice"
                    );
                    family = (name.to_owned(), rest.to_owned());
                }
                "UNIT" => assert!(name.ends_with(&format!("_{rest}")), "{line}"),
                "HELP" => assert!(!rest.is_empty() && !rest.ends_with(".."), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (left, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = left
            .split_once('{')
            .map_or((left, ""), |(name, rest)| (name, rest));
        assert!(series.insert(left.to_owned()), "{left} comes twice");
        assert!(labels.is_empty() || labels.ends_with('}'), "{line}");
        let suffix = name
            .strip_prefix(&family.0)
            .unwrap_or_else(|| panic!("{line} is not of {family:?}"));
        let suffixes: &[&str] = match family.1.as_str() {
            "counter" => &["_total"],
            "histogram" => &["_sum", "_count", "_bucket"],
            _ => &[""],
        };
        assert!(suffixes.contains(&suffix), "{line}");
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(value.is_finite() && value >= 0.0, "{line}");
        names.insert(name.to_owned());
    }
    names
}

/// What a file asks Prometheus for.
fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let is_name = |word: &&str| word.starts_with("splitrail_") || word.starts_with("process_");
    words.filter(is_name).map(str::to_owned).collect()
}
