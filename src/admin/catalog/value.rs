//! One value of a table.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::util::calendar;

pub type Row = Vec<Value>;

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Text(String),
    Integer(u64),
    Decimal(f64),
    /// Shown as yes and no; as true and false in JSON.
    Boolean(bool),
}

// === impl Value ===

impl Value {
    /// A text, NULL when there is none.
    pub fn text_or_null<T: Into<String>>(text: Option<T>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.into()))
    }

    /// Milliseconds, with microseconds behind the point.
    pub fn millis(time: Duration) -> Self {
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        match u32::try_from(time.as_millis()) {
            Ok(_) if micros < u32::MAX => Self::Decimal(f64::from(micros) / 1000.0),
            Ok(millis) => Self::Decimal(f64::from(millis)),
            Err(_) => Self::Decimal(f64::from(u32::MAX)),
        }
    }

    /// UTC, to the millisecond: `2026-11-21 10:11:12.345`.
    pub fn time(time: SystemTime) -> Self {
        Self::Text(calendar::utc(time, ' '))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("NULL"),
            Self::Text(text) => formatter.write_str(text),
            Self::Integer(number) => write!(formatter, "{number}"),
            Self::Decimal(number) => write!(formatter, "{number:.3}"),
            Self::Boolean(true) => formatter.write_str("yes"),
            Self::Boolean(false) => formatter.write_str("no"),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&Arc<str>> for Value {
    fn from(text: &Arc<str>) -> Self {
        Self::Text(text.to_string())
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Integer(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, T::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn times_are_read_from_the_calendar() {
        let at = |seconds| Value::time(UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
        assert_eq!(at(0), "1970-01-01 00:00:00.000");
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00.000");
        assert_eq!(at(951_868_799), "2000-02-29 23:59:59.000");
        assert_eq!(at(1_735_689_599), "2024-12-31 23:59:59.000");
        assert_eq!(at(4_107_542_400), "2100-03-01 00:00:00.000");
    }

    #[test]
    fn milliseconds_have_a_fraction() {
        assert_eq!(Value::millis(Duration::from_micros(1_250)).to_string(), "1.250");
        assert_eq!(
            Value::millis(Duration::from_secs(86_400)).to_string(),
            "86400000.000"
        );
        assert_eq!(Value::millis(Duration::MAX), Value::Decimal(u32::MAX.into()));
    }
}
