//! The OpenAPI document, made of the same list as the router.

use serde_json::{Map, Value as Json, json};

use super::access::Access;
use super::endpoint::{Action, Endpoint, Field, FieldKind, Method};
use crate::admin::catalog::{Column, Kind};

/// What is understood as a time, as far as anybody writes it.
const TIME: &str = r"^([0-9]{1,6}(\.[0-9]{1,6})?(ms|s|m|h|d))+$";

pub fn describe(endpoints: &[Endpoint]) -> Json {
    let mut paths: Map<String, Json> = Map::new();
    for endpoint in endpoints {
        let path = paths
            .entry(endpoint.path.to_string())
            .or_insert_with(|| json!({}));
        path[endpoint.method.word()] = operation(endpoint);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "splitrail",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the proxy sees of its servers and clients, and what an operator may change. \
                            Totals only grow while the process runs; times are UTC.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Problem": problem() },
        },
    })
}

fn problem() -> Json {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "reason"],
                "properties": { "code": { "type": "string" }, "reason": { "type": "string" } },
            },
        },
    })
}

fn operation(endpoint: &Endpoint) -> Json {
    let mut operation = json!({
        "operationId": id(endpoint),
        "summary": endpoint.about,
        "responses": responses(endpoint),
        "security": security(endpoint.access),
    });
    let parameters = parameters(endpoint);
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if !endpoint.body.is_empty() {
        operation["requestBody"] = json!({
            "required": endpoint.body.iter().any(|field| field.needed),
            "content": { "application/json": { "schema": body(endpoint) } },
        });
    }
    operation
}

/// `get_servers`, `post_failover_pause`.
fn id(endpoint: &Endpoint) -> String {
    let path = endpoint.path.trim_start_matches("/api/v1/").trim_matches('/');
    let words = path.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let words = words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("_");
    let words = if words.is_empty() {
        "dashboard".to_owned()
    } else {
        words
    };
    format!("{}_{words}", endpoint.method.word())
}

/// Each way in is one of the list; an empty one is no token at all.
fn security(access: Access) -> Json {
    match access {
        Access::Always => json!([]),
        Access::Metrics | Access::Read => json!([{ "token": [] }, {}]),
        Access::Operate => json!([{ "token": [] }]),
    }
}

fn parameters(endpoint: &Endpoint) -> Vec<Json> {
    let place = |name: &str| {
        let schema = match name {
            "id" => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
            _ => json!({ "type": "string" }),
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    };
    let query = |field: &Field| {
        json!({
            "name": field.name,
            "in": "query",
            "required": field.needed,
            "description": field.about,
            "schema": parameter(endpoint, field),
        })
    };
    let mut parameters: Vec<_> = endpoint.places().map(place).collect();
    parameters.extend(endpoint.parameters.iter().map(query));
    if let Action::Table(table) = endpoint.action {
        let column = |column: &Column| {
            json!({
                "name": column.name,
                "in": "query",
                "required": false,
                "description": "only rows with this value",
                "schema": { "type": "string" },
            })
        };
        parameters.extend(table.columns.iter().map(column));
    }
    parameters
}

fn parameter(endpoint: &Endpoint, field: &Field) -> Json {
    match (field.kind, endpoint.action) {
        (FieldKind::Column, Action::Table(table)) => {
            let columns = table.columns.iter();
            let both = columns.flat_map(|column| [column.name.to_owned(), format!("-{}", column.name)]);
            json!({ "type": "string", "enum": both.collect::<Vec<_>>() })
        }
        _ => schema(field.kind),
    }
}

fn body(endpoint: &Endpoint) -> Json {
    let property = |field: &Field| {
        let mut schema = schema(field.kind);
        schema["description"] = field.about.into();
        (field.name.to_owned(), schema)
    };
    let properties: Map<_, _> = endpoint.body.iter().map(property).collect();
    let needed: Vec<_> = endpoint
        .body
        .iter()
        .filter(|field| field.needed)
        .map(|field| field.name)
        .collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !needed.is_empty() {
        schema["required"] = needed.into();
    }
    if matches!(endpoint.action, Action::Server) {
        schema["minProperties"] = 1.into();
    }
    schema
}

fn schema(kind: FieldKind) -> Json {
    match kind {
        FieldKind::Text => json!({ "type": "string" }),
        FieldKind::Truth => json!({ "type": "boolean" }),
        FieldKind::Count(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        FieldKind::Words(words) => json!({ "type": "string", "enum": words }),
        FieldKind::Time => json!({ "type": "string", "pattern": TIME, "maxLength": 32 }),
        FieldKind::Column => json!({ "type": "string" }),
    }
}

fn responses(endpoint: &Endpoint) -> Json {
    let problem = |description: &str| {
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        json!({ "description": description, "content": { "application/json": { "schema": schema } } })
    };
    let mut responses = json!({ "200": done(endpoint) });
    if endpoint.access != Access::Always {
        responses["401"] = problem("a token is needed, or this one is not known");
        responses["421"] = problem("the name in the request is not one of `http.hosts`");
    }
    if endpoint.access == Access::Operate {
        responses["403"] = problem("the token may only look");
        responses["409"] = problem("it is understood, and cannot be done now");
    }
    if endpoint.places().next().is_some() || matches!(endpoint.action, Action::PromoteCheck) {
        responses["404"] = problem("there is no such thing");
    }
    if matches!(endpoint.action, Action::PromoteCheck) {
        responses["409"] = problem("failover is off, or there is no such server");
    }
    if matches!(endpoint.action, Action::Ready) {
        responses["503"] = json!({ "description": "not ready", "content": { "application/json": {} } });
    }
    responses["400"] = problem("it is not understood");
    if matches!(endpoint.method, Method::Post | Method::Patch) {
        responses["408"] = problem("the body did not come in time");
        responses["413"] = problem("the body is too long");
    }
    responses
}

fn done(endpoint: &Endpoint) -> Json {
    let (media, schema) = match endpoint.action {
        Action::Page => ("text/html", json!({ "type": "string" })),
        Action::Health => ("text/plain", json!({ "type": "string" })),
        Action::Metrics => ("application/openmetrics-text", json!({ "type": "string" })),
        Action::Table(table) => ("application/json", rows(table.columns)),
        _ => ("application/json", json!({ "type": "object" })),
    };
    json!({ "description": endpoint.about, "content": { media: { "schema": schema } } })
}

fn rows(columns: &[Column]) -> Json {
    let property = |column: &Column| {
        let kind = match column.kind {
            Kind::Text => "string",
            Kind::Integer => "integer",
            Kind::Decimal => "number",
            Kind::Boolean => "boolean",
        };
        (column.name.to_owned(), json!({ "type": [kind, "null"] }))
    };
    let properties: Map<_, _> = columns.iter().map(property).collect();
    let names: Vec<_> = columns.iter().map(|column| column.name).collect();
    json!({
        "type": "object",
        "required": ["table", "total", "rows"],
        "properties": {
            "table": { "type": "string" },
            "total": { "type": "integer" },
            "rows": {
                "type": "array",
                "items": { "type": "object", "required": names, "properties": properties },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_described_once() {
        let endpoints = Endpoint::all();
        let document = describe(&endpoints);
        let mut ids = std::collections::BTreeSet::new();
        let mut count = 0;
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                count += 1;
                assert!(
                    ids.insert(operation["operationId"].as_str().unwrap().to_owned()),
                    "{method} {path}"
                );
                let known = endpoints
                    .iter()
                    .any(|known| known.path == *path && known.method.word() == method);
                assert!(known, "{method} {path}");
            }
        }
        assert_eq!(count, endpoints.len());
    }

    #[test]
    fn a_table_has_its_columns() {
        let document = describe(&Endpoint::all());
        let servers = &document["paths"]["/api/v1/servers"]["get"];
        let schema = &servers["responses"]["200"]["content"]["application/json"]["schema"];
        let lag = &schema["properties"]["rows"]["items"]["properties"]["lag_ms"]["type"];
        assert_eq!(*lag, json!(["number", "null"]));
    }
}
