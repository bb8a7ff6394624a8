//! The schema: what the reader accepts fits it, what an editor should underline does not, and no setting is missing.
//! [`super::config`] holds every configuration that any test reads against it.

use serde_json::{Value, json};

use super::*;

const SAMPLE: &str = include_str!("../../../proxy.yaml");

pub(super) fn assert_fits(text: &str) {
    let value: Value = serde_yaml::from_str(text).unwrap();
    let found = violations(&schema(), &value, "");
    assert!(found.is_empty(), "{found:#?}\n{text}");
}

/// As much of JSON schema as the schema uses.
fn violations(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    if let Some(forms) = schema["anyOf"].as_array() {
        let all: Vec<_> = forms.iter().map(|form| violations(form, value, path)).collect();
        let fits = all.iter().any(Vec::is_empty);
        return if fits { Vec::new() } else { all.concat() };
    }
    let mut found = Vec::new();
    if let Some(allowed) = schema["enum"].as_array() {
        if !allowed.contains(value) {
            found.push(format!("{path}: {value} is none of {allowed:?}"));
        }
        return found;
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_kind = |each: &Value| each == kind || (each == "number" && kind == "integer");
    let fits = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().any(is_kind),
        one => is_kind(one),
    };
    if !fits {
        return vec![format!("{path}: {value} is not of type {}", schema["type"])];
    }
    let outside = |number: u64| {
        schema["minimum"].as_u64().is_some_and(|least| number < least)
            || schema["maximum"].as_u64().is_some_and(|most| number > most)
    };
    if value.as_u64().is_some_and(outside) {
        found.push(format!("{path}: {value} is out of range"));
    }
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str())
        && !regex::Regex::new(pattern).unwrap().is_match(text)
    {
        found.push(format!("{path}: {value} does not match {pattern}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(violations(&schema["items"], item, &format!("{path}[{index}]")));
    }
    if let Some(entries) = value.as_object() {
        found.extend(entry_violations(schema, entries, path));
    }
    found
}

fn entry_violations(schema: &Value, entries: &serde_json::Map<String, Value>, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (key, entry) in entries {
        match (schema["properties"].get(key), &schema["additionalProperties"]) {
            (Some(schema), _) => found.extend(violations(schema, entry, &format!("{path}.{key}"))),
            (None, Value::Bool(false)) => found.push(format!("{path}.{key}: no such key")),
            (None, schema) => found.extend(violations(schema, entry, &format!("{path}.{key}"))),
        }
    }
    for key in schema["required"].as_array().into_iter().flatten() {
        if !entries.contains_key(key.as_str().unwrap()) {
            found.push(format!("{path}: {key} is missing"));
        }
    }
    found
}

#[test]
fn the_sample_fits_and_every_known_setting_is_there() {
    assert_fits(SAMPLE);
    let written = super::written(SAMPLE);
    let context = Context::new(&written.sources, &environment);
    Config::read(&written, &context).unwrap();
    let schema = schema();
    for key in context.known() {
        let mut forms = vec![&schema];
        for part in key.split('.') {
            let (name, is_item) = match part.strip_suffix("[]") {
                Some(name) => (name, true),
                None => (part, false),
            };
            let inside = |form: &&'_ Value| form["properties"].get(name).is_some();
            let object = forms.into_iter().find(inside).unwrap_or_else(|| panic!("{key}"));
            forms = alternatives(&object["properties"][name]);
            if is_item {
                let list = forms.into_iter().find(|form| form["type"] == "array");
                forms = alternatives(&list.unwrap_or_else(|| panic!("{key}"))["items"]);
            }
        }
    }
    let meaning = &schema["properties"]["routing"]["anyOf"][0]["properties"]["balance"]["description"];
    assert!(
        meaning.as_str().unwrap().contains("Default: `least_connections`"),
        "{meaning}"
    );
}

fn alternatives(schema: &Value) -> Vec<&Value> {
    match schema["anyOf"].as_array() {
        Some(forms) => forms.iter().collect(),
        None => vec![schema],
    }
}

#[test]
fn slips_do_not_fit() {
    let schema = schema();
    for slip in [
        json!({}),
        json!({"servers": ["a"], "servres": []}),
        json!({"servers": [{"address": "a", "wieght": 1}]}),
        json!({"servers": [{"name": "a"}]}),
        json!({"servers": ["a"], "workers": 0}),
        json!({"servers": ["a"], "routing": {"balance": "fastest"}}),
        json!({"servers": ["a"], "pool": {"max_age": 10}}),
        json!({"servers": ["a"], "log": {"targets": {"a": "loud"}}}),
        json!({"servers": ["a"], "accounts": "front"}),
        json!({"servers": ["a"], "rules": [{"name": "a", "match": {"verb": ["selct"]}}]}),
    ] {
        assert!(!violations(&schema, &slip, "").is_empty(), "{slip}");
    }
    let fine = json!({"servers": ["${PRIMARY}"], "workers": "${WORKERS:-4}", "pool": {"max_age": "${AGE}"}});
    assert_eq!(violations(&schema, &fine, ""), Vec::<String>::new());
}
