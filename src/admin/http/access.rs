//! Who may see and do what: by a token, or because the configuration leaves it open.

use std::net::IpAddr;

use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::request::Parts;

use super::answer::Problem;
use crate::config::{AdminRole, Http, Open};

/// What an endpoint takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: what it tells is no secret.
    Always,
    Metrics,
    Read,
    Operate,
}

/// Who asks, after the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// The token's name.
    pub name: String,
    /// `None`: without a token.
    pub role: Option<AdminRole>,
}

/// The visitor, or why it may not.
pub fn check(http: &Http, access: Access, parts: &Parts) -> Result<Visitor, Problem> {
    let anonymous = Visitor {
        name: "anonymous".to_owned(),
        role: None,
    };
    if access == Access::Always {
        return Ok(anonymous);
    }
    if let Some(role) = presented(http, parts)? {
        return match access {
            Access::Operate if role.role < Some(AdminRole::Operate) => Err(Problem::forbidden()),
            _ => Ok(role),
        };
    }
    let is_open = match access {
        Access::Always => true,
        Access::Metrics => http.open >= Open::Metrics,
        Access::Read => http.open >= Open::Read,
        Access::Operate => false,
    };
    if !is_open {
        return Err(Problem::unauthorized(match http.tokens.is_empty() {
            true => "a token is needed, and the configuration has none: give `http.tokens`",
            false => "a token is needed: Authorization: Bearer ...",
        }));
    }
    if !is_known_host(http, parts) {
        return Err(Problem::misdirected());
    }
    Ok(anonymous)
}

/// The token that comes with the request; an error if it is none of ours.
fn presented(http: &Http, parts: &Parts) -> Result<Option<Visitor>, Problem> {
    let Some(header) = parts.headers.get(AUTHORIZATION) else {
        return Ok(None);
    };
    let bytes = header.as_bytes();
    let scheme = bytes.get(..7).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return Err(Problem::unauthorized(
            "only `Authorization: Bearer ...` is understood",
        ));
    }
    let given = crate::util::Secret::from(bytes[7..].trim_ascii());
    // Each comparison takes the same time, wherever the two differ.
    let known = http.tokens.iter().find(|token| token.token == given);
    match known {
        Some(token) => Ok(Some(Visitor {
            name: token.name.clone(),
            role: Some(token.role),
        })),
        None => Err(Problem::unauthorized("this token is not known")),
    }
}

/// A page of any site may point its own name at this machine and then read what it gets. It cannot choose an
/// address as its name, and it has no token.
fn is_known_host(http: &Http, parts: &Parts) -> bool {
    let host = parts
        .uri
        .host()
        .or_else(|| parts.headers.get(HOST)?.to_str().ok());
    let Some(host) = host else { return true };
    let name = without_port(host);
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok()
        || http.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;
    use crate::config::Config;

    fn http(yaml: &str) -> Http {
        let text = format!("servers: [db1]\nhttp: {yaml}");
        Config::parse(&text, std::path::Path::new("test.yaml"))
            .unwrap()
            .http
    }

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_token_opens_what_its_role_may() {
        let http = http(
            "{tokens: [{name: ops, token: 0123456789abcdef, role: operate}, {name: eye, token: fedcba9876543210}]}",
        );
        let with = |token: &str| parts(&[("authorization", &format!("Bearer {token}"))]);
        let allowed = |access, token: &str| check(&http, access, &with(token)).map(|who| who.name);
        assert_eq!(allowed(Access::Operate, "0123456789abcdef").unwrap(), "ops");
        assert_eq!(allowed(Access::Read, "fedcba9876543210").unwrap(), "eye");
        assert_eq!(
            allowed(Access::Operate, "fedcba9876543210").unwrap_err().status,
            403
        );
        assert_eq!(
            allowed(Access::Metrics, "0123456789abcdee").unwrap_err().status,
            401
        );
        assert_eq!(check(&http, Access::Read, &parts(&[])).unwrap_err().status, 401);
        assert!(check(&http, Access::Metrics, &parts(&[])).is_ok());
        let basic = parts(&[("authorization", "Basic abc")]);
        assert_eq!(check(&http, Access::Metrics, &basic).unwrap_err().status, 401);
        assert_eq!(
            check(&http, Access::Metrics, &parts(&[("authorization", "x")]))
                .unwrap_err()
                .status,
            401
        );
        assert!(check(&http, Access::Always, &basic).is_ok());
    }

    #[test]
    fn a_foreign_name_is_not_answered() {
        let http = http("{open: read, hosts: [proxy.example.com]}");
        let status = |host: &str| {
            let checked = check(&http, Access::Read, &parts(&[("host", host)]));
            checked.map_or_else(|problem| problem.status, |_| 200)
        };
        for known in [
            "127.0.0.1:8032",
            "[::1]:8032",
            "::1",
            "LOCALHOST",
            "localhost:1",
            "Proxy.Example.com:8032",
        ] {
            assert_eq!(status(known), 200, "{known}");
        }
        for foreign in [
            "evil.example:8032",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
        ] {
            assert_eq!(status(foreign), 421, "{foreign}");
        }
    }
}
