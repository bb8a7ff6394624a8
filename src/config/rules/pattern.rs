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

    /// The first group that a replacement speaks of and the expression does not have. It would stand for nothing.
    pub fn lacks_group<'a>(&self, replacement: &'a str) -> Option<&'a str> {
        groups(replacement).find(|group| match group.parse::<usize>() {
            Ok(number) => number >= self.regex.captures_len(),
            Err(_) => !self.regex.capture_names().flatten().any(|name| name == *group),
        })
    }
}

/// `$1`, `$name` and `${name}` of a replacement, read as [`Regex::replace_all`] reads them: a name without braces goes
/// on as long as it can.
fn groups(replacement: &str) -> impl Iterator<Item = &str> {
    let mut rest = replacement;
    std::iter::from_fn(move || {
        loop {
            let after = &rest[rest.find('$')? + 1..];
            if let Some(after) = after.strip_prefix('$') {
                rest = after;
                continue;
            }
            let braced = after.strip_prefix('{').and_then(|inside| inside.split_once('}'));
            let is_part = |byte: char| byte.is_ascii_alphanumeric() || byte == '_';
            let (name, after) = braced
                .unwrap_or_else(|| after.split_at(after.find(|byte| !is_part(byte)).unwrap_or(after.len())));
            rest = after;
            if !name.is_empty() {
                return Some(name);
            }
        }
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_are_not_there_are_found() {
        let pattern = Pattern::parse(r"(?P<name>a)(b)").unwrap();
        for good in [
            "",
            "$",
            "$$1x",
            "$0$1${2}.$name, ${name}x",
            "a $ b",
            "${1",
            "$1-$2",
        ] {
            assert_eq!(pattern.lacks_group(good), None, "{good}");
        }
        for (bad, group) in [
            ("$3", "3"),
            ("$1x", "1x"),
            ("${nam}", "nam"),
            ("$1 $$ $names", "names"),
        ] {
            assert_eq!(pattern.lacks_group(bad), Some(group), "{bad}");
            // What it is about: the crate puts nothing there.
            let replaced = pattern.regex().replace_all(b"ab", bad.as_bytes());
            assert!(
                !replaced.windows(group.len()).any(|part| part == group.as_bytes()),
                "{bad}"
            );
        }
    }
}
