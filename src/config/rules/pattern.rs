//! A regular expression over the bytes of a statement, bounded in what it costs to compile and to run.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

/// Bytes of a compiled expression, and of what its search remembers.
const MOST_MEMORY: usize = 1 << 20;
const DEEPEST: u32 = 50;

/// Matches anywhere in a text, letters of either case, `.` also a line end. Equal when written alike.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

// === impl Pattern ===

impl Pattern {
    /// Statements are bytes in whatever character set the client uses, so that no byte is invalid.
    pub fn parse(text: &str) -> Result<Self, String> {
        let regex = RegexBuilder::new(text)
            .unicode(false)
            .case_insensitive(true)
            .dot_matches_new_line(true)
            .size_limit(MOST_MEMORY)
            .dfa_size_limit(MOST_MEMORY)
            .nest_limit(DEEPEST)
            .build();
        match regex {
            Ok(regex) => Ok(Self {
                text: text.to_owned(),
                regex,
            }),
            Err(error) => Err(reason(&error)),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn regex(&self) -> &Regex {
        &self.regex
    }
}

/// In one line: the crate draws the expression with a marker under the mistake.
fn reason(error: &regex::Error) -> String {
    if matches!(error, regex::Error::CompiledTooBig(_)) {
        return "it needs too much memory".to_owned();
    }
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Pattern({:?})", self.text)
    }
}
