//! A converted configuration before it is text: its sections in their order, and what could not be converted.

use std::fmt;

use serde_yaml::{Mapping, Value};

use super::document::{Document, Item};

/// What a converter makes of another proxy's file.
#[derive(Debug, Default)]
pub struct Plan {
    sections: Vec<Section>,
    pub warnings: Vec<Warning>,
}

#[derive(Debug)]
struct Section {
    key: &'static str,
    comments: Vec<String>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Value(Value),
    Items {
        items: Vec<Item<Value>>,
        /// What is said after the last of them.
        rest: Vec<String>,
    },
}

/// Something of the other file that is not, or not quite, in ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Of the other file, counted from 1.
    pub line: usize,
    pub text: String,
}

// === impl Plan ===

impl Plan {
    pub fn warn(&mut self, line: usize, text: impl Into<String>) {
        let text = text.into();
        // In the order of the lines, whatever was converted first.
        let place = self.warnings.partition_point(|other| other.line <= line);
        self.warnings.insert(place, Warning { line, text });
    }

    /// Nothing at all is no section.
    pub fn section(&mut self, key: &'static str, comment: &str, content: Mapping) {
        if !content.is_empty() {
            self.value(key, comment, Value::Mapping(content));
        }
    }

    pub fn value(&mut self, key: &'static str, comment: &str, value: Value) {
        self.sections.push(Section {
            key,
            comments: vec![comment.to_owned()],
            content: Content::Value(value),
        });
    }

    pub fn list(&mut self, key: &'static str, comment: &str, items: Vec<Item<Value>>, rest: Vec<String>) {
        self.sections.push(Section {
            key,
            comments: vec![comment.to_owned()],
            content: Content::Items { items, rest },
        });
    }

    pub fn text(&self, from: &str) -> Result<String, serde_yaml::Error> {
        let mut document = Document::default();
        document.comment(&format!(
            "Converted from {from}. Read it through before you use it."
        ));
        document.comment("docs/reference.md has every setting; those that are not here have their defaults.");
        if !self.warnings.is_empty() {
            document.gap();
            document.comment("What is different from there:");
            for warning in &self.warnings {
                document.comment(&format!("- {warning}"));
            }
        }
        for section in &self.sections {
            document.gap();
            for comment in &section.comments {
                document.comment(comment);
            }
            match &section.content {
                Content::Value(value) => document.setting(section.key, value)?,
                Content::Items { items, rest } if items.is_empty() => {
                    rest.iter().for_each(|line| document.list_comment(line));
                }
                Content::Items { items, rest } => {
                    document.list(section.key, items)?;
                    rest.iter().for_each(|line| document.list_comment(line));
                }
            }
        }
        Ok(document.finish())
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.text)
    }
}

/// `key: value` pairs in their order.
pub fn mapping<const N: usize>(pairs: [(&str, Value); N]) -> Mapping {
    pairs
        .into_iter()
        .map(|(key, value)| (key.into(), value))
        .collect()
}

/// A text of another file, which knows no `${NAME}`.
pub fn literal(text: &str) -> String {
    text.replace("${", "$${")
}
