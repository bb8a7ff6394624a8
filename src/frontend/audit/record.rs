//! One thing that happened, as a line of JSON.

use std::time::SystemTime;

use serde_json::{Map, Value};

use crate::util::calendar;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Login,
    LoginFailed,
    ChangeUser,
    Logout,
    Blocked,
    AdminLogin,
    AdminLoginFailed,
    Admin,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Record(Map<String, Value>);

/// Texts are cut at so many characters: a line has a bound.
const LONGEST: usize = 4096;

// === impl Event ===

impl Event {
    pub fn word(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::LoginFailed => "login_failed",
            Self::ChangeUser => "change_user",
            Self::Logout => "logout",
            Self::Blocked => "blocked",
            Self::AdminLogin => "admin_login",
            Self::AdminLoginFailed => "admin_login_failed",
            Self::Admin => "admin",
        }
    }
}

// === impl Record ===

impl Record {
    pub fn new(event: Event) -> Self {
        Self(Map::from_iter([("event".to_owned(), event.word().into())]))
    }

    /// What was not UTF-8 is marked as such.
    pub fn with(self, key: &str, text: impl AsRef<[u8]>) -> Self {
        let text = String::from_utf8_lossy(text.as_ref());
        let end = text.char_indices().nth(LONGEST).map_or(text.len(), |(at, _)| at);
        self.set(key, text[..end].into())
    }

    pub fn with_number(self, key: &str, number: u64) -> Self {
        self.set(key, number.into())
    }

    fn set(mut self, key: &str, value: Value) -> Self {
        self.0.insert(key.to_owned(), value);
        self
    }

    /// With its end.
    pub fn line(mut self, now: SystemTime) -> String {
        let mut time = calendar::utc(now, 'T');
        time.push('Z');
        self.0.insert("time".to_owned(), time.into());
        let mut line = Value::Object(self.0).to_string();
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_of_json() {
        let record = Record::new(Event::LoginFailed)
            .with("user", b"a\"\n\xff")
            .with_number("client", 7);
        let line = record.line(SystemTime::UNIX_EPOCH);
        assert_eq!(line.matches('\n').count(), 1);
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["time"], "1970-01-01T00:00:00.000Z");
        assert_eq!(
            (&read["event"], &read["client"]),
            (&"login_failed".into(), &7.into())
        );
        assert_eq!(read["user"], "a\"\n\u{fffd}");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let record = Record::new(Event::Blocked).with("statement", "ä".repeat(LONGEST * 2));
        let read: Value = serde_json::from_str(&record.line(SystemTime::UNIX_EPOCH)).unwrap();
        assert_eq!(read["statement"].as_str().unwrap().chars().count(), LONGEST);
    }
}
