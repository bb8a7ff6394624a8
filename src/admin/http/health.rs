//! For load balancers and orchestrators: does it live, and should clients be sent here?

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

use super::answer::document;
use crate::admin::State;
use crate::topology::{Health, Role};
use std::sync::atomic::Ordering;

/// That this is answered is the answer.
pub fn alive() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, "ok\n").into_response()
}

/// Ready: the proxy is not about to end, knows how servers greet, and has a primary that is not known to be down.
/// Each listener says for itself whether its clients can be served.
pub fn ready(state: &State) -> Response {
    let shared = &state.shared;
    let snapshot = shared.topology.snapshot();
    let stopping = shared.draining.load(Ordering::Relaxed);
    let primary = snapshot.primary.and_then(|index| snapshot.servers.get(index));
    let has_primary = primary.is_some_and(|primary| !matches!(primary.health, Health::Down { .. }));
    let has_replica = snapshot
        .servers
        .iter()
        .any(|server| server.role == Role::Replica && server.is_usable());
    let is_known = shared.profile().is_some();
    let mut all = !stopping && is_known && has_primary;
    let mut listener = |listener: &crate::config::Listener| -> Json {
        use crate::config::ListenerMode as Mode;
        let served = match listener.mode {
            Mode::Split | Mode::Primary => has_primary,
            Mode::Replica => has_replica || has_primary,
        };
        let paused = shared.pauses.is_paused(&listener.address);
        let ready = served && !paused && !stopping && is_known;
        all &= ready;
        json!({ "listener": listener.name, "ready": ready, "paused": paused })
    };
    let settings = shared.settings();
    let listeners: Vec<_> = settings.config.listeners.iter().map(&mut listener).collect();
    let mut response = document(&json!({
        "ready": all,
        "has_primary": has_primary,
        "knows_servers": is_known,
        "stopping": stopping,
        "listeners": listeners,
    }));
    if !all {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}
