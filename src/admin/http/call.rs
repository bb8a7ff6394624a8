//! A request taken apart: its parameters and the fields of its body, each asked for by name and type, so that
//! whatever nobody asked for is an error rather than ignored.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::{Map, Value as Json};

use super::access::Visitor;
use super::answer::Problem;
use crate::util::suggest::nearest;

#[derive(Debug)]
pub struct Call {
    pub visitor: Visitor,
    /// Where it comes from.
    pub from: String,
    /// What stands in the path in the places of `{name}`.
    pub path: BTreeMap<String, String>,
    pub query: Vec<(String, String)>,
    pub body: Map<String, Json>,
}

const LONGEST_NAME: usize = 256;

// === impl Call ===

impl Call {
    /// What stands in the path; the router knows that it is there.
    pub fn place(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// Only these parameters, each at most once.
    pub fn knows(&self, names: &[&str]) -> Result<(), Problem> {
        for (place, (name, _)) in self.query.iter().enumerate() {
            if !names.contains(&name.as_str()) {
                return Err(unknown("parameter", name, names));
            }
            if self.query[..place].iter().any(|(earlier, _)| earlier == name) {
                return Err(Problem::bad(format!("the parameter `{name}` is given twice")));
            }
        }
        Ok(())
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        let given = self.query.iter().find(|(known, _)| known == name);
        given.map(|(_, value)| value.as_str())
    }

    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.parameter(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::bad(format!("`{name}` is true or false"))),
        }
    }

    /// A whole number in the query.
    pub fn number(&self, name: &str, most: u32) -> Result<Option<u32>, Problem> {
        let Some(text) = self.parameter(name) else {
            return Ok(None);
        };
        match text.parse::<u32>() {
            Ok(number) if number <= most => Ok(Some(number)),
            _ => Err(Problem::bad(format!("`{name}` is a number of at most {most}"))),
        }
    }

    /// Only these fields in the body.
    pub fn has_only(&self, names: &[&str]) -> Result<(), Problem> {
        match self.body.keys().find(|name| !names.contains(&name.as_str())) {
            Some(name) => Err(unknown("field", name, names)),
            None => Ok(()),
        }
    }

    pub fn text(&self, name: &str) -> Result<Option<&str>, Problem> {
        match self.body.get(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(_) => Err(Problem::bad(format!("`{name}` is a text"))),
        }
    }

    /// A name of something: never long, so that logs can show it.
    pub fn name(&self, name: &str) -> Result<Option<String>, Problem> {
        match self.text(name)? {
            Some(text) if text.chars().count() > LONGEST_NAME => Err(Problem::bad(format!(
                "`{name}` has more than {LONGEST_NAME} characters"
            ))),
            text => Ok(text.map(str::to_owned)),
        }
    }

    pub fn truth(&self, name: &str) -> Result<bool, Problem> {
        match self.body.get(name) {
            None => Ok(false),
            Some(Json::Bool(truth)) => Ok(*truth),
            Some(_) => Err(Problem::bad(format!("`{name}` is true or false"))),
        }
    }

    pub fn count(&self, name: &str, range: RangeInclusive<u32>) -> Result<Option<u32>, Problem> {
        let Some(given) = self.body.get(name) else {
            return Ok(None);
        };
        let number = given.as_u64().and_then(|number| u32::try_from(number).ok());
        let wrong = || {
            let (least, most) = (range.start(), range.end());
            Problem::bad(format!("`{name}` is a whole number from {least} to {most}"))
        };
        number
            .filter(|number| range.contains(number))
            .ok_or_else(wrong)
            .map(Some)
    }
}

fn unknown(what: &str, name: &str, names: &[&str]) -> Problem {
    let hint = match nearest(name, names.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if names.is_empty() => "there are none here".to_owned(),
        None => format!("there are {}", names.join(", ")),
    };
    let name: String = name.chars().take(80).collect();
    Problem::bad(format!("there is no {what} `{name}`; {hint}"))
}
