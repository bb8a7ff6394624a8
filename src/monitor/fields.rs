//! A row as names and texts, so that what is read from it can be tested without a server.

use std::collections::HashMap;

use mysql_async::{Row, Value};

/// The fields of a row, NULL left out.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(HashMap<String, Vec<u8>>);

// === impl Fields ===

impl Fields {
    pub(super) fn of(row: Row) -> Self {
        let columns = row.columns();
        let names = columns
            .iter()
            .map(|column| column.name_str().to_ascii_lowercase());
        let fields = names
            .zip(row.unwrap_raw())
            .filter_map(|(name, value)| match value {
                Some(Value::Bytes(bytes)) => Some((name, bytes)),
                _ => None,
            });
        Self(fields.collect())
    }

    /// Rows of names and values as one row, with the names as SHOW VARIABLES has them.
    pub(super) fn of_pairs(rows: Vec<Row>) -> Self {
        let pairs = rows.into_iter().filter_map(|row| match &row.unwrap()[..] {
            [Value::Bytes(name), Value::Bytes(value), ..] => {
                Some((String::from_utf8_lossy(name).to_ascii_lowercase(), value.clone()))
            }
            _ => None,
        });
        Self(pairs.collect())
    }

    /// The first of `names` that the row has.
    pub(super) fn bytes(&self, names: &[&str]) -> Option<&[u8]> {
        names.iter().find_map(|name| self.0.get(*name)).map(Vec::as_slice)
    }

    /// Its text, not longer than any name or message; empty where there is none.
    pub(super) fn text(&self, names: &[&str]) -> String {
        const LONGEST: usize = 512;
        let bytes = self.bytes(names).unwrap_or_default();
        String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)]).into_owned()
    }

    pub(super) fn number(&self, names: &[&str]) -> Option<u64> {
        std::str::from_utf8(self.bytes(names)?).ok()?.parse().ok()
    }

    /// On or off, in any of the words that servers have for it.
    pub(super) fn flag(&self, names: &[&str]) -> Option<bool> {
        let bytes = self.bytes(names)?;
        let is = |word: &str| bytes.eq_ignore_ascii_case(word.as_bytes());
        Some(!(is("0") || is("OFF") || is("NO")))
    }
}

#[cfg(test)]
impl From<&[(&str, &str)]> for Fields {
    fn from(fields: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| (name.to_ascii_lowercase(), value.as_bytes().to_vec());
        Self(fields.iter().map(owned).collect())
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Fields {
    fn from(fields: [(&str, &str); N]) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_ascii_lowercase(), value.as_bytes().to_vec());
        Self(fields.into_iter().map(owned).collect())
    }
}
