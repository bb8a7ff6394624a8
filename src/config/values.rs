//! Single values: numbers, durations, sizes, words, addresses and paths, each with the range that it may have.
//!
//! An absent setting gives `None` or its default without a word; a bad one is reported and then counts as absent,
//! so that reading goes on.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::choice::Choice;
use super::reader::Field;
use super::shape::Shape;
use super::substitute::{Unusable, substitute};
use super::tree::Kind;
use super::{Address, Network, Pattern, duration, size};
use crate::util::suggest::nearest;

/// Why a value cannot be used.
pub(super) enum Bad {
    /// It is not of this kind, e.g. "a duration".
    NotA(&'static str),
    OutOfRange,
}

// === impl Field ===

impl Field<'_> {
    /// What stands in the file, before substitution; `None`, without a word, where nothing does. Reports what is
    /// no single value.
    fn raw(&self) -> Option<&str> {
        match &self.node?.kind {
            Kind::Scalar(text) => return Some(text),
            Kind::Empty => self.report(
                "there is no value",
                "write one, or remove the key for its default",
            ),
            Kind::List(_) => self.report("this must be a single value", "it is a list"),
            Kind::Map(_) => self.report("this must be a single value", "it is a section"),
        }
        None
    }

    /// The text with `${NAME}` and `${NAME:-default}` replaced from the environment.
    pub(super) fn text(&self) -> Option<Zeroizing<String>> {
        let raw = self.raw()?;
        match substitute(raw, self.context.environment) {
            Ok(text) => Some(text),
            Err(Unusable::Unset(name)) => {
                let help = format!("export it, or give a default: ${{{name}:-value}}");
                self.report(format!("the environment variable `{name}` is not set"), help);
                None
            }
            Err(Unusable::Form) => {
                self.report(
                    "a `${` is not closed or names no variable",
                    "write `${NAME}`; a plain `${` is `$${`",
                );
                None
            }
        }
    }

    /// The text as it stands in the file, `${` and all.
    pub(super) fn literal(&self) -> Option<&str> {
        self.raw()
    }

    /// A regular expression, as it stands in the file.
    pub(super) fn pattern(&self, longest: usize) -> Option<Pattern> {
        let text = self.literal()?;
        if text.is_empty() || text.len() > longest {
            let help = format!("write 1 to {longest} bytes");
            self.report("this regular expression cannot be used", help);
            return None;
        }
        let pattern = Pattern::parse(text);
        let help = "a `\\` stands before a sign that is meant literally; quote the whole in single quotes";
        pattern
            .map_err(|reason| self.report(format!("not a regular expression: {reason}"), help))
            .ok()
    }

    /// The value as it may be quoted: not a value that could hold a password.
    pub(super) fn quoted(&self) -> String {
        match self.node.map(|node| &node.kind) {
            Some(Kind::Scalar(text)) if !text.contains('@') && text.len() <= 100 => format!("`{}`", **text),
            _ => "the value".to_owned(),
        }
    }

    /// A value by a parser of its own; `allowed` is the suggestion when it fails.
    pub(super) fn parse<T>(
        &self,
        allowed: impl Display,
        parse: impl FnOnce(&str) -> Result<T, Bad>,
    ) -> Option<T> {
        match parse(&self.text()?) {
            Ok(value) => return Some(value),
            Err(Bad::NotA(kind)) => self.report(format!("{} is not {kind}", self.quoted()), allowed),
            Err(Bad::OutOfRange) => self.report(format!("{} is out of range", self.quoted()), allowed),
        }
        None
    }

    pub(super) fn count(&self, range: RangeInclusive<u32>, default: u32) -> u32 {
        self.note_count(&range, false);
        let allowed = format!("write a whole number from {} to {}", range.start(), range.end());
        self.parse(allowed, |text| count(text, &range)).unwrap_or(default)
    }

    fn note_count(&self, range: &RangeInclusive<u32>, or_off: bool) {
        let (least, most) = (*range.start(), *range.end());
        self.note(Shape::Count { least, most, or_off });
    }

    /// A count, or `off`.
    pub(super) fn optional_count(&self, range: RangeInclusive<u32>, default: Option<u32>) -> Option<u32> {
        self.note_count(&range, true);
        let allowed = format!(
            "write a whole number from {} to {}, or off",
            range.start(),
            range.end()
        );
        self.parse(allowed, |text| or_off(text, |text| count(text, &range)))
            .unwrap_or(default)
    }

    pub(super) fn duration(&self, range: RangeInclusive<Duration>, default: Duration) -> Duration {
        self.note(Shape::Duration { or_off: false });
        let allowed = durations(&range);
        self.parse(allowed, |text| duration(text, &range))
            .unwrap_or(default)
    }

    /// A duration, or `off`.
    pub(super) fn optional_duration(
        &self,
        range: RangeInclusive<Duration>,
        default: Option<Duration>,
    ) -> Option<Duration> {
        self.note(Shape::Duration { or_off: true });
        let allowed = format!("{}, or off", durations(&range));
        self.parse(allowed, |text| or_off(text, |text| duration(text, &range)))
            .unwrap_or(default)
    }

    pub(super) fn size(&self, range: RangeInclusive<u64>, default: u64) -> u64 {
        self.note(Shape::Size);
        let (least, most) = (size::show(*range.start()), size::show(*range.end()));
        let allowed = format!("write a size such as 512KiB, 64MiB or 1GiB, from {least} to {most}");
        let parse = |text: &str| within(size::parse(text).ok_or(Bad::NotA("a size"))?, &range);
        self.parse(allowed, parse).unwrap_or(default)
    }

    pub(super) fn choice_or<T: Choice>(&self, default: T) -> T {
        self.choice().unwrap_or(default)
    }

    pub(super) fn choice<T: Choice>(&self) -> Option<T> {
        self.note(Shape::Words(T::words()));
        let text = self.text()?;
        let value = T::from_word(&text);
        if value.is_none() {
            let words = T::words();
            let words_allowed = format!("it can be {}", words.join(", "));
            let allowed = match nearest(&text, words.iter().copied()) {
                Some(only) if words.len() == 1 => format!("did you mean `{only}`?"),
                Some(word) => format!("did you mean `{word}`? {words_allowed}"),
                None => words_allowed,
            };
            self.report(
                format!("{} is not one of the words allowed", self.quoted()),
                allowed,
            );
        }
        value
    }

    /// A text of bounded length with no control characters.
    pub(super) fn word(&self, longest: usize) -> Option<String> {
        let text = self.text()?;
        let length = text.chars().count();
        if length == 0 || length > longest || text.chars().any(char::is_control) {
            let help = format!("write 1 to {longest} characters, none of them a control character");
            self.report("this text cannot be used", help);
            return None;
        }
        Some((*text).clone())
    }

    /// A name that hints and commands can repeat.
    pub(super) fn name(&self) -> Option<String> {
        let is_allowed = |each: char| each.is_ascii_alphanumeric() || "_.:-/[]".contains(each);
        self.parse(
            "write 1 to 64 letters, digits, `_`, `-`, `.`, `:` or `/`",
            |text| {
                let is_name = !text.is_empty() && text.len() <= 64 && text.chars().all(is_allowed);
                if is_name {
                    Ok(text.to_owned())
                } else {
                    Err(Bad::NotA("a name"))
                }
            },
        )
    }

    pub(super) fn address(&self, default_port: Option<u16>) -> Option<Address> {
        self.note(Shape::Text);
        let text = self.text()?;
        let address = Address::parse(&text, default_port);
        address
            .map_err(|error| self.report(format!("{} is not an address", self.quoted()), error))
            .ok()
    }

    pub(super) fn network(&self) -> Option<Network> {
        self.parse("write an IP address or a network, such as 10.0.0.0/8", |text| {
            text.parse().map_err(|_| Bad::NotA("a network"))
        })
    }

    /// A path, relative to the folder of the configuration file.
    pub(super) fn path(&self) -> Option<PathBuf> {
        Some(self.beside(&self.word(4096)?))
    }

    /// The path as it is meant in this file.
    pub(super) fn beside(&self, path: &str) -> PathBuf {
        self.context
            .sources
            .path(self.line)
            .parent()
            .unwrap_or(Path::new(""))
            .join(path)
    }
}

fn within<T: PartialOrd>(value: T, range: &RangeInclusive<T>) -> Result<T, Bad> {
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(Bad::OutOfRange)
    }
}

fn count(text: &str, range: &RangeInclusive<u32>) -> Result<u32, Bad> {
    let digits = text.replace('_', "");
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse::<u32>() {
        Ok(value) => within(value, range),
        Err(_) if is_number => Err(Bad::OutOfRange),
        Err(_) => Err(Bad::NotA("a whole number")),
    }
}

fn duration(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, Bad> {
    within(duration::parse(text).ok_or(Bad::NotA("a duration"))?, range)
}

fn durations(range: &RangeInclusive<Duration>) -> String {
    let (least, most) = (duration::show(*range.start()), duration::show(*range.end()));
    format!("write a duration with its unit, such as 500ms, 10s, 5m or 1h, from {least} to {most}")
}

fn or_off<T>(text: &str, parse: impl FnOnce(&str) -> Result<T, Bad>) -> Result<Option<T>, Bad> {
    if text == "off" {
        Ok(None)
    } else {
        parse(text).map(Some)
    }
}
