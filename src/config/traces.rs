//! Spans of statements for a collector of OpenTelemetry.

use std::path::PathBuf;

use super::address::Address;
use super::reader::{Field, Section};
use super::rules::share;
use super::values::Bad;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    /// `None`: there are no spans, and statements cost nothing for them.
    pub endpoint: Option<Endpoint>,
    /// Of 10000 statements that nobody traces so many are.
    pub sample: u32,
    /// Spans that wait to be sent; what comes then is dropped, and counted.
    pub queue: u32,
    /// The name of the service in what is sent.
    pub service: String,
    /// Who may have signed the certificate of a collector behind TLS. `None`: whom the system trusts.
    pub ca: Option<PathBuf>,
}

/// Where spans are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// With TLS.
    pub is_secure: bool,
    pub host: String,
    pub port: u16,
    /// With its first slash.
    pub path: String,
}

/// One in a hundred.
const SAMPLE: u32 = 100;
/// OTLP over HTTP.
const PORT: u16 = 4318;
const PATH: &str = "/v1/traces";
const LONGEST: usize = 200;

// === impl Traces ===

impl Traces {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let (service, ca) = (section.field("service"), section.field("ca"));
        let service = service.is_given().then(|| service.word(LONGEST)).flatten();
        Self {
            endpoint: endpoint(&section.field("endpoint")),
            sample: sample(&section.field("sample")),
            queue: section.field("queue").count(16..=1_000_000, 4_096),
            service: service.unwrap_or_else(|| "splitrail".to_owned()),
            ca: ca.is_given().then(|| ca.path()).flatten(),
        }
    }
}

fn sample(field: &Field<'_>) -> u32 {
    let share = field.parse("write a share from 0.01% to 100%, or off", |text| match text {
        "off" => Ok(0),
        text => share(text),
    });
    share.unwrap_or(SAMPLE)
}

fn endpoint(field: &Field<'_>) -> Option<Endpoint> {
    let allowed = "write http://host:4318/v1/traces, https://host/v1/traces, or off";
    let endpoint = field.parse(allowed, |text| match text {
        "off" => Ok(None),
        text => Endpoint::parse(text)
            .map(Some)
            .ok_or(Bad::NotA("the address of a collector")),
    });
    endpoint.flatten()
}

// === impl Endpoint ===

impl Endpoint {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let is_secure = match scheme {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, PATH),
        };
        let is_plain = |text: &str| text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_plain(path) || path.contains('#') {
            return None;
        }
        match Address::parse(authority, Some(PORT)).ok()? {
            Address::Tcp { host, port } => Some(Self {
                is_secure,
                host,
                port,
                path: path.to_owned(),
            }),
            Address::Unix(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_plain_address() {
        let parse = |text: &str| {
            let endpoint = Endpoint::parse(text)?;
            Some((endpoint.host, endpoint.port, endpoint.path))
        };
        let found = |host: &str, port, path: &str| Some((host.to_owned(), port, path.to_owned()));
        assert_eq!(parse("http://collector"), found("collector", 4318, "/v1/traces"));
        assert_eq!(parse("http://[::1]:9/in?a=b"), found("::1", 9, "/in?a=b"));
        assert_eq!(
            parse("https://collector:443"),
            found("collector", 443, "/v1/traces")
        );
        assert!(Endpoint::parse("https://collector").unwrap().is_secure);
        assert!(!Endpoint::parse("http://collector").unwrap().is_secure);
        for bad in [
            "ftp://collector",
            "https://",
            "collector:4318",
            "http://",
            "http://a b/",
            "http://a/\r\nHost: b",
            "http://unix:/x",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
