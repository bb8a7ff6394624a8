//! The numbers, as machines read them: each family is made of what the proxy counts anyway, when it is asked for.

mod failover;
mod family;
mod keeping;
pub mod process;
mod servers;
mod sessions;
pub mod totals;
mod traffic;

use std::fmt;
use std::sync::Arc;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

use self::family::Families;
use crate::admin::State;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

struct All(Arc<State>);

pub fn show(state: &Arc<State>) -> Result<Response, &'static str> {
    let headers = [(CONTENT_TYPE, OPEN_METRICS), (CACHE_CONTROL, "no-store")];
    let page = page(state).map_err(|fmt::Error| "the numbers cannot be written")?;
    Ok((headers, page).into_response())
}

pub fn page(state: &Arc<State>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(All(state.clone())));
    let mut page = String::new();
    text::encode(&mut page, &registry)?;
    Ok(page)
}

// === impl All ===

impl Collector for All {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families::new(encoder);
        traffic::write(&mut families, &self.0)?;
        keeping::write(&mut families, &self.0)?;
        sessions::write(&mut families, &self.0)?;
        servers::write(&mut families, &self.0)?;
        failover::write(&mut families, &self.0)?;
        process::write(&mut families, &self.0)
    }
}

impl fmt::Debug for All {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("All")
    }
}
