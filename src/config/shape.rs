//! What a single value may be, as noted while it is read: the JSON schema is made of these notes, so that whoever
//! adds a setting has nothing more to write.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// One form that a value may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Count {
        least: u32,
        most: u32,
        or_off: bool,
    },
    Duration {
        or_off: bool,
    },
    Size,
    Words(Vec<&'static str>),
    /// Any single value.
    Text,
    /// A list, or a single item of one.
    List,
    /// A section whose keys are the user's own.
    OwnKeys,
}

/// The forms of every setting, list positions left out; keys of the user's own are `*`.
pub(super) type Shapes = BTreeMap<String, Vec<Shape>>;

/// What stands for an environment variable fits everywhere.
const VARIABLE: &str = r"\$\{";

// === impl Shape ===

impl Shape {
    /// Schemas of which a single value has to fit one.
    pub(super) fn schemas(&self) -> Vec<Value> {
        match self {
            Self::Count { least, most, or_off } => {
                let mut schemas = vec![
                    json!({"type": "integer", "minimum": least, "maximum": most}),
                    text(r"^[0-9][0-9_]*$"),
                ];
                schemas.extend(or_off.then(off).into_iter().flatten());
                schemas
            }
            Self::Duration { or_off } => {
                let mut schemas = vec![text(r"^ *([0-9]+(\.[0-9]{1,6})?(ms|s|m|h|d) *)+$")];
                schemas.extend(or_off.then(off).into_iter().flatten());
                schemas
            }
            Self::Size => vec![
                json!({"type": "integer", "minimum": 0}),
                text("^ *[0-9]+ *([kKmMgG]([iI]?[bB])?|[bB])? *$"),
            ],
            Self::Words(words) => choice(words),
            Self::Text => vec![json!({"type": ["string", "number", "boolean"]})],
            Self::List | Self::OwnKeys => Vec::new(),
        }
    }
}

fn text(pattern: &str) -> Value {
    json!({"type": "string", "pattern": format!("{pattern}|{VARIABLE}")})
}

/// The word, and what older readers of YAML make of it.
fn off() -> Vec<Value> {
    vec![json!({"enum": ["off", false]})]
}

fn choice(words: &[&str]) -> Vec<Value> {
    let mut values: Vec<Value> = Vec::new();
    for word in words {
        let typed = match *word {
            "true" | "on" | "yes" => Some(json!(true)),
            "false" | "off" | "no" => Some(json!(false)),
            word => word.parse::<f64>().ok().map(|number| json!(number)),
        };
        values.extend([json!(word)].into_iter().chain(typed));
    }
    let mut seen = Vec::new();
    values.retain(|value| {
        let is_new = !seen.contains(value);
        seen.push(value.clone());
        is_new
    });
    vec![
        json!({"enum": values}),
        json!({"type": "string", "pattern": VARIABLE}),
    ]
}
