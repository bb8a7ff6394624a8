//! `splitrail schema`: the configuration as a JSON schema, for editors that complete and check.
//!
//! Nothing is listed here. The settings, their forms and ranges are what the reader asks for when it reads samples;
//! meanings and defaults are the tables of docs/reference.md, which a test holds against the reader.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::Config;
use super::reader::Context;
use super::shape::{Shape, Shapes};
use super::written::Written;

const REFERENCE: &str = include_str!("../../docs/reference.md");

/// Every list with an item, every section written out; then the short forms. Whether they are accepted does not
/// matter, only that they lead the reader to every form of every setting.
const SAMPLES: [&str; 3] = [
    "servers: [{address: a}]\nlisteners: [{address: 'b:1', proxy_protocol: {trusted: [::1]}}]\n\
     accounts: {static: [{name: a, password: p, hosts: ['%']}]}\nlog: {targets: {a: info}}\n\
     rules: [{name: a, match: {verb: select, network: ::1}, target: {servers: [a]}}]\n\
     failover: {fence: {command: [a]}, before: {command: [a]}, after: {command: [a]}}\n",
    "servers: [a, {address: b, tls: off}]\nlisteners: ['b:1']\naccounts: backend\ntls: {client: off, server: off}\n\
     compression: {client: off}\nlog: {slow: off}\nrules: [{name: a, target: primary}]\n",
    "servers: [a]\naccounts: [{name: a, password: p, hosts: ['%']}]\n",
];

/// A setting in the tree of all settings.
#[derive(Default)]
struct Node<'a> {
    path: String,
    shapes: &'a [Shape],
    children: BTreeMap<String, Node<'a>>,
    /// What its list holds.
    item: Option<Box<Node<'a>>>,
}

/// A row of the reference.
struct Row {
    default: &'static str,
    meaning: &'static str,
}

/// The whole schema, draft 2020-12.
pub fn schema() -> Value {
    let (known, shapes) = learn();
    let rows = rows();
    let mut root = Node::default();
    for path in known.iter().chain(shapes.keys()) {
        let shapes = shapes.get(path).map_or(&[][..], Vec::as_slice);
        root.at(path).shapes = shapes;
    }
    let mut schema = root.object(&rows);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Configuration of splitrail");
    schema
}

/// All settings and their forms.
fn learn() -> (BTreeSet<String>, Shapes) {
    let (mut known, mut shapes) = (BTreeSet::new(), Shapes::new());
    for sample in SAMPLES {
        let written = Written::parse(sample.to_owned().into(), Path::new("schema"));
        let context = Context::new(&written.sources, &|_| None);
        let _ = Config::read(&written, &context);
        known.extend(context.known());
        for (path, more) in context.shapes() {
            let all = shapes.entry(path).or_default();
            for shape in more {
                if !all.contains(&shape) {
                    all.push(shape);
                }
            }
        }
    }
    (known, shapes)
}

fn rows() -> HashMap<&'static str, Row> {
    let row = |line: &'static str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let key = cells.next()?.trim_end_matches('`');
        let (default, _allowed, meaning) = (cells.next()?, cells.next()?, cells.next()?);
        let meaning = meaning.trim_end_matches('|').trim();
        Some((key, Row { default, meaning }))
    };
    REFERENCE.lines().filter_map(row).collect()
}

// === impl Node ===

impl<'a> Node<'a> {
    /// The node of a path such as `servers[].tls.mode`, made if it is new.
    fn at(&mut self, path: &str) -> &mut Self {
        let mut node = self;
        let mut so_far = String::new();
        for part in path.split('.') {
            let (name, is_item) = match part.strip_suffix("[]") {
                Some(name) => (name, true),
                None => (part, false),
            };
            so_far = super::reader::join(&so_far, name);
            node = node.children.entry(name.to_owned()).or_default();
            node.path.clone_from(&so_far);
            if is_item {
                so_far.push_str("[]");
                node = node.item.get_or_insert_default();
                node.path.clone_from(&so_far);
            }
        }
        node
    }

    fn schema(&self, rows: &HashMap<&str, Row>) -> Value {
        let mut forms = self.single_forms();
        let is_list = self.item.is_some() || self.shapes.contains(&Shape::List);
        if is_list {
            let text = Node::default();
            let item = self.item.as_deref().unwrap_or(&text);
            forms.push(json!({"type": "array", "items": item.schema(rows)}));
            forms.extend(item.single_forms());
        }
        if !self.children.is_empty() {
            forms.push(self.object(rows));
        }
        if is_list || !self.children.is_empty() {
            forms.push(json!({"type": "null"}));
        }
        let mut schema = match forms.len() {
            1 => forms.remove(0),
            _ => json!({"anyOf": forms}),
        };
        if let Some(row) = rows.get(self.path.as_str()) {
            let parts = [row.meaning, row.default];
            schema["description"] = match parts {
                ["", default] => json!(format!("Default: {default}")),
                [meaning, "required"] => json!(meaning),
                [meaning, default] => json!(format!("{meaning}. Default: {default}")),
            };
        }
        schema
    }

    /// What it may be as a single value.
    fn single_forms(&self) -> Vec<Value> {
        let has_more = self.item.is_some() || !self.children.is_empty();
        if self.shapes.is_empty() && !has_more {
            return Shape::Text.schemas();
        }
        self.shapes.iter().flat_map(Shape::schemas).collect()
    }

    fn object(&self, rows: &HashMap<&str, Row>) -> Value {
        if let (true, Some(any)) = (self.shapes.contains(&Shape::OwnKeys), self.children.get("*")) {
            return json!({"type": "object", "additionalProperties": any.schema(rows)});
        }
        let mut properties = Map::new();
        let mut required = Vec::new();
        for (name, child) in &self.children {
            properties.insert(name.clone(), child.schema(rows));
            if rows
                .get(child.path.as_str())
                .is_some_and(|row| row.default == "required")
            {
                required.push(name.as_str());
            }
        }
        let mut object = json!({"type": "object", "properties": properties, "additionalProperties": false});
        if !required.is_empty() {
            object["required"] = json!(required);
        }
        object
    }
}
