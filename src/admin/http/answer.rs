//! Answers and problems as JSON.

use std::borrow::Cow;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value as Json, json};

use crate::admin::catalog::{Answer, Row, Value};
use crate::admin::console::{Reply, Wrong};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub status: u16,
    /// One word that programs look at.
    pub code: &'static str,
    pub reason: Cow<'static, str>,
}

// === impl Problem ===

impl Problem {
    fn new(status: u16, code: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            reason: reason.into(),
        }
    }

    pub fn bad(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "bad_request", reason)
    }

    pub fn unauthorized(reason: &'static str) -> Self {
        Self::new(401, "unauthorized", reason)
    }

    pub fn forbidden() -> Self {
        Self::new(
            403,
            "forbidden",
            "this token may only look: the role operate is needed",
        )
    }

    pub fn not_found(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(404, "not_found", reason)
    }

    pub fn not_allowed() -> Self {
        Self::new(405, "method_not_allowed", "there is no such method here")
    }

    pub fn too_large() -> Self {
        Self::new(
            413,
            "too_large",
            "the body is longer than anything that is understood",
        )
    }

    pub fn too_late() -> Self {
        Self::new(408, "timeout", "the body did not come in time")
    }

    pub fn misdirected() -> Self {
        let reason =
            "without a token this is answered under an address, localhost, or a name of `http.hosts` only";
        Self::new(421, "misdirected", reason)
    }

    pub fn broken(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(500, "internal", reason)
    }

    pub fn json(&self) -> Json {
        json!({ "error": { "code": self.code, "reason": self.reason } })
    }
}

impl From<Wrong> for Problem {
    fn from(wrong: Wrong) -> Self {
        let reason = wrong.to_string();
        match wrong {
            Wrong::Syntax(_) | Wrong::NoColumn(_) => Self::bad(reason),
            Wrong::NoTable(_) | Wrong::NoVariable(_) | Wrong::NoSession(_) => Self::not_found(reason),
            Wrong::Denied => Self::forbidden(),
            Wrong::Refused(_) => Self::new(409, "refused", reason),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = document(&self.json());
        *response.status_mut() = status;
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// A JSON document that nobody keeps.
pub fn document(json: &Json) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (headers, json.to_string()).into_response()
}

/// What came of a command.
pub fn reply(reply: Reply) -> Json {
    match reply {
        Reply::Done(text) => json!({ "done": text }),
        Reply::Rows(answer) => json!({ "rows": rows(&answer) }),
    }
}

pub fn rows(answer: &Answer) -> Json {
    let object = |row: &Row| -> Json {
        let names = answer.columns.iter().map(|(name, _)| name.clone());
        let fields: Map<_, _> = names.zip(row.iter().map(value)).collect();
        fields.into()
    };
    answer.rows.iter().map(object).collect()
}

pub fn value(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Text(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Decimal(number) => (*number).into(),
        Value::Boolean(truth) => (*truth).into(),
    }
}
