//! From the list of endpoints to a service, and from a request to its answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, FromRequestParts, Path, Query, Request};
use axum::http::header::{HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use serde_json::{Map, Value as Json};

use super::access;
use super::answer::{Problem, document};
use super::call::Call;
use super::endpoint::{Action, Endpoint, Method};
use super::listen::Peer;
use super::{actions, health, openapi, overview, page, tables};
use crate::admin::{State, metrics};

/// No body that is understood is longer.
const LONGEST_BODY: usize = 1 << 20;
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// On every answer. Nothing of ours is meant to be part of somebody else's page.
const HEADERS: &[(&str, &str)] = &[
    ("x-content-type-options", "nosniff"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
];

pub fn router(state: Arc<State>) -> Router {
    let mut router = Router::new();
    for endpoint in Endpoint::all() {
        let filter = match endpoint.method {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Patch => MethodFilter::PATCH,
            Method::Delete => MethodFilter::DELETE,
        };
        let path = endpoint.path.clone();
        let (state, endpoint) = (state.clone(), Arc::new(endpoint));
        let serve = move |request: Request| serve(state.clone(), endpoint.clone(), request);
        router = router.route(&path, on(filter, serve));
    }
    router
        .method_not_allowed_fallback(async || Problem::not_allowed())
        .fallback(async || Problem::not_found("there is nothing here; see /api/v1/openapi.json"))
        .layer(map_response(async |mut response: Response| {
            for (name, value) in HEADERS {
                let name = HeaderName::from_static(name);
                response
                    .headers_mut()
                    .insert(name, HeaderValue::from_static(value));
            }
            response
        }))
}

async fn serve(state: Arc<State>, endpoint: Arc<Endpoint>, request: Request) -> Response {
    match answer(state, &endpoint, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn answer(state: Arc<State>, endpoint: &Endpoint, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let settings = state.shared.settings().clone();
    let visitor = access::check(&settings.config.http, endpoint.access, &parts)?;
    let call = take_apart(endpoint, visitor, parts, body).await?;
    let json = match endpoint.action {
        Action::Page => return page::show(),
        Action::Health => return Ok(health::alive()),
        Action::Ready => return Ok(health::ready(&state)),
        Action::Metrics => return metrics::show(&state).map_err(Problem::broken),
        Action::OpenApi => openapi::describe(&Endpoint::all()),
        Action::Overview => overview::show(&state, &call),
        Action::Table(table) => tables::show(&state, table, &call).await?,
        Action::Session => tables::session(&state, &call).await?,
        _ => actions::run(state, endpoint.action, &call).await?,
    };
    Ok(document(&json))
}

async fn take_apart(
    endpoint: &Endpoint,
    visitor: access::Visitor,
    mut parts: Parts,
    body: Body,
) -> Result<Call, Problem> {
    let peer = parts.extensions.get::<ConnectInfo<Peer>>();
    let from = peer.map_or_else(|| "http".to_owned(), |peer| peer.0.0.to_string());
    let path = match endpoint.places().next() {
        None => BTreeMap::new(),
        Some(_) => Path::<BTreeMap<String, String>>::from_request_parts(&mut parts, &())
            .await
            .map(|path| path.0)
            .map_err(|_| Problem::bad("the path is not UTF-8"))?,
    };
    let query = Query::<Vec<(String, String)>>::from_request_parts(&mut parts, &())
        .await
        .map(|query| query.0)
        .map_err(|_| Problem::bad("the parameters cannot be read"))?;
    let body = match endpoint.method {
        Method::Get | Method::Delete => Map::new(),
        Method::Post | Method::Patch => fields(body).await?,
    };
    let call = Call {
        visitor,
        from,
        path,
        query,
        body,
    };
    if !matches!(endpoint.action, Action::Table(_)) {
        // A table's columns are parameters too: it looks for itself.
        let names: Vec<_> = endpoint.parameters.iter().map(|field| field.name).collect();
        call.knows(&names)?;
    }
    let names: Vec<_> = endpoint.body.iter().map(|field| field.name).collect();
    call.has_only(&names)?;
    Ok(call)
}

/// A JSON object, or nothing.
async fn fields(body: Body) -> Result<Map<String, Json>, Problem> {
    let bytes = match tokio::time::timeout(BODY_LIMIT, to_bytes(body, LONGEST_BODY)).await {
        Err(_) => return Err(Problem::too_late()),
        Ok(Err(_)) => return Err(Problem::too_large()),
        Ok(Ok(bytes)) => bytes,
    };
    if bytes.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(&bytes) {
        Ok(Json::Object(fields)) => Ok(fields),
        Ok(_) => Err(Problem::bad("the body is a JSON object")),
        Err(error) => Err(Problem::bad(format!("the body is not JSON: {error}"))),
    }
}
