//! Spans as OTLP has them in JSON: numbers of 64 bits are strings there, and ids are hexadecimal.

use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use super::span::Span;

/// The request that brings these spans.
pub fn request(service: &str, spans: &[Box<Span>]) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let instance = format!("{}", std::process::id());
    let resource = [
        text("service.name", service),
        text("service.version", version),
        text("service.instance.id", &instance),
    ];
    let spans: Vec<_> = spans.iter().map(|span| one(span)).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": {"name": "splitrail", "version": version}, "spans": spans}],
    }]})
}

/// A server's span: of the application's call it is the other end.
const KIND_SERVER: u32 = 2;
const STATUS_ERROR: u32 = 2;

fn one(span: &Span) -> Value {
    let beginning = &span.beginning;
    let start = beginning.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut encoded = json!({
        "traceId": format!("{:032x}", beginning.trace),
        "spanId": format!("{:016x}", beginning.span),
        "name": name(span),
        "kind": KIND_SERVER,
        "startTimeUnixNano": start.as_nanos().to_string(),
        "endTimeUnixNano": (start + span.took).as_nanos().to_string(),
        "attributes": attributes(span),
    });
    if let Some(parent) = beginning.parent {
        encoded["parentSpanId"] = format!("{:016x}", parent.span).into();
    }
    let message = match span.error {
        Some(code) => Some(format!("error {code}")),
        None => span.broke_off.then(|| "it broke off".to_owned()),
    };
    if let Some(message) = message {
        encoded["status"] = json!({"code": STATUS_ERROR, "message": message});
    }
    encoded
}

/// The first word: few, and what people look for.
fn name(span: &Span) -> String {
    let word = span.shape.split(|byte| !byte.is_ascii_alphanumeric()).next();
    match word {
        Some(word) if !word.is_empty() => String::from_utf8_lossy(word).to_ascii_uppercase(),
        _ => "statement".to_owned(),
    }
}

fn attributes(span: &Span) -> Vec<Value> {
    let (waited, ran) = span.times();
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut all = vec![
        text("db.query.text", &lossy(&span.shape)),
        text("db.operation.name", &name(span)),
        text("splitrail.digest", &format!("{:016x}", span.digest)),
        text("splitrail.listener", &span.listener),
        text("user.name", &lossy(&span.user)),
        number("splitrail.client", u64::from(span.client)),
        number("splitrail.wait_us", micros(waited)),
        number("splitrail.run_us", micros(ran)),
        number("splitrail.rows", span.rows),
        number("splitrail.bytes", span.bytes),
    ];
    if !span.schema.is_empty() {
        all.push(text("db.namespace", &lossy(&span.schema)));
    }
    if !span.reason.is_empty() {
        all.push(text("splitrail.reason", &span.reason));
    }
    if let Some(server) = &span.server {
        let system = if server.is_mariadb { "mariadb" } else { "mysql" };
        all.push(text("db.system.name", system));
        all.push(text("splitrail.server", &server.name));
        all.push(text(
            "splitrail.route",
            if server.is_primary { "primary" } else { "replica" },
        ));
        all.push(text("server.address", &server.host));
        all.extend(server.port.map(|port| number("server.port", u64::from(port))));
    }
    if let Some(code) = span.error {
        all.push(text("db.response.status_code", &code.to_string()));
        all.push(text("error.type", &code.to_string()));
    }
    all
}

fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn number(key: &str, value: u64) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use tokio::time::Instant;

    use super::super::parent::Parent;
    use super::super::span::Beginning;
    use super::*;

    fn span() -> Box<Span> {
        let began = Instant::now();
        Box::new(Span {
            beginning: Beginning {
                trace: 0xabc,
                span: 0x12,
                parent: Some(Parent {
                    trace: 0xabc,
                    span: 0x34,
                    is_sampled: true,
                }),
                at: SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_000_001),
                began,
                sent: Some(began + Duration::from_micros(40)),
            },
            took: Duration::from_micros(100),
            digest: 7,
            shape: b"select ?"[..].into(),
            client: 9,
            user: b"app"[..].into(),
            schema: Box::default(),
            listener: "main".into(),
            server: None,
            reason: "it only reads data".into(),
            rows: 1,
            bytes: 60,
            error: None,
            broke_off: false,
        })
    }

    fn encoded(span: Box<Span>) -> Value {
        request("shop", &[span])["resourceSpans"][0]["scopeSpans"][0]["spans"][0].take()
    }

    fn value<'a>(span: &'a Value, key: &str) -> Option<&'a Value> {
        let mut all = span["attributes"].as_array().unwrap().iter();
        Some(&all.find(|attribute| attribute["key"] == key)?["value"])
    }

    #[test]
    fn ids_are_hexadecimal_and_long_numbers_strings() {
        let found = encoded(span());
        assert_eq!(found["traceId"], "00000000000000000000000000000abc");
        assert_eq!(
            (&found["spanId"], &found["parentSpanId"]),
            (&json!("0000000000000012"), &json!("0000000000000034"))
        );
        assert_eq!(found["startTimeUnixNano"], "1700000000000000001");
        assert_eq!(found["endTimeUnixNano"], "1700000000000100001");
        assert_eq!(
            (&found["name"], &found["status"]),
            (&json!("SELECT"), &Value::Null)
        );
        assert_eq!(
            value(&found, "splitrail.wait_us"),
            Some(&json!({"intValue": "40"}))
        );
        assert_eq!(
            value(&found, "splitrail.run_us"),
            Some(&json!({"intValue": "60"}))
        );
        assert_eq!(value(&found, "db.namespace"), None);
    }

    #[test]
    fn a_failure_is_told_by_its_code() {
        let mut failed = span();
        (failed.error, failed.beginning.parent) = (Some(1146), None);
        let failed = encoded(failed);
        assert_eq!(failed["status"], json!({"code": 2, "message": "error 1146"}));
        assert_eq!(
            value(&failed, "error.type"),
            Some(&json!({"stringValue": "1146"}))
        );
        assert_eq!(failed.get("parentSpanId"), None);
        let mut broken = span();
        (broken.broke_off, broken.beginning.sent) = (true, None);
        assert_eq!(broken.times(), (broken.took, Duration::ZERO));
        assert_eq!(encoded(broken)["status"]["code"], 2);
    }
}
